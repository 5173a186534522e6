"""The exchanges under way: so that a drain can wait for them and end those it cannot wait for, and
so that streams end whose key was revoked.
"""

import asyncio
from typing import Protocol

from tollway.domain.access import Principal, may_go_on
from tollway.domain.failure import Cause, Failure, Phase
from tollway.domain.snapshot import Snapshot

_LOOKED_AT_ONCE = 200
_REVOKED = Failure(Phase.BODY, Cause.REVOKED, "The API key was revoked while the answer ran.")


class Stoppable(Protocol):
    """A relay that can be told to end."""

    @property
    def principal(self) -> Principal:
        """Whose call it is."""

    @property
    def started_ns(self) -> int:
        """When the request was admitted."""

    @property
    def streams(self) -> bool:
        """Whether the answer goes out as it comes."""

    def stop(self, failure: Failure) -> None:
        """End the upstream call with this failure."""


class Running:
    """Relays by identity. Bookkeeping is two set operations per request."""

    __slots__ = ("_idle", "_relays")

    def __init__(self) -> None:
        self._relays: set[Stoppable] = set()
        self._idle: asyncio.Event | None = None

    def __len__(self) -> int:
        return len(self._relays)

    def oldest_s(self) -> float | None:
        """When the oldest under way was admitted, in UTC seconds; None without any."""
        started = [relay.started_ns for relay in self._relays]
        return min(started) / 1_000_000_000 if started else None

    def add(self, relay: Stoppable) -> None:
        """The relay's call begins."""
        self._relays.add(relay)

    def discard(self, relay: Stoppable) -> None:
        """The relay's call is settled."""
        self._relays.discard(relay)
        if self._idle is not None and not self._relays:
            self._idle.set()

    async def wait_idle(self, timeout_s: float) -> bool:
        """Whether everything under way was settled within the time."""
        if not self._relays:
            return True
        self._idle = asyncio.Event()
        try:
            await asyncio.wait_for(self._idle.wait(), timeout_s)
        except TimeoutError:
            return False
        finally:
            self._idle = None
        return True

    def stop_all(self) -> int:
        """End what still runs; each is settled by its own task. Returns how many."""
        failure = Failure(Phase.BODY, Cause.DRAINED, "The gateway is shutting down.")
        relays = list(self._relays)
        for relay in relays:
            relay.stop(failure)
        return len(relays)

    async def cut_revoked(self, snapshot: Snapshot, now_s: float) -> int:
        """End the streams of those who may not go on, a few hundred looks at a time. A whole
        answer is let finish: what it costs is spent. Returns how many were ended."""
        cut = 0
        for number, relay in enumerate(list(self._relays), 1):
            if relay.streams and not may_go_on(snapshot, relay.principal, now_s):
                relay.stop(_REVOKED)
                cut += 1
            if number % _LOOKED_AT_ONCE == 0:
                await asyncio.sleep(0)
        return cut
