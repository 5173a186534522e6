"""A provider's stream of JSON objects, one on each line (`application/x-ndjson`), for the sides
that read them. What a line says is theirs; bad ones are judged as bad events are (`events.py`).
"""

from tollway.dialects.sse import BOM
from tollway.dialects.translate.events import TOO_LARGE, EventReader
from tollway.dialects.translate.pieces import MAX_PARTS, TOO_MANY_PARTS, Piece
from tollway.dialects.typed_stream import MAX_TYPED_EVENT_BYTES


class LineBuffer:
    """Holds back what is not yet a whole line. Memory is what was given and not yet taken."""

    __slots__ = ("_tail",)

    def __init__(self) -> None:
        self._tail = bytearray()

    def holds_more_than(self, size_bytes: int) -> bool:
        """Whether a line that has not ended is too large already."""
        return len(self._tail) > size_bytes

    def take(self, data: bytes) -> bytes:
        """Everything up to the end of the last whole line."""
        end = data.rfind(b"\n") + 1
        if end == 0:
            self._tail += data
            return b""
        whole = bytes(self._tail) + data[:end]
        self._tail = bytearray(data[end:])
        return whole

    def rest(self) -> bytes:
        """What is left when no more will come."""
        rest, self._tail = bytes(self._tail), bytearray()
        return rest


class LineReader(EventReader):
    """A `PieceReader` over lines. A side reads each in `_read`, with an empty name. A line of more
    than 8 MiB fails the stream."""

    def __init__(self) -> None:
        super().__init__(LineBuffer())

    def _pieces(self, whole: bytes) -> list[Piece]:
        if self._fresh and whole:
            self._fresh = False
            whole = whole.removeprefix(BOM)
        pieces: list[Piece] = []
        for line in whole.split(b"\n"):
            if len(line) > MAX_TYPED_EVENT_BYTES:
                pieces.append(self._failed(TOO_LARGE))
            elif line.strip():
                pieces += self._read_payload(b"", line)
            if self._parts > MAX_PARTS and not self._over:
                pieces.append(self._failed(TOO_MANY_PARTS))
            if self._over:
                break
        self._given += len(pieces)
        return pieces
