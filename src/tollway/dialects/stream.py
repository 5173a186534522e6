"""A provider's event stream, read as it comes: which bytes a client may have, and what they say
(content, usage, error, end). No I/O and no clock: how fast events come is the relay's concern.

Events that pass keep their bytes. Held back: the usage chunk that nobody asked for, events that are
not JSON, fields other than `data` and comments, everything after `[DONE]`. However a stream is cut
into pieces, the same bytes pass in total and the same facts are read.
"""

from typing import NamedTuple

import msgspec

from tollway.dialects.chunk import Choice, Chunk, content_size, load_any, load_chunk, read_chunk
from tollway.dialects.faults import Fault, read_fault
from tollway.dialects.sse import BOM, MAX_EVENT_BYTES, EventBuffer, field_of, split_events
from tollway.dialects.usage import read_usage
from tollway.domain.usage import Usage

_DONE = b"[DONE]"


class StreamError(NamedTuple):
    """An error event inside a 200. `status` is what it says of itself, if it does."""

    status: int | None
    message: str
    code: str | None


class StreamReader:
    """Reads one stream of completions. `forward_usage`: the client wants the usage chunk."""

    __slots__ = (
        "_buffer",
        "_ended",
        "_forward_usage",
        "_fresh",
        "_over",
        "_seen",
        "began",
        "content_bytes",
        "done",
        "dropped",
        "error",
        "events",
        "garbled",
        "malformed",
        "overflow",
        "read",
        "usage",
    )

    def __init__(self, forward_usage: bool) -> None:
        self._forward_usage = forward_usage
        self._buffer = EventBuffer()
        self._fresh = True  # nothing read: a byte order mark may come
        self._over = False
        self._seen: set[int] = set()  # choices by index
        self._ended: set[int] = set()  # those that gave a finish_reason
        self.began = False  # a valid event was read
        self.done = False  # [DONE] was read
        self.read = 0  # valid events, the dropped usage chunk included: what restarts token timers
        self.events = 0  # choices' pieces with content
        self.content_bytes = 0
        self.usage: Usage | None = None
        self.error: StreamError | None = None
        self.overflow = False
        self.malformed = 0
        self.garbled = 0  # malformed events in a row
        self.dropped = 0

    @property
    def finished(self) -> bool:
        """The stream is whole: `[DONE]`, or every choice that began has given a finish_reason."""
        return self.done or (bool(self._ended) and self._seen == self._ended)

    def feed(self, data: bytes) -> bytes:
        """What the client may have of everything one read event brought: whole events only."""
        if self._over:
            return b""
        if len(self._buffer) or data[-2:] != b"\n\n" or len(data) > MAX_EVENT_BYTES:
            data = self._whole_events(data)
        ordinary = self._read_ordinary(data)
        if ordinary == len(data):
            return data
        return data[:ordinary] + self._read_carefully(data[ordinary:])

    def end(self) -> bytes:
        """The body is complete: read an event that lacks its empty line. What it passes."""
        rest = b"" if self._over else self._buffer.rest()
        return self._read_carefully(rest.rstrip(b"\r\n") + b"\n\n") if rest else b""

    def _whole_events(self, data: bytes) -> bytes:
        whole = self._buffer.take(data)
        if len(self._buffer) > MAX_EVENT_BYTES:
            self.overflow = self._over = True
        return whole

    def _read_ordinary(self, data: bytes) -> int:
        """Read the leading events of the form `data: {...}`, nothing unusual about them: how many
        bytes they are. This is the path of nearly every chunk."""
        if data[:7] != b"data: {" or b"\r" in data or not _is_utf8(data):
            return 0
        passed = 0
        for payload in data[6:-2].split(b"\n\ndata: "):
            if b"\n" in payload:
                break
            try:
                chunk = load_chunk(payload)
            except (msgspec.DecodeError, RecursionError):
                break
            choices = chunk.choices
            if not choices or chunk.error is not None or chunk.usage is not None:
                break
            if len(payload) > MAX_EVENT_BYTES - 8:
                break
            for choice in choices:
                self._count(choice)
            passed += len(payload) + 8
            self.read += 1
        if passed:
            self.began, self._fresh, self.garbled = True, False, 0
        return passed

    def _read_carefully(self, whole: bytes) -> bytes:
        if self._fresh and whole:
            self._fresh = False
            whole = whole.removeprefix(BOM)
        passed = []
        for lines in split_events(whole):
            passed.append(self._read_event(lines))
            if self._over and not self.overflow:
                break
        return b"".join(passed)

    def _read_event(self, lines: list[bytes]) -> bytes:
        if sum(map(len, lines)) > MAX_EVENT_BYTES:
            self.overflow = self._over = True
            return b""
        kept: list[bytes] = []
        data: list[bytes] = []
        told_error = False
        for line in lines[:-1]:
            name, value = field_of(line)
            if name == b"data":
                data.append(value)
                kept.append(line)
            elif name == b"":
                kept.append(line)
            elif name == b"error":  # llama.cpp until late 2025: a field of its own
                data.append(value)
                told_error = True
            elif name == b"event" and value == b"error":
                told_error = True
        if not data and self.began and kept:
            return b"".join(kept) + lines[-1]  # comments alone
        if not data or not self._read_payload(b"\n".join(data).strip(), told_error):
            self.dropped += 1
            return b""
        return b"".join(kept) + lines[-1]

    def _read_payload(self, payload: bytes, told_error: bool) -> bool:
        """Read one event's data. Whether it passes."""
        if payload == _DONE:
            return self._finish()
        if not payload:
            return False
        chunk = read_chunk(payload)
        if chunk is None:
            self._note_malformed()
            return False
        self.garbled = 0
        if chunk.error or told_error or not chunk.choices:
            fault = read_fault(load_any(payload), certain=told_error)
            if fault is not None:
                self._fail(fault)
                return False
        self.began = True
        self.read += 1
        for choice in chunk.choices or ():
            self._count(choice)
        return self._keep_usage(chunk)

    def _keep_usage(self, chunk: Chunk) -> bool:
        """Read usage, wherever it stands. False for the chunk that only carries it, unasked."""
        if chunk.usage is None:
            return True
        usage = read_usage(chunk.usage)
        if usage is None:
            return True
        self.usage = usage
        return bool(chunk.choices) or self._forward_usage

    def _count(self, choice: Choice) -> None:
        size = content_size(choice)
        if size:
            self.events += 1
            self.content_bytes += size
        if choice.index not in self._seen:
            self._seen.add(choice.index)
        if choice.finish_reason:
            self._ended.add(choice.index)

    def _finish(self) -> bool:
        self._over = True
        if not self.began:  # an answer without an event is none
            self.error = StreamError(None, "The provider's stream held no event.", "empty_stream")
            return False
        self.done = True
        return True

    def _fail(self, fault: Fault) -> None:
        self._over = True
        message = fault.message or "The provider reported an error."
        self.error = StreamError(fault.status, message, fault.code)

    def _note_malformed(self) -> None:
        """One bad event among good ones is skipped; two in a row are not a stream any more."""
        self.malformed += 1
        self.garbled += 1
        if self.garbled > 1:
            self._over = True
            message = "The provider sent events that cannot be read."
            self.error = StreamError(None, message, "malformed_stream")


def _is_utf8(data: bytes) -> bool:
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
