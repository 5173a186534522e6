"""A streamed answer that is no events: bytes, whatever they are. All of them pass, none is read."""

from tollway.dialects.event_stream import StreamError
from tollway.domain.usage import Usage


class SoundReader:
    """Implements `reading.EventReader`. Nothing says how much it is in tokens, so no content is
    counted; that something came is one event."""

    __slots__ = ("began", "events", "read")
    done = False  # the end of the body is its last word
    content_bytes = 0
    malformed = 0
    usage: Usage | None = None
    counted = (0, 0)
    input_usage: Usage | None = None
    error: StreamError | None = None
    overflow = False

    def __init__(self) -> None:
        self.began = False
        self.events = 0
        self.read = 0

    @property
    def finished(self) -> bool:
        """Whether anything came: the transport says if it was cut."""
        return self.began

    def feed(self, data: bytes) -> bytes:
        """All of it."""
        if data:
            self.began = True
            self.events = 1
            self.read += 1
        return data

    def end(self) -> bytes:
        """Nothing is kept back."""
        return b""
