"""What only counters on a cluster promise: over shards, slots that move, and nodes that go."""

import asyncio
import time

import pytest

from tests.fakes.promptly import within
from tests.fakes.quota_stores import Ledger, opened
from tests.fakes.quotas import actual, hold, quota, rule
from tests.fakes.valkey_cluster import ValkeyCluster
from tollway.adapters.redis.store import PolicyError, RedisOptions, RedisQuotaStore
from tollway.adapters.system.clock import SystemClock
from tollway.domain.hold import Bound, Outage
from tollway.domain.quota import Precision

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def own():
    """A cluster for those who break it."""
    made = ValkeyCluster()
    yield made
    made.stop()


@pytest.fixture
def nodes(own):
    """Empty."""
    own.flush()
    return own


def real(cluster, ledger=None, *, slot=0, lease_s=30.0):
    """A store on real time."""
    options = RedisOptions(cluster.url, f"host/{slot}", lease_s=lease_s)
    if ledger is None:
        return RedisQuotaStore(options, SystemClock())
    return RedisQuotaStore(options, SystemClock(), ledger, written=ledger.written)


def now_hold(*rules, **sizes):
    return hold(*rules, at_s=int(time.time()), **sizes)


def provider(limit, **changes):
    return quota(limit, scope="provider", scope_id="prv_a", **changes)


async def until(reached, timeout_s=10.0):
    deadline = time.monotonic() + timeout_s
    while not reached():
        assert time.monotonic() < deadline, "it did not come to that"
        await asyncio.sleep(0.005)


async def started(*stores):
    for store in stores:
        assert await store.start()
    return stores


async def closed(*stores):
    for store in stores:
        await store.close()


# Over shards.


async def test_tenants_on_different_shards_count_apart():
    """Each exactly its limit."""
    async with opened("cluster") as stage:
        assert stage.valkey.node_of("ten_a") is not stage.valkey.node_of("ten_b")
        ours, theirs = quota(30), quota(20, tenant_id="ten_b")
        found = await stage.ask_all([hold(rule(one)) for one in (ours, theirs) for _ in range(50)])
        assert (found[:50].count(None), found[50:].count(None)) == (30, 20)


async def test_a_refusal_on_one_shard_leaves_the_other_untouched():
    """I7: of a hold over a tenant and a provider either none is in or both."""
    async with opened("cluster") as stage:
        assert stage.valkey.node_of("ten_a") is not stage.valkey.node_of("prv_a")
        tenant, upstream = rule(quota(50)), rule(provider(7))
        found = await stage.ask_all([hold(tenant, upstream) for _ in range(40)])
        assert found.count(None) == 7
        assert all(one is None or one.rule is upstream for one in found)
        await stage.quiet()
        assert await stage.left(tenant) == 43
        assert await stage.left(upstream) == 0


# Slots that move.


async def test_a_slot_that_moves_under_load_counts_exactly(nodes):
    """G-26: not one more than the limit, no usage lost, and nobody refused for longer than 5 s."""
    record, other = quota(400), quota(100_000, tenant_id="ten_b")
    stores = await started(real(nodes), real(nodes, slot=1))
    served = {"ten_a": 0, "ten_b": 0}
    moving, longest_s = True, 0.0

    async def client(store, one, tag):
        nonlocal longest_s
        refused_s = None
        while moving:
            asked = now_hold(rule(one))
            decision = await store.decided(asked)
            if isinstance(decision, Outage):
                refused_s = refused_s or time.monotonic()
                longest_s = max(longest_s, time.monotonic() - refused_s)
            else:
                refused_s = None
            if decision is None:
                served[tag] += 1
                await asyncio.sleep(0.002)
                store.settle(asked, actual())
            await asyncio.sleep(0.01)

    async def move():
        nonlocal moving
        home = nodes.node_of("ten_a")
        for to in (*[one for one in nodes.nodes if one is not home], home):
            await asyncio.sleep(0.2)
            left = nodes.begin_move("ten_a", to)
            await asyncio.sleep(0.02)
            while nodes.move_keys("ten_a", left, to, 5):
                await asyncio.sleep(0.002)
            await asyncio.sleep(0.02)
            nodes.end_move("ten_a", left, to)
        await asyncio.sleep(0.2)
        moving = False

    clients = [
        client(store, one, tag)
        for store in stores
        for one, tag in ((record, "ten_a"), (other, "ten_b"))
        for _ in range(8)
    ]
    await asyncio.gather(move(), *clients)
    await until(lambda: all(store.reachable and not store.unsaid for store in stores))
    assert 50 < served["ten_a"] <= 400
    found = [await stores[0].decided(now_hold(rule(record))) for _ in range(401)]
    assert found.count(None) == 400 - served["ten_a"]
    assert isinstance(found[-1], Bound)
    look = await stores[1].look(rule(other), int(time.time()))
    assert look[:2] == (served["ten_b"], 0)
    assert longest_s < 5
    await closed(*stores)


