"""The pieces of an answer put together again, for dialects whose whole answers and streams are the
same objects: both are read by one reader.
"""

from collections.abc import Sequence

from tollway.dialects.translate.pieces import (
    Begun,
    Ended,
    Piece,
    TextPiece,
    ThinkingPiece,
    ToolBegun,
    ToolPiece,
)
from tollway.dialects.translate.talk import Answer, Part, Text, Thinking, ToolUse


def folded(pieces: Sequence[Piece]) -> Answer | None:
    """The whole answer; None for pieces that do not end in `Ended`."""
    if not pieces or not isinstance(pieces[-1], Ended):
        return None
    first, last = pieces[0], pieces[-1]
    id_ = first.id if isinstance(first, Begun) else ""
    return Answer(_parts(pieces), last.stop, last.usage, id_)


def _parts(pieces: Sequence[Piece]) -> tuple[Part, ...]:
    """A part is of one kind; its pieces are put together once, however many they are."""
    parts: dict[int, Part] = {}
    words: dict[int, list[TextPiece | ThinkingPiece]] = {}
    for piece in pieces:
        if isinstance(piece, TextPiece | ThinkingPiece):
            parts.setdefault(piece.part, Text(""))
            words.setdefault(piece.part, []).append(piece)
        elif isinstance(piece, ToolBegun):
            parts[piece.part] = ToolUse(piece.id, piece.name, "", piece.signature)
        elif isinstance(piece, ToolPiece):
            call = parts[piece.part]
            assert isinstance(call, ToolUse), "it has begun"
            parts[piece.part] = call._replace(arguments=piece.arguments)
    for number, said in words.items():
        text = "".join([piece.text for piece in said])
        thoughts = [piece.signature for piece in said if isinstance(piece, ThinkingPiece)]
        parts[number] = Thinking(text, "".join(thoughts)) if thoughts else Text(text)
    return tuple(parts.values())
