"""Embeddings between dialects: the values in the middle, the two sides, and the carrier that puts a
client's and a provider's together (as decision 16 has it for talks). Vectors stay the bytes that
the provider sent, unless the client wants them packed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import msgspec
from msgspec import Raw

from tollway.dialects.ask import Ask, Heading, Rewrite
from tollway.dialects.carrier import EVENT_STREAM, Rendered
from tollway.dialects.reading import EventReader
from tollway.dialects.reply import Reply, read_error
from tollway.dialects.rules import first_byte
from tollway.dialects.translate.talk import CannotCarryError, Feature
from tollway.domain.refusal import BadRequest
from tollway.domain.usage import Usage

# All dialects of clients call them so.
INPUT, DIMENSIONS, MODEL = "input", "dimensions", "model"
_TOKENS = (
    "'input' holds token ids, which mean something to one maker's models alone. Send text, or take "
    "a model whose provider takes them."
)
# Objects and arrays in an answer: a few for each of the 2048 texts that any dialect takes. What has
# more is not built, as it would take many times its size.
_MOST_OPENERS = 16 * 2048
_load = msgspec.json.Decoder().decode


class Wanted(NamedTuple):
    """A request: the texts, at least one, and how long vectors shall be (None: as the model has
    it). `left_out` are fields that are told of."""

    texts: tuple[str, ...]
    dimensions: int | None = None
    left_out: tuple[str, ...] = ()


class Vectors(NamedTuple):
    """An answer: the JSON of one array of numbers for each text, in their order."""

    rows: tuple[Raw, ...]
    usage: Usage | None


class Posted(NamedTuple):
    """A request in a provider's dialect. `dropped` are features that were left out."""

    path: str
    body: bytes
    dropped: tuple[Feature, ...] = ()


@dataclass(frozen=True, slots=True)
class EmbedClient:
    """A dialect that clients speak. `known` and `ignored` are as in `ClientSide`."""

    read: Callable[[Ask], Wanted | BadRequest]
    known: frozenset[str]
    ignored: frozenset[str]
    write: Callable[[Vectors, Heading], bytes]


@dataclass(frozen=True, slots=True)
class EmbedProvider:
    """A dialect that providers speak. `write` takes the provider's model name and may raise
    `CannotCarryError`; `read` gives None for what are no vectors."""

    write: Callable[[Wanted, str], Posted]
    read: Callable[[bytes], Vectors | None]


@dataclass(frozen=True, slots=True)
class EmbedTranslation:
    """One client's dialect to one provider's."""

    client: EmbedClient
    provider: EmbedProvider
    same: bool = False
    whole_too: bool = False
    stream_type: bytes = EVENT_STREAM

    def render(self, ask: Ask, rewrite: Rewrite) -> Rendered | BadRequest:
        """The request in the provider's dialect, or the client's field that it has no words for."""
        wanted = self.client.read(ask)
        if isinstance(wanted, BadRequest):
            return wanted
        try:
            posted = self.provider.write(wanted, rewrite.model)
        except CannotCarryError as error:
            if error.feature == MODEL:
                return BadRequest(error.why, "unsupported_endpoint", MODEL)
            message = f"'{error.feature}' cannot be carried to the provider behind this model."
            return BadRequest(f"{message} {error.why}", "unsupported_parameter", error.feature)
        unread = (
            name
            for name, raw in ask.fields.items()
            if name not in self.client.known and name not in self.client.ignored
            if bytes(raw) != b"null"
        )
        return Rendered(posted.path, posted.body, (*wanted.left_out, *posted.dropped, *unread))

    def stream_reader(self, heading: Heading) -> EventReader:
        """Nothing streams."""
        raise AssertionError("embeddings were asked to stream")

    def read_reply(self, body: bytes, heading: Heading) -> Reply:
        """The answer in the client's dialect. Fewer vectors than texts, or more, are none: whose
        is whose is not known."""
        if body.count(b"[") + body.count(b"{") > _MOST_OPENERS:
            return read_error(body)
        vectors = self.provider.read(body)
        if vectors is None or len(vectors.rows) != _texts_in(heading.fields):
            return read_error(body)
        try:
            told = self.client.write(vectors, heading)
        except msgspec.ValidationError:
            return read_error(body)  # what is no array of numbers
        return Reply(True, vectors.usage, 0, None, None, told)


def read_wanted(ask: Ask) -> Wanted | BadRequest:
    """What is common to clients' dialects: `input` and `dimensions`."""
    texts = load_field(ask.fields, INPUT)
    listed = [texts] if isinstance(texts, str) else texts
    if not listed or not isinstance(listed, list):
        return BadRequest("'input' must be a text or an array of texts.", "invalid_value", INPUT)
    if any(not isinstance(one, str) for one in listed):
        return BadRequest(_TOKENS, "unsupported_parameter", INPUT)
    dimensions = load_field(ask.fields, DIMENSIONS)
    if dimensions is not None and (type(dimensions) is not int or not 0 < dimensions < 2**31):
        message = "'dimensions' must be a whole number of 1 or more."
        return BadRequest(message, "invalid_value", DIMENSIONS)
    return Wanted(tuple(listed), dimensions)


def load_field(fields: Mapping[str, Raw], name: str) -> object:
    """A field's value, None where it is absent or null."""
    raw = fields.get(name)
    try:
        return None if raw is None else _load(raw)
    except (msgspec.DecodeError, RecursionError):
        return float("inf")  # a number that no type holds


def rows_of(found: list[Raw]) -> tuple[Raw, ...] | None:
    """The vectors in a list; None if one of them is no array."""
    return tuple(found) if all(first_byte(row) == b"[" for row in found) else None


def _texts_in(fields: Mapping[str, Raw]) -> int:
    texts = load_field(fields, INPUT)
    return len(texts) if isinstance(texts, list) else 1
