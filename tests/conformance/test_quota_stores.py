"""The promises of `QuotaStore`, kept in memory and on a real server alike."""

import asyncio
import os
from collections import Counter
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.quota_stores import STORES, opened
from tests.fakes.quotas import NOON_S, actual, hold, quota, rule
from tests.torture.processes import sized
from tollway.domain.hold import UNDECIDED, Bound
from tollway.domain.quota import Mode, Precision
from tollway.domain.window import Period, window_at


@pytest.fixture(params=STORES)
async def stage(request):
    """A store, its clock and its ledger."""
    async with opened(request.param) as stage:
        yield stage


async def test_as_many_as_the_limit_and_not_one_more(stage):
    """A hundred of a hundred and twenty that come together pass."""
    one = rule(quota(100))
    decisions = await stage.ask_all([hold(one) for _ in range(120)])
    assert decisions.count(None) == 100
    bound = next(decision for decision in decisions if decision is not None)
    assert isinstance(bound, Bound)
    assert (bound.rule, bound.limit, bound.used + bound.held, bound.amount) == (one, 100, 100, 1)
    assert bound.frees_s == NOON_S + 43_200


async def test_a_guess_of_more_than_the_whole_limit_takes_the_whole_limit(stage):
    """Whoever has used nothing is let in; a strict rule knows better."""
    guessed = rule(quota(100, "tokens"))
    assert await stage.ask(hold(guessed, tokens=500)) is None
    assert isinstance(await stage.ask(hold(guessed, tokens=1)), Bound)
    sure = rule(quota(100, "tokens", precision=Precision.STRICT, period="hour"))
    assert isinstance(await stage.ask(hold(sure, most=500)), Bound)


async def test_a_hold_without_rules_is_in_at_once(stage):
    """Nothing is asked for it."""
    assert stage.store.reserve(hold()) is None


async def test_a_refusal_leaves_every_line_untouched(stage):
    """I7: neither before nor behind the line that binds."""
    wide, narrow, last = (
        rule(quota(9)),
        rule(quota(1, period="hour")),
        rule(quota(9, period="month")),
    )
    assert await stage.ask(hold(narrow)) is None
    refused = await stage.ask(hold(wide, narrow, last))
    assert refused.rule is narrow
    assert await stage.left(wide) == 9
    assert await stage.left(last) == 9


async def test_a_refusal_under_one_tag_touches_none_of_another(stage):
    """I7 over platform, provider and model: what got in is taken back."""
    platform, provider = quota(9, scope="platform"), quota(1, scope="provider", scope_id="prv_a")
    wide, narrow = rule(platform), rule(provider)
    assert await stage.ask(hold(narrow)) is None
    refused = await stage.ask(hold(wide, narrow))
    assert refused.rule is narrow
    await stage.quiet()
    assert await stage.left(wide) == 9


async def test_what_was_used_stands_in_place_of_what_was_held(stage):
    """Settled once; again it changes nothing."""
    one = rule(quota(1000, "tokens"))
    asked = hold(one, tokens=600)
    assert await stage.ask(asked) is None
    stage.store.settle(asked, actual(tokens=250))
    stage.store.settle(asked, actual(tokens=250))
    stage.store.void(asked)
    await stage.quiet()
    assert await stage.left(one) == 750
    assert stage.store.standing(one)[:2] == (250, 0)


async def test_a_void_hold_leaves_nothing(stage):
    """Once; again it changes nothing."""
    one = rule(quota(1))
    asked = hold(one)
    assert await stage.ask(asked) is None
    stage.store.void(asked)
    stage.store.void(asked)
    stage.store.settle(asked, actual())
    await stage.quiet()
    assert await stage.ask(hold(one)) is None


async def test_ends_for_a_hold_that_was_never_in_change_nothing(stage):
    """Of a refused one, and of one nobody asked for."""
    one = rule(quota(1))
    assert await stage.ask(hold(one)) is None
    refused, unasked = hold(one), hold(one)
    assert isinstance(await stage.ask(refused), Bound)
    for other in (refused, unasked):
        stage.store.settle(other, actual())
        stage.store.void(other)
    await stage.quiet()
    assert isinstance(await stage.ask(hold(one)), Bound)


