"""Windows of quotas: calendar periods of a tenant's time zone, and the running minute. A window is
known by the UTC second it begins at, and that stands in its counter's key: nothing is ever reset.

The minute is ten-second buckets: what counts is the running bucket and the six before it, so that
no span of 60 s holds more than the limit, wherever it begins (what was used returns up to 10 s
late). Every calendar window begins on a quarter of an hour in UTC, as all offsets in use do, so it
can be summed from roll-ups.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

BUCKET_S = 10
BUCKETS = 7  # the running one and six before it
FOREVER_S = 1 << 33  # the year 2242: still in 64 bits as nanoseconds


class Period(StrEnum):
    """How long a counter counts. Concurrency has none: `NONE`."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    MONTH = "month"
    TOTAL = "total"
    NONE = "none"


class Window(NamedTuple):
    """From `start_s` until before `end_s`, in UTC seconds. Of the minute: the running bucket."""

    start_s: int
    end_s: int


@dataclass(frozen=True, slots=True)
class Zone:
    """A tenant's time zone. After a change at `changed_s` the windows that were running then go on
    to their end in the zone they began in."""

    name: str = "UTC"
    previous: str | None = None
    changed_s: int = 0


UTC_ZONE = Zone()


def window_at(period: Period, zone: Zone, at_s: int) -> Window:
    """The window of this second. Windows of one zone never overlap and leave no gap."""
    if period is Period.MINUTE:
        start_s = at_s - at_s % BUCKET_S
        return Window(start_s, start_s + BUCKET_S)
    if period in (Period.TOTAL, Period.NONE):
        return Window(0, FOREVER_S)
    window = _calendar(period, zone.name, at_s)
    if zone.previous is None or window.start_s > zone.changed_s + _LONGEST_S:
        return window
    old = _calendar(period, zone.previous, zone.changed_s)
    if at_s < old.end_s:
        return old if at_s >= old.start_s else _calendar(period, zone.previous, at_s)
    return Window(max(window.start_s, old.end_s), window.end_s)


def counted_from_s(period: Period, window: Window) -> int:
    """The first second whose use still counts in this window."""
    if period is Period.MINUTE:
        return window.start_s - (BUCKETS - 1) * BUCKET_S
    return window.start_s


def frees_s(period: Period, window: Window) -> int:
    """When the use booked in this window counts no more."""
    if period is Period.MINUTE:
        return window.start_s + BUCKETS * BUCKET_S
    return window.end_s


def utc_text(at_s: int) -> str:
    """A second as RFC 3339 writes it, in UTC."""
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


_LONGEST_S = 32 * 86_400


def _calendar(period: Period, zone: str, at_s: int) -> Window:
    info = _zone(zone)
    local = datetime.fromtimestamp(at_s, info)
    if period is Period.HOUR:
        return _hour(info, at_s)
    first = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    if period is Period.DAY:
        following = first.replace(tzinfo=None) + timedelta(days=1)
    else:
        first = first.replace(day=1)
        following = (first.replace(tzinfo=None) + timedelta(days=32)).replace(day=1)
    end = following.replace(tzinfo=info)
    return Window(int(first.timestamp()), int(end.timestamp()))


def _hour(info: ZoneInfo, at_s: int) -> Window:
    """From one full hour of the local clock to the next. Where a clock moves by half an hour that
    may be 90 minutes: else two hours would overlap, and each would have the limit of its own."""
    start_s = at_s - _past_hour_s(info, at_s)
    end_s = start_s + 3600
    early_s = _past_hour_s(info, start_s)
    if early_s:
        start_s -= early_s
        later_s = start_s + 3600
        if later_s <= at_s and not _past_hour_s(info, later_s):
            start_s = later_s
    late_s = _past_hour_s(info, end_s)
    if late_s:
        sooner_s = end_s - late_s
        full = sooner_s > at_s and not _past_hour_s(info, sooner_s)
        end_s = sooner_s if full else sooner_s + 3600
    return Window(start_s, end_s)


def _past_hour_s(info: ZoneInfo, at_s: int) -> int:
    local = datetime.fromtimestamp(at_s, info)
    return local.minute * 60 + local.second


@lru_cache(maxsize=1000)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
