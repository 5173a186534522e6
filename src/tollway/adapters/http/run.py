"""One call under way: its deadlines, its phase, and the sink's handle on it (`Flow`)."""

import asyncio
from math import inf
from typing import Protocol

from tollway.adapters.http.authorizing import words_of
from tollway.adapters.http.options import Deadlines
from tollway.app.ports import ResponseSink, UpstreamCall
from tollway.dialects.redact import redact
from tollway.domain.failure import Cause, Failure, Phase


class Line(Protocol):
    """The connection as a call sees it."""

    def pause(self) -> None:
        """Stop reading."""

    def resume(self) -> None:
        """Read on."""

    def end(self) -> None:
        """Close at once."""


class Run:
    """Deadlines are looked at by one coarse sweep; setting one costs an assignment."""

    __slots__ = (
        "_deadlines",
        "_kind",
        "_left_s",
        "_satisfied",
        "_sent_at",
        "_time",
        "bodiless",
        "deadline",
        "done",
        "error",
        "failure",
        "line",
        "phase",
        "secret",
        "sink",
        "stale",
        "stream",
        "total_deadline",
    )

    def __init__(
        self,
        call: UpstreamCall,
        sink: ResponseSink,
        deadlines: Deadlines,
        loop: asyncio.AbstractEventLoop,
        *,
        secret: str = "",
    ) -> None:
        self._time = loop.time
        self._deadlines = deadlines
        self._kind = call.provider.kind
        self._left_s: float | None = None  # while paused: what the running timer had left
        self._satisfied = False
        self._sent_at = 0.0
        self.secret = secret  # what the provider knows us by
        self.sink = sink
        self.stream = call.stream
        self.bodiless = call.method == "HEAD"
        self.deadline = inf
        self.total_deadline = loop.time() + deadlines.total_s
        self.phase = Phase.CONNECT
        self.stale = False  # a kept connection was closed before it gave a byte
        self.failure: Failure | None = None
        self.error: Exception | None = None  # what the sink raised
        self.line: Line | None = None
        self.done: asyncio.Future[None] = loop.create_future()

    # `Flow`: the sink's side.

    def pause(self) -> None:
        """Stop reading; the timers stand still: the client is slow, not the provider."""
        if self._left_s is None and not self._satisfied and not self.done.done():
            self._left_s = self.deadline - self._time()
            self.deadline = inf
            if self.line is not None:
                self.line.pause()

    def resume(self) -> None:
        """Read on; the timers go on where they stood."""
        if self._left_s is not None:
            self.deadline = self._time() + self._left_s
            self._left_s = None
            if self.line is not None:
                self.line.resume()

    def progress(self) -> None:
        """A real event came."""
        self.phase = Phase.BODY
        self._arm(self._deadlines.idle_s)

    def satisfied(self) -> None:
        """Only the end of the body is waited for, and not for long."""
        self.resume()
        self._arm(self._deadlines.satisfied_s)
        self._satisfied = True

    def cancel(self, failure: Failure) -> None:
        """End now with this failure."""
        self.fail(failure)

    def redact(self, text: str) -> str:
        """Without the secret it was sent."""
        return redact(text, words_of(self._kind, self.secret))

    # The connection's side.

    @property
    def paused(self) -> bool:
        """Whether the sink stopped the reading."""
        return self._left_s is not None

    def sent(self, line: Line) -> None:
        """The request leaves on this connection."""
        self.line = line
        self.phase = Phase.HEADERS
        self._sent_at = now = self._time()
        if self._left_s is None:
            self.deadline = now + self._deadlines.headers_s
        else:
            self._left_s = self._deadlines.headers_s
            line.pause()

    def headed(self) -> None:
        """The final head came."""
        self.phase = Phase.FIRST_EVENT
        self._arm(self._deadlines.first_token_s if self.stream else self._deadlines.idle_s)

    def read(self) -> None:
        """A piece of the body came. For a stream that is no progress: only events are."""
        if not self.stream:
            self._arm(self._deadlines.idle_s)

    def complete(self) -> None:
        """The answer is complete and framed correctly."""
        self.line = None
        if not self.done.done():
            self.done.set_result(None)

    def lost_stale(self) -> None:
        """A kept connection was gone before the provider can have seen the request."""
        self.stale = True
        self.complete()

    def restart(self, loop: asyncio.AbstractEventLoop) -> None:
        """Back to where no connection was found yet."""
        self.stale = False
        self.phase = Phase.CONNECT
        self.deadline = inf
        if self._left_s is not None:
            self._left_s = inf
        self.done = loop.create_future()

    def just_sent(self, seconds: float) -> bool:
        """Whether the request left less than so long ago."""
        return self._time() - self._sent_at < seconds

    def fail(self, failure: Failure) -> None:
        """The call is over; its connection is closed."""
        if self.done.done() and not self.stale:
            return
        if self.failure is None:
            self.failure = failure
        line = self.line
        self.complete()
        if line is not None:
            line.end()

    def crash(self, error: Exception) -> None:
        """The sink raised: the call ends by raising it to the caller."""
        self.error = error
        self.fail(Failure(self.phase, Cause.PROTOCOL, "The answer could not be handled."))

    def broken(self, cause: Cause, message: str) -> None:
        """The connection failed in the phase the call is in. After `satisfied` nobody cares."""
        if not self._satisfied:
            self.fail(Failure(self.phase, cause, message))
            return
        line = self.line
        self.complete()
        if line is not None:
            line.end()

    def expire(self) -> None:
        """Called by the sweep once a deadline has passed."""
        self.broken(Cause.TIMEOUT, _LATE[self.phase])

    def _arm(self, seconds: float) -> None:
        if self._satisfied:
            return
        if self._left_s is None:
            self.deadline = self._time() + seconds
        else:
            self._left_s = seconds


_LATE = {
    Phase.CONNECT: "The provider could not be reached in time.",
    Phase.HEADERS: "The provider did not answer in time.",
    Phase.FIRST_EVENT: "The provider did not begin its answer in time.",
    Phase.BODY: "The provider stopped in the middle of its answer.",
}
