"""A provider's event stream, read as it comes: which bytes a client may have, and what they say
(content, usage, error, end). No I/O and no clock: how fast events come is the relay's concern.

Events that pass keep their bytes, however a stream is cut into pieces. Held back: the usage chunk
that nobody asked for, events that are not JSON, fields other than `data` and comments, everything
after `[DONE]`; and events without choices, usage or an error, until one says more.
"""

from collections.abc import Sequence

import msgspec

from tollway.dialects.bounded import SMALL_BYTES, load_any
from tollway.dialects.chunk import (
    Choice,
    Chunk,
    content_size,
    load_chunk,
    load_small_chunk,
    read_chunk,
)
from tollway.dialects.event_stream import EventStream, StreamError, event_of
from tollway.dialects.faults import Fault, read_fault
from tollway.dialects.sse import MAX_EVENT_BYTES, field_of
from tollway.dialects.usage import read_usage

__all__ = ["StreamError", "StreamReader"]
_DONE = b"[DONE]"
_MOST_CHOICES = 128  # that anybody offers; more are passed on and not remembered


class StreamReader(EventStream):
    """Reads one stream of completions. `forward_usage`: the client wants the usage chunk."""

    __slots__ = ("_ended", "_forward_usage", "_preface", "_seen")

    def __init__(self, forward_usage: bool) -> None:
        super().__init__()
        self._forward_usage = forward_usage
        self._preface = b""  # events that say nothing, before the first that does
        self._seen: set[int] = set()  # choices by index
        self._ended: set[int] = set()  # those that gave a finish_reason

    @property
    def finished(self) -> bool:
        """The stream is whole: `[DONE]`, or every choice that began has given a finish_reason."""
        return self.done or (bool(self._ended) and self._seen == self._ended)

    def feed(self, data: bytes) -> bytes:
        """What the client may have of everything one read event brought: whole events only."""
        if self._over:
            return b""
        if not self._holding and len(data) <= MAX_EVENT_BYTES:
            payload = _only_payload(data)
            if payload and self._read_ordinary(payload):
                return data if not self._preface else self._with_preface(data)
            if data[-2:] != b"\n\n":
                data = self._take(data)
        else:
            data = self._take(data)
        passed = self._read_many(data)
        if passed < len(data):
            data = data[:passed] + self._read_carefully(data[passed:])
        if self._holding:
            self._look_at_size()
        return data if not self._preface else self._with_preface(data)

    def end(self) -> bytes:
        """The body is complete: read an event that lacks its empty line. What it passes."""
        return self._with_preface(super().end())

    def _with_preface(self, data: bytes) -> bytes:
        """What was kept back goes out with the first event that says something, or when it is more
        than is kept."""
        if not self.began and (self._over or len(self._preface) <= SMALL_BYTES):
            return data
        self.began = True
        data, self._preface = self._preface + data, b""
        return data

    def _read_many(self, data: bytes) -> int:
        """Read the leading events of the form `data: {...}`: how many bytes they are."""
        if data[:6] != b"data: " or 13 in data:
            return 0
        passed = 0
        for payload in data[6:-2].split(b"\n\ndata: "):
            if 10 in payload or len(payload) > MAX_EVENT_BYTES - 8:
                break
            if not self._read_ordinary(payload):
                break
            passed += len(payload) + 8
        return passed

    def _read_ordinary(self, payload: bytes) -> bool:
        """Read an event that holds choices and no more. False: it is another, and is unread."""
        try:
            if not payload.isascii():
                payload.decode()
            small = len(payload) <= SMALL_BYTES
            chunk = load_small_chunk(payload) if small else load_chunk(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return False
        choices = chunk.choices
        if not choices or chunk.usage is not None or chunk.error is not None:
            return False
        self._count(choices)
        self.read += 1
        if not self.began or self.garbled:
            self.began, self._fresh, self.garbled = True, False, 0
        return True

    def _read_event(self, lines: list[bytes]) -> bytes:
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
            return event_of(kept, lines[-1])  # comments alone
        if not data or not self._read_payload(b"\n".join(data).strip(), told_error):
            self.dropped += 1
            return b""
        if not self.began:
            self._preface += event_of(kept, lines[-1])
            return b""
        return event_of(kept, lines[-1])

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
        fault = _fault_in(chunk, payload, told_error)
        if fault is not None:
            self._fail(fault)
            return False
        self._count(chunk.choices or ())
        passes = self._keep_usage(chunk)
        # Before anything is said another target may still be asked, and a token is waited for.
        if chunk.choices or self.usage is not None or self.began:
            self.began = True
            self.read += 1
        return passes

    def _keep_usage(self, chunk: Chunk) -> bool:
        """Read usage, wherever it stands. False for the chunk that only carries it, unasked."""
        if chunk.usage is None:
            return True
        usage = read_usage(chunk.usage)
        if usage is None:
            return True
        self._note_usage(usage)
        return bool(chunk.choices) or self._forward_usage

    def _count(self, choices: Sequence[Choice]) -> None:
        seen = self._seen
        for choice in choices:
            size = content_size(choice)
            if size:
                self.events += 1
                self.content_bytes += size
            if choice.index not in seen and len(seen) < _MOST_CHOICES:
                seen.add(choice.index)
            if choice.finish_reason and choice.index in seen:
                self._ended.add(choice.index)

    def _finish(self) -> bool:
        if not self.began:
            self._fail_empty()
            return False
        self._over = self.done = True
        return True


def _fault_in(chunk: Chunk, payload: bytes, told_error: bool) -> Fault | None:
    if chunk.error:
        return read_fault({"error": chunk.error})
    if told_error or not chunk.choices:
        return read_fault(load_any(payload), certain=told_error)
    return None


def _only_payload(data: bytes) -> bytes | None:
    """What follows `data: ` when these bytes are exactly one such event: the way of nearly every
    chunk, so it costs two searches for a byte."""
    size = len(data)
    if data[:6] != b"data: ":
        return None
    line_end = data.find(b"\n")
    if line_end == size - 2:
        return data[6:-2] if data[-1] == 10 and 13 not in data else None
    if line_end == size - 3 and data.find(b"\r") == size - 4 and data[-2:] == b"\r\n":
        return data[6:-4]
    return None
