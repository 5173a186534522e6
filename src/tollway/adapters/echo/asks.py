"""Reads the OpenAI-shaped requests the echo provider answers. Unknown fields are ignored.

Words are what whitespace separates: here a word is a token.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any, TypeVar

import msgspec

from tollway.adapters.echo.directives import Script, read_script

T = TypeVar("T")

_NO_WORDS = ["echo"]


class AskError(ValueError):
    """The request cannot be answered; the message says why."""


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


class _Message(msgspec.Struct):
    role: str = "user"
    content: str | list[Any] | None = None


class _Text(msgspec.Struct):
    """The fields that chat and plain completions share."""

    model: str = ""
    messages: list[_Message] | None = None
    prompt: str | list[Any] | None = None
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None


class _Embedding(msgspec.Struct):
    model: str = ""
    input: str | list[Any] = ""
    dimensions: int | None = None
    encoding_format: str | None = None


class _Moderation(msgspec.Struct):
    model: str = ""
    input: str | list[Any] = ""


class _Ranking(msgspec.Struct):
    model: str = ""
    query: str = ""
    documents: list[Any] = []
    top_n: int | None = None


@dataclass(frozen=True, slots=True)
class TextAsk:
    """A request for text: the words of the answer are already known."""

    model: str
    words: list[str]
    prompt_tokens: int
    finish_reason: str  # stop | length
    stream: bool
    include_usage: bool
    script: Script


@dataclass(frozen=True, slots=True)
class EmbeddingAsk:
    """A request for vectors."""

    model: str
    texts: list[str]
    dimensions: int
    as_base64: bool
    script: Script


@dataclass(frozen=True, slots=True)
class ListAsk:
    """Texts to be judged, or to be ranked by how near they are to the query."""

    model: str
    texts: list[str]
    query: str
    top_n: int | None
    script: Script


_decode_text = msgspec.json.Decoder(_Text, strict=False).decode
_decode_embedding = msgspec.json.Decoder(_Embedding, strict=False).decode
_decode_moderation = msgspec.json.Decoder(_Moderation, strict=False).decode
_decode_ranking = msgspec.json.Decoder(_Ranking, strict=False).decode


def read_chat(body: bytes) -> TextAsk:
    """A chat completion request. Raises `AskError` and `DirectiveError`."""
    fields = _decoded(_decode_text, body)
    if not fields.messages:
        raise AskError("'messages' must hold at least one message.")
    texts = [_plain(message.content) for message in fields.messages]
    last = ""
    for message, text in zip(fields.messages, texts, strict=True):
        if message.role == "user":
            last = text
    return _text_ask(fields, last, sum(len(text.split()) for text in texts))


def read_completion(body: bytes) -> TextAsk:
    """A plain completion request; of several prompts the first. Raises as `read_chat`."""
    fields = _decoded(_decode_text, body)
    if fields.prompt is None:
        raise AskError("'prompt' is missing.")
    prompts = _texts(fields.prompt)
    return _text_ask(fields, prompts[0], len(prompts[0].split()))


def read_embedding(body: bytes) -> EmbeddingAsk:
    """An embedding request. Raises as `read_chat`."""
    fields = _decoded(_decode_embedding, body)
    dimensions = 16 if fields.dimensions is None else fields.dimensions
    if not 1 <= dimensions <= 4096:
        raise AskError("'dimensions' must be from 1 to 4096.")
    texts = _texts(fields.input)
    rest, script = read_script(texts[-1], fields.model)
    return EmbeddingAsk(
        fields.model, [*texts[:-1], rest], dimensions, fields.encoding_format == "base64", script
    )


def read_moderation(body: bytes) -> ListAsk:
    """Texts to be judged; pictures count as no words. Raises as `read_chat`."""
    fields = _decoded(_decode_moderation, body)
    items = fields.input if isinstance(fields.input, list) else [fields.input]
    texts = [item if isinstance(item, str) else _plain([item]) for item in items]
    if not texts:
        raise AskError("The input is empty.")
    rest, script = read_script(texts[-1], fields.model)
    return ListAsk(fields.model, [*texts[:-1], rest], "", None, script)


def read_ranking(body: bytes) -> ListAsk:
    """Documents and a query, which may direct the answer. Raises as `read_chat`."""
    fields = _decoded(_decode_ranking, body)
    texts = [item if isinstance(item, str) else _plain([item]) for item in fields.documents]
    query, script = read_script(fields.query, fields.model)
    return ListAsk(fields.model, texts, query, fields.top_n, script)


def _text_ask(fields: _Text, last: str, prompt_tokens: int) -> TextAsk:
    rest, script = read_script(last, fields.model)
    words = rest.split() or _NO_WORDS
    if script.tokens is not None:
        words = list(islice(cycle(words), script.tokens))
    limit = fields.max_completion_tokens or fields.max_tokens
    cut_short = limit is not None and len(words) > limit
    return TextAsk(
        model=fields.model,
        words=words[:limit] if cut_short else words,
        prompt_tokens=prompt_tokens,
        finish_reason="length" if cut_short else "stop",
        stream=bool(fields.stream),
        include_usage=bool(fields.stream_options and fields.stream_options.include_usage),
        script=script,
    )


def _decoded(decode: Callable[[bytes], T], body: bytes) -> T:
    try:
        return decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise AskError(f"The body cannot be read: {error}") from error


def _plain(content: str | list[Any] | None) -> str:
    """The text of a message; other parts (images, audio) count as no words."""
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        return " ".join(text for text in parts if isinstance(text, str))
    return content or ""


def _texts(value: str | list[Any]) -> list[str]:
    """The inputs of a request: texts as they are, token ids as one word each."""
    if isinstance(value, str):
        return [value]
    if not value:
        raise AskError("The input is empty.")
    if isinstance(value[0], int):
        value = [value]
    return [_text_of(item) for item in value]


def _text_of(item: Any) -> str:
    if isinstance(item, str):
        return item
    if isinstance(item, list):
        return " ".join(map(str, item))
    raise AskError("An input is neither text nor a list of token ids.")
