"""Counters and holds in this process. One loop and no await inside: every call is atomic.

What a counter had before this process knew of it is asked for at its first use (`Counting`), and
asked again until nothing of before is still under way. An answer is exact although requests go on:
it says up to which place of our journal it has counted, and what was settled behind that is added.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from itertools import islice
from typing import NamedTuple

from tollway.adapters.memory.counter import Bucket, Counter, MinuteCounter, Standing
from tollway.app.ports import Clock, Counted, Counting, StoreUnavailableError
from tollway.domain.hold import (
    UNDECIDED,
    Bound,
    CounterRef,
    Decision,
    Hold,
    Outage,
    Rule,
    Stand,
    Tightest,
    rule_key,
)
from tollway.domain.ids import QuotaId
from tollway.domain.quota import MAX_MEMBERS, NOTHING, Sizes
from tollway.domain.window import Window, counted_from_s

_log = logging.getLogger(__name__)
_ASK_TIMEOUT_S = 2.0
_ASK_AGAIN_S = 1.0
_PAUSE_S = 0.05
_AT_ONCE = 500  # counters of one ask
_SHARE_PERCENT = 10  # of a limit, given out while its counter cannot be had
_KEPT_S = 2 * 3600  # windows stay that long after their end: clocks step back
_SWEEP_S = 60.0
REST = "..."  # whoever comes after a rule's last counter of its own
Key = tuple[str, int]  # a rule's and the second its window begins


# One line of a hold that is in: its rule, where it is booked, how much.
_Booking = tuple[Rule, Counter, Bucket | None, int]


class _Settled(NamedTuple):
    """What was settled while an answer was awaited: the journal's end then, and the lines."""

    at: tuple[int, int]
    bookings: Sequence[_Booking]
    actual: Sizes


