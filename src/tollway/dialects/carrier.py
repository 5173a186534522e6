"""How an endpoint's requests reach a provider: unchanged where it speaks the same dialect, else
through `translate`. Which of them serves whom is `registry.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from tollway.dialects.ask import Ask, Heading, Rewrite
from tollway.dialects.multipart import form_type
from tollway.dialects.reading import EventReader
from tollway.dialects.reply import Reply, read_text
from tollway.domain.refusal import BadRequest

EVENT_STREAM = b"text/event-stream"
JSON_LINES = b"application/x-ndjson"
SOUND = b"audio/"
_TEXT_FORMATS = frozenset({b'"text"', b'"srt"', b'"vtt"'})
Headers = tuple[tuple[bytes, bytes], ...]


class Rendered(NamedTuple):
    """A request as a provider gets it. `path` is joined to its base URL. `dropped` are fields of
    the client's that this provider has no words for. `headers` name the types of body and answer
    where those are not JSON's and that of events. `method`: of HTTP."""

    path: str
    body: bytes
    dropped: tuple[str, ...] = ()
    headers: Headers | None = None
    method: str = "POST"


class Carrier(Protocol):
    """One way. Where the dialects are the same, headers that belong to them go along, and bytes
    pass unchanged."""

    @property
    def same(self) -> bool:
        """Whether the dialects are."""

    @property
    def stream_type(self) -> bytes:
        """What a stream calls itself, or how that begins."""

    @property
    def whole_too(self) -> bool:
        """Whether some that were asked for a stream answer at once, and that is an answer."""

    def render(self, ask: Ask, rewrite: Rewrite) -> Rendered | BadRequest:
        """The request, or what in it cannot be carried."""

    def stream_reader(self, heading: Heading) -> EventReader:
        """For one streamed answer."""

    def read_reply(self, body: bytes, heading: Heading) -> Reply:
        """A whole answer with a status that says yes."""


@dataclass(frozen=True, slots=True)
class Passing:
    """The provider speaks the client's dialect."""

    path: str
    write: Callable[[Ask, Rewrite], bytes]
    make_reader: Callable[[bool], EventReader] | None
    read: Callable[[bytes], Reply]
    same: bool = True
    stream_type: bytes = EVENT_STREAM
    headers: Headers | None = None
    whole_too: bool = False
    left_out: Callable[[Ask], tuple[str, ...]] | None = None

    def render(self, ask: Ask, rewrite: Rewrite) -> Rendered:
        """The same request, but for what `Rewrite` lists and what is left out."""
        dropped = () if self.left_out is None else self.left_out(ask)
        return Rendered(self.path, self.write(ask, rewrite), dropped, self.headers)

    def stream_reader(self, heading: Heading) -> EventReader:
        """Events keep their bytes."""
        assert self.make_reader is not None, "an endpoint that cannot stream was asked to"
        return self.make_reader(heading.wants_usage)

    def read_reply(self, body: bytes, heading: Heading) -> Reply:
        """Read, and not changed."""
        return self.read(body)


@dataclass(frozen=True, slots=True)
class Uploading(Passing):
    """The same, of a form. Its answer is text where that was asked for."""

    def render(self, ask: Ask, rewrite: Rewrite) -> Rendered:
        """The same form, but for what `Rewrite` lists."""
        assert ask.upload is not None, "a form was parsed"
        kind = form_type(ask.upload.boundary)
        headers = ((b"content-type", kind), (b"accept", b"*/*"))
        return Rendered(self.path, self.write(ask, rewrite), (), headers)

    def read_reply(self, body: bytes, heading: Heading) -> Reply:
        """Read, and not changed."""
        wanted = heading.fields.get("response_format")
        if wanted is not None and bytes(wanted) in _TEXT_FORMATS:
            return read_text(body)
        return self.read(body)
