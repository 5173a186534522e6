"""A streamed answer as clients of Chat Completions read it: chunks with what is new, the reason in
one of its own, usage in the last where the client asked for it, and `[DONE]`.
"""

from collections.abc import Sequence
from typing import Any

from tollway.dialects.ask import Heading
from tollway.dialects.translate.pieces import (
    Begun,
    Ended,
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

FINISHES = {
    Stop.END: "stop",
    Stop.LENGTH: "length",
    Stop.TOOL: "tool_calls",
    Stop.SEQUENCE: "stop",
    Stop.FILTER: "content_filter",
    Stop.REFUSAL: "content_filter",
    Stop.CONTEXT: "length",
    Stop.PAUSE: "stop",
}


def usage_values(usage: Usage) -> dict[str, Any]:
    """As this dialect counts: what was cached is part of the prompt, thinking of the completion."""
    cached, written = usage.cached_input or 0, usage.cache_write or 0
    read = (usage.input or 0) + cached + written + (usage.audio or 0) + (usage.image or 0)
    reasoning = usage.reasoning or 0
    answered = (usage.output or 0) + reasoning
    return {
        "prompt_tokens": read,
        "completion_tokens": answered,
        "total_tokens": read + answered,
        "prompt_tokens_details": {"cached_tokens": cached},
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }


def signed(signature: str) -> dict[str, Any]:
    """A call's signature, where Google puts it for clients of this dialect."""
    if not signature:
        return {}
    return {"extra_content": {"google": {"thought_signature": signature}}}


class ChatEvents:
    """A `PieceWriter`."""

    def __init__(self, heading: Heading) -> None:
        self._heading = heading
        self._begun = False
        self._calls: dict[int, int] = {}  # part -> place among the calls

    def write(self, pieces: Sequence[Piece]) -> bytes:
        """The chunks that say this."""
        return b"".join([self._say(piece) for piece in pieces])

    def _say(self, piece: Piece) -> bytes:
        if isinstance(piece, Begun):
            return self._begin()
        if isinstance(piece, Ended):
            return self._begin() + self._end(piece)
        delta = self._delta(piece)
        return b"" if delta is None else self._begin() + self._chunk(delta)

    def _delta(self, piece: Piece) -> dict[str, Any] | None:
        if isinstance(piece, TextPiece):
            return {"content": piece.text}
        if isinstance(piece, ThinkingPiece):
            return {"reasoning_content": piece.text} if piece.text else None
        if isinstance(piece, RefusalPiece):
            return {"refusal": piece.text}
        if isinstance(piece, ToolBegun):
            place = self._calls.setdefault(piece.part, len(self._calls))
            function = {"name": piece.name, "arguments": ""}
            call = {"index": place, "id": piece.id, "type": "function", "function": function}
            return {"tool_calls": [{**call, **signed(piece.signature)}]}
        if isinstance(piece, ToolPiece) and piece.part in self._calls:
            function = {"arguments": piece.arguments}
            return {"tool_calls": [{"index": self._calls[piece.part], "function": function}]}
        return None

    def _begin(self) -> bytes:
        if self._begun:
            return b""
        self._begun = True
        return self._chunk({"role": "assistant", "content": ""})

    def _end(self, piece: Ended) -> bytes:
        said = self._chunk({}, FINISHES[piece.stop])
        if self._heading.wants_usage and piece.usage is not None:
            said += _event({**self._head(), "choices": [], "usage": usage_values(piece.usage)})
        return said + b"data: [DONE]\n\n"

    def _chunk(self, delta: dict[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return _event({**self._head(), "choices": [choice]})

    def _head(self) -> dict[str, Any]:
        return {
            "id": f"chatcmpl-{self._heading.request_id.removeprefix('req_')}",
            "object": "chat.completion.chunk",
            "created": self._heading.created_s,
            "model": self._heading.model,
        }


def _event(body: dict[str, Any]) -> bytes:
    return b"data: %b\n\n" % encode(body)
