"""One event of a stream, or one whole reply, as far as it is read: choices, how much content they
carry, usage, error. Everything else passes unread.

A typed decoder validates the JSON and builds only these fields. What is valid JSON of another shape
is read again without types, so that an unusual provider is still counted.
"""

from typing import Any

import msgspec
from msgspec import Raw

from tollway.dialects.bounded import ABSENT, SMALL_BYTES, error_in, load_any, usage_in


class Function(msgspec.Struct, gc=False):
    """A called function's piece."""

    name: str | None = None
    arguments: str | None = None


class ToolCall(msgspec.Struct, gc=False):
    """A tool call's piece."""

    function: Function | None = None


class Message(msgspec.Struct, gc=False):
    """A message, or what a chunk adds to it."""

    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[ToolCall] | None = None
    function_call: Function | None = None
    audio: Raw = ABSENT


class Choice(msgspec.Struct, gc=False):
    """One answer's piece; `text` in text completions."""

    delta: Message | None = None
    finish_reason: str | None = None
    index: int = 0
    text: str | None = None
    message: Message | None = None


class Chunk(msgspec.Struct, gc=False):
    """The top level of an event or a reply."""

    choices: list[Choice] | None = None
    usage: Any = None
    error: Any = None


class _LargeChunk(msgspec.Struct, gc=False):
    choices: list[Choice] | None = None
    usage: Raw = ABSENT
    error: Raw = ABSENT


load_small_chunk = msgspec.json.Decoder(Chunk).decode  # of at most `SMALL_BYTES`
_load_large_chunk = msgspec.json.Decoder(_LargeChunk).decode
# A choice takes many times its bytes where it is empty. The objects of a sound answer (what each
# token could have been instead) have 40 and more.
_LEAST_OBJECT_BYTES = 16


def load_chunk(payload: bytes) -> Chunk:
    """The event. Raises `msgspec.DecodeError`."""
    if len(payload) <= SMALL_BYTES:
        return load_small_chunk(payload)
    if payload.count(b"{") > len(payload) // _LEAST_OBJECT_BYTES:
        raise msgspec.DecodeError("too many objects")
    large = _load_large_chunk(payload)
    return Chunk(large.choices, usage_in(large.usage), error_in(large.error))


def read_chunk(payload: bytes) -> Chunk | None:
    """The event in a payload, or None when it is no JSON object in UTF-8."""
    try:
        if not payload.isascii():
            payload.decode()
        return load_chunk(payload)
    except msgspec.ValidationError:
        return _read_loosely(load_any(payload))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def content_size(choice: Choice) -> int:
    """UTF-8 bytes of everything the model wrote in this choice: text, reasoning, tool calls."""
    message = choice.delta
    if message is None:
        message = choice.message
        if message is None:
            return size_of(choice.text)
    text = message.content
    size = 0 if not text else len(text) if text.isascii() else len(text.encode())
    if message.reasoning_content or message.reasoning:
        # Some servers send the same text under both names.
        size += max(size_of(message.reasoning_content), size_of(message.reasoning))
    if message.refusal:
        size += size_of(message.refusal)
    if message.tool_calls:
        for call in message.tool_calls:
            if call.function is not None:
                size += size_of(call.function.name) + size_of(call.function.arguments)
    if message.function_call is not None:
        size += size_of(message.function_call.name) + size_of(message.function_call.arguments)
    if message.audio is not ABSENT and bytes(message.audio) != b"null":
        size += text_size(load_any(bytes(message.audio))) or 1
    return size


def size_of(text: str | None) -> int:
    """UTF-8 bytes of a text that may be missing."""
    if not text:
        return 0
    return len(text) if text.isascii() else len(text.encode())


def _read_loosely(value: object) -> Chunk | None:
    if not isinstance(value, dict):
        return None
    choices = value.get("choices")
    if not isinstance(choices, list):
        return Chunk(None, value.get("usage"), value.get("error"))
    read = [_loose_choice(choice) for choice in choices if isinstance(choice, dict)]
    return Chunk(read, value.get("usage"), value.get("error"))


def _loose_choice(choice: dict[str, object]) -> Choice:
    wrote = choice.get("delta") or choice.get("message") or choice.get("text")
    reason, index = choice.get("finish_reason"), choice.get("index")
    return Choice(
        finish_reason=str(reason) if reason else None,
        index=index if type(index) is int else 0,
        text="x" * text_size(wrote),
    )


# Members that are not the model's words.
_LABELS = frozenset(
    {
        "role", "type", "id", "data", "format", "expires_at", "signature", "status", "call_id",
        "thought_signature", "encrypted_content", "b64_json", "url",
    }
)  # fmt: skip


def text_size(value: object) -> int:
    """UTF-8 bytes of all strings inside a value, labels aside. Without recursion: the shape is
    theirs."""
    size, rest = 0, [value]
    while rest:
        item = rest.pop()
        if isinstance(item, str):
            if not item.startswith("data:"):  # a picture, or the like
                size += len(item.encode())
        elif isinstance(item, list):
            rest.extend(item)
        elif isinstance(item, dict):
            rest.extend(inner for name, inner in item.items() if name not in _LABELS)
    return size
