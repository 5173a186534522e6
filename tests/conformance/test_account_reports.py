"""What machines tell each other of accounts, over a real server."""

import asyncio

import pytest

from tests.fakes.valkey import Valkey
from tollway.adapters.redis import reports as module
from tollway.adapters.redis.store import RedisOptions, RedisQuotaStore
from tollway.adapters.system.clock import SystemClock
from tollway.app.ports_sharing import ReportsError


@pytest.fixture
def valkey():
    server = Valkey()
    yield server
    server.stop()


@pytest.fixture
async def stores(valkey):
    """Two gateways' ways to it."""
    made = [
        RedisQuotaStore(RedisOptions(valkey.url, f"s-{one}"), SystemClock()) for one in range(2)
    ]
    for one in made:
        assert await one.start()
    yield made
    for one in made:
        await one.close(0.1)


async def test_each_hears_what_all_have_left(stores):
    """Its own too; what leaves is gone; and nothing stays for ever."""
    x, y = (store.reports(name) for store, name in zip(stores, "xy", strict=True))
    said = {"beat": "x1", "accounts": {"acc": {"running": 3}}}
    assert await x.swap(said) == {"x": said}
    assert await y.swap({"beat": "y1"}) == {"x": said, "y": {"beat": "y1"}}
    assert await x.swap({"beat": "x2"}) == {"x": {"beat": "x2"}, "y": {"beat": "y1"}}
    assert await x.swap(None) == {"y": {"beat": "y1"}}


async def test_what_is_left_of_who_is_gone_is_cleared_away(stores, valkey, monkeypatch):
    """After a minute without news."""
    monkeypatch.setattr(module, "_FORGOTTEN_S", 0.05)
    x, y = (store.reports(name) for store, name in zip(stores, "xy", strict=True))
    await y.swap({"beat": "y1"})
    assert set(await x.swap({"beat": "x1"})) == {"x", "y"}
    await asyncio.sleep(0.1)
    assert set(await x.swap({"beat": "x2"})) == {"x"}
    await x.swap({"beat": "x3"})
    assert b"\ny\r\n" not in valkey.run("HKEYS", module._KEY.decode())
    assert 0 < int(valkey.run("PTTL", module._KEY.decode())[1:]) <= 60_000


async def test_a_server_that_is_away_is_said_so(stores, valkey):
    """And heard again when it is back."""
    x = stores[0].reports("x")
    valkey.kill()
    with pytest.raises(ReportsError):
        await x.swap({"beat": "x1"})
    valkey.start()
    async with asyncio.timeout(20):
        while True:
            try:
                assert set(await x.swap({"beat": "x2"})) == {"x"}
                break
            except ReportsError:
                await asyncio.sleep(0.05)


async def test_one_that_says_nothing_is_not_waited_for(stores, valkey):
    """Longer than the deadline."""
    x = stores[0].reports("x")
    with valkey.frozen():
        async with asyncio.timeout(5):
            with pytest.raises(ReportsError):
                await x.swap({"beat": "x1"})
