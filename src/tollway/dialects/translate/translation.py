"""A client's side and a provider's put together: a carrier for requests whose provider speaks
another dialect. What neither side knows is decided here: which fields are left out and told of, and
what counts as content.
"""

from dataclasses import dataclass

from tollway.dialects.ask import Ask, Heading, Keeping, Rewrite
from tollway.dialects.carrier import Rendered
from tollway.dialects.reply import Reply, read_error
from tollway.dialects.stream import StreamError
from tollway.dialects.translate.pieces import (
    Begun,
    Ended,
    Failed,
    Piece,
    RefusalPiece,
    TextPiece,
    ThinkingPiece,
    ToolBegun,
    ToolPiece,
)
from tollway.dialects.translate.sides import ClientSide, PieceWriter, ProviderSide
from tollway.dialects.translate.talk import (
    Answer,
    CannotCarryError,
    Refusal,
    Talk,
    Text,
    Thinking,
    ToolUse,
)
from tollway.domain.estimate import needs_size
from tollway.domain.refusal import BadRequest
from tollway.domain.usage import Usage

_MAX_TOLD = 16  # fields named in a warning
# Of a streamed answer: some clients are told all of it again at its end, so it is held. A whole one
# may be as large (`GatewayOptions.reply_bytes`).
_MOST_CHARS = 8 * 1024 * 1024
_PIECE_CHARS = 8  # that each piece counts for, so that empty ones come to an end too
_TOO_LARGE = StreamError(
    None, "The provider's answer is larger than 8 MiB, which is the most that is held here.", None
)


@dataclass(frozen=True, slots=True)
class Translation:
    """One client's dialect to one provider's. Nothing is kept between calls."""

    client: ClientSide
    provider: ProviderSide
    same: bool = False
    whole_too: bool = False

    @property
    def stream_type(self) -> bytes:
        """What the provider's stream calls itself."""
        return self.provider.stream_type

    def render(self, ask: Ask, rewrite: Rewrite) -> Rendered | BadRequest:
        """The request in the provider's dialect, or the client's field that it has no words for."""
        if ask.keeping is not None:
            return _keeps_nothing(_named(ask.keeping))
        talk = self.client.read(ask)
        if isinstance(talk, BadRequest):
            return talk
        talk = _rewritten(talk, ask, rewrite)
        try:
            written = self.provider.write(talk, rewrite.model)
        except CannotCarryError as error:
            return self._cannot(error)
        unread = (
            name
            for name, raw in ask.fields.items()
            if name not in self.client.known and name not in self.client.ignored
            if bytes(raw) != b"null"
        )
        hints = (self._name(feature) for feature in written.dropped)
        dropped = (*talk.left_out, *hints, *unread)
        return Rendered(
            self.provider.path(rewrite.model, ask.stream), written.body, dropped[:_MAX_TOLD]
        )

    def stream_reader(self, heading: Heading) -> "TranslatingReader":
        """Events are written anew in the client's dialect."""
        return TranslatingReader(self.provider, self.client.writer(heading))

    def read_reply(self, body: bytes, heading: Heading) -> Reply:
        """The answer in the client's dialect, as `Reply.body`."""
        answer = self.provider.read_answer(body)
        if answer is None:
            return read_error(body)
        told = self.client.write_answer(answer, heading)
        size = _written_bytes(answer) if needs_size(answer.usage, len(body)) else 0
        return Reply(True, answer.usage, size, None, None, told)

    def _cannot(self, error: CannotCarryError) -> BadRequest:
        field = self._name(error.feature)
        why = f" {error.why}" if error.why else ""
        return BadRequest(
            f"'{field}' cannot be carried to the provider behind this model.{why} Leave it out, or "
            "take a model whose provider knows it.",
            "unsupported_parameter",
            field,
        )

    def _name(self, feature: str) -> str:
        return self.client.fields.get(feature, feature)


def _named(keeping: Keeping) -> str:
    if keeping.background:
        return "background"
    return "store" if keeping.store else "previous_response_id"


