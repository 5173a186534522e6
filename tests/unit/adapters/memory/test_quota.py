"""Counters in memory: all lines or none, each window its own, what was settled counted once."""

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.quotas import NOON_S, actual, hold, quota, rule
from tollway.adapters.memory.quota import MemoryQuotaStore
from tollway.app.ports import Counted, StoreUnavailableError
from tollway.domain.hold import UNDECIDED, Bound, Outage
from tollway.domain.quota import OnOutage


class HandClock:
    """Time that a test moves; the wall may step, the other never does."""

    def __init__(self, at_s=NOON_S):
        self.wall_s = at_s
        self.run_s = 1000.0

    def wall_ns(self):
        return int(self.wall_s * 1_000_000_000)

    def monotonic(self):
        return self.run_s

    def pass_s(self, seconds):
        self.wall_s += seconds
        self.run_s += seconds


class Ledger:
    """A ledger that says what a test put into it."""

    def __init__(self, used=None, *, upto=(9, 9)):
        self.used = used or {}
        self.upto = upto
        self.foreign = {}
        self.settling = False
        self.asked = []
        self.gate = None
        self.away = False

    async def count(self, refs):
        self.asked.append(list(refs))
        if self.gate is not None:
            await self.gate.wait()
        if self.away:
            raise StoreUnavailableError("away")
        return Counted(
            [{ref.window.start_s: self.used.get(ref.quota.id, 0)} for ref in refs],
            [self.foreign.get(ref.quota.id, 0) for ref in refs],
            self.upto,
            self.settling,
        )


@pytest.fixture
def clock():
    return HandClock()


@pytest.fixture
def store(clock):
    return MemoryQuotaStore(clock)


def test_as_many_as_the_limit_and_not_one_more(store):
    """A hundred of a hundred and one pass."""
    one = rule(quota(100))
    decisions = [store.reserve(hold(one)) for _ in range(101)]
    assert decisions[:100] == [None] * 100
    assert isinstance(decisions[100], Bound)
    assert store.standing(one)[:2] == (0, 100)


def test_a_refusal_leaves_every_line_untouched(store):
    """I7: the last line's no takes nothing from the lines before it."""
    wide, narrow = rule(quota(10)), rule(quota(1, scope="key", scope_id="k"))
    assert store.reserve(hold(wide, narrow)) is None
    bound = store.reserve(hold(wide, narrow))
    assert isinstance(bound, Bound)
    assert bound.rule is narrow
    assert store.standing(wide)[:2] == (0, 1)


def test_what_was_used_takes_the_place_of_what_was_held(store):
    """Held 100, used 30: 70 are free again; settling once more changes nothing."""
    one = rule(quota(100, "tokens"))
    first = hold(one, tokens=100)
    assert store.reserve(first) is None
    assert isinstance(store.reserve(hold(one, tokens=1)), Bound)
    store.settle(first, actual(30))
    store.settle(first, actual(30))
    store.void(first)
    assert store.standing(one)[:2] == (30, 0)
    assert store.reserve(hold(one, tokens=70)) is None


def test_a_void_hold_leaves_nothing(store):
    """A refused request counts nothing, and its hold is gone."""
    one = rule(quota(1))
    held = hold(one)
    store.reserve(held)
    store.void(held)
    assert store.standing(one)[:2] == (0, 0)


def test_a_new_day_begins_at_nothing_and_the_old_one_keeps_its_own(store, clock):
    """A request admitted yesterday is booked yesterday, whenever it ends."""
    one = rule(quota(10, "tokens"))
    late = hold(one, tokens=10)
    assert store.reserve(late) is None
    clock.pass_s(86_400)
    assert store.reserve(hold(one, at_s=NOON_S + 86_400, tokens=10)) is None
    store.settle(late, actual(10))
    assert store.standing(one)[:2] == (0, 10)


def test_the_wall_steps_back_into_the_old_window(store, clock):
    """An hour forward and back: the hour that was full is still full."""
    one = rule(quota(1, period="hour"))
    assert store.reserve(hold(one)) is None
    assert store.reserve(hold(one, at_s=NOON_S + 3600)) is None
    assert isinstance(store.reserve(hold(one)), Bound)
    assert isinstance(store.reserve(hold(one, at_s=NOON_S + 3600)), Bound)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 40), min_size=1, max_size=60), st.integers(1, 5))
