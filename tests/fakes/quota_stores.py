"""Each `QuotaStore` with a clock that a test moves and a ledger that it writes."""

import asyncio
from contextlib import asynccontextmanager
from itertools import count

from tests.fakes.quotas import NOON_S, hold
from tests.fakes.valkey import SHIFTED, server
from tests.fakes.valkey_cluster import SHIFTED_TAGS, ValkeyCluster, cluster
from tollway.adapters.memory.quota import MemoryQuotaStore
from tollway.adapters.redis.store import RedisOptions, RedisQuotaStore
from tollway.app.ports import Counted, StoreUnavailableError
from tollway.domain.hold import UNDECIDED
from tollway.domain.quota import Sizes

STORES = ["memory", "redis", "cluster"]


def _set_time(valkey, at_s):
    if isinstance(valkey, ValkeyCluster):
        valkey.set_time(at_s)
    else:
        valkey.run("SET", "test:now", at_s)


def _empty(valkey):
    if isinstance(valkey, ValkeyCluster):
        valkey.flush()
    else:
        valkey.run("FLUSHALL")


def _host(valkey):
    return SHIFTED_TAGS if isinstance(valkey, ValkeyCluster) else SHIFTED


class HandClock:
    """Time that a test moves."""

    def __init__(self, at_s=NOON_S):
        self.wall_s = at_s
        self.run_s = 1000.0

    def wall_ns(self):
        return int(self.wall_s * 1_000_000_000)

    def monotonic(self):
        return self.run_s


class Ledger:
    """A ledger that says what a test put into it, by rule."""

    def __init__(self):
        self.used = {}
        self.places = count(1)  # of the journal, as it grows
        self.others = []
        self.closed = []
        self.settling = False
        self.away = False
        self.asked = 0
        self.gate = None

    async def count(self, refs):
        self.asked += bool(refs)
        upto = (0, next(self.places))
        used = [{ref.window.start_s: self.used.get(ref.quota.id, 0)} for ref in refs]
        if self.gate is not None:
            await self.gate.wait()
        if self.away:
            raise StoreUnavailableError("away")
        return Counted(used, [0] * len(refs), upto, self.settling, self.others, self.closed)

    def written(self):
        """The end of the journal."""
        return 0, next(self.places)


class Stage:
    """One store and its world."""

    def __init__(self, store, clock, ledger, valkey=None):
        self.store = store
        self.clock = clock
        self.ledger = ledger
        self.valkey = valkey

    @property
    def now_s(self):
        return self.clock.wall_s

    def pass_s(self, seconds):
        """Time passes, here and on the server."""
        self.clock.wall_s += seconds
        self.clock.run_s += seconds
        if self.valkey is not None:
            _set_time(self.valkey, self.clock.wall_s)

    async def ask(self, asked):
        """One decision, however long it takes."""
        decision = self.store.reserve(asked)
        return await self.store.decided(asked) if decision is UNDECIDED else decision

    async def ask_all(self, holds):
        """All at the same time."""
        return await asyncio.gather(*(self.ask(asked) for asked in holds))

    async def quiet(self):
        """All that was said was heard."""
        while getattr(self.store, "unsaid", 0):
            await asyncio.sleep(0.001)

    async def keep_exact(self):
        """Forever, where a store does not see to it itself."""
        if isinstance(self.store, MemoryQuotaStore):
            await self.store.keep_exact()

    async def left(self, one, *, at_s=NOON_S):
        """How much the rule would let in; less than nothing is nothing."""
        low, high = 0, one.limit
        while low < high:
            middle = (low + high + 1) // 2
            asked = hold(one, at_s=at_s)
            asked.strict = asked.bounded = Sizes(*[middle] * 6)
            if await self.ask(asked) is None:
                self.store.void(asked)
                await self.quiet()
                low = middle
            else:
                high = middle - 1
        return low


@asynccontextmanager
async def opened(kind, *, counting=True, lease_s=30.0, valkey=None, fresh=True, slot=0):
    """A store at noon. `counting`: it asks the ledger; `fresh`: on an empty server."""
    clock, ledger = HandClock(), Ledger()
    asked = ledger if counting else None
    if kind == "memory":
        yield Stage(
            MemoryQuotaStore(clock, asked, written=ledger.written),
            clock,
            ledger,
        )
        return
    valkey = valkey or (cluster() if kind == "cluster" else server())
    if fresh:
        _empty(valkey)
        _set_time(valkey, NOON_S)
    options = RedisOptions(
        valkey.url, f"host/{slot}", deadline_s=1.0, lease_s=lease_s, host=_host(valkey)
    )
    store = RedisQuotaStore(options, clock, asked, written=ledger.written)
    assert await store.start()
    try:
        yield Stage(store, clock, ledger, valkey)
    finally:
        await store.close()
