"""Name look-ups off the loop, in threads of our own: the default executor is small and shared, and
a few stalled names in it would stop every other look-up.

A look-up cannot be cancelled, so a stalled one keeps its thread. Hence the platform's providers and
tenants' have separate threads, and one tenant has at most two of them at a time.
"""

import asyncio
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address

Lookup = Callable[[str, int], list[str]]

TTL_S, FAILED_TTL_S = 30.0, 5.0
_THREADS = 16  # for each of the two
_PER_TENANT = 2
_MAX_NAMES = 4096


class UnknownHostError(OSError):
    """The name has no address."""


def system_lookup(host: str, port: int) -> list[str]:
    """The system's own answer, in its order."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class _Lane:
    """The look-ups of one owner."""

    __slots__ = ("pending", "places")

    def __init__(self, places: int) -> None:
        self.pending = 0
        self.places = asyncio.Semaphore(places)


class Resolver:
    """Caches answers for 30 s and failures for 5 s; asks once for a name however many wait."""

    def __init__(
        self, lookup: Lookup = system_lookup, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._lookup = lookup
        self._clock = clock
        self._platform_threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="dns-platform")
        self._tenant_threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="dns-tenants")
        self._lanes: dict[str | None, _Lane] = {}
        self._known: dict[str, tuple[float, list[str]]] = {}
        self._asked: dict[tuple[str | None, str], asyncio.Task[list[str]]] = {}

    async def resolve(
        self, host: str, port: int, *, owner: str | None, timeout_s: float
    ) -> list[str]:
        """The host's addresses, for a tenant or (None) the platform. Raises TimeoutError, or
        OSError when it has none."""
        try:
            return [str(ip_address(host))]
        except ValueError:
            pass
        known = self._known.get(host)
        if known is not None and self._clock() < known[0]:
            if not known[1]:
                raise UnknownHostError(f"{host} has no address")
            return known[1]
        asked = self._asked.get((owner, host))
        if asked is None:
            asked = asyncio.ensure_future(self._ask(host, port, owner))
            self._asked[(owner, host)] = asked
            asked.add_done_callback(lambda done: self._learn(host, owner, done))
        return await asyncio.wait_for(asyncio.shield(asked), timeout_s)

    def close(self) -> None:
        """Let go of the threads; a stalled look-up ends on its own."""
        for asked in list(self._asked.values()):
            asked.cancel()
        self._platform_threads.shutdown(wait=False, cancel_futures=True)
        self._tenant_threads.shutdown(wait=False, cancel_futures=True)

    async def _ask(self, host: str, port: int, owner: str | None) -> list[str]:
        threads = self._platform_threads if owner is None else self._tenant_threads
        lane = self._lanes.get(owner)
        if lane is None:
            lane = self._lanes[owner] = _Lane(_THREADS if owner is None else _PER_TENANT)
        lane.pending += 1
        try:
            async with lane.places:
                return await asyncio.get_running_loop().run_in_executor(
                    threads, self._lookup, host, port
                )
        finally:
            lane.pending -= 1
            if not lane.pending:
                del self._lanes[owner]

    def _learn(self, host: str, owner: str | None, done: "asyncio.Task[list[str]]") -> None:
        del self._asked[(owner, host)]
        if done.cancelled():
            return
        if len(self._known) >= _MAX_NAMES:
            self._known.clear()
        addresses = [] if done.exception() is not None else done.result()
        ttl_s = TTL_S if addresses else FAILED_TTL_S
        self._known[host] = (self._clock() + ttl_s, addresses)