def test_never_more_than_the_limit_in_any_sixty_seconds(waits, limit):
    """G-24: however arrivals are spaced, and whatever the wall clock does meanwhile."""
    clock = HandClock()
    store = MemoryQuotaStore(clock)
    one = rule(quota(limit, period="minute"))
    admitted = []
    for number, wait_s in enumerate(waits):
        clock.pass_s(wait_s)
        clock.wall_s += (-86_400, 3600, 0)[number % 3]
        held = hold(one, at_s=int(clock.wall_s))
        if store.reserve(held) is None:
            admitted.append(clock.run_s)
            store.settle(held, actual())
    for at in admitted:
        assert sum(at <= other < at + 60 for other in admitted) <= limit


def test_the_minute_gives_back_after_seventy_seconds_at_most(store, clock):
    """A full minute is empty again once its buckets are over."""
    one = rule(quota(1, period="minute"))
    held = hold(one)
    assert store.reserve(held) is None
    store.settle(held, actual())
    clock.pass_s(59)
    assert isinstance(store.reserve(hold(one)), Bound)
    clock.pass_s(11)
    assert store.reserve(hold(one)) is None


def test_a_hold_of_a_minute_that_is_over_settles_into_nothing(store, clock):
    """A stream of five minutes does not come back to haunt the minute it ends in."""
    one = rule(quota(100, "tokens", "minute"))
    held = hold(one, tokens=100)
    assert store.reserve(held) is None
    clock.pass_s(300)
    assert store.reserve(hold(one, tokens=100)) is None
    store.settle(held, actual(5000))
    assert store.standing(one)[:2] == (0, 100)


def test_requests_at_a_time(store):
    """A slot is free when its request has ended, and counts nothing after."""
    one = rule(quota(2, "concurrency", "none"))
    first, second = hold(one), hold(one)
    assert store.reserve(first) is None
    assert store.reserve(second) is None
    assert isinstance(store.reserve(hold(one)), Bound)
    store.settle(first, actual(10))
    assert store.standing(one)[:2] == (0, 1)


def test_shadow_counts_and_lets_pass(store):
    """What would have been refused is counted by rule."""
    record = replace(quota(1), mode="shadow")
    one = rule(record)
    one.shadow = True
    for _ in range(3):
        assert store.reserve(hold(one)) is None
    assert store.shadowed == {record.id: 2}
    assert store.standing(one)[:2] == (0, 3)


def test_a_temporary_increase_ends_by_itself(store):
    """At its last second it is in force, then no more."""
    one = rule(quota(1, raised_to=2, raised_until_s=NOON_S + 10))
    assert store.reserve(hold(one, at_s=NOON_S)) is None
    assert store.reserve(hold(one, at_s=NOON_S + 9)) is None
    assert isinstance(store.reserve(hold(one, at_s=NOON_S + 10)), Bound)


def test_a_strict_hold_grows_only_within_the_limit(store):
    """A bounded one grows whatever there is: then it owes."""
    strict = rule(quota(100, "tokens", precision="strict"))
    strict.strict = True
    bounded = rule(quota(100, "tokens", scope="key", scope_id="k"))
    held = hold(strict, bounded, tokens=90)
    assert store.reserve(held) is None
    assert store.extend(held, strict=actual(10)) is None
    assert isinstance(store.extend(held, strict=actual(1)), Bound)
    assert store.extend(held, bounded=actual(50)) is None
    assert store.standing(bounded)[:2] == (0, 140)
    store.settle(held, actual(100))
    assert store.standing(strict)[:2] == (100, 0)
    assert store.standing(bounded)[:2] == (100, 0)


@pytest.mark.parametrize("poison", [float("nan"), float("inf"), 2**63])
def test_a_counter_that_is_no_number_refuses(store, poison):
    """Every comparison fails closed."""
    one = rule(quota(10))
    assert store.reserve(hold(one)) is None
    one.cell.used = poison
    assert isinstance(store.reserve(hold(one)), Bound)


# What was before this process.


