"""Answers as clients of OpenAI's Responses read them: whole, or as typed events that build one item
after the other and end with the whole object.
"""

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
from tollway.dialects.translate.responses_items import (
    item_of,
    offered,
    response_of,
)
from tollway.dialects.translate.shapes import encode
from tollway.dialects.translate.talk import (
    Answer,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolUse,
)


def write_answer(answer: Answer, heading: Heading) -> bytes:
    """A response object."""
    tools = offered(heading.fields)
    parts = [part for part in answer.parts if isinstance(part, Text | Refusal | Thinking | ToolUse)]
    output = [item_of(part, heading, number, tools=tools) for number, part in enumerate(parts)]
    return encode(response_of(heading, output, stop=answer.stop, usage=answer.usage))


class _Open:
    """An item that is not whole: its place, and what is known of it. Words are gathered, for they
    come in so many pieces that copying them at each would take hours. As UTF-8: a list of them
    would take many times their bytes."""

    __slots__ = ("begun", "place", "seal", "signature", "words")

    def __init__(self, place: int, begun: Part) -> None:
        self.place = place
        self.begun = begun
        self.words, self.signature, self.seal = bytearray(), bytearray(), bytearray()

    def add(self, words: str) -> None:
        """More of a text, a thought or a call's arguments."""
        self.words += words.encode()

    def whole(self) -> Part:
        """The part, with all its words."""
        words, begun = self.words.decode(), self.begun
        if isinstance(begun, Thinking):
            return Thinking(words, self.signature.decode(), self.seal.decode())
        if isinstance(begun, ToolUse):
            return begun._replace(arguments=words)
        assert isinstance(begun, Text | Refusal), "nothing else is ever opened"
        return begun._replace(text=words)