async def test_ends_said_while_a_slot_moves_are_booked_once(nodes):
    """Some keys here, some there: whoever ends waits, and nothing is lost or doubled."""
    record = quota(100)
    (store,) = await started(real(nodes))
    live = [now_hold(rule(record)) for _ in range(20)]
    assert [await store.decided(one) for one in live] == [None] * 20
    home = nodes.node_of("ten_a")
    to = next(one for one in nodes.nodes if one is not home)
    nodes.begin_move("ten_a", to)
    for number, asked in enumerate(live):
        if number == 10:
            await asyncio.sleep(0.15)  # said while all keys are there
            nodes.move_keys("ten_a", home, to, 12)
        store.settle(asked, actual())
    await asyncio.sleep(0.15)
    assert store.unsaid
    assert isinstance(await store.decided(now_hold(rule(record))), Outage)
    while nodes.move_keys("ten_a", home, to):
        pass
    nodes.end_move("ten_a", home, to)
    await until(lambda: not store.unsaid)
    assert (await store.look(rule(record), int(time.time())))[:2] == (20, 0)
    await closed(store)
    nodes.move("ten_a", home)


# Nodes that go.


class Journal(Ledger):
    """One gateway's; all that is used is in the ledger at once, whoever counts."""

    def __init__(self, number, journals):
        super().__init__()
        self.number, self.journals = number, journals
        journals.append(self)
        self.used = journals[0].used

    async def count(self, refs):
        self.others = [
            (f"host/{one.number}", 0, next(one.places)) for one in self.journals if one is not self
        ]
        return await super().count(refs)


class Load:
    """Clients of two gateways: each request is one of the tenant's, every other one of the
    provider's too. `most` and `served`: of the tenant's and the provider's."""

    def __init__(self, nodes):
        journals = []
        self.ledgers = [Journal(number, journals) for number in range(2)]
        self.stores = [real(nodes, one, slot=one.number) for one in self.ledgers]
        strict = {"precision": Precision.STRICT}
        self.records = [
            quota(2000, **strict),
            quota(9, "concurrency", "none", **strict),
            provider(1000, **strict),
            provider(5, metric="concurrency", period="none", **strict),
        ]
        self.inside, self.most, self.served = [0, 0], [0, 0], [0, 0]
        self.running = True

    def count(self, kinds, change):
        for kind in kinds:
            self.inside[kind] += change
            self.served[kind] += change > 0
            self.most[kind] = max(self.most[kind], self.inside[kind])

    async def client(self, store, kinds):
        records = self.records[: 2 * len(kinds)]
        while self.running:
            asked = now_hold(*map(rule, records))
            if await store.decided(asked) is not None:
                await asyncio.sleep(0.005)
                continue
            self.count(kinds, 1)
            await asyncio.sleep(0.02)
            self.count(kinds, -1)
            used = self.ledgers[0].used
            for record in records:
                used[record.id] = used.get(record.id, 0) + 1
            store.settle(asked, actual())
            await asyncio.sleep(0.005)

    async def run(self, breaking):
        """While that happens, and a while after."""
        clients = [
            asyncio.create_task(self.client(store, kinds))
            for store in self.stores
            for kinds in ((0, 1), (0, 1), (0, 1), (0, 1), (0,), (0,), (0,))
        ]
        await asyncio.sleep(1.1)  # they have heard of each other
        await breaking()
        await asyncio.sleep(0.3)
        self.running = False
        await asyncio.gather(*clients)
        await until(lambda: all(one.reachable and not one.unsaid for one in self.stores))

    async def stands(self, record):
        """As every gateway finds it on the server."""
        at_s = int(time.time())
        return {(await store.look(rule(record), at_s))[:2] for store in self.stores}