async def test_more_than_held_is_booked_whole(stage):
    """Overshoot stands in the window and binds later ones."""
    one = rule(quota(1000, "tokens"))
    asked = hold(one, tokens=100)
    assert await stage.ask(asked) is None
    stage.store.settle(asked, actual(tokens=2500))
    await stage.quiet()
    assert (await stage.ask(hold(one, tokens=1))).used == 2500


async def test_each_window_counts_for_itself(stage):
    """The next hour is empty; what ends late is booked where it was admitted."""
    one = rule(quota(1, period="hour"))
    asked = hold(one)
    assert await stage.ask(asked) is None
    stage.pass_s(3600)
    assert await stage.ask(hold(one, at_s=stage.now_s)) is None
    stage.store.settle(asked, actual())
    await stage.quiet()
    assert isinstance(await stage.ask(hold(one, at_s=stage.now_s)), Bound)
    stage.pass_s(3600)
    assert await stage.ask(hold(one, at_s=stage.now_s)) is None


async def test_never_more_than_the_limit_in_any_minute(stage):
    """Whenever the arrivals come, no 60 s hold more than the limit admits."""
    one = rule(quota(5, period="minute"))
    admitted = []
    for step_s in (0, 9, 1, 20, 29, 1, 9, 1, 1, 30, 30, 9, 1, 3, 57, 1, 1):
        stage.pass_s(step_s)
        for _ in range(3):
            asked = hold(one, at_s=stage.now_s)
            if await stage.ask(asked) is None:
                admitted.append(stage.now_s)
                stage.store.settle(asked, actual())
    await stage.quiet()
    assert len(admitted) >= 15
    for first in admitted:
        assert sum(first <= other < first + 60 for other in admitted) <= 5


async def test_a_minute_frees_what_it_held(stage):
    """After 70 s at most all of it is there again, and an end that comes later changes nothing."""
    one = rule(quota(2, period="minute"))
    late = hold(one)
    assert await stage.ask_all([late, hold(one)]) == [None, None]
    bound = await stage.ask(hold(one))
    assert bound.frees_s == NOON_S + 70
    stage.pass_s(70)
    assert await stage.ask(hold(one, at_s=stage.now_s)) is None
    stage.store.settle(late, actual())
    await stage.quiet()
    assert await stage.ask(hold(one, at_s=stage.now_s)) is None


async def test_concurrency_is_what_runs(stage):
    """An end of any kind makes room; nothing stays counted."""
    one = rule(quota(2, "concurrency", "none"))
    first, second = hold(one), hold(one)
    assert await stage.ask_all([first, second]) == [None, None]
    assert isinstance(await stage.ask(hold(one)), Bound)
    stage.store.settle(first, actual())
    stage.store.void(second)
    await stage.quiet()
    assert await stage.ask_all([hold(one), hold(one)]) == [None, None]
    assert isinstance(await stage.ask(hold(one)), Bound)


async def test_rules_on_one_counter_count_once(stage):
    """Two rules of one scope, metric and period are judged each, and booked once."""
    loose, tight = rule(quota(10)), rule(quota(2))
    holds = [hold(loose, tight) for _ in range(3)]
    decisions = [await stage.ask(one) for one in holds]
    assert decisions[:2] == [None, None]
    assert decisions[2].rule is tight
    for one in holds[:2]:
        stage.store.settle(one, actual())
    await stage.quiet()
    assert await stage.left(loose) == 8


async def test_a_shadow_counts_and_lets_in(stage):
    """It says what it would have refused."""
    one = rule(quota(1, mode=Mode.SHADOW))
    assert await stage.ask_all([hold(one) for _ in range(3)]) == [None] * 3
    assert stage.store.shadowed == {one.quota.id: 2}
    assert stage.store.standing(one).held == 3


async def test_a_raised_limit_ends_by_itself(stage):
    """It is in force until its second."""
    one = rule(quota(1, raised_to=2, raised_until_s=NOON_S + 60))
    assert await stage.ask_all([hold(one), hold(one)]) == [None, None]
    stage.pass_s(60)
    assert (await stage.ask(hold(one, at_s=stage.now_s))).limit == 1


