"""Embeddings as Google has them: of its Gemini API, and at Vertex, where models that are called
after Gemini are asked in one way and those before them in another (`predict`).

Vertex is told not to cut what is too long; its other API has no word for that. Sources: Google's
API references of both, and which method its own library calls for which model.
"""

from typing import Any

import msgspec
from msgspec import Raw

from tollway.dialects.bounded import ABSENT, error_in, usage_in
from tollway.dialects.counts import count_of
from tollway.dialects.reply import decoded
from tollway.dialects.translate.gemini_provider import model_path
from tollway.dialects.translate.shapes import encode
from tollway.dialects.translate.talk import CannotCarryError
from tollway.dialects.translate.vectors import (
    INPUT,
    EmbedProvider,
    Posted,
    Vectors,
    Wanted,
    rows_of,
)
from tollway.dialects.usage_gemini import read_gemini_usage
from tollway.dialects.vertex import name_of
from tollway.domain.usage import Usage

_MOST, _MOST_PREDICTED = 100, 250  # texts in one request
_GOOGLES = "/publishers/google"
_AFTER_GEMINI = "gemini"


class _Statistics(msgspec.Struct, gc=False):
    token_count: Raw = ABSENT
    later: Raw = msgspec.field(default=ABSENT, name="tokenCount")


class _Embedding(msgspec.Struct, gc=False):
    values: Raw = ABSENT
    statistics: _Statistics | None = None


class _Prediction(msgspec.Struct, gc=False):
    embeddings: _Embedding


class _Answer(msgspec.Struct, gc=False):
    """Of all methods: each has one of the first three."""

    embedding: _Embedding | None = None
    embeddings: list[_Embedding] | None = None
    predictions: list[_Prediction] | None = None
    usage: Raw = msgspec.field(default=ABSENT, name="usageMetadata")
    error: Raw = ABSENT


_load_answer = msgspec.json.Decoder(_Answer).decode


def _to_gemini(wanted: Wanted, model: str) -> Posted:
    path = model_path(model)
    said = {} if wanted.dimensions is None else {"outputDimensionality": wanted.dimensions}
    requests = [{"model": path[1:], **_content(text), **said} for text in _few(wanted, _MOST)]
    return Posted(f"{path}:batchEmbedContents", encode({"requests": requests}))


def _to_vertex(wanted: Wanted, model: str) -> Posted:
    name = name_of(model)
    path = f"{_GOOGLES}{model_path(name)}"
    said: dict[str, Any] = {"autoTruncate": False}
    if wanted.dimensions is not None:
        said["outputDimensionality"] = wanted.dimensions
    if _AFTER_GEMINI not in name:
        texts = _few(wanted, _MOST_PREDICTED)
        instances = [{"content": text} for text in texts]
        body: dict[str, Any] = {"instances": instances, "parameters": said}
        return Posted(f"{path}:predict", encode(body))
    requests = [{**_content(text), "embedContentConfig": said} for text in _few(wanted, _MOST)]
    if len(requests) == 1:
        return Posted(f"{path}:embedContent", encode(requests[0]))
    return Posted(f"{path}:batchEmbedContents", encode({"requests": requests}))


def _few(wanted: Wanted, most: int) -> tuple[str, ...]:
    if len(wanted.texts) > most:
        raise CannotCarryError(INPUT, f"It takes at most {most} texts in one request.")
    return wanted.texts


def _content(text: str) -> dict[str, Any]:
    return {"content": {"parts": [{"text": text}]}}


def _read(body: bytes) -> Vectors | None:
    found = decoded(_load_answer, body)
    if found is None or error_in(found.error):
        return None
    if found.embedding is not None:
        embeddings = [found.embedding]
    elif found.predictions is not None:
        embeddings = [one.embeddings for one in found.predictions]
    else:
        embeddings = found.embeddings or []
    rows = rows_of([one.values for one in embeddings])
    usage = read_gemini_usage(usage_in(found.usage))
    usage = _counted(embeddings) if usage is None else usage._replace(output=0)
    return None if rows is None else Vectors(rows, usage)


def _counted(embeddings: list[_Embedding]) -> Usage | None:
    """What is counted text by text; None unless all are."""
    counts = [_count(one.statistics) for one in embeddings]
    known = [count for count in counts if count is not None]
    return Usage(sum(known), output=0) if known and len(known) == len(counts) else None


def _count(statistics: _Statistics | None) -> int | None:
    if statistics is None:
        return None
    later = statistics.token_count is ABSENT
    value = usage_in(statistics.later if later else statistics.token_count)
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # Google's numbers are sometimes written as fractions
    return count_of({"count": value}, "count")


GEMINI = EmbedProvider(_to_gemini, _read)
VERTEX = EmbedProvider(_to_vertex, _read)
