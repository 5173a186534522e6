"""Kept connections of one provider and origin: last used first, bounded, with bounded waiting.

A slot belongs to whoever dials, then to the connection until it is gone. A waiter is woken with a
connection, or with the slot of one that is gone: what it was given and cannot use any more it
passes on, so that cancelling at any moment loses neither.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack

from tollway.adapters.http.connection import UpstreamConnection
from tollway.adapters.http.dialing import DialError
from tollway.adapters.http.options import UpstreamOptions
from tollway.domain.failure import Cause

Dial = Callable[[Callable[[], UpstreamConnection]], Awaitable[UpstreamConnection]]
_Waiter = asyncio.Future[UpstreamConnection | None]


class Pool:
    """Implements `connection.Owner`."""

    __slots__ = ("_idle", "_open", "_options", "_retired", "_slots", "_waiters")

    def __init__(self, options: UpstreamOptions) -> None:
        self._options = options
        self._idle: list[UpstreamConnection] = []
        self._open: set[UpstreamConnection] = set()
        self._slots = 0  # taken ones
        self._waiters: dict[_Waiter, None] = {}  # in order of arrival
        self._retired = False

    @property
    def open_connections(self) -> int:
        """Busy and idle."""
        return len(self._open)

    @property
    def has_idle(self) -> bool:
        """Whether the sweep is needed."""
        return bool(self._idle)

    @property
    def unused(self) -> bool:
        """No connection, none being made, nobody waiting."""
        return not self._slots and not self._waiters

    def take_idle(self) -> UpstreamConnection | None:
        """The connection used last, or None."""
        return self._idle.pop() if self._idle else None

    async def obtain(self, dial: Dial, *, fresh: bool) -> UpstreamConnection:
        """An idle connection, a new one, or the next that comes free. Raises `DialError`.

        `fresh` is for the one retry after a kept connection was found dead: a new one at once. It
        does not queue again, so the limit may be passed by as many as retry at the same time.
        """
        if fresh or self._slots < self._options.connections:
            kept = None if fresh else self.take_idle()
            if kept is not None:
                return kept
            self._slots += 1
        else:
            kept = self.take_idle() or await self._wait()
            if kept is not None:
                return kept
        return await self._open_one(dial)

    def give_back(self, connection: UpstreamConnection) -> None:
        """Whoever had it is done with it: the next call may use the connection."""
        connection.kept = True
        waiter = self._next_waiter()
        if waiter is not None:
            waiter.set_result(connection)
        elif self._retired:
            connection.end()
        else:
            connection.idle_since = asyncio.get_running_loop().time()
            self._idle.append(connection)

    def forget(self, connection: UpstreamConnection) -> None:
        """A connection is gone: somebody who waits may open another."""
        if connection in self._open:
            self._open.discard(connection)
            if connection in self._idle:
                self._idle.remove(connection)
            self._free_slot()

    def close_idle(self, older_than: float) -> None:
        """Close what was not used since then (loop time)."""
        idle = self._idle
        if idle and idle[0].idle_since <= older_than:  # the oldest is at the bottom
            for connection in [one for one in idle if one.idle_since <= older_than]:
                connection.end()

    def retire(self) -> None:
        """Close what is idle now, and from now on what becomes so."""
        self._retired = True
        for connection in list(self._idle):
            connection.end()

    def close(self) -> None:
        """Close everything."""
        self.retire()
        for connection in list(self._open):
            connection.end()

    async def _open_one(self, dial: Dial) -> UpstreamConnection:
        """The slot is taken already."""
        with ExitStack() as undo:
            undo.callback(self._free_slot)
            connection = await dial(lambda: UpstreamConnection(self, self._options))
            if connection.closed:  # lost between the handshake and now
                raise DialError(Cause.RESET, "The provider closed the connection at once.")
            undo.pop_all()
        self._open.add(connection)
        return connection

    async def _wait(self) -> UpstreamConnection | None:
        """A connection, or None: a slot, which is then ours."""
        if len(self._waiters) >= self._options.waiters:
            raise DialError(Cause.TIMEOUT, "Too many requests wait for this provider.")
        waiter: _Waiter = asyncio.get_running_loop().create_future()
        self._waiters[waiter] = None
        taken = False
        try:
            async with asyncio.timeout(self._options.pool_timeout_s):
                given = await waiter
            taken = True
        except TimeoutError:
            raise DialError(Cause.TIMEOUT, "All connections to the provider are in use.") from None
        finally:
            self._waiters.pop(waiter, None)
            if not taken and waiter.done() and not waiter.cancelled():
                self._pass_on(waiter.result())
        return given

    def _pass_on(self, given: UpstreamConnection | None) -> None:
        if given is None:
            self._free_slot()
        elif not given.closed:
            self.give_back(given)

    def _free_slot(self) -> None:
        # A retry went past the limit: its surplus ends here, or every retry would raise the limit.
        surplus = self._slots > self._options.connections
        waiter = None if surplus else self._next_waiter()
        if waiter is not None:
            waiter.set_result(None)
        else:
            self._slots -= 1

    def _next_waiter(self) -> _Waiter | None:
        while self._waiters:
            waiter = next(iter(self._waiters))
            del self._waiters[waiter]
            if not waiter.done():
                return waiter
        return None
