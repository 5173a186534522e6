"""The sink's handle on a running echo answer, and the waits that end early when it is used.

No timer is armed unless the script says to wait or the sink pauses.
"""

import asyncio

from tollway.domain.failure import Failure


class EchoFlow:
    """Implements `app.ports.Flow`."""

    __slots__ = ("_paused", "_waiter", "failure", "over", "progressed")

    def __init__(self) -> None:
        self._paused = False
        self._waiter: asyncio.Future[None] | None = None
        self.failure: Failure | None = None  # what the sink cancelled with
        self.over = False  # nothing more may be given to the sink
        self.progressed = False

    def pause(self) -> None:
        """Give the sink nothing until `resume`."""
        self._paused = True

    def resume(self) -> None:
        """Go on."""
        if self._paused:
            self._paused = False
            self._wake()

    def progress(self) -> None:
        """The sink passed something on: a failure from now on is in phase BODY."""
        self.progressed = True

    def cancel(self, failure: Failure) -> None:
        """End the call with this failure; the first one counts."""
        if not self.over:
            self.over = True
            self.failure = failure
            self._wake()

    def satisfied(self) -> None:
        """End the call without a failure."""
        if not self.over:
            self.over = True
            self._wake()

    def redact(self, text: str) -> str:
        """As it is: an echo provider is told no secret."""
        return text

    async def wait(self, seconds: float) -> None:
        """Until the time has passed or the call is over; a pause does not stop the clock."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while not self.over and (left := end - loop.time()) > 0:
            await self._sleep(left)

    async def readable(self, seconds: float) -> None:
        """Until the sink is not paused, the time has passed or the call is over."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while self._paused and not self.over and (left := end - loop.time()) > 0:
            await self._sleep(left)

    @property
    def paused(self) -> bool:
        """Whether the sink takes nothing at the moment."""
        return self._paused

    async def _sleep(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        self._waiter = waiter = loop.create_future()
        timer = loop.call_later(seconds, self._wake)
        try:
            await waiter
        finally:
            timer.cancel()
            self._waiter = None

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