async def test_more_is_held_while_an_answer_runs(stage):
    """A bounded rule is never refused more; the next one finds it held."""
    one = rule(quota(1000, "tokens"))
    asked = hold(one, tokens=500)
    assert await stage.ask(asked) is None
    assert stage.store.extend(asked, bounded=actual(tokens=900)) is None
    await stage.quiet()
    assert (await stage.ask(hold(one, tokens=1))).held == 1400
    stage.store.settle(asked, actual(tokens=10))
    await stage.quiet()
    assert await stage.left(one) == 990


async def test_a_strict_rule_refuses_more(stage):
    """Then nothing more is held."""
    one = rule(quota(1000, "tokens", precision=Precision.STRICT))
    asked = hold(one, most=500)
    assert await stage.ask(asked) is None
    assert stage.store.extend(asked, strict=actual(tokens=400)) is None
    bound = stage.store.extend(asked, strict=actual(tokens=101))
    assert isinstance(bound, Bound)
    assert bound.rule is one
    await stage.quiet()
    assert (await stage.ask(hold(one, most=101))).held == 900


async def test_the_ledger_counts_before_the_first(stage):
    """A rule that is new in its window begins where the ledger stands."""
    one = rule(quota(100))
    stage.ledger.used[one.quota.id] = 97
    decisions = await stage.ask_all([hold(one) for _ in range(10)])
    assert decisions.count(None) == 3
    assert stage.store.standing(one)[0] == 97


async def test_looking_changes_nothing(stage):
    """A counter that nobody used is none, also after it was looked at; another is as it stands."""
    one = rule(quota(10))
    assert await stage.store.look(one, NOON_S) is None
    assert await stage.store.look(one, NOON_S) is None
    stage.ledger.used[one.quota.id] = 3
    asked = hold(one)
    assert await stage.ask(asked) is None
    assert await stage.store.look(rule(one.quota), NOON_S) == (3, 1, NOON_S + 43_200)
    stage.store.settle(asked, actual())
    await stage.quiet()
    assert await stage.store.look(rule(one.quota), NOON_S) == (4, 0, NOON_S + 43_200)
    minute = rule(quota(10, period="minute"))
    assert await stage.ask(hold(minute)) is None
    used, held, frees_s = await stage.store.look(rule(minute.quota), NOON_S)
    assert (used, held) == (0, 1)
    assert NOON_S < frees_s <= NOON_S + 70
    running = rule(quota(10, "concurrency", "none"))
    assert await stage.ask(hold(running)) is None
    assert (await stage.store.look(rule(running.quota), NOON_S))[:2] == (0, 1)


async def test_reserving_again_changes_nothing(stage):
    """A hold that is in stays in, once."""
    one = rule(quota(2))
    asked = hold(one)
    assert await stage.ask_all([asked]) == [None]
    assert stage.store.reserve(asked) is None
    assert await stage.store.decided(asked) is None
    assert await stage.left(one) == 1


async def test_the_tightest_rule_is_found(stage):
    """By what is left, with its limit and when it frees some."""
    wide, tight = rule(quota(50, period="hour")), rule(quota(20))
    assert await stage.ask(hold(wide, tight)) is None
    assert stage.store.tightest([wide, tight], NOON_S) == (20, 19, NOON_S + 43_200)
    assert stage.store.tightest([rule(quota(7, period="month"))], NOON_S) is None


async def test_a_reserve_is_undecided_or_decided_at_once(stage):
    """`reserve` never waits, whatever it answers."""
    one = rule(quota(1))
    asked = hold(one)
    first = stage.store.reserve(asked)
    assert first is None or first is UNDECIDED
    assert await asyncio.wait_for(stage.store.decided(asked), 2) is None