def _keeps_nothing(field: str) -> BadRequest:
    return BadRequest(
        f"'{field}' cannot be carried to the provider behind this model: it keeps no responses. "
        "Leave it out, and send the whole conversation as 'input'.",
        "unsupported_parameter",
        field,
    )


class TranslatingReader:
    """An `EventReader` over a provider's pieces."""

    __slots__ = (
        "_chars",
        "_given",
        "_reader",
        "_writer",
        "began",
        "content_bytes",
        "counted",
        "done",
        "error",
        "events",
        "input_usage",
        "overflow",
        "read",
        "usage",
    )

    def __init__(self, provider: ProviderSide, writer: PieceWriter) -> None:
        self._reader = provider.reader()
        self._writer = writer
        self._chars = 0
        self._given = 0  # pieces
        self.done = False
        self.began = False
        self.read = 0
        self.events = 0
        self.content_bytes = 0
        self.usage: Usage | None = None
        self.counted = (0, 0)
        self.input_usage: Usage | None = None
        self.error: StreamError | None = None
        self.overflow = False  # the provider's side says it as an error

    @property
    def malformed(self) -> int:
        """Events that were skipped."""
        return self._reader.malformed

    @property
    def finished(self) -> bool:
        """The provider has said that the answer is whole."""
        return self.done

    def feed(self, data: bytes) -> bytes:
        """The client's events that these bytes of the provider's bring."""
        if self.done or self.error is not None:
            return b""
        pieces = self._reader.feed(data)
        self.usage = self._reader.usage
        return self._write(pieces)

    def end(self) -> bytes:
        """Those that were held back."""
        if self.done or self.error is not None:
            return b""
        pieces = self._reader.end()
        self.usage = self._reader.usage
        return self._write(pieces)

    def _write(self, pieces: list[Piece]) -> bytes:
        self._note_counted()
        if not pieces:
            return b""
        for number, piece in enumerate(pieces):
            self._count(piece)
            self._given += 1
            self._note_counted()
            if self.error is not None:
                pieces = pieces[:number]
                break
        self.began = self.began or self.error is None
        self.read += 1
        if self.error is not None and not self.began:
            return b""  # the client can still have a real status
        return self._writer.write(pieces)

    def _note_counted(self) -> None:
        """Usage is told between two pieces, or after the last."""
        if self._given == self._reader.counted:
            self.counted = self.events, self.content_bytes

    def _count(self, piece: Piece) -> None:
        if isinstance(piece, Failed):
            self.error = piece.error
        elif isinstance(piece, Ended):
            self.done = True
            self.usage = piece.usage or self.usage
        elif isinstance(piece, Begun):
            self.input_usage = piece.usage
        else:
            size = _piece_bytes(piece)
            if size:
                self.events += 1
                self.content_bytes += size
            self._chars += _PIECE_CHARS + sum([len(one) for one in piece if type(one) is str])
            if self._chars > _MOST_CHARS:
                self.error = _TOO_LARGE


def _rewritten(talk: Talk, ask: Ask, rewrite: Rewrite) -> Talk:
    """The same rewrites that a request of the same dialect gets."""
    ceiling, wanted = rewrite.output_ceiling, talk.max_output
    if ceiling is not None:
        wanted = ceiling if wanted is None else min(wanted, ceiling)
    end_user = talk.end_user
    if end_user:
        end_user = "" if rewrite.namespace is None else rewrite.namespace(end_user)
    return talk._replace(max_output=wanted, end_user=end_user, stream=ask.stream)


def _piece_bytes(piece: Piece) -> int:
    if isinstance(piece, TextPiece | RefusalPiece | ThinkingPiece):
        return _size(piece.text)
    if isinstance(piece, ToolPiece):
        return _size(piece.arguments)
    return _size(piece.name) if isinstance(piece, ToolBegun) else 0


def _written_bytes(answer: Answer) -> int:
    size = 0
    for part in answer.parts:
        if isinstance(part, Text | Thinking | Refusal):
            size += _size(part.text)
        elif isinstance(part, ToolUse):
            size += _size(part.name) + _size(part.arguments)
    return size


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())
