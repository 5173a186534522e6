"""A streamed answer as Anthropic's clients read it: `message_start`, blocks strictly one after the
other, `message_delta` with the reason and the usage, `message_stop`. Calls that a provider streams
at the same time are told one by one: the first goes on, the others wait for their turn.
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from tollway.dialects.ask import Heading
from tollway.dialects.translate.pieces import (
    Begun,
    Ended,
    Failed,
    PartEnded,
    Piece,
    RefusalPiece,
    TextPiece,
    ThinkingPiece,
    ToolBegun,
    ToolPiece,
)
from tollway.dialects.translate.shapes import encode
from tollway.dialects.translate.talk import Stop
from tollway.domain.usage import Usage

STOP_REASONS = {
    Stop.END: "end_turn",
    Stop.LENGTH: "max_tokens",
    Stop.TOOL: "tool_use",
    Stop.SEQUENCE: "stop_sequence",
    Stop.FILTER: "refusal",
    Stop.REFUSAL: "refusal",
    Stop.CONTEXT: "model_context_window_exceeded",
    Stop.PAUSE: "pause_turn",
}


# What Anthropic's document demands of each answer, and nobody else's answers know.
UNKNOWN: dict[str, Any] = {"stop_details": None, "container": None}
CALLER = {"type": "direct"}  # of a call: the model itself
_UNKNOWN_USAGE: dict[str, Any] = {"output_tokens_details": None, "server_tool_use": None}
_UNKNOWN_AT_ONCE: dict[str, Any] = {
    "cache_creation": None,
    "inference_geo": None,
    "service_tier": None,
}


def message_usage(usage: Usage | None) -> dict[str, Any]:
    """The usage of a message: with what a stream says once."""
    return {**usage_values(usage), **_UNKNOWN_AT_ONCE}


def usage_values(usage: Usage | None) -> dict[str, Any]:
    """As this dialect counts: what was cached stands beside the input, thinking in the output. Its
    clients want numbers: what is not known is told as 0."""
    known = usage or Usage()
    return {
        "input_tokens": (known.input or 0) + (known.image or 0) + (known.audio or 0),
        "cache_creation_input_tokens": known.cache_write or 0,
        "cache_read_input_tokens": known.cached_input or 0,
        "output_tokens": (known.output or 0) + (known.reasoning or 0),
        **_UNKNOWN_USAGE,
    }


class MessageEvents:
    """A `PieceWriter`."""

    def __init__(self, heading: Heading) -> None:
        self._heading = heading
        self._usage: Usage | None = None
        self._begun = False
        self._index = -1  # of the block that is open, or was last
        self._current: int | None = None  # the part that it tells
        self._kind = ""
        self._waiting: OrderedDict[int, list[Piece]] = OrderedDict()  # as they began

    def write(self, pieces: Sequence[Piece]) -> bytes:
        """The events that say this."""
        return b"".join([self._say(piece) for piece in pieces])

    def _say(self, piece: Piece) -> bytes:
        if isinstance(piece, Begun):
            self._usage = piece.usage
            return self._begin()
        if isinstance(piece, Failed):
            return b""
        if isinstance(piece, Ended):
            return self._end(piece)
        part = piece.part
        if self._current not in (None, part):
            self._waiting.setdefault(part, []).append(piece)
            return b""
        said = self._begin() + self._tell(piece)
        while self._current is None and self._waiting:
            _, first = self._waiting.popitem(last=False)
            said += b"".join([self._tell(one) for one in first])
        return said

    def _begin(self) -> bytes:
        if self._begun:
            return b""
        self._begun = True
        message: dict[str, Any] = {
            "id": f"msg_{self._heading.request_id.removeprefix('req_')}",
            "type": "message",
            "role": "assistant",
            "model": self._heading.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            **UNKNOWN,
            "usage": message_usage(self._usage),
        }
        return _event("message_start", message=message)

    def _tell(self, piece: Piece) -> bytes:
        if isinstance(piece, PartEnded):
            return self._close() if self._current == piece.part else b""
        if isinstance(piece, TextPiece | RefusalPiece):
            opened = self._open(piece.part, "text", text="", citations=None)
            return opened + self._delta("text_delta", text=piece.text)
        if isinstance(piece, ThinkingPiece):
            return self._think(piece)
        if isinstance(piece, ToolBegun):
            named = {"id": piece.id, "name": piece.name, "input": {}, "caller": CALLER}
            return self._open(piece.part, "tool_use", **named)
        if isinstance(piece, ToolPiece) and self._kind == "tool_use":
            return self._delta("input_json_delta", partial_json=piece.arguments)
        return b""

    def _think(self, piece: ThinkingPiece) -> bytes:
        if piece.sealed:
            return self._open(piece.part, "redacted_thinking", data=piece.sealed)
        said = self._open(piece.part, "thinking", thinking="", signature="")
        if piece.text:
            said += self._delta("thinking_delta", thinking=piece.text)
        if piece.signature:
            said += self._delta("signature_delta", signature=piece.signature)
        return said

    def _open(self, part: int, kind: str, **fields: Any) -> bytes:
        if self._current == part:
            return b""
        self._current, self._kind = part, kind
        self._index += 1
        return _event(
            "content_block_start", index=self._index, content_block={"type": kind, **fields}
        )

    def _delta(self, kind: str, **fields: Any) -> bytes:
        return _event("content_block_delta", index=self._index, delta={"type": kind, **fields})

    def _close(self) -> bytes:
        if self._current is None:
            return b""
        self._current, self._kind = None, ""
        return _event("content_block_stop", index=self._index)

    def _end(self, piece: Ended) -> bytes:
        said = self._begin() + self._close()
        for part in sorted(self._waiting):
            said += b"".join([self._tell(one) for one in self._waiting[part]]) + self._close()
        self._waiting.clear()
        delta = {
            "stop_reason": STOP_REASONS[piece.stop],
            "stop_sequence": piece.stop_sequence or None,
            **UNKNOWN,
        }
        usage = usage_values(piece.usage or self._usage)
        return said + _event("message_delta", delta=delta, usage=usage) + _event("message_stop")


def _event(kind: str, **fields: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), encode({"type": kind, **fields}))
