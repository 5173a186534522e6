"""One call under way: its deadlines, its phase, and the sink's handle on it (`Flow`)."""

import asyncio
from math import inf
from typing import NamedTuple, Protocol

from tollway.adapters.http.options import UpstreamOptions
from tollway.app.ports import ResponseSink
from tollway.domain.failure import Cause, Failure, Phase
from tollway.domain.provider import ProviderRecord


class Line(Protocol):
    """The connection as a call sees it."""

    def pause(self) -> None:
        """Stop reading."""

    def resume(self) -> None:
        """Read on."""

    def end(self) -> None:
        """Close at once."""


class Waits(NamedTuple):
    """A provider's deadlines, in seconds."""

    headers_s: float
    first_token_s: float
    idle_s: float
    total_s: float
    satisfied_s: float


def waits_of(provider: ProviderRecord, options: UpstreamOptions) -> Waits:
    """The provider's own deadlines, and the server's where it has none."""
    return Waits(
        provider.headers_timeout_s or options.headers_timeout_s,
        provider.first_token_timeout_s or options.first_token_timeout_s,
        provider.idle_timeout_s or options.idle_timeout_s,
        provider.total_timeout_s or options.total_timeout_s,
        options.satisfied_s,
    )


class Run:
    """Deadlines are looked at by one coarse sweep; setting one costs an assignment."""

    __slots__ = (
        "_loop",
        "_waits",
        "deadline",
        "done",
        "failure",
        "line",
        "paused",
        "phase",
        "satisfied_",
        "sink",
        "stale",
        "stream",
        "total_deadline",
    )

    def __init__(
        self,
        sink: ResponseSink,
        waits: Waits,
        loop: asyncio.AbstractEventLoop,
        *,
        stream: bool,
    ) -> None:
        self._loop = loop
        self._waits = waits
        self.sink = sink
        self.stream = stream
        self.total_deadline = loop.time() + waits.total_s
        self.deadline = inf
        self.phase = Phase.CONNECT
        self.paused = False
        self.satisfied_ = False
        self.stale = False  # a kept connection was closed before it gave a byte
        self.failure: Failure | None = None
        self.line: Line | None = None
        self.done: asyncio.Future[None] = loop.create_future()

    # `Flow`: the sink's side.

    def pause(self) -> None:
        """Stop reading; the token timers stand still: the client is slow, not the provider."""
        if not self.paused and self.line is not None:
            self.paused = True
            self.deadline = inf
            self.line.pause()

    def resume(self) -> None:
        """Read on; the timers begin anew."""
        if self.paused:
            self.paused = False
            self.deadline = self._loop.time() + self._waits.idle_s
            if self.line is not None:
                self.line.resume()

    def progress(self) -> None:
        """A real event came."""
        self.phase = Phase.BODY
        self.deadline = self._loop.time() + self._waits.idle_s

    def satisfied(self) -> None:
        """Only the end of the body is waited for, and not for long."""
        self.satisfied_ = True
        self.deadline = self._loop.time() + self._waits.satisfied_s

    def cancel(self, failure: Failure) -> None:
        """End now with this failure."""
        self.fail(failure)

    # The connection's side.

    def sent(self, line: Line) -> None:
        """The request left on this connection."""
        self.line = line
        self.phase = Phase.HEADERS
        self.deadline = self._loop.time() + self._waits.headers_s

    def headed(self) -> None:
        """The final head came."""
        self.phase = Phase.FIRST_EVENT
        waits = self._waits
        wait_s = waits.first_token_s if self.stream else waits.idle_s
        self.deadline = self._loop.time() + wait_s

    def read(self) -> None:
        """A piece of a whole answer came."""
        if not self.stream:
            self.deadline = self._loop.time() + self._waits.idle_s

    def complete(self) -> None:
        """The answer is complete and framed correctly."""
        if not self.done.done():
            self.line = None
            self.done.set_result(None)

    def fail(self, failure: Failure) -> None:
        """The call is over; its connection is closed."""
        if self.done.done():
            return
        self.failure = failure
        line, self.line = self.line, None
        self.done.set_result(None)
        if line is not None:
            line.end()

    def broken(self, cause: Cause, message: str) -> None:
        """The connection failed in the phase the call is in. After `satisfied` nobody cares."""
        if self.satisfied_:
            line = self.line
            self.complete()
            if line is not None:
                line.end()
        else:
            self.fail(Failure(self.phase, cause, message))

    def expire(self, now: float) -> None:
        """Called by the sweep: end what has waited too long."""
        if now >= self.deadline or now >= self.total_deadline:
            self.broken(Cause.TIMEOUT, _LATE[self.phase])


_LATE = {
    Phase.CONNECT: "The provider could not be reached in time.",
    Phase.HEADERS: "The provider did not answer in time.",
    Phase.FIRST_EVENT: "The provider did not begin its answer in time.",
    Phase.BODY: "The provider stopped in the middle of its answer.",
}
