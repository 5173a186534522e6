"""What removes entries of the ledger when their time is over, and keeps what they came to."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class Kept(NamedTuple):
    """What tenants have chosen: the fewest days any of them keeps entries (None: nobody chose), and
    a mark that changes when any of them changes its settings."""

    shortest_days: int | None
    mark: object


class Step(NamedTuple):
    """What one transaction closed. `more`: this day has further entries to close; `whole`: the day
    went as a whole."""

    rows: int
    more: bool = False
    whole: bool = False


class RetentionStore(Protocol):
    """Each call is one transaction. Raises StoreUnavailableError."""

    def prepare(self, days: Sequence[str]) -> None:
        """Make room for the entries of these days, where days need room."""

    def today(self) -> str | None:
        """The UTC day by the database's own clock, where it has one."""

    def days(self) -> list[str]:
        """Every day that has, or has room for, entries."""

    def kept(self) -> Kept:
        """What tenants have chosen."""

    def close(self, day: str, *, age_days: int, by_default: bool, detailed: bool) -> Step:
        """Remove entries of tenants that keep less than `age_days`, and with `by_default` of those
        that have not chosen; write what they came to. `detailed`: as finely as windows need it."""

    def count(self, day: str, *, age_days: int, by_default: bool) -> tuple[int, int]:
        """How many entries `close` would remove, and how many would stay."""

    def compact(self, before_day: str) -> int:
        """Put what is left of earlier days into one row for a tenant's day; how many rows went."""
