"""Ollama's answers as pieces, streamed or whole: both are the same objects, so that both are judged
here once. The last one says `done`.

Calls come whole; older servers give them no id. Then one is made up from when the answer was made,
which is all that tells it from others: the same for the same answer. Source: Ollama's API
reference, "Generate a chat message".
"""

import re
from typing import Any

from tollway.dialects.counts import details_of
from tollway.dialects.translate.events import PartByPart
from tollway.dialects.translate.folding import folded
from tollway.dialects.translate.json_lines import LineReader
from tollway.dialects.translate.pieces import (
    Begun,
    Ended,
    Piece,
    TextPiece,
    ThinkingPiece,
    ToolBegun,
    ToolPiece,
)
from tollway.dialects.translate.shapes import arguments_text, objects_of, text_of
from tollway.dialects.translate.talk import Answer, Stop
from tollway.dialects.usage_ollama import read_ollama_usage

STOPS = {"stop": Stop.END, "length": Stop.LENGTH}
_NOT_IN_IDS = re.compile(r"[^A-Za-z0-9_-]")
_ID_CHARS = 32  # of what tells an answer from others within a call's id: vendors allow 40 and more


class OllamaPieces(PartByPart, LineReader):
    """One stream."""

    def __init__(self) -> None:
        super().__init__()
        self._begun = False
        self._made_at = ""
        self._called = False

    def whole(self, value: dict[str, Any]) -> list[Piece]:
        """The pieces of an answer that came at once; without `Ended` it is none."""
        return self._read(b"", value)

    def _read(self, name: bytes, event: dict[str, Any]) -> list[Piece]:
        if event.get("error"):
            return [self._fault(event)]
        if not (event.get("message") or event.get("done")):
            return []
        pieces: list[Piece] = []
        if not self._begun:
            self._begun = True
            self._made_at = _NOT_IN_IDS.sub("", text_of(event, "created_at"))[:_ID_CHARS]
            pieces.append(Begun())
        message = details_of(event, "message")
        pieces += self._words("thinking", text_of(message, "thinking"))
        pieces += self._words("text", text_of(message, "content"))
        for call in objects_of(message.get("tool_calls")):
            pieces += self._call(call)
        if event.get("done") is True:
            pieces += self._last(event)
        return pieces

    def _finish(self) -> list[Piece]:
        return []  # who has not said that it is done is cut

    def _last(self, event: dict[str, Any]) -> list[Piece]:
        self._over = True
        stop = STOPS.get(text_of(event, "done_reason"), Stop.END)
        if self._called and stop is Stop.END:
            stop = Stop.TOOL
        return [*self._close(), Ended(stop, read_ollama_usage(event))]

    def _words(self, kind: str, text: str) -> list[Piece]:
        if not text:
            return []
        pieces = self._turn_to(kind)
        part = self._parts - 1
        pieces.append(TextPiece(part, text) if kind == "text" else ThinkingPiece(part, text))
        return pieces

    def _call(self, call: dict[str, Any]) -> list[Piece]:
        function = details_of(call, "function")
        if not function:
            return []
        self._called = True
        pieces = self._turn_to("call")
        number = self._parts - 1
        id_ = text_of(call, "id") or self._made_id(number)
        arguments = arguments_text(function.get("arguments"))
        pieces += [ToolBegun(number, id_, text_of(function, "name")), ToolPiece(number, arguments)]
        return [*pieces, *self._close()]

    def _made_id(self, number: int) -> str:
        return f"call_{self._made_at}_{number}" if self._made_at else f"call_{number}"


def answer_of(value: dict[str, Any]) -> Answer | None:
    """A whole answer; None for what is none."""
    return folded(OllamaPieces().whole(value))
