"""Money is integer nano-USD. No float ever touches it."""

from decimal import Decimal

NUSD_PER_USD = 1_000_000_000


def usd_text(nusd: int) -> str:
    """`1234567890` -> `"1.23456789"`: exact, no exponent, no trailing zeros."""
    text = format((Decimal(nusd) / NUSD_PER_USD).normalize(), "f")
    return "0" if text in ("-0", "0") else text


def nusd_of(usd: str) -> int:
    """What `usd_text` gives, back: decimal text of at most nine decimals."""
    return int(Decimal(usd) * NUSD_PER_USD)
