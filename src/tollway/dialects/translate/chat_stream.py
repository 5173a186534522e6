"""A stream of chat completion chunks as pieces. Servers differ in what they leave out: ids and
indexes of calls, the last `[DONE]`, usage in a chunk of its own or beside the last choice.
"""

from collections.abc import Mapping
from typing import Any

from tollway.dialects.translate.events import EventReader
from tollway.dialects.translate.pieces import (
    Begun,
    Ended,
    PartEnded,
    Piece,
    RefusalPiece,
    TextPiece,
    ThinkingPiece,
    ToolBegun,
    ToolPiece,
)
from tollway.dialects.translate.shapes import objects_of, text_of
from tollway.dialects.translate.talk import Stop
from tollway.dialects.usage import read_usage


class ChatPieces(EventReader):
    """One stream; of several choices the first."""

    def __init__(self, stops: Mapping[str, Stop]) -> None:
        super().__init__()
        self._stops = stops
        self._begun = False
        # Never both hold something: calls run side by side, anything else ends what was before it.
        self._open: dict[str, int] = {}  # kind -> part
        self._calls: dict[str, int] = {}  # a call's place -> part
        self._stop: Stop | None = None
        self._called = False

    def _read(self, name: bytes, event: dict[str, Any]) -> list[Piece]:
        choices = event.get("choices")
        if event.get("error") or (name == b"error" and not choices):
            return [self._fault(event)]
        pieces: list[Piece] = []
        self.usage = read_usage(event.get("usage")) or self.usage
        if not self._begun:
            if not choices and self.usage is None:
                return []  # it says nothing, so another target may still be asked
            self._begun = True
            pieces.append(Begun(text_of(event, "id")))
        choice = next((one for one in objects_of(choices) if not one.get("index")), None)
        if choice is None:
            return pieces
        delta = choice.get("delta")
        if isinstance(delta, dict):
            pieces += self._delta(delta)
        reason = choice.get("finish_reason")
        if isinstance(reason, str):
            self._stop = self._stops.get(reason, Stop.END)
            pieces += self._close()
        return pieces

    def _finish(self) -> list[Piece]:
        """Without a reason for its end, only a last word makes an answer whole."""
        if not self._begun or (self._stop is None and not self._over):
            return []
        self._over = True
        stop = self._stop or Stop.END
        if self._called and stop is Stop.END:
            stop = Stop.TOOL
        return [*self._close(), Ended(stop, self.usage)]

    def _delta(self, delta: dict[str, Any]) -> list[Piece]:
        pieces: list[Piece] = []
        thought = text_of(delta, "reasoning_content") or text_of(delta, "reasoning")
        if thought:
            pieces += self._turn_to("thinking")
            pieces.append(ThinkingPiece(self._open["thinking"], thought))
        if text_of(delta, "content"):
            pieces += self._turn_to("text")
            pieces.append(TextPiece(self._open["text"], text_of(delta, "content")))
        if text_of(delta, "refusal"):
            pieces += self._turn_to("refusal")
            pieces.append(RefusalPiece(self._open["refusal"], text_of(delta, "refusal")))
        for call in objects_of(delta.get("tool_calls")):
            pieces += self._call(call)
        return pieces

    def _call(self, call: dict[str, Any]) -> list[Piece]:
        function = call.get("function")
        if not isinstance(function, dict):
            return []
        self._called = True
        index, id_ = call.get("index"), text_of(call, "id")
        place = f"at {index}" if type(index) is int else self._unplaced(id_)
        pieces: list[Piece] = []
        if place not in self._calls:
            pieces += [PartEnded(part) for part in self._open.values()]
            self._open.clear()
            number = self._calls[place] = self._parts
            self._parts += 1
            pieces.append(ToolBegun(number, id_ or f"call_{number}", text_of(function, "name")))
        if text_of(function, "arguments"):
            pieces.append(ToolPiece(self._calls[place], text_of(function, "arguments")))
        return pieces

    def _unplaced(self, id_: str) -> str:
        """Without an index, another id is another call."""
        return f"id {id_}" if id_ else next(reversed(self._calls), "")

    def _turn_to(self, kind: str) -> list[Piece]:
        """This kind of part goes on; others end."""
        if kind in self._open:
            return []
        pieces = self._close()
        self._open[kind] = self._parts
        self._parts += 1
        return pieces

    def _close(self) -> list[Piece]:
        ended = [*self._open.values(), *self._calls.values()]
        pieces: list[Piece] = [PartEnded(part) for part in ended]
        self._open.clear()
        self._calls.clear()
        return pieces
