"""Windows: never a gap, never an overlap, whatever a zone's clocks do (G-13)."""

from datetime import UTC, datetime

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tollway.domain.window import (
    BUCKET_S,
    BUCKETS,
    FOREVER_S,
    UTC_ZONE,
    Period,
    Window,
    Zone,
    counted_from_s,
    frees_s,
    window_at,
)

ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Santiago",  # midnight does not exist on one day of the year
    "Asia/Kathmandu",  # +05:45
    "Australia/Lord_Howe",  # half an hour of summer time
    "Pacific/Apia",
    "Africa/Casablanca",
    "Asia/Tehran",
]
CALENDAR = [Period.HOUR, Period.DAY, Period.MONTH]


def second(text):
    """Of a UTC time."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(ZONES),
    st.sampled_from(CALENDAR),
    st.integers(second("2020-01-01"), second("2037-12-31")),
)
@example("Australia/Lord_Howe", Period.HOUR, 1_980_342_000)  # its clock goes back half an hour
@example("Australia/Lord_Howe", Period.HOUR, 1_980_343_800)
def test_windows_follow_each_other_without_gap(zone, period, at_s):
    """The second before a window begins is in the one before, the one it ends at in the next."""
    zone = Zone(zone)
    window = window_at(period, zone, at_s)
    assert window.start_s <= at_s < window.end_s
    assert window_at(period, zone, window.start_s) == window
    assert window_at(period, zone, window.end_s - 1) == window
    assert window_at(period, zone, window.end_s).start_s == window.end_s
    assert window_at(period, zone, window.start_s - 1).end_s == window.start_s
    assert window.start_s % 900 == 0, "the roll-ups' quarters could not be summed"


@pytest.mark.parametrize(
    ("zone", "at", "hours"),
    [
        ("Europe/Berlin", "2026-03-29T12:00", 23),
        ("Europe/Berlin", "2026-10-25T12:00", 25),
        ("America/New_York", "2026-03-08T12:00", 23),
        ("Australia/Lord_Howe", "2026-04-04T20:00", 24.5),
        ("UTC", "2026-03-29T12:00", 24),
    ],
)
def test_a_day_is_as_long_as_its_people_s(zone, at, hours):
    """When the clocks change a day has 23, 25 or 24.5 hours."""
    window = window_at(Period.DAY, Zone(zone), second(at))
    assert (window.end_s - window.start_s) / 3600 == hours


@pytest.mark.parametrize(
    ("at", "days"), [("2026-02-28T23:59:59", 28), ("2028-02-29", 29), ("2026-12-31T23:00", 31)]
)
def test_a_month_ends_with_its_last_day(at, days):
    """Also in leap years, and at the end of one."""
    window = window_at(Period.MONTH, UTC_ZONE, second(at))
    assert (window.end_s - window.start_s) / 86_400 == days


def test_minutes_are_buckets():
    """What counts are the running bucket and the six before."""
    window = window_at(Period.MINUTE, Zone("Asia/Kathmandu"), 1_000_007)
    assert window == Window(1_000_000, 1_000_010)
    assert counted_from_s(Period.MINUTE, window) == 1_000_000 - (BUCKETS - 1) * BUCKET_S
    assert frees_s(Period.MINUTE, window) == 1_000_000 + BUCKETS * BUCKET_S


@pytest.mark.parametrize("changes", ["2026-04-04T15:00", "2026-10-03T15:30"])
def test_hours_where_the_clock_moves_by_half_of_one(changes):
    """Every second of those days is in one window, and the odd one has 90 minutes."""
    zone, around = Zone("Australia/Lord_Howe"), second(changes)
    lengths, at_s = [], around - 6 * 3600
    while at_s < around + 6 * 3600:
        window = window_at(Period.HOUR, zone, at_s)
        for inside_s in range(window.start_s, window.end_s, 300):
            assert window_at(Period.HOUR, zone, inside_s) == window
        lengths.append(window.end_s - window.start_s)
        at_s = window.end_s
    assert sorted(set(lengths)) == [3600, 5400]
    assert lengths.count(5400) == 1


@pytest.mark.parametrize("period", [Period.TOTAL, Period.NONE])
def test_some_never_turn(period):
    """One window for all time."""
    window = window_at(period, Zone("Europe/Berlin"), 5)
    assert window == Window(0, FOREVER_S)
    assert counted_from_s(period, window) == 0
    assert frees_s(period, window) == FOREVER_S


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(ZONES),
    st.sampled_from(ZONES),
    st.sampled_from(CALENDAR),
    st.integers(second("2026-01-01"), second("2026-12-31")),
    st.integers(-40 * 86_400, 80 * 86_400),
)
def test_a_change_of_zone_waits_for_the_next_window(before, after, period, changed_s, offset_s):
    """What was running goes on to its end in the zone it began in; then the new one's, without gap
    or overlap."""
    zone = Zone(after, before, changed_s)
    old = window_at(period, Zone(before), changed_s)
    assert window_at(period, zone, changed_s) == old
    at_s = changed_s + offset_s
    window = window_at(period, zone, at_s)
    assert window.start_s <= at_s < window.end_s
    assert window_at(period, zone, window.end_s).start_s == window.end_s
    assert window_at(period, zone, window.end_s - 1) == window
    if at_s < old.start_s:
        assert window == window_at(period, Zone(before), at_s)
