"""Name look-ups off the loop, in threads of our own: the default executor is small and shared, and
a few stalled names in it would stop every other look-up.
"""

import asyncio
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address

Lookup = Callable[[str, int], list[str]]

TTL_S, FAILED_TTL_S = 30.0, 5.0
_THREADS = 32
_MAX_NAMES = 4096


class UnknownHostError(OSError):
    """The name has no address."""


def system_lookup(host: str, port: int) -> list[str]:
    """The system's own answer, in its order."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Resolver:
    """Caches answers for 30 s and failures for 5 s; asks once for a name however many wait."""

    def __init__(self, lookup: Lookup = system_lookup) -> None:
        self._lookup = lookup
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="dns")
        self._known: dict[str, tuple[float, list[str]]] = {}
        self._asked: dict[str, asyncio.Future[list[str]]] = {}

    async def resolve(self, host: str, port: int, timeout_s: float) -> list[str]:
        """The host's addresses. Raises TimeoutError, or OSError when it has none."""
        try:
            return [str(ip_address(host))]
        except ValueError:
            pass
        known = self._known.get(host)
        if known is not None and known[0] > time.monotonic():
            if not known[1]:
                raise UnknownHostError(f"{host} has no address")
            return known[1]
        asked = self._asked.get(host)
        if asked is None:
            loop = asyncio.get_running_loop()
            asked = loop.run_in_executor(self._threads, self._lookup, host, port)
            self._asked[host] = asked
            asked.add_done_callback(lambda done: self._learn(host, done))
        return await asyncio.wait_for(asyncio.shield(asked), timeout_s)

    def close(self) -> None:
        """Let go of the threads; a stalled look-up ends on its own."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _learn(self, host: str, done: "asyncio.Future[list[str]]") -> None:
        del self._asked[host]
        if done.cancelled():
            return
        if len(self._known) >= _MAX_NAMES:
            self._known.clear()
        addresses = [] if done.exception() is not None else done.result()
        ttl_s = TTL_S if addresses else FAILED_TTL_S
        self._known[host] = (time.monotonic() + ttl_s, addresses)
