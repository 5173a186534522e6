"""All of it together: three gateways on two machines, a server, a ledger, and time. `World.play` is
one seed: steps chosen at random, then quiet, then what must be so then.
"""

import asyncio
from collections import Counter
from contextlib import ExitStack, contextmanager
from hashlib import blake2b
from random import Random
from types import SimpleNamespace
from unittest.mock import patch

from tests.fakes.quotas import quota
from tests.simulation.checks import Checks
from tests.simulation.ending import end
from tests.simulation.faults import Faults
from tests.simulation.ledger import Journal, Keeper, Ledger
from tests.simulation.loop import VirtualLoop, run
from tests.simulation.lua import loaded
from tests.simulation.process import WHO, Process
from tests.simulation.server import Server
from tests.simulation.truth import ENDED
from tollway.adapters.redis import booking, link, registry
from tollway.app.ports import StoreUnavailableError
from tollway.domain.ids import QuotaId
from tollway.domain.quota import Mode, OnOutage, Precision, Scope, Sizes

NOON_S = 1_795_003_200
PAUSES_S = (0.0,) * 8 + (0.005,) * 8 + (0.05,) * 8 + (0.5,) * 8 + (3.0,) * 4 + (20.0,)
SLOTS = ("a/0", "a/1", "b/0")


