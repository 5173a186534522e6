"""Streams whose every event has a `type`, and an `event:` line that repeats it: the engine under
`stream_messages.py` and `stream_responses.py`, which know what the types say.

Events that pass keep their bytes. Held back: events that are not JSON with a type, fields other
than `data`, comments and an `event` that is the type, everything after the last event. A `[DONE]`,
which no such dialect has, ends the stream and is kept from the client. However a stream is cut into
pieces, the same bytes pass in total and the same facts are read.
"""

from abc import abstractmethod
from typing import ClassVar

import msgspec
from msgspec import Raw

from tollway.dialects.bounded import ABSENT, error_in, load_any
from tollway.dialects.chunk import text_size
from tollway.dialects.event_stream import EventStream, event_of
from tollway.dialects.faults import Fault, read_fault
from tollway.dialects.sse import field_of

# Events hold whole answers and images here.
MAX_TYPED_EVENT_BYTES = 8 * 1024 * 1024
_DONE = b"[DONE]"
_QUIET = frozenset({"ping", "keepalive"})  # of no model's doing: they pass, and restart no timer


class TypedEvent(msgspec.Struct, gc=False):
    """The top level of an event, as far as every dialect has it."""

    type: str | None = None
    error: Raw = ABSENT


class TypedReader(EventStream):
    """One stream. A dialect says what its ordinary events are (those that bring content and no
    more), what the others say, and which is the last."""

    __slots__ = ()
    max_event_bytes = MAX_TYPED_EVENT_BYTES
    last: ClassVar[frozenset[str]]  # types that end a stream
    last_is_whole: ClassVar[bool]  # the last event alone is an answer
    found: ClassVar[frozenset[str]] = frozenset()  # deltas that no model wrote

    @property
    @abstractmethod
    def finished(self) -> bool:
        """The answer is whole, with or without its last event."""

    @abstractmethod
    def _read_ordinary(self, name: bytes, payload: bytes) -> bool:
        """Read an event that brings content and no more. False: it is another, and is unread."""

    @abstractmethod
    def _load(self, payload: bytes) -> TypedEvent:
        """Decode an event. Raises `msgspec.DecodeError`."""

    @abstractmethod
    def _note(self, kind: str, event: TypedEvent) -> Fault | None:
        """Read an event of this type. A fault, if it tells of one."""

    def feed(self, data: bytes) -> bytes:
        """What the client may have of everything one read event brought: whole events only."""
        if self._over:
            return b""
        if self._holding or data[-2:] != b"\n\n":
            data = self._take(data)
        passed = self._read_many(data)
        if passed < len(data):
            data = data[:passed] + self._read_carefully(data[passed:])
        if self._holding:
            self._look_at_size()
        return data

    def _read_many(self, data: bytes) -> int:
        """Read the leading events of two lines, `event: ...` and `data: {...}`, that are ordinary:
        how many bytes they are."""
        if data[:7] != b"event: " or data[-2:] != b"\n\n" or 13 in data:
            return 0
        passed, most = 0, self.max_event_bytes - 2
        for event in data[:-2].split(b"\n\n"):
            head, _, payload = event.partition(b"\ndata: ")
            if 10 in payload or len(event) > most or head[:7] != b"event: ":
                break
            if not self._read_ordinary(head[7:], payload):
                break
            passed += len(event) + 2
        return passed

    def _note_ordinary(self, size_bytes: int) -> None:
        """An ordinary event was read, with so much content."""
        if size_bytes:
            self.events += 1
            self.content_bytes += size_bytes
        self.read += 1
        if not self.began or self.garbled:
            self.began, self._fresh, self.garbled = True, False, 0

    def _read_event(self, lines: list[bytes]) -> bytes:
        data: list[bytes] = []
        comments: list[bytes] = []
        told_error = False
        for line in lines[:-1]:
            name, value = field_of(line)
            if name == b"data":
                data.append(value)
            elif name == b"":
                comments.append(line)
            elif name == b"error":
                data.append(value)
                told_error = True
            elif name == b"event" and value == b"error":
                told_error = True
        if not data and self.began and comments:
            return event_of(comments, lines[-1])
        kind = self._read_payload(b"\n".join(data).strip(), told_error) if data else None
        if kind is None:
            self.dropped += 1
            return b""
        named = kind.encode()
        return event_of([line for line in lines[:-1] if _passes(line, named)], lines[-1])

    def _read_payload(self, payload: bytes, told_error: bool) -> str | None:
        """Read one event's data: its type, if it passes."""
        if payload == _DONE:
            self._finish()
            return None
        if not payload:
            return None
        event = self._decode(payload)
        fault = _fault_in(event, payload, told_error)
        if fault is not None:
            self._fail(fault)
            return None
        if event is None or event.type is None:
            self._note_malformed()
            return None
        return self._read_typed(event.type, event)

    def _read_typed(self, kind: str, event: TypedEvent) -> str | None:
        if kind in _QUIET:
            return kind if self.began else None
        self.garbled = 0
        if kind in self.last and not self.began and not self.last_is_whole:
            self._fail_empty()
            return None
        fault = self._note(kind, event)
        if fault is not None:
            self._fail(fault)
            return None
        self.began = True
        self.read += 1
        if kind in self.last:
            self._over = self.done = True
        return kind

    def _decode(self, payload: bytes) -> TypedEvent | None:
        """The event in a payload; None when it is no JSON object in UTF-8."""
        try:
            if not payload.isascii():
                payload.decode()
            return self._load(payload)
        except msgspec.ValidationError:
            return self._decode_loosely(load_any(payload))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None

    def _decode_loosely(self, value: object) -> TypedEvent | None:
        """An event of a shape that its dialect does not know: its content is still counted."""
        if not isinstance(value, dict):
            return None
        kind = value.get("type")
        if isinstance(kind, str) and kind not in self.found:
            size = text_size(value.get("delta"))
            if size:
                self.events += 1
                self.content_bytes += size
        error = value.get("error")
        told = Raw(msgspec.json.encode(error)) if error else ABSENT
        return TypedEvent(kind if isinstance(kind, str) else None, told)

    def _finish(self) -> None:
        if not self.began:
            self._fail_empty()
        else:
            self._over = self.done = True


def _passes(line: bytes, named: bytes) -> bool:
    name, value = field_of(line)
    return name in (b"data", b"") or (name == b"event" and value == named)


def _fault_in(event: TypedEvent | None, payload: bytes, told_error: bool) -> Fault | None:
    if told_error or (event is not None and event.type == "error"):
        return read_fault(load_any(payload), certain=True) or Fault(None, None, None)
    error = None if event is None else error_in(event.error)
    return read_fault({"error": error}) if error else None
