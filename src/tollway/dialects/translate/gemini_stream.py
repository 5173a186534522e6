"""Gemini's answers as pieces, streamed or whole: both are the same objects, so that both are judged
here once. A stream has no last word; it is whole when a reason for its end was given.

Calls come whole, with an id or without one. A signature hangs on a call or on words: it goes out on
the thought before them, or as one without words, so that every dialect with thoughts carries it
back. Source: Google's GenerateContentResponse and its pages on thought signatures.
"""

import re
from typing import Any

from tollway.dialects.counts import details_of
from tollway.dialects.event_stream import StreamError
from tollway.dialects.translate.events import EventReader, PartByPart
from tollway.dialects.translate.folding import folded
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
from tollway.dialects.translate.talk import (
    GEMINI_SIGNED,
    Answer,
    Stop,
)
from tollway.dialects.usage_gemini import read_gemini_usage

STOPS = {
    "STOP": Stop.END,
    "MAX_TOKENS": Stop.LENGTH,
    "CONTINUATION": Stop.LENGTH,
    **dict.fromkeys(
        (
            "SAFETY", "RECITATION", "LANGUAGE", "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII",
            "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION", "IMAGE_OTHER",
            "ESCALATION", "PUP_LIMITED_DISABLED", "MODEL_ARMOR",
        ),
        Stop.FILTER,
    ),
}  # fmt: skip
# The model failed at its answer: what there is of it would pass for one.
_BROKEN = frozenset(
    {
        "MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS",
        "MISSING_THOUGHT_SIGNATURE", "MALFORMED_RESPONSE",
    }
)  # fmt: skip
_SAYS_SOMETHING = ("candidates", "promptFeedback", "usageMetadata")
_NOT_IN_IDS = re.compile(r"[^A-Za-z0-9_-]")
_ID_CHARS = 32  # of an answer's id within a call's: vendors allow 40 and more


class GeminiPieces(PartByPart, EventReader):
    """One stream; of several candidates the first."""

    def __init__(self) -> None:
        super().__init__()
        self._id = ""
        self._begun = False
        self._stop: Stop | None = None
        self._called = False

    def whole(self, value: dict[str, Any]) -> list[Piece]:
        """The pieces of an answer that came at once; without `Ended` it is none."""
        pieces = self._read(b"", value)
        if self._stop is None and len(pieces) > 1:
            self._stop = Stop.END
        return pieces if self._over else [*pieces, *self._finish()]

    def _read(self, name: bytes, event: dict[str, Any]) -> list[Piece]:
        if event.get("error"):
            return [self._fault(event)]
        if not any(event.get(name) for name in _SAYS_SOMETHING):
            return []
        self.usage = read_gemini_usage(event.get("usageMetadata")) or self.usage
        pieces = self._begin(event)
        if text_of(details_of(event, "promptFeedback"), "blockReason"):
            self._stop = Stop.FILTER
        candidates = objects_of(event.get("candidates"))
        candidate = next((one for one in candidates if not one.get("index")), None)
        if candidate is None:
            return pieces
        for part in objects_of(details_of(candidate, "content").get("parts")):
            pieces += self._part(part)
        reason = text_of(candidate, "finishReason")
        if reason in _BROKEN:
            message = f"The model broke off its answer ({reason})."
            return [*pieces, self._failed(StreamError(None, message, reason.lower()))]
        if reason:
            self._stop = STOPS.get(reason, Stop.END)
        return pieces

    def _finish(self) -> list[Piece]:
        if self._stop is None:
            return []
        self._over = True
        stop = Stop.TOOL if self._called and self._stop is Stop.END else self._stop
        return [*self._close(), Ended(stop, self.usage)]

    def _begin(self, event: dict[str, Any]) -> list[Piece]:
        if self._begun:
            return []
        self._begun = True
        self._id = text_of(event, "responseId")
        known = self.usage
        if known is not None:
            known = known._replace(output=None, reasoning=None, image=None)
        return [Begun(self._id, known)]

    def _part(self, part: dict[str, Any]) -> list[Piece]:
        signature, text = text_of(part, "thoughtSignature"), text_of(part, "text")
        call = part.get("functionCall")
        if isinstance(call, dict):
            return self._call(call, signature)
        pieces: list[Piece] = []
        if part.get("thought") is True:
            if text:
                pieces += [*self._turn_to("thinking"), ThinkingPiece(self._parts - 1, text)]
            return [*pieces, *self._sign(signature)]
        if self._is_open("thinking"):
            pieces += self._sign(signature)  # of words alone Gemini does not ask for it
        if text:
            pieces += [*self._turn_to("text"), TextPiece(self._parts - 1, text)]
        return pieces

    def _call(self, call: dict[str, Any], signature: str) -> list[Piece]:
        self._called = True
        pieces = [*self._sign(signature), *self._turn_to("call")]
        number = self._parts - 1
        id_, name = text_of(call, "id") or self._made_id(number), text_of(call, "name")
        arguments = arguments_text(call.get("args"))
        pieces += [ToolBegun(number, id_, name, signature), ToolPiece(number, arguments)]
        return [*pieces, *self._close()]

    def _made_id(self, number: int) -> str:
        """The same for the same answer, and another one in every answer: clients and other
        providers want ids of a conversation to differ."""
        answer = _NOT_IN_IDS.sub("", self._id)[:_ID_CHARS]
        return f"call_{answer}_{number}" if answer else f"call_{number}"

    def _sign(self, signature: str) -> list[Piece]:
        """The thought that is told, or one without words, gets this signature, and ends."""
        if not signature:
            return []
        pieces = self._turn_to("thinking")
        pieces.append(ThinkingPiece(self._parts - 1, signature=GEMINI_SIGNED + signature))
        return [*pieces, *self._close()]


def answer_of(value: dict[str, Any]) -> Answer | None:
    """A whole answer; None for what is none."""
    return folded(GeminiPieces().whole(value))
