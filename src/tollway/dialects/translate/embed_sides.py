"""Embeddings as OpenAI and Ollama have them, as clients speak them and as providers do.

OpenAI's Python client asks for vectors packed (base64 of 32-bit floats) unless told otherwise.
Sources: OpenAI's API reference, "Create embeddings"; Ollama's, "Generate embeddings".
"""

import sys
from array import array
from base64 import b64encode
from typing import Any

import msgspec
from msgspec import Raw

from tollway.dialects.ask import Ask, Heading
from tollway.dialects.bounded import ABSENT, error_in, usage_in
from tollway.dialects.counts import count_of
from tollway.dialects.reply import decoded
from tollway.dialects.translate.shapes import encode
from tollway.dialects.translate.vectors import (
    DIMENSIONS,
    INPUT,
    EmbedClient,
    EmbedProvider,
    Posted,
    Vectors,
    Wanted,
    load_field,
    read_wanted,
    rows_of,
)
from tollway.dialects.usage import read_usage
from tollway.domain.refusal import BadRequest
from tollway.domain.usage import Usage, total_tokens

_FORMAT, _TRUNCATE = "encoding_format", "truncate"
_MOST_NUMBERS = 65_536  # of a vector: many times those of any model
_load_vector = msgspec.json.Decoder(list[float]).decode


class _Datum(msgspec.Struct, gc=False):
    embedding: Raw
    index: int = 0


class _List(msgspec.Struct, gc=False):
    data: list[_Datum]
    usage: Raw = ABSENT
    error: Raw = ABSENT


class _Embedded(msgspec.Struct, gc=False):
    embeddings: list[Raw]
    prompt_eval_count: Raw = ABSENT
    error: Raw = ABSENT


_load_list = msgspec.json.Decoder(_List).decode
_load_embedded = msgspec.json.Decoder(_Embedded).decode


def _read_openai(ask: Ask) -> Wanted | BadRequest:
    format_ = load_field(ask.fields, _FORMAT)
    if format_ not in (None, "float", "base64"):
        message = "'encoding_format' must be 'float' or 'base64'."
        return BadRequest(message, "invalid_value", _FORMAT)
    return read_wanted(ask)


def _tell_openai(vectors: Vectors, heading: Heading) -> bytes:
    packed = load_field(heading.fields, _FORMAT) == "base64"
    data = [
        {"object": "embedding", "index": index, "embedding": _packed(row) if packed else row}
        for index, row in enumerate(vectors.rows)
    ]
    body: dict[str, Any] = {"object": "list", "data": data, "model": heading.model}
    if vectors.usage is not None:
        read = total_tokens(vectors.usage)
        body["usage"] = {"prompt_tokens": read, "total_tokens": read}
    return encode(body)


def _packed(row: Raw) -> str:
    """Little-endian 32-bit floats. Raises ValidationError for what is no vector."""
    if bytes(row).count(b",") >= _MOST_NUMBERS:
        raise msgspec.ValidationError("more numbers than a vector has")
    numbers = array("f", _load_vector(row))
    if sys.byteorder == "big":
        numbers.byteswap()
    return b64encode(numbers.tobytes()).decode()


def _read_ollama(ask: Ask) -> Wanted | BadRequest:
    truncate = load_field(ask.fields, _TRUNCATE)
    if truncate is not None and type(truncate) is not bool:
        return BadRequest("'truncate' must be true or false.", "invalid_type", _TRUNCATE)
    wanted = read_wanted(ask)
    if truncate is True and isinstance(wanted, Wanted):
        return wanted._replace(left_out=(_TRUNCATE,))
    return wanted


def _tell_ollama(vectors: Vectors, heading: Heading) -> bytes:
    body: dict[str, Any] = {"model": heading.model, "embeddings": vectors.rows}
    if vectors.usage is not None:
        body["prompt_eval_count"] = total_tokens(vectors.usage)
    return encode(body)


def _to_openai(wanted: Wanted, model: str) -> Posted:
    return Posted("/embeddings", encode(_asked(wanted, model) | {_FORMAT: "float"}))


def _to_ollama(wanted: Wanted, model: str) -> Posted:
    """Too long a text is an error, as it is in other dialects, and is not cut in silence."""
    return Posted("/api/embed", encode(_asked(wanted, model) | {_TRUNCATE: False}))


def _asked(wanted: Wanted, model: str) -> dict[str, Any]:
    asked: dict[str, Any] = {"model": model, INPUT: wanted.texts}
    if wanted.dimensions is not None:
        asked[DIMENSIONS] = wanted.dimensions
    return asked


def _from_openai(body: bytes) -> Vectors | None:
    found = decoded(_load_list, body)
    if found is None or error_in(found.error):
        return None
    ordered = sorted(found.data, key=lambda one: one.index)
    rows = rows_of([one.embedding for one in ordered])
    return None if rows is None else Vectors(rows, read_usage(usage_in(found.usage)))


def _from_ollama(body: bytes) -> Vectors | None:
    found = decoded(_load_embedded, body)
    if found is None or error_in(found.error):
        return None
    rows = rows_of(found.embeddings)
    read = count_of({"count": usage_in(found.prompt_eval_count)}, "count")
    usage = None if read is None else Usage(read, output=0)
    return None if rows is None else Vectors(rows, usage)


_COMMON = frozenset({"model", "stream", INPUT, DIMENSIONS})
OPENAI_CLIENT = EmbedClient(
    _read_openai,
    _COMMON | {_FORMAT},
    frozenset({"user", "safety_identifier", "prompt_cache_key"}),
    _tell_openai,
)
OLLAMA_CLIENT = EmbedClient(_read_ollama, _COMMON | {_TRUNCATE}, frozenset(), _tell_ollama)
OPENAI_PROVIDER = EmbedProvider(_to_openai, _from_openai)
OLLAMA_PROVIDER = EmbedProvider(_to_ollama, _from_ollama)
