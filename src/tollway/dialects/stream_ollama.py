"""Ollama's stream at a provider that speaks it: one object on each line, the last of which says
`done` and what was counted. Lines that pass keep their bytes. Held back: lines that are no object,
empty ones, and everything after the last.
"""

from tollway.dialects.bounded import error_in, load_any
from tollway.dialects.event_stream import StreamError
from tollway.dialects.faults import read_fault
from tollway.dialects.reply import decoded
from tollway.dialects.reply_ollama import OllamaLine, line_size, load_line
from tollway.dialects.sse import BOM
from tollway.dialects.translate.json_lines import LineBuffer
from tollway.dialects.typed_stream import MAX_TYPED_EVENT_BYTES
from tollway.domain.usage import Usage

_UNREADABLE = StreamError(None, "The provider sent lines that cannot be read.", "malformed_stream")
_REPORTED = "The provider reported an error."


class OllamaReader:
    """Implements `reading.EventReader` over lines."""

    __slots__ = (
        "_buffer",
        "_fresh",
        "_garbled",
        "began",
        "content_bytes",
        "counted",
        "done",
        "error",
        "events",
        "malformed",
        "overflow",
        "read",
        "usage",
    )
    input_usage: Usage | None = None  # it is told with the rest

    def __init__(self) -> None:
        self._buffer = LineBuffer()
        self._fresh = True  # nothing read: a byte order mark may come
        self._garbled = 0  # lines that cannot be read, in a row
        self.began = False
        self.done = False
        self.read = 0
        self.events = 0
        self.content_bytes = 0
        self.counted = (0, 0)
        self.malformed = 0
        self.usage: Usage | None = None
        self.error: StreamError | None = None
        self.overflow = False

    @property
    def finished(self) -> bool:
        """The last line came."""
        return self.done

    def feed(self, data: bytes) -> bytes:
        """The whole lines that these bytes complete."""
        if self._is_over:
            return b""
        passed = self._read_lines(self._buffer.take(data))
        if self._buffer.holds_more_than(MAX_TYPED_EVENT_BYTES) and not self._is_over:
            self.overflow = True
        return passed

    def end(self) -> bytes:
        """A last line that lacks its end."""
        rest = self._buffer.rest()
        return b"" if self._is_over or not rest.strip() else self._read_lines(rest + b"\n")

    @property
    def _is_over(self) -> bool:
        return self.done or self.overflow or self.error is not None

    def _read_lines(self, whole: bytes) -> bytes:
        if self._fresh and whole:
            self._fresh = False
            whole = whole.removeprefix(BOM)
        passed = []
        for line in whole.split(b"\n")[:-1]:
            if len(line) > MAX_TYPED_EVENT_BYTES:
                self.overflow = True
            elif line.strip() and self._read_line(line):
                passed.append(line + b"\n")
            if self._is_over:
                break
        return b"".join(passed)

    def _read_line(self, payload: bytes) -> bool:
        """Whether it passes."""
        line = decoded(load_line, payload)
        if line is None:
            self.malformed += 1
            self._garbled += 1
            if self._garbled > 1:
                self.error = _UNREADABLE
            return False
        self._garbled = 0
        if error_in(line.error) not in (None, "", False):
            fault = read_fault(load_any(payload), certain=True)
            status, message, code = (None, None, None) if fault is None else fault
            self.error = StreamError(status, message or _REPORTED, code)
            return False
        self.began = True
        self.read += 1
        self._note(line)
        return True

    def _note(self, line: OllamaLine) -> None:
        size = line_size(line)
        if size:
            self.events += 1
            self.content_bytes += size
        if line.is_last:
            self.done = True
            self.usage = line.usage
            self.counted = self.events, self.content_bytes
