"""When a day is over, and how finely what it came to is kept."""

from datetime import date

import pytest

from tollway.domain.retention import candidates, days_ahead, is_detailed, is_over

TODAY = date(2027, 1, 31)


@pytest.mark.parametrize(
    ("day", "kept_days", "over"),
    [
        ("2027-01-30", 1, False),
        ("2027-01-29", 1, True),
        ("2027-01-24", 7, False),
        ("2027-01-23", 7, True),
        ("2020-01-01", None, False),
        ("2027-02-05", 1, False),
        ("2027-01-30", 0, False),
        ("9999-99-99", 1, False),
    ],
)
def test_over(day, kept_days, over):
    """As many whole days must have passed; today and yesterday never are, nor what is no day."""
    assert is_over(day, TODAY, kept_days) is over


def test_detail():
    """As long as a month of some zone may have begun on it."""
    assert is_detailed("2026-12-22", TODAY)
    assert not is_detailed("2026-12-21", TODAY)


def test_days():
    """A week ahead; candidates by the shortest time that anybody keeps entries."""
    assert days_ahead(TODAY)[:2] == ["2027-01-31", "2027-02-01"]
    assert len(days_ahead(TODAY)) == 8
    assert candidates(["2027-01-31", "2027-01-02", "2027-01-01"], TODAY, 29) == ["2027-01-01"]
    assert candidates(["2027-01-01"], TODAY, None) == []
