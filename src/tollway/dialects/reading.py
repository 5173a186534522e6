"""What a relay asks of whoever reads a provider's stream."""

from typing import Protocol

from tollway.dialects.event_stream import StreamError
from tollway.domain.usage import Usage


class EventReader(Protocol):
    """Takes a provider's bytes and gives those that the client may have, whole events only. However
    a stream is cut into pieces, the same bytes pass in total and the same facts are read."""

    done: bool  # the stream said its last word: what comes after it is nobody's
    began: bool  # a valid event was read
    read: int  # valid events: what restarts token timers
    events: int  # those with content
    content_bytes: int
    usage: Usage | None  # of the answer, once the provider has said it
    counted: tuple[int, int]  # `events` and `content_bytes` when `usage` was said last
    input_usage: Usage | None  # of the input, where a provider says that first
    error: StreamError | None
    overflow: bool  # an event was too large

    @property
    def malformed(self) -> int:
        """Events that were skipped."""

    @property
    def finished(self) -> bool:
        """The answer is whole, with or without a last word."""

    def feed(self, data: bytes) -> bytes:
        """What passes of everything one read event brought."""

    def end(self) -> bytes:
        """The body is complete: what passes of the rest."""
