"""G-13: whatever clocks do, a window lets in its limit once, and nothing is ever less than nothing.

The time that decides is a gateway's own where it counts in memory, and the server's where counters
are shared. A clock is set forth or back by an hour or a day, summer time begins and ends, months
turn, and gateways do not agree.
"""

from collections import Counter
from datetime import UTC, datetime

import pytest

from tests.conformance.test_redis_quotas import agreed
from tests.fakes.quota_stores import opened
from tests.fakes.quotas import actual, hold, quota, rule
from tollway.domain.window import Period, Zone, window_at

LIMIT = 4
HOUR_S, DAY_S = 3600, 86_400
KINDS = ["memory", "redis"]


def second(text):
    """Of a UTC time."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


class Play:
    """Limits of every calendar period in one zone, at a time that a test sets."""

    def __init__(self, stage, zone="UTC"):
        self.stage = stage
        self.zone = Zone(zone)
        self.rules = {
            period: rule(quota(LIMIT, period=period), zone=self.zone)
            for period in (Period.HOUR, Period.DAY, Period.MONTH)
        }
        self.let_in = Counter()  # by period and the second its window begins

    def set_to(self, at_s):
        """It is then, here and on the server; no time has passed."""
        run_s = self.stage.clock.run_s
        self.stage.pass_s(at_s - self.stage.now_s)
        self.stage.clock.run_s = run_s

    async def fill(self):
        """More than each limit, some of it still under way when the next comes."""
        late = []
        for period, one in self.rules.items():
            place = period, window_at(period, self.zone, self.stage.now_s).start_s
            for number in range(LIMIT + 2):
                asked = hold(one, at_s=self.stage.now_s)
                if await self.stage.ask(asked) is not None:
                    continue
                self.let_in[place] += 1
                if number % 2:
                    late.append(asked)
                else:
                    self.stage.store.settle(asked, actual())
            assert self.let_in[place] == LIMIT, place
        await self.stage.quiet()
        return late

    async def standings(self):
        """(used, held) of each, as they are now."""
        now_s = self.stage.now_s
        found = [await self.stage.store.look(one, now_s) for one in self.rules.values()]
        return [stand[:2] for stand in found if stand is not None]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("step_s", [HOUR_S, -HOUR_S, DAY_S, -DAY_S])
@pytest.mark.parametrize("at", ["2026-11-18T12:00:30", "2026-11-30T23:40:00"])
async def test_a_clock_is_set_and_set_back(kind, step_s, at):
    """There and back twice: each window let in its limit, when it was first there, and no more."""
    async with opened(kind, counting=False, lease_s=1e6) as stage:
        play, late, at_s = Play(stage), [], second(at)
        for then_s in (at_s, at_s + step_s, at_s, at_s + step_s):
            play.set_to(then_s)
            late += await play.fill()
        for asked in late:
            stage.store.settle(asked, actual())
        await stage.quiet()
        for then_s in (at_s, at_s + step_s):
            play.set_to(then_s)
            assert await play.standings() == [(LIMIT, 0)] * 3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("zone", "began", "steps"),
    [
        ("Europe/Berlin", "2026-03-28T22:30", [HOUR_S] * 26),  # a day of 23 hours
        ("Europe/Berlin", "2026-10-24T21:30", [HOUR_S] * 28),  # of 25: one hour comes twice
        ("Australia/Lord_Howe", "2026-04-04T12:45", [HOUR_S // 2] * 54),  # of 24 and a half
        ("America/New_York", "2026-03-01T04:30", [HOUR_S // 2] * 4),  # the end of February
        ("UTC", "2028-02-28T23:00", [HOUR_S] * 26 + [-DAY_S, DAY_S]),  # that of a leap year
        ("Asia/Kathmandu", "2026-12-31T17:45", [HOUR_S // 2] * 4),  # and of a year
    ],
)
async def test_windows_turn_once(kind, zone, began, steps):
    """Each hour, day and month of people's calendar lets in its limit, once."""
    async with opened(kind, counting=False, lease_s=1e6) as stage:
        play, now_s = Play(stage, zone), second(began)
        play.set_to(now_s)
        for asked in await play.fill():
            stage.store.settle(asked, actual())
        for step_s in steps:
            now_s += step_s
            play.set_to(now_s)
            for asked in await play.fill():
                stage.store.settle(asked, actual())
        await stage.quiet()
        assert await play.standings() == [(LIMIT, 0)] * 3
        assert set(play.let_in.values()) == {LIMIT}


@pytest.mark.parametrize("skew_s", [5, -5, HOUR_S, -HOUR_S, DAY_S, -DAY_S])
async def test_gateways_that_do_not_agree_share_one_window(skew_s):
    """One gateway's clock is wrong: the server's decides. Within five seconds of its turn either
    window is believed, and each lets in its limit once."""
    record = quota(LIMIT, period="hour")
    async with (
        opened("redis", counting=False) as right,
        opened("redis", counting=False, valkey=right.valkey, fresh=False, slot=1) as wrong,
    ):
        await agreed(right.store, wrong.store)
        turns_s, let_in = right.now_s + HOUR_S, Counter()
        for offset_s in (-30, -3, 3, 30):
            right.pass_s(turns_s + offset_s - right.now_s)
            wrong.clock.wall_s = right.now_s + skew_s
            for number in range(2 * LIMIT):
                stage = (right, wrong)[number % 2]
                asked = hold(rule(record), at_s=stage.now_s)
                if await stage.ask(asked) is None:
                    let_in[offset_s] += 1
                    stage.store.settle(asked, actual())
            await right.quiet()
            await wrong.quiet()
        assert let_in[-30] == LIMIT
        assert let_in[-3] + let_in[3] == LIMIT
        assert let_in[30] == 0
        assert (await right.store.look(rule(record), right.now_s))[:2] == (LIMIT, 0)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_frozen_clock_refuses_in_time(kind):
    """It shows one second for ever: a limit is let in once, and what ends makes room as ever."""
    async with opened(kind, counting=False) as stage:
        running = rule(quota(LIMIT, "concurrency", "none"))
        minute = rule(quota(3 * LIMIT, period="minute"))
        let_in = 0
        for _ in range(10):
            asked = [hold(running, minute, at_s=stage.now_s) for _ in range(LIMIT + 2)]
            passed = [one for one in asked if await stage.ask(one) is None]
            let_in += len(passed)
            for one in passed:
                stage.store.settle(one, actual())
            await stage.quiet()
        assert let_in == 3 * LIMIT
