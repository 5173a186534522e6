"""The `QuotaStore` that several gateways share: each call is a script on the server, which decides;
what is known here is only which holds are ours.

A hold with lines under several tags goes out as one part for each, at the same time; when one is
refused the others are voided. A reserve that was not answered in time counts as refused, and its id
is voided, so that it cannot take effect later.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

from tollway.adapters.redis.asking import Asking
from tollway.adapters.redis.booking import Booking
from tollway.adapters.redis.cluster import ClusterLink
from tollway.adapters.redis.facts import Facts
from tollway.adapters.redis.leases import LEASE_S, Leases
from tollway.adapters.redis.lines import Booked, Line, Place
from tollway.adapters.redis.link import Link, LinkError, ServerFacts
from tollway.adapters.redis.outbox import Outbox
from tollway.adapters.redis.registry import PolicyError, Registry
from tollway.adapters.redis.reports import AccountReports
from tollway.adapters.redis.scripts import SERVER, load_scripts
from tollway.adapters.redis.seeding import Seeding
from tollway.adapters.redis.shares import NEVER_UNTOLD, Shares
from tollway.adapters.redis.slots import is_cluster
from tollway.adapters.redis.spread import SpreadRegistry
from tollway.adapters.redis.stands import Stands
from tollway.adapters.redis.telling import Telling
from tollway.app.ports import Clock, Counting, Untold
from tollway.domain.hold import UNDECIDED, Bound, Decision, Hold, Outage, Rule, Stand, Tightest
from tollway.domain.ids import QuotaId
from tollway.domain.quota import NOTHING, Sizes

__all__ = ["PolicyError", "RedisOptions", "RedisQuotaStore"]

_DECIDE_S = 2.0
_PAUSE_S = 0.02
Progressing = Callable[[Hold], Sizes | None]


class RedisOptions(NamedTuple):
    """`owner` names this process's journal, the same after a restart: places in it are compared.
    `host` is what the scripts run on."""

    url: str
    owner: str
    deadline_s: float = 0.1
    lease_s: float = LEASE_S
    host: str = SERVER


class RedisQuotaStore:
    """Made and used on one loop. `start` before the first request; `close` after the last.

    `written` is the end of this process's journal; `running_since_s` when the oldest request under
    way was admitted; `progress` what a hold's request has used so far; `untold` is what is on
    record of shares that the server does not know of.
    """

    def __init__(
        self,
        options: RedisOptions,
        clock: Clock,
        counting: Counting | None = None,
        *,
        written: Callable[[], tuple[int, int]] = lambda: (0, 0),
        running_since_s: Callable[[], float | None] = lambda: None,
        progress: Progressing = lambda _: None,
        untold: Untold = NEVER_UNTOLD,
    ) -> None:
        self._clock = clock
        scripts = load_scripts(options.host)
        owner = options.owner.replace(":", "_")
        self._booking = booking = Booking(owner, exact=counting is None)
        self._leases = Leases(scripts, progress, lease_s=options.lease_s)
        facts = Facts(owner, written=written, running_since_s=running_since_s)
        spread = is_cluster(options.url)
        self._registry = (SpreadRegistry if spread else Registry)(
            booking.process,
            scripts,
            leases=self._leases,
            facts=facts,
            ship=self._ship,
            untold=untold,
        )
        self._outbox = Outbox(self._registry)
        self._link = self._registry.link = (ClusterLink if spread else Link)(
            options.url,
            scripts,
            on_up=self._up,
            on_ready=self._ready,
            deadline_s=options.deadline_s,
        )
        self._seeding = Seeding(self._registry, scripts, clock, counting)
        self._stands = Stands()
        self._shares = Shares(self._stands.left, untold)
        self._telling = Telling(self._outbox, self._leases, scripts, owner=owner, written=written)
        self._asking = Asking(
            booking,
            self._leases,
            scripts,
            seeding=self._seeding,
            stands=self._stands,
            telling=self._telling,
        )
        self._begun = asyncio.Event()
        self._duties: list[asyncio.Task[None]] = []

    # A process's life.

    async def start(self, timeout_s: float = 5.0) -> bool:
        """Connect; False: the server cannot be reached yet. Raises PolicyError."""
        duties = (self._registry, self._leases, self._outbox, self._seeding)
        self._duties = [asyncio.create_task(duty.keep()) for duty in duties]
        self._duties.append(asyncio.create_task(self._link.run()))
        self._duties.append(asyncio.create_task(self._shares.keep(self._has_told)))
        with suppress(TimeoutError):
            await asyncio.wait_for(self._begun.wait(), timeout_s)
        if self._registry.trouble is not None:
            await self.close(0.0)
            raise self._registry.trouble
        return self._link.ready

    async def close(self, timeout_s: float = 2.0) -> None:
        """Say what is still to be said, then go."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._outbox.emptied(), timeout_s)
        await self._registry.leave()
        for duty in self._duties:
            duty.cancel()
        await asyncio.gather(*self._duties, return_exceptions=True)

    @property
    def reachable(self) -> bool:
        """Whether the server decides; else the rules' own `on_outage` does."""
        return self._registry.reachable

    @property
    def absent(self) -> int:
        """Gateways that have not come back since the data was lost; strict limits wait for them."""
        return self._registry.absent

    async def reopen(self) -> bool:
        """Wait for them no more; False: the server cannot be asked."""
        try:
            await self._registry.reopen()
        except LinkError:
            return False
        return True

    def reports(self, name: str) -> AccountReports:
        """The way of a machine of this name to say what others have to know of its accounts."""
        return AccountReports(self._link, name)

    @property
    def unsaid(self) -> int:
        """Notices that the server has not confirmed."""
        return self._outbox.waiting

    @property
    def seeded(self) -> int:
        """Counters that this process has set from the ledger."""
        return self._seeding.seeded

    @property
    def shadowed(self) -> dict[QuotaId, int]:
        """How often each shadow rule would have refused."""
        return self._asking.shadowed

    @property
    def shared_out(self) -> int:
        """Holds that were let in on a share while the server was away."""
        return self._shares.admitted

    # One hold's life.

    def reserve(self, hold: Hold) -> Decision:
        """Always for `decided`, unless there is nothing to decide."""
        return UNDECIDED if hold.rules.rules and hold.bookings is None else None

    async def decided(self, hold: Hold) -> Decision:
        """Hold every line or none. As long as one answer of the server takes, at most the deadline;
        with something to be seeded or joined first at most two seconds."""
        if hold.bookings is not None or not hold.rules.rules:
            return None
        if self._registry.absent and (closed := _strict(hold)) is not None:
            return Outage(closed)
        loop = asyncio.get_running_loop()
        deadline, at_s = loop.time() + _DECIDE_S, hold.at_s
        while self._link.ready and (left_s := deadline - loop.time()) > 0:
            if not self._registry.complete:
                await asyncio.sleep(min(_PAUSE_S, left_s))
                continue
            try:
                found = await self._asking.ask(self._booking.book(hold, at_s, loop.time()), left_s)
            except LinkError:
                break
            if not isinstance(found, int):
                return found
            at_s = found
        return self._without(hold)

    def extend(
        self, hold: Hold, *, strict: Sizes = NOTHING, bounded: Sizes = NOTHING
    ) -> Bound | None:
        """Hold more while an answer runs. A strict rule says no by what is known here, or when the
        server has said so to an extension before."""
        booked: Booked | None = hold.bookings
        if booked is None:
            return None
        more = [(line, _more(line, strict, bounded)) for line in booked.lines()]
        if strict is not NOTHING:
            bound = self._strict_bound(booked, more)
            if bound is not None:
                return bound
        for line, amount in more:
            line.held += amount
            self._stands.book(line, 0, amount)
        if booked.epoch:
            self._telling.more(booked, strict=strict is not NOTHING)
        return None

    def settle(self, hold: Hold, actual: Sizes) -> None:
        """Book what was used in place of what was held, once. Call it after the outcome was
        journalled."""
        self._end(hold, actual)

    def void(self, hold: Hold) -> None:
        """Free what the hold held, once. Nothing was used."""
        self._end(hold, None)

    def tightest(self, rules: Sequence[Rule], at_s: int) -> Tightest | None:
        """Of rules that are held on, the one with the least left, as the server last said."""
        found: Tightest | None = None
        for rule in rules:
            place: Place | None = rule.cell
            stand = None if place is None else self._stands.get(place.key)
            if stand is None:
                continue
            limit = rule.limit_at(at_s)
            left = max(limit - stand.used - stand.held, 0)
            if found is None or left < found.remaining:
                found = Tightest(limit, left, stand.frees_s)
        return found

    def standing(self, rule: Rule) -> Stand | None:
        """How the rule's counter stood when the server last spoke of it."""
        at_s = self._clock.wall_ns() // 1_000_000_000
        return self._stands.get(self._booking.place(rule, at_s).key)

    async def look(self, rule: Rule, at_s: int) -> Stand | None:
        """How it stands on the server, without making it."""
        try:
            return await self._asking.look(self._booking.at(rule, at_s))
        except LinkError:
            return None

    def count_again(self) -> None:
        """The server's counters are everybody's: they begin again from the ledger."""
        self._registry.end_epoch()

    # Inside.

    def _without(self, hold: Hold) -> Outage | None:
        """The server does not decide: what each rule says about that."""
        booked = self._booking.book(hold, hold.at_s, 0.0)
        now_s = self._clock.wall_ns() // 1_000_000_000
        outage = self._shares.admit(list(booked.lines()), now_s)
        if outage is None:
            hold.bookings = booked
        return outage

    def _end(self, hold: Hold, actual: Sizes | None) -> None:
        booked: Booked | None = hold.bookings
        hold.bookings = None
        if booked is None:
            return
        self._leases.drop(booked)
        if not booked.epoch:
            self._shares.end(booked, actual)
            if actual is None:
                return
        for line in booked.lines():
            used = 0 if actual is None or not line.books else actual[line.rule.metric]
            self._stands.book(line, used, -line.held if booked.epoch else 0)
        for part in booked.parts:
            self._telling.end(booked, part, actual)

    def _strict_bound(self, booked: Booked, more: Sequence[tuple[Line, int]]) -> Bound | None:
        if booked.bound is not None:
            line, used, held = booked.bound
            return Bound(line.rule, line.limit, used, held, 0, line.place.stop_s)
        for line, amount in more:
            if not line.rule.strict or line.rule.shadow or not amount:
                continue
            stand = self._stands.get(line.place.key)
            if stand is not None and not stand.used + stand.held + amount <= line.limit:
                return Bound(line.rule, line.limit, stand.used, stand.held, amount, stand.frees_s)
        return None

    async def _up(self, facts: ServerFacts) -> None:
        try:
            await self._registry.up(facts)
        finally:
            if self._registry.trouble is not None:
                self._begun.set()

    def _has_told(self) -> bool:
        return not (self._outbox.waiting or self._registry.ending)

    async def _ship(self) -> tuple[int, int] | None:
        return await self._seeding.ship()

    def _ready(self) -> None:
        self._begun.set()
        self._outbox.wake()


def _strict(hold: Hold) -> Rule | None:
    """A rule that must not be overspent, whoever else may hold on it."""
    return next((rule for rule in hold.rules.rules if rule.strict and not rule.shadow), None)


def _more(line: Line, strict: Sizes, bounded: Sizes) -> int:
    if not line.books:
        return 0
    return (strict if line.rule.strict else bounded)[line.rule.metric]
