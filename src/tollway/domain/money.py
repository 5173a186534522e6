"""Money is integer nano-USD. No float ever touches it."""

import re
from decimal import Decimal

NUSD_PER_USD = 1_000_000_000
_USD = re.compile(r"[0-9]{1,7}(?:\.[0-9]{1,9})?")


def usd_text(nusd: int) -> str:
    """`1234567890` -> `"1.23456789"`: exact, no exponent, no trailing zeros."""
    text = format((Decimal(nusd) / NUSD_PER_USD).normalize(), "f")
    return "0" if text in ("-0", "0") else text


def read_usd(written: str) -> int | None:
    """What `usd_text` gives, back; None for what is no amount."""
    if not _USD.fullmatch(written):
        return None
    return int(Decimal(written) * NUSD_PER_USD)
