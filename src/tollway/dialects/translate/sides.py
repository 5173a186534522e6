"""Who takes part in a translation: a client's side reads its requests and writes its answers, a
provider's writes requests and reads answers. Any client's side goes with any provider's, so a new
dialect is one file and not one for each other (decision 16).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from tollway.dialects.ask import Ask, Heading
from tollway.dialects.translate.pieces import Piece
from tollway.dialects.translate.talk import Answer, Talk, Written
from tollway.domain.refusal import BadRequest
from tollway.domain.usage import Usage


class PieceReader(Protocol):
    """Reads one provider's stream: any cut of the same bytes gives the same pieces. After `Ended`
    or `Failed` nothing more comes. One malformed event among good ones is skipped and counted; two
    in a row are `Failed`, and so is one over `sse.MAX_EVENT_BYTES`."""

    malformed: int
    usage: Usage | None  # what the provider has counted of the whole answer by now, if it has
    counted: int  # how many pieces came before it said so

    def feed(self, data: bytes) -> list[Piece]:
        """What these bytes bring."""

    def end(self) -> list[Piece]:
        """The body is complete: what was held back, and `Ended` if the answer is whole without a
        last word of its own. Without `Ended` or `Failed` in all, the stream was cut."""


class PieceWriter(Protocol):
    """Writes one client's stream. Bytes are whole events."""

    def write(self, pieces: Sequence[Piece]) -> bytes:
        """The events that say this. `Failed` is written by nobody: the relay tells the client."""


@dataclass(frozen=True, slots=True)
class ClientSide:
    """A dialect that clients speak. `read` refuses with the client's own field name what it cannot
    understand; `fields` names features as this dialect does. `ignored` are top-level fields that
    mean nothing to another provider and are left out without a word; any other that is not read is
    left out with a warning."""

    read: Callable[[Ask], Talk | BadRequest]
    fields: dict[str, str]
    ignored: frozenset[str]
    known: frozenset[str]  # top-level fields that `read` reads
    write_answer: Callable[[Answer, Heading], bytes]
    writer: Callable[[Heading], PieceWriter]


@dataclass(frozen=True, slots=True)
class ProviderSide:
    """A dialect that providers speak. `write` takes the provider's model name and may raise
    `CannotCarryError`; `path` gives what is joined to the provider's base URL, by model name and
    whether it streams; `read_answer` gives None for what is no answer."""

    write: Callable[[Talk, str], Written]
    path: Callable[[str, bool], str]
    read_answer: Callable[[bytes], Answer | None]
    reader: Callable[[], PieceReader]
    stream_type: bytes = b"text/event-stream"
