"""How long entries of the ledger stay. Roll-ups stay for good; of removed entries stays what they
came to. A tenant's own time goes before the platform's; without either, entries stay.
"""

from collections.abc import Iterable
from datetime import date, timedelta

AHEAD_DAYS = 7  # for which partitions are made before they are needed
# The longest window that is running (a month of some time zone) began less than 33 days ago: what
# was removed of earlier days is in no window in part, so their sums alone are kept.
DETAIL_DAYS = 40


def is_over(day: str, today: date, kept_days: int | None) -> bool:
    """Whether a day's entries may go: when as many whole days as they are kept have passed since.
    A day that is none (a damaged id's) stays."""
    age = age_days(day, today)
    return kept_days is not None and age is not None and age > max(kept_days, 1)


def age_days(day: str, today: date) -> int | None:
    """How many days ago it was; None for what is no day."""
    try:
        return (today - date.fromisoformat(day)).days
    except ValueError:
        return None


def is_detailed(day: str, today: date) -> bool:
    """Whether a window that is running may take a part of this day."""
    age = age_days(day, today)
    return age is None or age <= DETAIL_DAYS


def days_ahead(today: date) -> list[str]:
    """Today and the days of which partitions are made ahead."""
    return [(today + timedelta(days=number)).isoformat() for number in range(AHEAD_DAYS + 1)]


def candidates(days: Iterable[str], today: date, shortest: int | None) -> list[str]:
    """The days of which something may go, when nobody keeps entries for less than `shortest`."""
    return sorted(day for day in days if is_over(day, today, shortest))
