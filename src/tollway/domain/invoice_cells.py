"""The cells of an invoice's line read as what they are: moments, counts, dollars. Whatever cannot
be read ends in an `InvoiceError` that names the line and says what to do.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import NoReturn

_COUNT = re.compile(r"\d{1,15}(\.0+)?")
_SECONDS = re.compile(r"\d{9,11}")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_LONGEST = 64
_MOST_USD = Decimal(10**9)
_FROM_S, _UNTIL_S = 946_684_800, 4_102_444_800  # 2000 to 2100


class InvoiceError(Exception):
    """The file cannot be compared. `line` is where, 0 the file as a whole."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(f"line {line}: {message}" if line else message)
        self.line = line


class Cells:
    """One line by its columns' names (lower case)."""

    def __init__(self, line: int, cells: Mapping[str, str]) -> None:
        self.line = line
        self._cells = cells

    def text(self, *names: str) -> str:
        """The first of these columns that has something, or nothing."""
        for name in names:
            found = self._cells.get(name, "").strip()
            if found:
                return found
        return ""

    def count(self, name: str) -> int | None:
        """A whole number, None where the cell is empty or there is no such column."""
        text = self.text(name)
        if not text:
            return None
        if _COUNT.fullmatch(text) is None:
            self.refuse(
                name,
                text,
                "is no count: write whole numbers, without signs or separators of thousands",
            )
        return int(text.partition(".")[0])

    def usd(self, name: str) -> int | None:
        """US dollars as nano-USD, rounded to the nearest, None as in `count`."""
        text = self.text(name)
        if not text:
            return None
        try:
            amount = Decimal(text if len(text) <= _LONGEST else "")
        except InvalidOperation:
            self.refuse(name, text, "is no amount: write dollars as in 12.3456, without a sign")
        if not amount.is_finite() or not 0 <= amount <= _MOST_USD:
            self.refuse(name, text, "cannot be a charge: leave credits and totals out of the file")
        return int((amount * 10**9).to_integral_value(ROUND_HALF_EVEN))

    def moment(self, *names: str) -> tuple[int, bool]:
        """UTC seconds, and whether it is a whole day. Without an offset a time is UTC."""
        text = self.text(*names)
        name = next((name for name in names if self.text(name)), names[0])
        if not text:
            raise InvoiceError(self.line, f"the column '{name}' is empty: each line takes a time.")
        try:
            if _SECONDS.fullmatch(text):
                at = datetime.fromtimestamp(int(text), UTC)
            else:
                at = datetime.fromisoformat(text)
        except (ValueError, OverflowError):
            self.refuse(
                name,
                text,
                "is no time: write 2027-01-31, 2027-01-31T09:30:00Z, the same with an offset "
                "(+02:00), or seconds since 1970",
            )
        at_s = int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp())
        if not _FROM_S <= at_s < _UNTIL_S:
            self.refuse(name, text, "is not of this century; are these milliseconds?")
        return at_s, _DAY.fullmatch(text) is not None

    def refuse(self, name: str, text: str, words: str) -> NoReturn:
        """Raise what says that this column's cell cannot be."""
        raise InvoiceError(self.line, f"{text[:_LONGEST]!r} in '{name}' {words}.")