class ResponseEvents:
    """A `PieceWriter`."""

    def __init__(self, heading: Heading) -> None:
        self._heading = heading
        self._tools = offered(heading.fields)
        self._sequence = 0
        self._begun = False
        self._open: dict[int, _Open] = {}  # by part
        self._items: dict[int, dict[str, Any]] = {}  # whole ones, by place

    def write(self, pieces: Sequence[Piece]) -> bytes:
        """The events that say this."""
        return b"".join([self._say(piece) for piece in pieces])

    def _say(self, piece: Piece) -> bytes:
        if isinstance(piece, Failed):
            return b""
        said = self._begin()
        if isinstance(piece, Begun):
            return said
        if isinstance(piece, Ended):
            return said + self._end(piece)
        if isinstance(piece, PartEnded):
            return said + self._close(piece.part)
        if isinstance(piece, TextPiece):
            return said + self._grow(piece.part, Text(""), piece.text)
        if isinstance(piece, RefusalPiece):
            return said + self._grow(piece.part, Refusal(""), piece.text)
        if isinstance(piece, ThinkingPiece):
            return said + self._think(piece)
        if isinstance(piece, ToolBegun):
            return said + self._add(piece.part, ToolUse(piece.id, piece.name, ""))
        return said + self._call(piece)

    def _begin(self) -> bytes:
        if self._begun:
            return b""
        self._begun = True
        response = response_of(self._heading, [])
        return self._event("created", response=response) + self._event(
            "in_progress", response=response
        )

    def _end(self, piece: Ended) -> bytes:
        said = b"".join([self._close(part) for part in sorted(self._open)])
        output = [self._items[place] for place in sorted(self._items)]
        response = response_of(self._heading, output, stop=piece.stop, usage=piece.usage)
        return said + self._event(response["status"], response=response)

    def _add(self, part: int, begun: Part) -> bytes:
        """An item begins."""
        if part in self._open:
            return b""
        place = len(self._open) + len(self._items)
        self._open[part] = _Open(place, begun)
        item = item_of(begun, self._heading, place, tools=self._tools)
        if item["type"] != "reasoning":
            item["status"] = "in_progress"
        content = item.get("content")
        if content is None:
            if item["type"] == "function_call":
                item["arguments"] = ""
            return self._event("output_item.added", output_index=place, item=item)
        item["content"] = []
        return self._event("output_item.added", output_index=place, item=item) + self._event(
            "content_part.added",
            item_id=item["id"],
            output_index=place,
            content_index=0,
            part=content[0],
        )

    def _grow(self, part: int, begun: Text | Refusal, more: str) -> bytes:
        """More words, or more of why there are none."""
        said = self._add(part, begun)
        item = self._open[part]
        place, known = item.place, item.begun
        if not isinstance(known, Text | Refusal):
            return said
        item.add(more)
        kind = "output_text.delta" if isinstance(known, Text) else "refusal.delta"
        logprobs: dict[str, Any] = {"logprobs": []} if isinstance(known, Text) else {}
        return said + self._of_part(kind, place, known, delta=more, **logprobs)

    def _think(self, piece: ThinkingPiece) -> bytes:
        said = self._add(piece.part, Thinking(""))
        item = self._open[piece.part]
        place, known = item.place, item.begun
        if not isinstance(known, Thinking):
            return said
        first = not item.words
        item.add(piece.text)
        item.signature += piece.signature.encode()
        item.seal += piece.sealed.encode()
        if not piece.text:
            return said
        if first:
            empty = {"type": "summary_text", "text": ""}
            said += self._of_summary("part.added", place, known, part=empty)
        return said + self._of_summary("text.delta", place, known, delta=piece.text)

    def _call(self, piece: ToolPiece) -> bytes:
        open_ = self._open.get(piece.part)
        if open_ is None or not isinstance(open_.begun, ToolUse):
            return b""
        place, known = open_.place, open_.begun
        open_.add(piece.arguments)
        if known.name in self._tools.free:
            return b""  # the text inside is told when it is whole
        item = item_of(known, self._heading, place, tools=self._tools)
        return self._event(
            "function_call_arguments.delta",
            item_id=item["id"],
            output_index=place,
            delta=piece.arguments,
        )

    def _close(self, part: int) -> bytes:
        """An item is whole."""
        if part not in self._open:
            return b""
        open_ = self._open.pop(part)
        place, known = open_.place, open_.whole()
        item = self._items[place] = item_of(known, self._heading, place, tools=self._tools)
        # In this order: each event takes the next number as it is made.
        return self._ended(place, known, item) + self._event(
            "output_item.done", output_index=place, item=item
        )

    def _ended(self, place: int, known: Part, item: dict[str, Any]) -> bytes:
        if isinstance(known, ToolUse):
            return self._called(place, item)
        if isinstance(known, Thinking):
            return self._thought(place, known) if known.text else b""
        if isinstance(known, Text):
            said = self._of_part("output_text.done", place, known, text=known.text, logprobs=[])
        else:
            assert isinstance(known, Refusal), "nothing else is ever opened"
            said = self._of_part("refusal.done", place, known, refusal=known.text)
        return said + self._of_part("content_part.done", place, known, part=item["content"][0])

    def _called(self, place: int, item: dict[str, Any]) -> bytes:
        at = {"item_id": item["id"], "output_index": place}
        if item["type"] == "function_call":
            name, arguments = item["name"], item["arguments"]
            return self._event("function_call_arguments.done", **at, name=name, arguments=arguments)
        text = item["input"]
        return self._event("custom_tool_call_input.delta", **at, delta=text) + self._event(
            "custom_tool_call_input.done", **at, input=text
        )

    def _thought(self, place: int, known: Thinking) -> bytes:
        whole = {"type": "summary_text", "text": known.text}
        return self._of_summary("text.done", place, known, text=known.text) + self._of_summary(
            "part.done", place, known, part=whole
        )

    def _of_part(self, kind: str, place: int, known: Part, **fields: Any) -> bytes:
        id_ = item_of(known, self._heading, place, tools=self._tools)["id"]
        return self._event(kind, item_id=id_, output_index=place, content_index=0, **fields)

    def _of_summary(self, kind: str, place: int, known: Thinking, **fields: Any) -> bytes:
        id_ = item_of(known, self._heading, place, tools=self._tools)["id"]
        return self._event(
            f"reasoning_summary_{kind}", item_id=id_, output_index=place, summary_index=0, **fields
        )

    def _event(self, kind: str, **fields: Any) -> bytes:
        name = f"response.{kind}"
        body = {"type": name, "sequence_number": self._sequence, **fields}
        self._sequence += 1
        return b"event: %b\ndata: %b\n\n" % (name.encode(), encode(body))