class Model:
    """What counters are to be: by rule and the second its window or bucket begins."""

    def __init__(self, rules):
        self.rules = rules
        self.used, self.held = Counter(), Counter()

    def place(self, number, now_s):
        record = self.rules[number].quota
        start_s, _ = window_at(record.period, self.rules[number].zone, now_s)
        return number, start_s

    def counts(self, number, now_s):
        """Used and held, as they count now."""
        record = self.rules[number].quota
        start_s = self.place(number, now_s)[1]
        starts = [start_s]
        if record.period is Period.MINUTE:
            starts = [start_s - 10 * step for step in range(7)]
        keys = [(number, one) for one in starts]
        return sum(self.used[key] for key in keys), sum(self.held[key] for key in keys)

    def fits(self, number, amount, now_s):
        """I1 and I8: exactly when there is room."""
        return sum(self.counts(number, now_s)) + amount <= self.rules[number].limit


RECORDS = (
    quota(6),
    quota(900, "tokens", "hour"),
    quota(3, "concurrency", "none"),
    quota(4, period="minute"),
    quota(5, period="total", scope="platform"),
    quota(1500, "tokens", "day", scope="provider", scope_id="prv_a"),
)
ASKED, SERVED = (0, 1, 2, 3), (4, 5)
EACH = (*ASKED, *SERVED)


def hierarchy(chance):
    """The same kinds on every level, with limits of their own."""
    draw = chance.randint
    return (
        quota(draw(2, 12), scope="tenant"),
        quota(draw(700, 2000), "tokens", "hour", scope="project", scope_id="p"),
        quota(draw(1, 5), "concurrency", "none", scope="key", scope_id="k"),
        quota(draw(1, 8), period="minute", scope="end_user", scope_id="ann"),
        quota(draw(1, 10), period="total", scope="platform"),
        quota(draw(700, 3000), "tokens", "day", scope="provider", scope_id="prv_a"),
    )


STEP = st.one_of(
    st.tuples(st.just("ask"), st.sets(st.sampled_from(ASKED), min_size=1), st.integers(0, 700)),
    st.tuples(st.just("ask"), st.sets(st.sampled_from(SERVED), min_size=1), st.integers(0, 700)),
    st.tuples(st.just("settle"), st.integers(0, 9), st.integers(0, 900)),
    st.tuples(st.just("void"), st.integers(0, 9), st.just(0)),
    st.tuples(st.just("more"), st.integers(0, 9), st.integers(1, 300)),
    st.tuples(st.just("pass"), st.sampled_from([1, 9, 10, 61, 70, 3600]), st.just(0)),
)


class Play:
    """The steps of one example, taken by a store and by the model."""

    def __init__(self, stage, records=RECORDS):
        self.stage = stage
        self.rules = [rule(record) for record in records]
        self.model = Model(self.rules)
        self.live = []

    async def ask(self, numbers, tokens):
        now_s, numbers = self.stage.now_s, sorted(numbers)
        asked = hold(*(self.rules[number] for number in numbers), at_s=now_s, tokens=tokens)
        amounts = {number: asked.bounded[self.rules[number].metric] for number in numbers}
        full = [one for one in numbers if not self.model.fits(one, amounts[one], now_s)]
        decision = await self.stage.ask(asked)
        if full:
            assert isinstance(decision, Bound)
            assert decision.rule in [self.rules[one] for one in full]
            await self.untouched()
            return
        assert decision is None
        lines = {self.model.place(one, now_s): amounts[one] for one in numbers}
        self.model.held.update(lines)
        self.live.append((asked, lines))

    async def untouched(self):
        """I7: every line on every level stands as it stood."""
        await self.stage.quiet()
        for number, one in enumerate(self.rules):
            stand = await self.stage.store.look(one, self.stage.now_s)
            found = (0, 0) if stand is None else stand[:2]
            assert found == self.model.counts(number, self.stage.now_s), (one.counter, found)

    async def end(self, number, tokens, *, void=False):
        if not self.live:
            return
        asked, lines = self.live.pop(number % len(self.live))
        used = actual(tokens=tokens)
        for key, amount in lines.items():
            self.model.held[key] -= amount
            self.model.used[key] += 0 if void else used[self.rules[key[0]].metric]
        if void:
            self.stage.store.void(asked)
        else:
            self.stage.store.settle(asked, used)

    async def more(self, number, tokens):
        if not self.live:
            return
        asked, lines = self.live[number % len(self.live)]
        extra = actual(tokens=tokens)._replace(requests=0)
        for key in lines:
            self.model.held[key] += extra[self.rules[key[0]].metric]
            lines[key] += extra[self.rules[key[0]].metric]
        assert self.stage.store.extend(asked, bounded=extra) is None

    async def take(self, step):
        what, first, second = step
        if what == "pass":
            self.stage.pass_s(first)
        elif what == "ask":
            await self.ask(first, second)
        elif what == "more":
            await self.more(first, second)
        else:
            await self.end(first, second, void=what == "void")
        await self.stage.quiet()

    async def finish(self, probed):
        """I4 and I5: nothing is held, and what was used is what was settled. Of the rules with
        these numbers it is tried out how much is left."""
        while self.live:
            await self.end(0, 11)
        await self.untouched()
        for number, one in enumerate(self.rules):
            used, held = self.model.counts(number, self.stage.now_s)
            assert held == 0
            if number in probed:
                left = await self.stage.left(one, at_s=self.stage.now_s)
                assert left == max(0, one.limit - used)