async def test_the_first_use_asks_what_was_used(clock):
    """Ninety of a hundred were used before we came: ten are left."""
    record = quota(100)
    ledger = Ledger({record.id: 90})
    store = MemoryQuotaStore(clock, ledger)
    one = rule(record)
    decisions = []
    for _ in range(11):
        held = hold(one)
        decision = store.reserve(held)
        decisions.append(await store.decided(held) if decision is UNDECIDED else decision)
    assert decisions[:10] == [None] * 10
    assert isinstance(decisions[10], Bound)
    assert len(ledger.asked) == 1


async def test_many_at_once_share_one_ask(clock):
    """A hundred first requests are one question, and exactly what is left gets in."""
    record = quota(100)
    ledger = Ledger({record.id: 90})
    store = MemoryQuotaStore(clock, ledger)
    one = rule(record)

    async def request():
        held = hold(one)
        decision = store.reserve(held)
        return await store.decided(held) if decision is UNDECIDED else decision

    decisions = await asyncio.gather(*(request() for _ in range(100)))
    assert decisions.count(None) == 10
    assert len(ledger.asked) == 1


async def test_without_an_answer_nobody_is_let_in(clock):
    """Fail closed; asked again until there is one."""
    record = quota(100)
    ledger = Ledger({record.id: 7})
    ledger.away = True
    store = MemoryQuotaStore(clock, ledger)
    one = rule(record)
    held = hold(one)
    assert store.reserve(held) is UNDECIDED

    waiting = asyncio.create_task(store.decided(held))
    await asyncio.sleep(0.01)
    clock.run_s += 3
    assert isinstance(await waiting, Outage)
    ledger.away = False
    again = hold(one)
    assert store.reserve(again) is UNDECIDED
    assert await store.decided(again) is None
    assert store.standing(one)[:2] == (7, 1)


async def test_a_share_is_given_out_meanwhile(clock):
    """`local_share`: a tenth of the limit while nobody knows; then what is true."""
    record = replace(quota(100), on_outage=OnOutage.LOCAL_SHARE)
    ledger = Ledger({record.id: 50})
    ledger.away = True
    store = MemoryQuotaStore(clock, ledger)
    one = rule(record)
    passed = []
    for _ in range(11):
        held = hold(one)
        decision = store.reserve(held)
        if decision is UNDECIDED:
            waiting = asyncio.create_task(store.decided(held))
            await asyncio.sleep(0.01)
            clock.run_s += 3
            decision = await waiting
        if decision is None:
            passed.append(held)
    assert len(passed) == 10
    ledger.away = False
    keeping = asyncio.create_task(store.keep_exact())
    await asyncio.sleep(1.2)
    keeping.cancel()
    assert store.standing(one)[:2] == (50, 10)


async def test_what_is_settled_during_the_ask_counts_once(clock):
    """Behind the place the answer has counted to: added. Before it: in the answer already."""
    record, known = quota(100, "tokens"), quota(100, "tokens", scope="key", scope_id="k")
    ledger = Ledger({record.id: 40, known.id: 0})
    at = [(1, 10)]
    store = MemoryQuotaStore(clock, ledger, written=lambda: at[0])
    one = rule(record)
    early = [hold(one, tokens=5) for _ in range(2)]
    for held in early:
        store.reserve(held)
        assert await store.decided(held) is None
    assert store.standing(one)[:2] == (40, 10)
    # Ask again, and settle both while the answer is on its way.
    ledger.gate = asyncio.Event()
    ledger.upto = (1, 20)
    ledger.used[record.id] = 45  # the first of the two is in it
    store._inexact.add((one.key, one.start_s))
    keeping = asyncio.create_task(store.keep_exact())
    while len(ledger.asked) < 2:
        await asyncio.sleep(0.01)
    at[0] = (1, 20)
    store.settle(early[0], actual(5))
    at[0] = (1, 30)
    store.settle(early[1], actual(6))
    assert store.standing(one)[:2] == (51, 0)
    ledger.gate.set()
    await asyncio.sleep(0.05)
    keeping.cancel()
    assert store.standing(one)[:2] == (51, 0)


async def test_what_others_hold_counts_until_they_are_gone(clock):
    """A predecessor that finishes holds its part; asked again once it has settled."""
    record = quota(10)
    ledger = Ledger({record.id: 2})
    ledger.foreign[record.id] = 5
    ledger.settling = True
    store = MemoryQuotaStore(clock, ledger)
    one = rule(record)
    held = hold(one)
    assert store.reserve(held) is UNDECIDED
    assert await store.decided(held) is None
    assert store.standing(one)[:2] == (2, 6)
    ledger.used[record.id], ledger.foreign[record.id], ledger.settling = 7, 0, False
    keeping = asyncio.create_task(store.keep_exact())
    await asyncio.sleep(1.2)
    assert store.standing(one)[:2] == (7, 1)
    assert store._inexact == set()
    keeping.cancel()


