"""Answers as clients of Ollama's chat read them, whole and in lines. A call is told when it is
whole: its arguments are an object here. How long things took is not known, and left out.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from tollway.dialects.ask import Heading
from tollway.dialects.translate.pieces import (
    Ended,
    PartEnded,
    Piece,
    RefusalPiece,
    TextPiece,
    ThinkingPiece,
    ToolBegun,
    ToolPiece,
)
from tollway.dialects.translate.shapes import arguments_of, encode
from tollway.dialects.translate.talk import Answer, Refusal, Stop, Text, Thinking, ToolUse
from tollway.domain.usage import Usage

_LENGTHS = frozenset({Stop.LENGTH, Stop.CONTEXT})


def write_answer(answer: Answer, heading: Heading) -> bytes:
    """All of it as one object."""
    return encode({**_line(heading, _message(answer)), **_last(answer.stop, answer.usage)})


def write_generated(answer: Answer, heading: Heading) -> bytes:
    """The same of a text that goes on."""
    return encode({**_generated(heading, _message(answer)), **_last(answer.stop, answer.usage)})


def _message(answer: Answer) -> dict[str, Any]:
    said = "".join(part.text for part in answer.parts if isinstance(part, Text | Refusal))
    thought = "".join(part.text for part in answer.parts if isinstance(part, Thinking))
    calls = [
        _call(part.id, part.name, part.arguments)
        for part in answer.parts
        if isinstance(part, ToolUse)
    ]
    more = {"thinking": thought, "tool_calls": calls}
    return {"content": said, **{name: value for name, value in more.items() if value}}


class OllamaLines:
    """A `PieceWriter`."""

    def __init__(self, heading: Heading) -> None:
        self._heading = heading
        self._calls: dict[int, tuple[ToolBegun, list[str]]] = {}  # that are not whole yet

    def write(self, pieces: Sequence[Piece]) -> bytes:
        """The lines that say this."""
        return b"".join([self._say(piece) for piece in pieces])

    def _say(self, piece: Piece) -> bytes:
        if isinstance(piece, TextPiece | RefusalPiece):
            return self._tell({"content": piece.text}) if piece.text else b""
        if isinstance(piece, ThinkingPiece):
            return self._tell({"content": "", "thinking": piece.text}) if piece.text else b""
        if isinstance(piece, ToolBegun):
            self._calls[piece.part] = piece, []
        elif isinstance(piece, ToolPiece) and piece.part in self._calls:
            self._calls[piece.part][1].append(piece.arguments)
        elif isinstance(piece, PartEnded):
            return self._end_part(piece.part)
        elif isinstance(piece, Ended):
            unended = b"".join([self._end_part(part) for part in tuple(self._calls)])
            return unended + self._tell({"content": ""}, _last(piece.stop, piece.usage))
        return b""

    def _end_part(self, part: int) -> bytes:
        if part not in self._calls:
            return b""
        begun, arguments = self._calls.pop(part)
        call = _call(begun.id, begun.name, "".join(arguments))
        return self._tell({"content": "", "tool_calls": [call]})

    def _tell(self, message: dict[str, Any], last: dict[str, Any] | None = None) -> bytes:
        said = self._line(self._heading, message)
        return encode({**said, **(last or {"done": False})}) + b"\n"

    @staticmethod
    def _line(heading: Heading, message: dict[str, Any]) -> dict[str, Any]:
        return _line(heading, message)


class GeneratedLines(OllamaLines):
    """A `PieceWriter` for a text that goes on."""

    @staticmethod
    def _line(heading: Heading, message: dict[str, Any]) -> dict[str, Any]:
        return _generated(heading, message)


def _generated(heading: Heading, message: dict[str, Any]) -> dict[str, Any]:
    line = _line(heading, message)
    said = line.pop("message")
    thought = {"thinking": said["thinking"]} if "thinking" in said else {}
    return {**line, "response": said["content"], **thought}


def _line(heading: Heading, message: dict[str, Any]) -> dict[str, Any]:
    created = datetime.fromtimestamp(heading.created_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    said = {"role": "assistant", **message}
    return {"model": heading.model, "created_at": created, "message": said}


def _call(id_: str, name: str, arguments: str) -> dict[str, Any]:
    return {"id": id_, "function": {"name": name, "arguments": arguments_of(arguments)}}


def _last(stop: Stop, usage: Usage | None) -> dict[str, Any]:
    last: dict[str, Any] = {"done": True, "done_reason": "length" if stop in _LENGTHS else "stop"}
    return last if usage is None else {**last, **_counts(usage)}


def _counts(usage: Usage) -> dict[str, int]:
    """As this dialect counts: all that was read, cached or not, and all that was written."""
    classes = (usage.input, usage.cached_input, usage.cache_write, usage.audio, usage.image)
    written = (usage.output or 0) + (usage.reasoning or 0)
    return {"prompt_eval_count": sum(one or 0 for one in classes), "eval_count": written}
