"""What readers of event streams have in common: bytes are gathered into whole events, one malformed
event among good ones is skipped, two in a row or a fault end the stream. What an event says is its
dialect's: `stream.py`, `typed_stream.py`. No I/O and no clock.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

from tollway.dialects.faults import Fault
from tollway.dialects.sse import BOM, MAX_EVENT_BYTES, EventBuffer, split_events
from tollway.domain.usage import Usage


class StreamError(NamedTuple):
    """An error event inside a 200. `status` is what it says of itself, if it does."""

    status: int | None
    message: str
    code: str | None


class EventStream(ABC):
    """One stream. A reader of a dialect reads the events in `_read_event`."""

    __slots__ = (
        "_buffer",
        "_fresh",
        "_holding",
        "_over",
        "began",
        "content_bytes",
        "counted",
        "done",
        "dropped",
        "error",
        "events",
        "garbled",
        "input_usage",
        "malformed",
        "overflow",
        "read",
        "usage",
    )
    max_event_bytes = MAX_EVENT_BYTES

    def __init__(self) -> None:
        self._buffer = EventBuffer()
        self._holding = False  # part of an event waits in the buffer
        self._fresh = True  # nothing read: a byte order mark may come
        self._over = False
        self.began = False  # a valid event was read
        self.done = False  # the last word was read
        self.read = 0  # valid events, whether they pass or not: what restarts token timers
        self.events = 0  # pieces with content
        self.content_bytes = 0
        self.usage: Usage | None = None
        self.counted = (0, 0)
        self.input_usage: Usage | None = None
        self.error: StreamError | None = None
        self.overflow = False
        self.malformed = 0
        self.garbled = 0  # malformed events in a row
        self.dropped = 0

    def end(self) -> bytes:
        """The body is complete: read an event that lacks its empty line. What it passes."""
        rest = b"" if self._over else self._buffer.rest()
        return self._read_carefully(rest.rstrip(b"\r\n") + b"\n\n") if rest else b""

    def _take(self, data: bytes) -> bytes:
        whole = self._buffer.take(data)
        self._holding = len(self._buffer) > 0
        return whole

    def _look_at_size(self) -> None:
        if self._buffer.holds_more_than(self.max_event_bytes) and not self._over:
            self.overflow = self._over = True

    def _read_carefully(self, whole: bytes) -> bytes:
        if self._fresh and whole:
            self._fresh = False
            whole = whole.removeprefix(BOM)
        passed = []
        for lines in split_events(whole):
            if sum(map(len, lines)) > self.max_event_bytes:
                self.overflow = self._over = True
                break
            passed.append(self._read_event(lines))
            if self._over:
                break
        return b"".join(passed)

    def _note_usage(self, usage: Usage | None) -> None:
        """The provider has counted what came so far."""
        if usage is not None:
            self.usage = usage
            self.counted = self.events, self.content_bytes

    @abstractmethod
    def _read_event(self, lines: list[bytes]) -> bytes:
        """Read one event, its empty line included: what passes of it."""

    def _fail(self, fault: Fault) -> None:
        self._over = True
        message = fault.message or "The provider reported an error."
        self.error = StreamError(fault.status, message, fault.code)

    def _fail_empty(self) -> None:
        """An answer without an event is none."""
        self._over = True
        self.error = StreamError(None, "The provider's stream held no event.", "empty_stream")

    def _note_malformed(self) -> None:
        """One bad event among good ones is skipped; two in a row are not a stream any more."""
        self.malformed += 1
        self.garbled += 1
        if self.garbled > 1:
            self._over = True
            message = "The provider sent events that cannot be read."
            self.error = StreamError(None, message, "malformed_stream")


def event_of(kept: Sequence[bytes], blank: bytes) -> bytes:
    """The lines that pass, as one event. A CR and an LF must not meet where a line between them
    was dropped: together they would be one line end, and the event would have none."""
    return b"".join(kept) + (b"\r" if kept[-1][-1:] == b"\r" else blank)