@pytest.mark.parametrize(
    ("tag", "how"), [("registry", "killed"), ("prv_a", "killed"), ("prv_a", "flushed")]
)
async def test_a_node_that_loses_its_data_under_load(nodes, tag, how):
    """Never more than the limits, which are strict; and then the counters are the ledger's."""
    load = Load(nodes)
    await started(*load.stores)
    node = nodes.node_of(tag)
    epoch = load.stores[0]._registry.epoch

    async def lose():
        before = list(load.served)
        if how == "killed":
            node.kill()
            await asyncio.sleep(0.2)
            node.start()
        else:
            node.run("FLUSHALL")
        await until(lambda: {one._registry.epoch for one in load.stores} - {epoch})
        await until(lambda: all(one.reachable for one in load.stores), 45)
        await until(
            lambda: all(now > then + 10 for now, then in zip(load.served, before, strict=True))
        )

    await load.run(lose)
    assert load.most[0] <= 9
    assert load.most[1] <= 5
    assert await load.stands(load.records[0]) == {(load.served[0], 0)}
    assert await load.stands(load.records[2]) == {(load.served[1], 0)}
    assert len({one._registry.epoch for one in load.stores}) == 1
    await closed(*load.stores)


async def test_a_node_that_comes_back_with_old_data(nodes):
    """It has the epoch, and not the last it was told: another epoch begins."""
    ledger = Ledger()
    (store,) = await started(real(nodes, ledger))
    one, node = rule(provider(20)), nodes.node_of("prv_a")
    live = [now_hold(one) for _ in range(15)]
    assert [await store.decided(asked) for asked in live[:5]] == [None] * 5
    node.run("SAVE")
    assert [await store.decided(asked) for asked in live[5:]] == [None] * 10
    ledger.used[one.quota.id] = 4
    for asked in live[:4]:
        store.settle(asked, actual())
    await until(lambda: not store.unsaid)
    node.kill()
    await until(lambda: not store.reachable)
    assert isinstance(await store.decided(now_hold(one)), Outage)
    node.start()
    await until(lambda: store.reachable)
    found = [await store.decided(now_hold(one)) for _ in range(6)]
    assert found.count(None) == 5
    assert (found[-1].used, found[-1].held) == (4, 16)
    await closed(store)
    node.run("SAVE")


@pytest.mark.parametrize("tag", ["prv_a", "registry"])
async def test_a_node_that_is_away_keeps_back_its_own_limits_only(nodes, tag):
    """The others count on, no request waits long, and what has ended is told when it is back."""
    (store,) = await started(real(nodes))
    ours, theirs = rule(quota(50, tenant_id="ten_b")), rule(provider(50))
    first = now_hold(ours, theirs)
    assert await store.decided(first) is None
    epoch = store._registry.epoch
    with nodes.node_of(tag).frozen():
        for _ in range(3):
            await store.decided(now_hold(theirs))
        store.settle(first, actual())
        await until(lambda: not store.reachable)
        with within(0.1):
            if tag == "prv_a":
                assert isinstance(await store.decided(now_hold(ours, theirs)), Outage)
                assert isinstance(await store.decided(now_hold(theirs)), Outage)
            assert [await store.decided(now_hold(ours)) for _ in range(10)] == [None] * 10
    await until(lambda: store.reachable and not store.unsaid)
    at_s = int(time.time())
    assert (await store.look(ours, at_s))[:2] == (1, 10)
    assert (await store.look(theirs, at_s))[0] == 1
    assert store._registry.epoch == epoch
    await closed(store)


async def test_whoever_cannot_be_heard_for_a_lease_lets_in_no_more(nodes):
    """Others would not wait for it when data is lost elsewhere."""
    (store,) = await started(real(nodes, lease_s=0.5))
    ours = rule(quota(50, tenant_id="ten_b"))
    assert await store.decided(now_hold(ours)) is None
    with nodes.node_of("registry").frozen():
        await until(lambda: not store._registry.complete, 3)
        assert isinstance(await store.decided(now_hold(ours)), Outage)
    await until(lambda: store.reachable)
    assert await store.decided(now_hold(ours)) is None
    await closed(store)


async def test_every_master_is_asked_whether_it_may_evict(nodes):
    """One that may is refused at the start, and named."""
    nodes.nodes[2].run("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    try:
        with pytest.raises(PolicyError, match="allkeys-lru"):
            await real(nodes).start()
    finally:
        nodes.nodes[2].run("CONFIG", "SET", "maxmemory-policy", "noeviction")
