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
    parts: dict[int, Part] = {}
    for piece in pieces:
        if isinstance(piece, TextPiece):
            known = parts.get(piece.part, Text(""))
            assert isinstance(known, Text), "a part is of one kind"
            parts[piece.part] = Text(known.text + piece.text)
        elif isinstance(piece, ThinkingPiece):
            thought = parts.get(piece.part, Thinking(""))
            assert isinstance(thought, Thinking), "a part is of one kind"
            told, signature = thought.text + piece.text, thought.signature + piece.signature
            parts[piece.part] = Thinking(told, signature)
        elif isinstance(piece, ToolBegun):
            parts[piece.part] = ToolUse(piece.id, piece.name, "", piece.signature)
        elif isinstance(piece, ToolPiece):
            call = parts[piece.part]
            assert isinstance(call, ToolUse), "a part is of one kind"
            parts[piece.part] = call._replace(arguments=piece.arguments)
    return tuple(parts.values())