class MemoryQuotaStore:
    """The embedded `QuotaStore`. Without `counting` a counter begins at nothing.

    `written` is the end of this process's journal; `running_since_s` when the oldest request under
    way was admitted, None without any.
    """

    def __init__(
        self,
        clock: Clock,
        counting: Counting | None = None,
        *,
        written: Callable[[], tuple[int, int]] = lambda: (0, 0),
        running_since_s: Callable[[], float | None] = lambda: None,
    ) -> None:
        self._clock = clock
        self._counting = counting
        self._written = written
        self._running_since_s = running_since_s
        self._counters: dict[Key, Counter] = {}
        self._refs: dict[Key, CounterRef] = {}
        self._members: dict[QuotaId, int] = {}
        self._since: dict[QuotaId, float] = {}
        self._wanted: set[Key] = set()
        self._inexact: set[Key] = set()
        self._settled: list[_Settled] | None = None
        self._asking: asyncio.Task[None] | None = None
        self._began_ns = clock.wall_ns() - int(clock.monotonic() * 1e9)
        self._failing = False  # said in the log once
        self._swept = clock.monotonic()
        self.shadowed: dict[QuotaId, int] = {}  # what shadow rules would have refused

    # One hold's life.

    def reserve(self, hold: Hold) -> Decision:
        """Hold every line or none. Reserving again changes nothing."""
        if hold.bookings is not None:
            return None
        at_s, tick_s = hold.at_s, 0
        strict, bounded = hold.strict, hold.bounded
        bookings: list[_Booking] = []
        for rule in hold.rules.rules:
            counter: Counter = rule.cell
            if counter is None or at_s >= rule.end_s or at_s < rule.start_s:
                counter = self._place(rule, at_s)
            if counter.standing:
                return self._unready(hold)
            bucket = None
            if rule.minute:
                tick_s = tick_s or self._tick_s()
                bucket = counter.turn(tick_s)
            amount = (strict if rule.strict else bounded)[rule.metric]
            limit = rule.limit if at_s >= rule.raised_until_s else rule.raised_to
            if amount > limit > 0 and not rule.strict:
                amount = limit  # a guess must not lock out whoever has used nothing
            if not counter.used + counter.held + counter.foreign + amount <= limit:
                if not rule.shadow:
                    return _bound(rule, counter, limit, amount)
                self.shadowed[rule.quota.id] = self.shadowed.get(rule.quota.id, 0) + 1
            bookings.append((rule, counter, bucket, amount))
        _hold_more(bookings)
        hold.bookings = bookings
        return None

    async def decided(self, hold: Hold) -> Decision:
        """Have what is not known counted, then reserve. Never waits longer than two seconds."""
        decision: Decision = UNDECIDED
        deadline = self._clock.monotonic() + _ASK_TIMEOUT_S
        while decision is UNDECIDED and (left_s := deadline - self._clock.monotonic()) > 0:
            if self._asking is None:
                self._asking = asyncio.create_task(self._ask())
            await asyncio.wait({self._asking}, timeout=left_s)
            decision = self.reserve(hold)
        if decision is not UNDECIDED:
            return decision
        for rule in hold.rules.rules:
            counter: Counter = rule.cell
            if counter.standing is Standing.UNKNOWN:
                if not rule.shares and not rule.shadow:
                    return Outage(rule)
                counter.standing = Standing.KNOWN
                limit = rule.limit_at(hold.at_s)
                counter.foreign = limit - limit * _SHARE_PERCENT // 100
                self._inexact.add(_key(rule))
        return self.reserve(hold)

    def extend(
        self, hold: Hold, *, strict: Sizes = NOTHING, bounded: Sizes = NOTHING
    ) -> Bound | None:
        """Hold more while an answer runs. Only strict rules can say no; then nothing is held."""
        bookings: Sequence[_Booking] = hold.bookings or ()
        for rule, counter, _, _ in bookings:
            amount = strict[rule.metric]
            if not rule.strict or rule.shadow or not amount:
                continue
            limit = rule.limit_at(hold.at_s)
            if not counter.used + counter.held + counter.foreign + amount <= limit:
                return _bound(rule, counter, limit, amount)
        more = [
            (rule, counter, bucket, (strict if rule.strict else bounded)[rule.metric])
            for rule, counter, bucket, _ in bookings
        ]
        _hold_more(more)
        hold.bookings = [
            (rule, counter, bucket, amount + extra)
            for (rule, counter, bucket, amount), (_, _, _, extra) in zip(
                bookings, more, strict=True
            )
        ]
        return None

    def settle(self, hold: Hold, actual: Sizes) -> None:
        """Book what was used in place of what was held, once. Call it after the outcome was
        journalled."""
        bookings: Sequence[_Booking] = hold.bookings or ()
        hold.bookings = None
        for rule, counter, bucket, amount in bookings:
            if bucket is not None:
                if bucket.gone:
                    continue
                bucket.held -= amount
                bucket.used += actual[rule.metric]
            counter.held -= amount
            counter.used += actual[rule.metric]
        if self._settled is not None and bookings and actual is not NOTHING:
            self._settled.append(_Settled(self._written(), bookings, actual))

    def void(self, hold: Hold) -> None:
        """Free what the hold held, once. Nothing was used."""
        self.settle(hold, NOTHING)

    def tightest(self, rules: Sequence[Rule], at_s: int) -> Tightest | None:
        """Of rules that are held on, the one with the least left."""
        found: Counter | None = None
        least = limit = 0
        for rule in rules:
            counter: Counter | None = rule.cell
            if counter is None or counter.standing:
                continue
            most = rule.limit if at_s >= rule.raised_until_s else rule.raised_to
            left = most - counter.used - counter.held - counter.foreign
            if found is None or left < least:
                found, least, limit = counter, left, most
        return None if found is None else Tightest(limit, max(least, 0), found.frees_s())

    def standing(self, rule: Rule) -> Stand | None:
        """How the rule's counter stands; None while it is not known."""
        counter = self._place(rule, self._clock.wall_ns() // 1_000_000_000)
        if rule.minute:
            counter.turn(self._tick_s())
        if counter.standing is not Standing.KNOWN:
            return None
        return Stand(counter.used, counter.held + counter.foreign, counter.frees_s())

    async def look(self, rule: Rule, at_s: int) -> Stand | None:
        """The same without making one; None: there is none."""
        rule.turn(at_s)
        rule.cell = None  # it may be that of the window before
        return self.standing(rule) if _key(rule) in self._counters else None

    def count_again(self) -> None:
        """Ask for every counter that takes holds here, soon. What a successor counts on is its."""
        if self._counting is not None:
            known = (key for key, one in self._counters.items() if one.standing is Standing.KNOWN)
            self._inexact.update(known)

    # What others need to know.

    def hand_over(self, keys: Sequence[Key]) -> list[int]:
        """A successor counts on from here: what is still held on these counters. They take no more
        holds in this process."""
        held = []
        for key in keys:
            counter = self._counters.get(key)
            if counter is not None:
                counter.standing = Standing.CLOSED
            held.append(0 if counter is None else counter.held)
        return held

    async def keep_exact(self) -> None:
        """Forever: count again what was not exact when it was counted, and forget what is over."""
        while True:
            await asyncio.sleep(_ASK_AGAIN_S)
            if self._inexact and self._asking is None:
                self._wanted |= self._inexact
                self._asking = asyncio.create_task(self._ask())
            if self._clock.monotonic() - self._swept >= _SWEEP_S:
                self._sweep()

    # Inside.

    def _unready(self, hold: Hold) -> Decision:
        """Some counter of the hold cannot be counted on: want all that are not known."""
        for rule in hold.rules.rules:
            standing = self._place(rule, hold.at_s).standing
            if standing is Standing.CLOSED:
                return Outage(rule)
            if standing is Standing.UNKNOWN:
                self._wanted.add(_key(rule))
        return UNDECIDED

    def _place(self, rule: Rule, at_s: int) -> Counter:
        """Find or make the counter of the rule's window."""
        rule.turn(at_s)
        counter = self._counters.get(_key(rule))
        if counter is None:
            counter = self._make(rule, at_s)
        rule.cell = counter
        return counter

    def _make(self, rule: Rule, at_s: int) -> Counter:
        quota = rule.quota
        members = self._members.get(quota.id, 0)
        if members >= MAX_MEMBERS:
            rule.key, rule.member = rule_key(quota, REST), REST
        key = _key(rule)
        if key in self._counters:
            return self._counters[key]
        self._members[quota.id] = members + 1
        since_s = self._since.setdefault(quota.id, at_s + 1)
        window = Window(rule.start_s, rule.end_s)
        known = self._counting is None or since_s <= counted_from_s(quota.period, window)
        standing = Standing.KNOWN if known else Standing.UNKNOWN
        counter = MinuteCounter(standing) if rule.minute else Counter(rule.end_s, standing)
        self._counters[key] = counter
        self._refs[key] = CounterRef(quota, rule.member, window)
        return counter

    async def _ask(self) -> None:
        """One ask for all that is wanted by now."""
        assert self._counting is not None, "without one everything is known"
        await asyncio.sleep(0)  # what comes in the same turn of the loop shares the ask
        keys = [key for key in islice(self._wanted, _AT_ONCE) if key in self._counters]
        self._wanted.difference_update(keys)
        refs = [self._refs[key] for key in keys]
        self._settled = []
        asked_s = self._clock.wall_ns() / 1e9
        began = self._written()
        try:
            counted = await asyncio.wait_for(self._counting.count(refs), _ASK_TIMEOUT_S)
            if counted.upto < began:
                raise StoreUnavailableError("the ledger is behind the journal")
            for key, used, foreign in zip(keys, counted.used, counted.foreign, strict=True):
                self._take(key, used, foreign)
            self._add_settled(set(keys), counted)
            self._judge(keys, counted, asked_s)
            self._failing = False
        except (StoreUnavailableError, TimeoutError) as error:
            if not self._failing:
                _log.warning(
                    "what limits have used cannot be counted; trying again until it can",
                    extra={"counters": len(keys), "error": str(error) or type(error).__name__},
                )
            self._failing = True
            self._inexact.update(keys)
            await asyncio.sleep(_PAUSE_S)  # whoever waits asks again at once
        finally:
            self._settled = None
            self._asking = None

    def _take(self, key: Key, used: dict[int, int], foreign: int) -> None:
        counter = self._counters.get(key)
        if counter is None:
            return
        if isinstance(counter, MinuteCounter):
            counter.count_buckets(self._tick_s(), used)
        else:
            counter.count(sum(used.values()))
        counter.foreign = foreign
        if counter.standing is not Standing.CLOSED:
            counter.standing = Standing.KNOWN

    def _add_settled(self, keys: set[Key], counted: Counted) -> None:
        """What the answer does not have yet: settled behind the place it has counted to."""
        counters = {id(self._counters[key]) for key in keys if key in self._counters}
        for settled in self._settled or ():
            if settled.at <= counted.upto:
                continue
            for rule, counter, bucket, _ in settled.bookings:
                if id(counter) not in counters or (bucket is not None and bucket.gone):
                    continue
                amount = settled.actual[rule.metric]
                counter.used += amount
                if bucket is not None:
                    bucket.used += amount

    def _judge(self, keys: Sequence[Key], counted: Counted, at_s: float) -> None:
        """Whether the answer is the last one needed: nothing of before runs here or elsewhere."""
        oldest_s = self._running_since_s()
        for key in keys:
            since_s = self._since.get(self._refs[key].quota.id, at_s)
            if counted.settling or (oldest_s is not None and oldest_s < since_s):
                self._inexact.add(key)
            else:
                self._inexact.discard(key)

    def _sweep(self) -> None:
        """Forget what is over. Clocks are set back: what was forgotten is no window that began
        under our eyes any more, and whoever asks for it has it counted."""
        self._swept = self._clock.monotonic()
        wall_s, tick_s = self._clock.wall_ns() // 1_000_000_000, self._tick_s()
        for key, counter in list(self._counters.items()):
            minute = isinstance(counter, MinuteCounter)  # its time is not the wall's
            if counter.held or counter.ends_s >= (tick_s if minute else wall_s) - _KEPT_S:
                continue
            quota_id = self._refs.pop(key).quota.id
            self._members[quota_id] -= 1
            if not minute:
                self._since[quota_id] = max(self._since[quota_id], counter.ends_s)
            counter.standing = Standing.UNKNOWN  # to rules that know it still
            del self._counters[key]
            self._inexact.discard(key)

    def _tick_s(self) -> int:
        """Seconds as the wall had them at the start, that only go forward."""
        return int((self._began_ns + self._clock.monotonic() * 1e9) // 1_000_000_000)


def _key(rule: Rule) -> Key:
    return rule.key, 0 if rule.minute else rule.start_s


def _bound(rule: Rule, counter: Counter, limit: int, amount: int) -> Bound:
    held = counter.held + counter.foreign
    return Bound(rule, limit, counter.used, held, amount, counter.frees_s())


def _hold_more(bookings: Sequence[_Booking]) -> None:
    for _, counter, bucket, amount in bookings:
        if bucket is not None:
            if bucket.gone:
                continue
            bucket.held += amount
        counter.held += amount
