"""What a streamed answer brings, whichever dialect streams it: the values between a provider's
reader and a client's writer. `part` numbers the answer's parts from 0, in the order they begin; a
part's pieces may mix with those of others only where a dialect runs several tools at once.
"""

from typing import NamedTuple

from tollway.dialects.stream import StreamError
from tollway.dialects.translate.talk import Stop
from tollway.domain.usage import Usage

# Of one answer: no model comes near it, and what each leaves behind stays small.
MAX_PARTS = 4096
TOO_MANY_PARTS = StreamError(None, "The provider's answer has too many parts.", None)


class Begun(NamedTuple):
    """The first piece, once. `usage` holds what is known of the input, if anything is."""

    id: str = ""
    usage: Usage | None = None


class TextPiece(NamedTuple):
    """More words. The first one of a part begins it."""

    part: int
    text: str


class ThinkingPiece(NamedTuple):
    """More thoughts; or the signature of those that were told (then `text` may be empty); or sealed
    ones."""

    part: int
    text: str = ""
    signature: str = ""
    sealed: str = ""


class RefusalPiece(NamedTuple):
    """More of the model's words of why it does not answer."""

    part: int
    text: str


class ToolBegun(NamedTuple):
    """A call begins: its arguments follow."""

    part: int
    id: str
    name: str
    signature: str = ""


class ToolPiece(NamedTuple):
    """More of a call's arguments: JSON text, cut anywhere."""

    part: int
    arguments: str


class PartEnded(NamedTuple):
    """A part is whole. Each that began ends before `Ended`."""

    part: int


class Ended(NamedTuple):
    """The last piece of a whole answer, once. `usage` is all of it."""

    stop: Stop
    usage: Usage | None = None
    stop_sequence: str = ""


class Failed(NamedTuple):
    """The last piece of one that broke: what the provider said inside its 200."""

    error: StreamError


Piece = (
    Begun
    | TextPiece
    | ThinkingPiece
    | RefusalPiece
    | ToolBegun
    | ToolPiece
    | PartEnded
    | Ended
    | Failed
)
