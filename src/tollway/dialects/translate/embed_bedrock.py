"""Embeddings of Amazon's Titan models at Bedrock, over InvokeModel. They read one text at a time.
Cohere's want to be told what vectors are for, which other dialects do not say: they are refused.
Source: Amazon's reference of Bedrock, "Amazon Titan Embeddings Text".
"""

import re
from typing import Any

import msgspec
from msgspec import Raw

from tollway.dialects.bounded import ABSENT, usage_in
from tollway.dialects.counts import count_of
from tollway.dialects.reply import decoded
from tollway.dialects.translate.bedrock_provider import model_path
from tollway.dialects.translate.shapes import encode
from tollway.dialects.translate.talk import CannotCarryError
from tollway.dialects.translate.vectors import (
    DIMENSIONS,
    INPUT,
    MODEL,
    EmbedProvider,
    Posted,
    Vectors,
    Wanted,
    rows_of,
)
from tollway.domain.usage import Usage

_TITAN = re.compile(r"amazon\.titan-embed-text-v([0-9]+)")


class _Answer(msgspec.Struct, gc=False):
    embedding: Raw
    read: Raw = msgspec.field(default=ABSENT, name="inputTextTokenCount")


_load_answer = msgspec.json.Decoder(_Answer).decode


def _write(wanted: Wanted, model: str) -> Posted:
    found = _TITAN.search(model)
    if found is None:
        why = "Of the models at Amazon Bedrock only Titan's are asked for embeddings."
        raise CannotCarryError(MODEL, why)
    if len(wanted.texts) > 1:
        raise CannotCarryError(INPUT, "It takes one text in a request.")
    body: dict[str, Any] = {"inputText": wanted.texts[0]}
    if wanted.dimensions is not None:
        if found[1] == "1":
            raise CannotCarryError(DIMENSIONS, "Its vectors have one length.")
        body["dimensions"] = wanted.dimensions
    return Posted(f"{model_path(model)}/invoke", encode(body))


def _read(body: bytes) -> Vectors | None:
    found = decoded(_load_answer, body)
    rows = None if found is None else rows_of([found.embedding])
    if found is None or rows is None:
        return None
    read = count_of({"count": usage_in(found.read)}, "count")
    return Vectors(rows, None if read is None else Usage(read, output=0))


TITAN = EmbedProvider(_write, _read)
