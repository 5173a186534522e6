"""A provider's server-sent events, whole and one by one, for the sides that read them. What an
event says is theirs; what is no event, or too large, or said twice in a row badly, is decided here.
"""

from abc import ABC, abstractmethod
from typing import Protocol

from tollway.dialects.event_stream import StreamError
from tollway.dialects.faults import read_fault
from tollway.dialects.sse import BOM, EventBuffer, field_of, split_events
from tollway.dialects.translate.pieces import (
    MAX_PARTS,
    TOO_MANY_PARTS,
    Failed,
    PartEnded,
    Piece,
)
from tollway.dialects.translate.shapes import loaded
from tollway.dialects.typed_stream import MAX_TYPED_EVENT_BYTES
from tollway.domain.usage import Usage

_UNREADABLE = StreamError(None, "The provider sent events that cannot be read.", "malformed_stream")
TOO_LARGE = StreamError(None, "The provider sent an event that is too large.", None)


class Buffer(Protocol):
    """Holds back what is not yet a whole event."""

    def holds_more_than(self, size_bytes: int) -> bool:
        """Whether an event that has not ended is too large already."""

    def take(self, data: bytes) -> bytes:
        """Everything up to the end of the last whole event."""

    def rest(self) -> bytes:
        """What is left when no more will come."""


class EventReader(ABC):
    """A `PieceReader` over events that hold JSON objects. A side reads each in `_read`; it sets
    `_over` with its last piece."""

    def __init__(self, buffer: Buffer | None = None) -> None:
        """Without a buffer, events are server-sent ones."""
        self.malformed = 0
        self.usage: Usage | None = None
        self.counted = 0
        self._given = 0  # pieces, before what is read now
        self._garbled = 0  # in a row
        self._buffer: Buffer = EventBuffer() if buffer is None else buffer
        self._fresh = True
        self._over = False
        self._parts = 0  # that have begun

    def feed(self, data: bytes) -> list[Piece]:
        """What these bytes bring."""
        if self._over:
            return []
        pieces = self._pieces(self._buffer.take(data))
        if self._buffer.holds_more_than(MAX_TYPED_EVENT_BYTES) and not self._over:
            pieces.append(self._failed(TOO_LARGE))
        return pieces

    def end(self) -> list[Piece]:
        """What was held back, and the end if it was reached without a last word."""
        rest = self._buffer.rest()
        pieces = []
        if rest and not self._over:
            pieces = self._pieces(rest.rstrip(b"\r\n") + b"\n\n")
        return pieces if self._over else [*pieces, *self._finish()]

    @abstractmethod
    def _read(self, name: bytes, event: dict[str, object]) -> list[Piece]:
        """One event, its name empty where it has none."""

    @abstractmethod
    def _finish(self) -> list[Piece]:
        """The stream has ended: the last pieces, if the answer is whole."""

    def _pieces(self, whole: bytes) -> list[Piece]:
        if self._fresh and whole:
            self._fresh = False
            whole = whole.removeprefix(BOM)
        pieces: list[Piece] = []
        for lines in split_events(whole):
            known = self.usage
            pieces += self._read_lines(lines)
            if self.usage is not known:
                self.counted = self._given + len(pieces)
            if self._parts > MAX_PARTS and not self._over:
                pieces.append(self._failed(TOO_MANY_PARTS))
            if self._over:
                break
        self._given += len(pieces)
        return pieces

    def _read_lines(self, lines: list[bytes]) -> list[Piece]:
        fields = [field_of(line) for line in lines[:-1]]
        name = next((value for field, value in fields if field == b"event"), b"")
        payload = b"\n".join(value for field, value in fields if field == b"data").strip()
        if not payload:
            return []
        if payload == b"[DONE]":
            self._over = True
            return self._finish()
        return self._read_payload(name, payload)

    def _read_payload(self, name: bytes, payload: bytes) -> list[Piece]:
        event = loaded(payload)
        if event is None:
            self.malformed += 1
            self._garbled += 1
            return [self._failed(_UNREADABLE)] if self._garbled > 1 else []
        self._garbled = 0
        return self._read(name, event)

    def _failed(self, error: StreamError) -> Failed:
        self._over = True
        return Failed(error)

    def _fault(self, event: object) -> Failed:
        """The failure that an event tells of."""
        fault = read_fault(event, certain=True)
        if fault is None:
            return self._failed(StreamError(None, "The provider reported an error.", None))
        message = fault.message or "The provider reported an error."
        return self._failed(StreamError(fault.status, message, fault.code))


class PartByPart:
    """For readers of streams in which one part is open at a time."""

    _parts: int
    _open: tuple[str, int] | None = None  # kind, part

    def _is_open(self, kind: str) -> bool:
        return self._open is not None and self._open[0] == kind

    def _turn_to(self, kind: str) -> list[Piece]:
        """This kind of part goes on; another ends."""
        if self._is_open(kind):
            return []
        pieces = self._close()
        self._open = kind, self._parts
        self._parts += 1
        return pieces

    def _close(self) -> list[Piece]:
        ended: list[Piece] = [] if self._open is None else [PartEnded(self._open[1])]
        self._open = None
        return ended
