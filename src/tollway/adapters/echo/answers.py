"""The echo provider's answers as bytes in OpenAI's shapes: whole bodies, and streams as one
`bytes` per event.

Everything that is equal in all events of a stream is encoded once.
"""

import base64
import hashlib
import math
import struct
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from tollway.adapters.echo.asks import EmbeddingAsk, ListAsk, TextAsk
from tollway.dialects.errors import error_event

DONE = b"data: [DONE]\n\n"

_encode = msgspec.json.encode


class Shape(NamedTuple):
    """How one endpoint words its answers; `%s` stands for the text as JSON."""

    id_prefix: str
    whole: str  # the object's name
    chunk: str
    opening: bytes | None  # a stream's first choice
    text: bytes  # a stream's choice with text
    closing: bytes  # a stream's last choice
    choice: bytes  # the choice of a whole answer


CHAT = Shape(
    "chatcmpl-",
    "chat.completion",
    "chat.completion.chunk",
    b'{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}',
    b'{"index":0,"delta":{"content":%s},"logprobs":null,"finish_reason":null}',
    b'{"index":0,"delta":{},"logprobs":null,"finish_reason":%s}',
    b'{"index":0,"message":{"role":"assistant","content":%s,"refusal":null},'
    b'"logprobs":null,"finish_reason":%s}',
)
COMPLETION = Shape(
    "cmpl-",
    "text_completion",
    "text_completion",
    None,
    b'{"index":0,"text":%s,"logprobs":null,"finish_reason":null}',
    b'{"index":0,"text":"","logprobs":null,"finish_reason":%s}',
    b'{"index":0,"text":%s,"logprobs":null,"finish_reason":%s}',
)


def pieces(words: Sequence[str]) -> Iterator[str]:
    """The text of each token: words with their separating blanks."""
    for position, word in enumerate(words):
        yield f" {word}" if position else word


def whole(shape: Shape, ask: TextAsk, *, number: int, created_s: int) -> bytes:
    """The body of a whole answer."""
    choice = shape.choice % (_encode(" ".join(ask.words)), _encode(ask.finish_reason))
    usage = b',"usage":' + _usage(ask) if ask.script.usage else b""
    head = _head(shape, ask, shape.whole, number=number, created_s=created_s)
    return head + b'"choices":[' + choice + b"]" + usage + b"}"


class EventWriter:
    """The events of one stream."""

    __slots__ = ("_ask", "_head", "_shape", "_text")

    def __init__(self, shape: Shape, ask: TextAsk, *, number: int, created_s: int) -> None:
        self._shape = shape
        self._ask = ask
        head = _head(shape, ask, shape.chunk, number=number, created_s=created_s)
        self._head = b"data: " + head + b'"choices":['
        left, _, right = shape.text.partition(b"%s")
        self._text = (self._head + left, right + b"]}\n\n")

    def opening(self) -> bytes:
        """What comes before the first token; may be empty."""
        opening = self._shape.opening
        return b"" if opening is None else self._head + opening + b"]}\n\n"

    def tokens(self) -> Iterator[bytes]:
        """One event for each token."""
        left, right = self._text
        for piece in pieces(self._ask.words):
            yield left + _encode(piece) + right

    def closing(self) -> bytes:
        """The end: finish reason, usage if it was asked for, `[DONE]`."""
        ask = self._ask
        last = self._head + self._shape.closing % _encode(ask.finish_reason) + b"]}\n\n"
        if ask.include_usage and ask.script.usage:
            last += self._head + b'],"usage":' + _usage(ask) + b"}\n\n"
        return last + DONE

    def error(self) -> bytes:
        """An error inside the stream; nothing follows it."""
        return error_event("openai", 500, "The prompt asked for this error.", code="echo_error")


def embedding(ask: EmbeddingAsk) -> bytes:
    """The body of an embedding answer: texts that share words have vectors that are near."""
    data: list[dict[str, Any]] = []
    for index, text in enumerate(ask.texts):
        vector = _vector(text, ask.dimensions)
        shown: Any = vector
        if ask.as_base64:
            shown = base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
        data.append({"object": "embedding", "index": index, "embedding": shown})
    body: dict[str, Any] = {"object": "list", "data": data, "model": ask.model}
    if ask.script.usage:
        tokens = sum(len(text.split()) for text in ask.texts)
        body["usage"] = {"prompt_tokens": tokens, "total_tokens": tokens}
    return _encode(body)


def moderation(ask: ListAsk) -> bytes:
    """The body of a judgement: nothing is ever flagged."""
    result = {"flagged": False, "categories": {}, "category_scores": {}}
    results = [result] * len(ask.texts)
    answer_id = f"modr-{ask.script.id or 'echo'}"
    return _encode({"id": answer_id, "model": ask.model, "results": results})


def ranking(ask: ListAsk) -> bytes:
    """The body of a ranking: documents that share words with the query come first."""
    wanted = set(ask.query.lower().split())
    ranks: list[dict[str, Any]] = []
    for index, text in enumerate(ask.texts):
        shared = len(wanted.intersection(text.lower().split()))
        ranks.append({"index": index, "relevance_score": round(shared / max(1, len(wanted)), 6)})
    ranks.sort(key=lambda rank: -rank["relevance_score"])
    body: dict[str, Any] = {"model": ask.model, "results": ranks[: ask.top_n]}
    if ask.script.usage:
        body["usage"] = {"total_tokens": sum(len(text.split()) for text in (ask.query, *ask.texts))}
    return _encode(body)


def model_list(created_s: int) -> bytes:
    """The body of a model listing."""
    model = {"id": "echo", "object": "model", "created": created_s, "owned_by": "echo"}
    return _encode({"object": "list", "data": [model]})


def _head(shape: Shape, ask: TextAsk, name: str, *, number: int, created_s: int) -> bytes:
    answer_id = f"{shape.id_prefix}{ask.script.id or f'echo{number}'}"
    fields = {"id": answer_id, "object": name, "created": created_s, "model": ask.model}
    return _encode(fields)[:-1] + b","


def _usage(ask: TextAsk) -> bytes:
    prompt, output = ask.prompt_tokens, len(ask.words)
    return b'{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d}' % (
        prompt,
        output,
        prompt + output,
    )


def _vector(text: str, dimensions: int) -> list[float]:
    """A unit vector: the sum of one pseudo-random vector of -1 and 1 for each word."""
    sums = [0] * dimensions
    size = (dimensions + 7) // 8
    for word in text.lower().split() or [""]:
        bits = int.from_bytes(hashlib.shake_128(word.encode()).digest(size), "big")
        for position in range(dimensions):
            sums[position] += 1 if bits >> position & 1 else -1
    length = math.sqrt(sum(number * number for number in sums)) or 1.0
    return [number / length for number in sums]
