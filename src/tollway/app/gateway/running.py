"""The exchanges under way: so that a drain can wait for them, and end those it cannot wait for."""

import asyncio
from typing import Protocol

from tollway.domain.failure import Cause, Failure, Phase


class Stoppable(Protocol):
    """A relay that can be told to end."""

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