async def _played(kind, steps, records=RECORDS, *, probed=EACH):
    async with opened(kind, counting=False, lease_s=1e6) as stage:
        play = Play(stage, records)
        for step in steps:
            await play.take(step)
        await play.finish(probed)


@pytest.mark.slow
@pytest.mark.parametrize("kind", STORES)
@settings(max_examples=60, deadline=None)
@given(steps=st.lists(STEP, max_size=30))
def test_counters_are_what_a_model_says(kind, steps):
    """I1, I4, I7, I8: admitted exactly when there is room on every line, whatever came before."""
    asyncio.run(_played(kind, steps))


def _drawn(chance):
    """One step, like `STEP`."""
    what = chance.choice(("ask", "ask", "settle", "void", "more", "pass"))
    if what == "ask":
        among = chance.choice((ASKED, SERVED))
        return (
            what,
            set(chance.sample(among, chance.randint(1, len(among)))),
            chance.randint(0, 700),
        )
    if what == "pass":
        return what, chance.choice((1, 9, 10, 61, 70, 3600)), 0
    return what, chance.randint(0, 9), chance.randint(1, {"settle": 900}.get(what, 300))


@pytest.mark.torture
@pytest.mark.parametrize("kind", STORES)
def test_counters_are_what_a_model_says_at_length(kind, show):
    """G-21: 2,000 x 50 steps in `torture-ci`, 100,000 x 50 in `torture`; a third of that on a
    cluster."""
    count = sized(ci=2000, release=100_000) // (3 if kind == "cluster" else 1)
    seed = int(os.environ.get("TOLLWAY_SEED", Random().randrange(1 << 32)))

    async def play():
        for number in range(count):
            chance = Random(seed + number)
            try:
                steps = [_drawn(chance) for _ in range(50)]
                await _played(kind, steps, hierarchy(chance), probed={chance.randrange(6)})
            except AssertionError as error:
                raise AssertionError(f"TOLLWAY_SEED={seed + number}: {error}") from error

    asyncio.run(play())
    show(f"{count} x 50 steps, seed {seed}")


async def test_what_was_put_right_in_the_ledger_is_counted(stage):
    """More or less than was booked here, and what is held meanwhile stays held."""
    one = rule(quota(100, "tokens"))
    stage.ledger.used[one.quota.id] = 30
    running, ended = hold(one, tokens=20), hold(one, tokens=20)
    assert [await stage.ask(running), await stage.ask(ended)] == [None, None]
    stage.store.settle(ended, actual(10))
    await stage.quiet()
    assert await stage.left(one) == 40
    keeping = asyncio.create_task(stage.keep_exact())
    for used, left in ((65, 15), (35, 45)):
        stage.ledger.used[one.quota.id] = used
        stage.store.count_again()
        async with asyncio.timeout(60):
            while await stage.left(one) != left:
                await asyncio.sleep(0.05)
    keeping.cancel()
    stage.store.settle(running, actual(20))
    await stage.quiet()
    assert await stage.left(one) == 45
