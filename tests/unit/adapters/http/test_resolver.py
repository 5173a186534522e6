"""Look-ups that stall, fail or repeat, without a network."""

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.fakes.promptly import within
from tollway.adapters.http import resolver as module
from tollway.adapters.http.resolver import Resolver, UnknownHostError, system_lookup


class Names:
    """A look-up in the test's hands: names that stall do so until the test ends."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.release = threading.Event()
        self.running = 0

    def __call__(self, host: str, port: int) -> list[str]:
        self.asked[host] += 1
        self.running += 1
        try:
            if host.startswith("stalled"):
                self.release.wait(10)
        finally:
            self.running -= 1
        if host.startswith("unknown"):
            raise OSError("no such name")
        return [] if host.startswith("empty") else ["192.0.2.1", "2001:db8::1"]


@pytest.fixture
def names() -> Iterator[Names]:
    made = Names()
    yield made
    made.release.set()


async def test_answers_are_kept(names: Names) -> None:
    """An answer is good for 30 s, a failure for 5 s."""
    now = 0.0
    resolver = Resolver(names, clock=lambda: now)
    for host, ttl_s in (("one", module.TTL_S), ("unknown", module.FAILED_TTL_S)):
        for step_s, asked in ((0, 1), (ttl_s - 1, 1), (1, 2)):
            now += step_s
            try:
                await resolver.resolve(host, 443, owner=None, timeout_s=1)
            except OSError:
                assert host == "unknown"
            assert names.asked[host] == asked
    resolver.close()


async def test_many_wait_for_one_look_up(names: Names) -> None:
    """A name is asked for once, however many need it, and some of them giving up is no end."""
    resolver = Resolver(names)
    early = [
        asyncio.ensure_future(resolver.resolve("stalled", 443, owner=None, timeout_s=0.05))
        for _ in range(5)
    ]
    late = [
        asyncio.ensure_future(resolver.resolve("stalled", 443, owner=None, timeout_s=5))
        for _ in range(5)
    ]
    for outcome in await asyncio.gather(*early, return_exceptions=True):
        assert isinstance(outcome, TimeoutError)
    names.release.set()
    assert await asyncio.gather(*late) == [["192.0.2.1", "2001:db8::1"]] * 5
    assert names.asked["stalled"] == 1
    resolver.close()


@pytest.mark.parametrize("host", ["192.0.2.7", "2001:db8::7"])
async def test_an_address_is_not_looked_up(names: Names, host: str) -> None:
    """IP literals skip it."""
    resolver = Resolver(names)
    assert await resolver.resolve(host, 443, owner=None, timeout_s=1) == [host]
    assert not names.asked
    resolver.close()


async def test_a_name_without_addresses(names: Names) -> None:
    """Is remembered as unknown."""
    resolver = Resolver(names)
    assert await resolver.resolve("empty", 443, owner=None, timeout_s=1) == []
    with pytest.raises(UnknownHostError):
        await resolver.resolve("empty", 443, owner=None, timeout_s=1)
    resolver.close()


async def test_a_stalled_name_delays_no_other(names: Names) -> None:
    """Many stalled names of one tenant hold two threads; other tenants and the platform are
    served at once, and so is the tenant again when its look-ups end."""
    resolver = Resolver(names)
    stalled = [
        asyncio.ensure_future(resolver.resolve(f"stalled-{n}", 443, owner="a", timeout_s=0.2))
        for n in range(30)
    ]
    await asyncio.sleep(0.05)
    assert names.running == 2
    for owner in ("b", None):
        with within(0.1):
            await resolver.resolve(f"good-{owner}", 443, owner=owner, timeout_s=1)
    own = asyncio.ensure_future(resolver.resolve("good-a", 443, owner="a", timeout_s=5))
    for outcome in await asyncio.gather(*stalled, return_exceptions=True):
        assert isinstance(outcome, TimeoutError)
    names.release.set()
    assert await own
    while resolver._asked:
        await asyncio.sleep(0.005)
    assert not resolver._lanes
    resolver.close()


async def test_close_lets_go(names: Names) -> None:
    """Who still waits is told; the threads end on their own."""
    resolver = Resolver(names)
    waiting = asyncio.ensure_future(resolver.resolve("stalled", 443, owner="a", timeout_s=5))
    await asyncio.sleep(0.02)
    resolver.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    names.release.set()


def test_the_system_knows_itself() -> None:
    """The system's look-up gives addresses as text, each once."""
    found = system_lookup("localhost", 80)
    assert {"127.0.0.1", "::1"} & set(found)
    assert len(found) == len(set(found))
