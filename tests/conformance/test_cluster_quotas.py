"""What only counters on a cluster promise: over shards, slots that move, and nodes that go."""

import asyncio
import time

import pytest

from tests.fakes.quota_stores import Ledger, opened
from tests.fakes.quotas import actual, hold, quota, rule
from tests.fakes.valkey_cluster import ValkeyCluster, slot_of
from tollway.adapters.redis.store import PolicyError, RedisOptions, RedisQuotaStore
from tollway.adapters.system.clock import SystemClock
from tollway.domain.hold import Bound, Outage
from tollway.domain.quota import Precision


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
    moving, last_s = True, 0.0
    longest_s = 0.0

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
