"""ConverseStream's events as pieces. Their frames are `amazon_frames.py`; what a block or a reason
to stop is called, `bedrock_provider.py` says to both.

Only calls have a `contentBlockStart`: a text or a thought begins with its first delta. The last
event is `metadata`, with the usage; what has a `messageStop` and no `metadata` is whole all the
same. Source: Amazon's API reference, ConverseStream.
"""

from collections.abc import Mapping
from typing import Any

from tollway.dialects.amazon_frames import Frame, FrameBuffer, FrameError
from tollway.dialects.event_stream import StreamError
from tollway.dialects.faults import read_fault
from tollway.dialects.translate.pieces import (
    MAX_PARTS,
    TOO_MANY_PARTS,
    Begun,
    Ended,
    Failed,
    PartEnded,
    Piece,
    TextPiece,
    ThinkingPiece,
    ToolBegun,
    ToolPiece,
)
from tollway.dialects.translate.shapes import loaded, text_of
from tollway.dialects.translate.talk import Stop
from tollway.dialects.usage_bedrock import read_bedrock_usage
from tollway.domain.usage import Usage

_UNREADABLE = StreamError(None, "The provider sent events that cannot be read.", "malformed_stream")
_KINDS = ("text", "tool", "thought")  # of parts; one block may hold several
# An exception's status, as the API reference gives it; of what is none of the client's doing (a
# `modelStreamErrorException` has 424) none, which is a 502.
_STATUSES = {
    "validationException": 400,
    "throttlingException": 429,
    "internalServerException": 500,
    "serviceUnavailableException": 503,
}


class ConversePieces:
    """A `PieceReader`. A damaged frame fails it at once; of sound ones that hold no JSON, two in a
    row do."""

    def __init__(self, stops: Mapping[str, Stop]) -> None:
        self.malformed = 0
        self.usage: Usage | None = None
        self.counted = 0
        self._given = 0  # pieces, before what is read now
        self._garbled = 0  # in a row
        self._stops = stops
        self._frames = FrameBuffer()
        self._over = False
        self._begun = False
        self._open: dict[tuple[int, str], int] = {}  # a block's index and kind -> part
        self._parts = 0
        self._told = False  # metadata came
        self._stop: Stop | None = None
        self._stop_sequence = ""

    def feed(self, data: bytes) -> list[Piece]:
        """What these bytes bring."""
        pieces: list[Piece] = []
        if self._over:
            return pieces
        self._frames.add(data)
        try:
            while not self._over and (frame := self._frames.take()) is not None:
                known = self.usage
                pieces += self._read(frame)
                if self.usage is not known:
                    self.counted = self._given + len(pieces)
                if self._parts > MAX_PARTS and not self._over:
                    pieces.append(self._failed(TOO_MANY_PARTS))
        except FrameError as error:
            code = None if error.too_large else "malformed_stream"
            pieces.append(self._failed(StreamError(None, str(error), code)))
        self._given += len(pieces)
        return pieces

    def end(self) -> list[Piece]:
        """The end, if the answer is whole without a last word. Part of a frame says nothing."""
        return [] if self._over or self._stop is None else self._last()

    def _read(self, frame: Frame) -> list[Piece]:
        kind = frame.headers.get(":message-type")
        if kind == "exception":
            return [self._fault(frame.headers.get(":exception-type", ""), loaded(frame.payload))]
        if kind == "error":
            said = {"message": frame.headers.get(":error-message", "")}
            return [self._fault(frame.headers.get(":error-code", ""), said)]
        event = loaded(frame.payload)
        if event is None:
            self.malformed += 1
            self._garbled += 1
            return [self._failed(_UNREADABLE)] if self._garbled > 1 else []
        self._garbled = 0
        return self._event(frame.headers.get(":event-type"), event)

    def _event(self, name: str | None, event: dict[str, Any]) -> list[Piece]:
        if name == "messageStart" and not self._begun:
            self._begun = True
            return [Begun()]
        if not self._begun:
            return []
        if name == "contentBlockStart":
            return self._start(event)
        if name == "contentBlockDelta":
            return self._delta(event)
        if name == "contentBlockStop":
            return self._close(_index(event))
        if name == "messageStop":
            self._stop = self._stops.get(text_of(event, "stopReason"), Stop.END)
            more = event.get("additionalModelResponseFields")
            self._stop_sequence = text_of(more, "stop_sequence") if isinstance(more, dict) else ""
        if name == "metadata":
            self.usage, self._told = read_bedrock_usage(event.get("usage")), True
        return self._last() if self._told and self._stop is not None else []

    def _last(self) -> list[Piece]:
        self._over = True
        ended = [PartEnded(part) for part in sorted(self._open.values())]
        return [*ended, Ended(self._stop or Stop.END, self.usage, self._stop_sequence)]

    def _start(self, event: dict[str, Any]) -> list[Piece]:
        start = event.get("start")
        call = start.get("toolUse") if isinstance(start, dict) else None
        at = (_index(event), "tool")
        # A call of a tool of the provider's own is its affair.
        if not isinstance(call, dict) or call.get("type") or at in self._open:
            return []
        return [ToolBegun(self._part(*at), text_of(call, "toolUseId"), text_of(call, "name"))]

    def _delta(self, event: dict[str, Any]) -> list[Piece]:
        delta, index = event.get("delta"), _index(event)
        if not isinstance(delta, dict):
            return []
        text, call, thought = (
            text_of(delta, "text"),
            delta.get("toolUse"),
            delta.get("reasoningContent"),
        )
        if text:
            return [TextPiece(self._part(index, "text"), text)]
        if isinstance(call, dict) and (index, "tool") in self._open:
            return [ToolPiece(self._part(index, "tool"), text_of(call, "input"))]
        if isinstance(thought, dict):
            words = [text_of(thought, name) for name in ("text", "signature", "redactedContent")]
            return [ThinkingPiece(self._part(index, "thought"), *words)] if any(words) else []
        return []

    def _part(self, index: int, kind: str) -> int:
        """The part's number, a new one where it begins."""
        number = self._open.get((index, kind))
        if number is None:
            number = self._open[index, kind] = self._parts
            self._parts += 1
        return number

    def _close(self, index: int) -> list[Piece]:
        ended = [self._open.pop((index, kind), None) for kind in _KINDS]
        return [PartEnded(part) for part in sorted(part for part in ended if part is not None)]

    def _fault(self, name: str, said: dict[str, Any] | None) -> Failed:
        told = {**(said or {}), "code": name, "status": _STATUSES.get(name)}
        fault = read_fault({"error": told})
        assert fault is not None, "an error object is a fault"
        message = fault.message or "The provider reported an error."
        return self._failed(StreamError(fault.status, message, fault.code))

    def _failed(self, error: StreamError) -> Failed:
        self._over = True
        return Failed(error)


def _index(event: dict[str, Any]) -> int:
    index = event.get("contentBlockIndex")
    return index if type(index) is int else -1
