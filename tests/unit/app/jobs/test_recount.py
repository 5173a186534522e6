"""Counters beside the ledger: what fits while requests run, and what never does."""

import pytest

from tests.fakes.quotas import quota
from tollway.app.jobs.recount import recount
from tollway.app.ports_alerts import WatchedQuota
from tollway.domain.hold import Stand
from tollway.domain.quota import Scope
from tollway.domain.window import UTC_ZONE


class World:
    """Counters and a ledger that a test moves; `journal` is what the next shipping brings."""

    def __init__(self, counted, booked, journal=0, served=0):
        self.counted, self.booked, self.journal, self.served = counted, booked, journal, served
        self.clock_s = 1_795_003_200.0
        self.shipped = 0

    def read(self, record, member):
        used = self.counted.get(member)
        return None if used is None else Stand(used, 0, 0)

    def members(self, record, window):
        return dict(self.booked)

    def ship(self):
        self.shipped += 1
        for member in self.counted:
            self.booked[member] += self.journal
            self.counted[member] += self.served
        self.journal = 0

    def wall_s(self):
        self.clock_s += 4
        return self.clock_s

    def recount(self, *records):
        limits = [WatchedQuota(one, 0, None, UTC_ZONE) for one in records]
        return recount(limits, stands=self, sums=self, ship=self.ship, wall_s=self.wall_s)


def test_what_was_waiting_in_the_journal():
    """It is shipped first; then both have the same."""
    world = World({None: 7}, {None: 4}, journal=3)
    assert world.recount(quota(9)) == (1, [])


def test_what_is_served_meanwhile():
    """The ledger lies between what was counted before and after."""
    world = World({None: 7}, {None: 7}, journal=2, served=3)
    assert world.recount(quota(9)) == (1, [])


@pytest.mark.slow
@pytest.mark.uncounted
def test_a_counter_that_has_too_much_or_too_little():
    """Looked at again and again, then said."""
    for counted in (6, 8):
        world = World({None: counted}, {None: 7})
        record = quota(9)
        looked, [wrong] = world.recount(record)
        assert (looked, wrong) == (1, (record, None, counted, 7))
        assert world.shipped > 1


@pytest.mark.slow
def test_each_member_by_itself():
    """One of two is wrong."""
    world = World({"key_1": 3, "key_2": 4}, {"key_1": 3, "key_2": 5})
    looked, [wrong] = world.recount(quota(9, per=Scope.KEY))
    assert (looked, wrong.member) == (2, "key_2")


def test_what_nobody_counts_is_left_out():
    """No worker keeps it; or it is in no sum."""
    world = World({}, {None: 5})
    assert world.recount(quota(9)) == (0, [])
    world = World({None: 3}, {None: 5})
    asked = [quota(9, period="minute"), quota(9, "concurrency", "none")]
    assert world.recount(*asked) == (0, [])
