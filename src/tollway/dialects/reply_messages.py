"""A whole answer of `/v1/messages` and `/v1/messages/count_tokens`, read but never changed. Errors
are read as everywhere (`reply.py`)."""

from typing import Any

import msgspec
from msgspec import Raw

from tollway.dialects.chunk import load_any, text_size
from tollway.dialects.reply import Reply, decoded, read_error
from tollway.dialects.usage_anthropic import read_anthropic_usage
from tollway.domain.usage import Usage

# Counting is free of charge at Anthropic. It is known to use nothing, so nothing is estimated.
_FREE = Usage(input=0, output=0)


class _Message(msgspec.Struct, gc=False):
    content: Raw = Raw()  # validated, and built only where its size is needed
    usage: Any = None
    error: Any = None


class _Count(msgspec.Struct, gc=False):
    input_tokens: int | None = None


_load_message = msgspec.json.Decoder(_Message).decode
_load_count = msgspec.json.Decoder(_Count).decode


def read_message(body: bytes) -> Reply:
    """A message, or an error."""
    message = decoded(_load_message, body)
    if message is None or message.error or bytes(message.content)[:1] != b"[":
        return read_error(body)
    usage = read_anthropic_usage(message.usage)
    # The size is for estimates, and those are made only where nothing was reported.
    size = text_size(load_any(bytes(message.content))) if usage is None else 0
    return Reply(True, usage, size, None, None)


def read_token_count(body: bytes) -> Reply:
    """A count of tokens, or an error."""
    count = decoded(_load_count, body)
    if count is None or count.input_tokens is None:
        return read_error(body)
    return Reply(True, _FREE, 0, None, None)
