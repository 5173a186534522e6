"""One gateway's process: the shipped store on a simulated network, with requests and a journal. A
killed one just stops; who comes after it is another process with the same journal.
"""

from contextvars import copy_context
from unittest.mock import patch

from tests.simulation.ledger import CountingHere, UntoldOf, Who, concerns
from tests.simulation.loop import PROCESS
from tests.simulation.lua import HOST, loaded
from tests.simulation.truth import ENDED, REFUSED, RUNNING, VOIDED, Request
from tests.simulation.wire import Way
from tollway.adapters.redis import store as store_module
from tollway.adapters.redis.store import RedisOptions, RedisQuotaStore
from tollway.domain.hold import Hold, Rule, RuleSet
from tollway.domain.quota import Scope, Sizes
from tollway.domain.window import UTC_ZONE

WHO = tuple(
    Who(tenant, project, key)
    for tenant, project in (("ten_a", "p1"), ("ten_a", "p2"), ("ten_b", "p3"))
    for key in "kl"
)
NOBODY = Who("nobody", "", "")


class SkewedClock:
    """A machine's own idea of the time."""

    def __init__(self, world, skew_s):
        self._world = world
        self._skew_s = skew_s

    def wall_ns(self):
        """Nanoseconds."""
        return int((self._world.wall_s() + self._skew_s) * 1_000_000_000)

    def monotonic(self):
        """The loop's."""
        return self._world.loop.now_s


class Process:
    """On `keeper`'s machine, with its journal."""

    def __init__(self, world, keeper, journal, *, skew_s):
        self.world = world
        self.journal = journal
        self.keeper = keeper
        self.clock = SkewedClock(world, skew_s)
        self.requests = {}
        self.by_hold = {}
        self.gone = self.leaves = False
        self.way = Way(world.server, world.chance, world.count)
        self._sets = {}
        self._context = copy_context()
        self._context.run(PROCESS.set, self)
        keeper.recover()
        keeper.alive.add(journal.source)
        self.store = self._context.run(self._open)

    def _open(self):
        with patch.object(store_module, "load_scripts", loaded):
            store = RedisQuotaStore(
                RedisOptions("redis://simulated", self.journal.source, host=HOST),
                self.clock,
                CountingHere(self.keeper, self.journal.source),
                written=lambda: self.journal.written,
                running_since_s=self._oldest_s,
                progress=lambda hold: self.by_hold[hold].used,
                untold=UntoldOf(self.journal),
            )
        store._link._pool = self.way.pool
        book = store._booking.book

        def booked(hold, at_s, now):
            made = book(hold, at_s, now)
            self.world.checks.booked(self.by_hold[hold], made)
            return made

        store._booking.book = booked
        return store

    def start(self):
        """Connect, as far as that is possible."""
        return self.do(self.store.start(5.0))

    def do(self, coroutine):
        """In this process."""
        return self.world.loop.create_task(coroutine, context=self._context)

    def call(self, function, *args, **words):
        """The same for what does not wait."""
        return self._context.run(function, *args, **words)

    def kill(self):
        """Nothing of it runs any more; its machine closes its connections."""
        self.gone = True
        self.world.loop.halt(self)
        self.way.cut()
        self.keeper.alive.discard(self.journal.source)

    def works(self, loop):
        """Whether it can be asked for something."""
        return not (self.gone or self.leaves or self in loop.halted)

    # A request's life.

    def ask(self, who, strict, bounded):
        """The request, and the task that decides it."""
        at_s = self.clock.wall_ns() // 1_000_000_000
        hold = Hold(self._rules(who), at_s, strict=strict, bounded=bounded)
        request = Request(self.world.next_id(), who, self, hold)
        self.by_hold[hold] = request
        return request, self.do(self._ask(request))

    def probe(self, hold):
        """The same for a hold on what is looked at."""
        hold.at_s = self.clock.wall_ns() // 1_000_000_000
        request = Request(self.world.next_id(), NOBODY, self, hold)
        self.by_hold[hold] = request
        return request, self.do(self._ask(request))

    async def _ask(self, request):
        decision = request.decision = await self.store.decided(request.hold)
        self.world.decided(request, decision)
        if decision is not None:
            request.state = REFUSED
            del self.by_hold[request.hold]
            return
        request.state = RUNNING
        request.used = request.hold.bounded._replace(
            requests=1, tokens=0, input_tokens=0, output_tokens=0, cost=0, concurrency=0
        )
        request.booked = request.hold.bookings
        request.shared = not request.booked.epoch
        if request.shared:
            self.world.count("local share")
        self.requests[request.id] = request
        self.journal.begin(request.id, request.who, request.at_s, self.world.wall_s())
        self.journal.progress(request.id, request.used)

    def progress(self, request, used):
        """It has used so much."""
        request.used = used
        self.journal.progress(request.id, used)

    def extend(self, request, tokens):
        """It holds more; where a strict limit says no it ends."""
        more = Sizes(0, tokens, tokens // 2, tokens // 2, tokens * 10)
        strict = any(rule.strict for rule in request.hold.rules.rules)
        bound = self.call(self.store.extend, request.hold, bounded=more)
        if bound is None and strict and request.used.tokens >= request.hold.strict.tokens:
            bound = self.call(self.store.extend, request.hold, strict=more)
        if bound is not None:
            self.settle(request)

    def settle(self, request):
        """It ends with what it has used."""
        self._forget(request, ENDED)
        self.journal.end(request.id, request.used)
        self.call(self.store.settle, request.hold, request.used)

    def void(self, request):
        """It ends without use."""
        request.used = request.used._replace(
            requests=0, tokens=0, input_tokens=0, output_tokens=0, cost=0
        )
        self._forget(request, VOIDED)
        self.journal.end(request.id, request.used)
        self.call(self.store.void, request.hold)

    def _forget(self, request, state):
        request.state = state
        del self.requests[request.id]
        del self.by_hold[request.hold]

    def _oldest_s(self):
        return min((one.at_s for one in self.requests.values()), default=None)

    def _rules(self, who):
        found = self._sets.get(who)
        if found is None:
            members = [
                (one, who.key if one.per is Scope.KEY else None) for one in self.world.quotas
            ]
            found = self._sets[who] = RuleSet(
                Rule(one, member, UTC_ZONE) for one, member in members if concerns(one, member, who)
            )
        return found