class World:
    """From one seed. `faults` counts what was done to it, by kind."""

    def __init__(self, seed, *, steps=200):
        self.seed = seed
        self.steps = steps
        self.chance = Random(seed)
        self.loop = VirtualLoop()
        self.faults = Counter()
        self.trace = blake2b(digest_size=16)
        # Some seeds begin shortly before a window does.
        self.began_s = NOON_S + self.chance.choice((0, 43_200, 3600)) - self.chance.uniform(5, 200)
        names = {script.text: script.name for script in loaded()}
        self.server = Server(self.wall_s, self.chance, self._hear)
        self.checks = Checks(self.wall_s, lambda: self.server.run_id, names)
        self.ledger = Ledger()
        self.faults_of = Faults(self)
        self.checks.on_first = self.faults_of.lost
        self.checks.on_end = self.faults_of.ended
        self.keepers = {name: Keeper(self.ledger, self.chance, self._closed) for name in "ab"}
        self.journals = {slot: Journal(slot) for slot in SLOTS}
        for slot, journal in self.journals.items():
            self.keepers[slot[0]].journals.append(journal)
        self.requests = {}
        self.read = []  # the ledger's rows, as they were read when they were new
        shared = self.chance.random() < 0.3
        self.quotas = quotas(self.chance, shared=shared)
        self.processes = {}
        self._ids = 0
        self._risk = self.chance.choice((0.0, 0.02, 0.05, 0.1))
        self.ship_s = 1.0

    def wall_s(self):
        """What time it is."""
        return self.began_s + self.loop.now_s - 1000.0

    def count(self, kind):
        """A fault has happened."""
        self.faults[kind] += 1

    def next_id(self):
        """A request's."""
        self._ids += 1
        return self._ids

    def decided(self, request, decision):
        """A request was let in or not."""
        self.requests[request.id] = request
        self.note("decided", request.id, type(decision).__name__)

    def note(self, *words):
        """A part of the trace."""
        self.trace.update(repr((round(self.loop.now_s, 6), *words)).encode())

    def play(self):
        """The seed."""
        with entropy(self.chance.getrandbits(32)):
            run(self._play(), self.loop)
        return self

    def start(self, slot):
        """A process on its journal."""
        process = Process(
            self,
            self.keepers[slot[0]],
            self.journals[slot],
            skew_s=self.chance.uniform(-0.5, 0.5),
        )
        self.processes[slot] = process
        return process.start()

    # Inside.

    def _hear(self, text, keys, words, reply, writes):
        self.note(self.checks.names[text], keys, words, reply)
        self.checks.hear(text, keys, words, reply, writes)

    def _closed(self, id_):
        request = self.requests[id_]
        request.state = ENDED

    async def _play(self):
        await asyncio.gather(*[self.start(slot) for slot in SLOTS])
        self.loop.create_task(self._ship())
        self.loop.create_task(self._copy())
        for _ in range(self.steps):
            await self._step()
            if self.loop.failures:
                return
        await end(self)

    async def _ship(self):
        while True:
            await asyncio.sleep(self.ship_s)
            for keeper in self.keepers.values():
                try:
                    keeper.ship()
                except StoreUnavailableError:
                    continue

    async def _copy(self):
        while True:
            await asyncio.sleep(2)
            self.server.note()
            self.read += self.ledger.rows[len(self.read) :]

    async def _step(self):
        chance = self.chance
        if chance.random() < self._risk:
            self.faults_of.strike()
        if chance.random() < 0.15:
            self.faults_of.reopen()
        process = self.processes[chance.choice(SLOTS)]
        if not process.works(self.loop):
            await asyncio.sleep(0.05)
            return
        roll = chance.random()
        running = list(process.requests.values())
        if roll < 0.5 or not running:
            who = chance.choice(WHO)
            most = chance.randrange(20, 60)
            strict = Sizes(1, most, most // 2, most // 2, most * 10, 1)
            half = chance.randrange(5, most)
            bounded = Sizes(1, half, half // 2, half // 2, half * 10, 1)
            process.ask(who, strict, bounded)
        else:
            request = chance.choice(running)
            if roll < 0.7:
                most = request.hold.strict.tokens
                # Now and then a provider does not keep to the cap that a strict limit gave it.
                most += chance.choice((0, 0, 0, 40))
                used = min(most, request.used.tokens + chance.randrange(0, 20))
                process.progress(request, Sizes(1, used, used // 2, used // 2, used * 10, 0))
                if used > request.hold.bounded.tokens:
                    process.extend(request, chance.randrange(1, 30))
            elif roll < 0.95:
                process.settle(request)
            else:
                process.void(request)
        await asyncio.sleep(chance.choice(PAUSES_S) * chance.random())


@contextmanager
def entropy(seed):
    """What would be random in the gateways is not."""
    chance = Random(seed)
    known = SimpleNamespace(urandom=chance.randbytes)
    with ExitStack() as stack:
        for module in (booking, registry):
            stack.enter_context(patch.object(module, "os", known))
        # Looks at a server that is away, and at who is awaited: ten a second are half of the work.
        stack.enter_context(patch.object(link, "_PROBE_S", 0.4))
        stack.enter_context(patch.object(registry, "_AWAITING_S", 0.3))
        yield


def quotas(chance, *, shared):
    """Limits that are near, on everything there is."""
    strict, shares = Precision.STRICT, OnOutage.LOCAL_SHARE
    asked = [
        (chance.randrange(20, 120), "requests", "day", {"precision": strict}),
        (chance.randrange(300, 3000), "tokens", "hour", {}),
        (chance.randrange(5000, 40000), "cost", "month", {"precision": strict}),
        (chance.randrange(3, 15), "concurrency", "none", {"precision": strict}),
        (chance.randrange(10, 40), "requests", "minute", {"per": Scope.KEY, "on_outage": shares}),
        (chance.randrange(100, 1000), "output_tokens", "minute", {"tenant_id": "ten_b"}),
        (
            chance.randrange(100, 3000),
            "tokens",
            "total",
            {"scope": "platform", "precision": strict},
        ),
        (
            chance.randrange(10, 40),
            "requests",
            "hour",
            {"scope": "project", "scope_id": "p1", "on_outage": shares},
        ),
        (
            chance.randrange(5, 20),
            "requests",
            "hour",
            {"scope": "project", "scope_id": "p2", "mode": Mode.SHADOW},
        ),
    ]
    more = {"on_outage": shares} if shared else {}
    return [
        quota(limit, metric, period, **{**changes, **more, "id": QuotaId(f"quo_{number}")})
        for number, (limit, metric, period, changes) in enumerate(asked)
        if period == "total" or chance.random() < 0.8
    ]