async def test_a_window_that_begins_under_our_eyes_is_not_asked_for(clock):
    """Tomorrow's counter is known to be empty: we have seen every request of it."""
    record = quota(10)
    ledger = Ledger({record.id: 2})
    store = MemoryQuotaStore(clock, ledger)
    one = rule(record)
    held = hold(one)
    store.reserve(held)
    await store.decided(held)
    clock.pass_s(86_400)
    assert store.reserve(hold(one, at_s=NOON_S + 86_400)) is None
    assert len(ledger.asked) == 1


@pytest.mark.parametrize(
    ("period", "step_s"), [("hour", 86_400), ("hour", 4 * 3600), ("day", 86_400)]
)
async def test_a_clock_that_was_ahead_for_a_while_empties_no_window(clock, period, step_s):
    """G-13: what was forgotten as long over is counted when the clock is set back into it."""
    record = quota(5, period=period)
    ledger = Ledger()
    store = MemoryQuotaStore(clock, ledger)
    one, idle = rule(record), rule(record)  # as another caller has it

    async def admitted(one=one):
        found = 0
        for _ in range(8):
            asked = hold(one, at_s=int(clock.wall_s))
            decision = store.reserve(asked)
            if decision is UNDECIDED:
                decision = await store.decided(asked)
            if decision is None:
                store.settle(asked, actual())
                found += 1
        return found

    assert await admitted() == 5  # in a window it did not see begin
    clock.pass_s(86_400)
    assert await admitted(idle) == 5  # in one it did
    ledger.used[record.id] = 5
    clock.wall_s += step_s
    assert await admitted() == 5
    clock.run_s += 61
    store._sweep()
    clock.wall_s -= step_s
    ledger.used[record.id] = 4
    assert (await admitted(), await admitted(idle)) == (1, 0)
    ledger.used[record.id] = 5
    clock.wall_s += step_s
    assert await admitted() == 0


def test_a_clock_that_jumps_ahead_empties_no_minute(store, clock):
    """G-13: what a minute has is forgotten by the time that minutes are counted in."""
    one = rule(quota(5, period="minute"))

    def admitted():
        asked = [hold(one, at_s=int(clock.wall_s)) for _ in range(8)]
        passed = [held for held in asked if store.reserve(held) is None]
        for held in passed:
            store.settle(held, actual())
        return len(passed)

    clock.pass_s(59)
    assert admitted() == 5
    clock.wall_s += 86_400
    clock.pass_s(2)
    store._sweep()
    assert admitted() == 0
    clock.pass_s(3 * 3600)
    store._sweep()
    assert store._counters == {}
    assert admitted() == 5


async def test_after_the_hand_over_nothing_more_is_held(clock):
    """The successor counts on: this process says what it still holds, and takes no more."""
    store = MemoryQuotaStore(clock)
    one = rule(quota(10))
    held = hold(one)
    assert store.reserve(held) is None
    assert store.hand_over([(one.key, one.start_s), ("unknown", 0)]) == [1, 0]
    assert isinstance(store.reserve(hold(one)), Outage)
    store.settle(held, actual())
    assert store.hand_over([(one.key, one.start_s)]) == [0]


def test_a_guess_above_the_whole_limit_holds_all_of_it(store):
    """Bounded: whoever has used nothing gets in, alone; strict: what may not fit does not."""
    bounded = rule(quota(30, "tokens"))
    held = hold(bounded, tokens=512)
    assert store.reserve(held) is None
    assert bounded.cell.held == 30
    assert isinstance(store.reserve(hold(bounded, tokens=1)), Bound)
    store.settle(held, actual(12))
    assert store.standing(bounded)[:2] == (12, 0)
    strict = rule(quota(30, "tokens", precision="strict"))
    strict.strict = True
    assert isinstance(store.reserve(hold(strict, tokens=31)), Bound)
    assert isinstance(store.reserve(hold(rule(quota(0, "tokens")), tokens=1)), Bound)
