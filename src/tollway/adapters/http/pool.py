"""Kept connections of one provider and origin: last used first, bounded, with bounded waiting."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from tollway.adapters.http.connection import UpstreamConnection
from tollway.adapters.http.dialing import DialError
from tollway.adapters.http.options import UpstreamOptions
from tollway.domain.failure import Cause

Dial = Callable[[Callable[[], UpstreamConnection]], Awaitable[UpstreamConnection]]


class Pool:
    """Implements `connection.Owner`."""

    __slots__ = ("_dial", "_idle", "_open", "_opening", "_options", "_waiters")

    def __init__(self, dial: Dial, options: UpstreamOptions) -> None:
        self._dial = dial
        self._options = options
        self._idle: list[UpstreamConnection] = []
        self._open: set[UpstreamConnection] = set()
        self._opening = 0
        self._waiters: deque[asyncio.Future[UpstreamConnection | None]] = deque()

    @property
    def open_connections(self) -> int:
        """Busy and idle."""
        return len(self._open)

    def take_idle(self) -> UpstreamConnection | None:
        """The connection used last, or None."""
        return self._idle.pop() if self._idle else None

    async def obtain(self) -> UpstreamConnection:
        """An idle connection, a new one, or the next that comes free. Raises `DialError`."""
        while True:
            idle = self.take_idle()
            if idle is not None:
                return idle
            if len(self._open) + self._opening < self._options.connections:
                return await self._open_one()
            kept = await self._wait()
            if kept is not None:
                return kept

    async def obtain_fresh(self) -> UpstreamConnection:
        """A connection that was never used, however many are idle. Raises `DialError`."""
        return await self._open_one()

    def give_back(self, connection: UpstreamConnection) -> None:
        """A call ended well: the next one may use the connection."""
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return
        connection.idle_since = asyncio.get_running_loop().time()
        self._idle.append(connection)

    def forget(self, connection: UpstreamConnection) -> None:
        """A connection is gone: somebody who waits may open another."""
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self._wake_one()

    def close_idle(self, older_than: float) -> None:
        """Close what was not used since then (loop time)."""
        for connection in [one for one in self._idle if one.idle_since <= older_than]:
            connection.end()

    def close(self) -> None:
        """Close everything; calls under way fail."""
        for connection in list(self._open):
            connection.end()

    async def _open_one(self) -> UpstreamConnection:
        self._opening += 1
        try:
            connection = await self._dial(lambda: UpstreamConnection(self, self._options))
        except BaseException:
            self._opening -= 1
            self._wake_one()
            raise
        self._opening -= 1
        self._open.add(connection)
        if connection.closed:  # lost between the handshake and now
            self._open.discard(connection)
            raise DialError(Cause.RESET, "The provider closed the connection at once.")
        return connection

    async def _wait(self) -> UpstreamConnection | None:
        if len(self._waiters) >= self._options.waiters:
            raise DialError(Cause.TIMEOUT, "Too many requests wait for this provider.")
        waiter: asyncio.Future[UpstreamConnection | None]
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            return await asyncio.wait_for(waiter, self._options.pool_timeout_s)
        except TimeoutError:
            raise DialError(Cause.TIMEOUT, "All connections to the provider are in use.") from None
        finally:
            if waiter in self._waiters:
                self._waiters.remove(waiter)

    def _wake_one(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
