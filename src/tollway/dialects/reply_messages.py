"""A whole answer of `/v1/messages` and `/v1/messages/count_tokens`, read but never changed. Errors
are read as everywhere (`reply.py`)."""

import msgspec
from msgspec import Raw

from tollway.dialects.bounded import ABSENT, error_in, load_any, usage_in
from tollway.dialects.chunk import text_size
from tollway.dialects.reply import Reply, decoded, read_error
from tollway.dialects.rules import first_byte
from tollway.dialects.usage_anthropic import read_anthropic_usage
from tollway.domain.estimate import needs_size
from tollway.domain.usage import Usage

# Blocks that a model writes, and where; what its provider's tools found stands in others.
_WRITTEN = frozenset({"text", "thinking", "tool_use", "server_tool_use", "mcp_tool_use"})
_WORDS = ("text", "thinking", "name", "input")
# Counting is free of charge at Anthropic. It is known to use nothing, so nothing is estimated.
_FREE = Usage(input=0, output=0)


class _Message(msgspec.Struct, gc=False):
    content: Raw = Raw()  # validated, and built only where its size is needed
    usage: Raw = ABSENT
    error: Raw = ABSENT


class _Count(msgspec.Struct, gc=False):
    input_tokens: int | None = None


_load_message = msgspec.json.Decoder(_Message).decode
_load_count = msgspec.json.Decoder(_Count).decode


def read_message(body: bytes) -> Reply:
    """A message, or an error."""
    message = decoded(_load_message, body)
    if message is None or error_in(message.error) or not _is_list(message.content):
        return read_error(body)
    usage = read_anthropic_usage(usage_in(message.usage))
    size = 0
    if usage is None:
        size = text_size(load_any(bytes(message.content)))
    elif needs_size(usage, len(message.content)):
        size = _written_size(load_any(bytes(message.content)))
    return Reply(True, usage, size, None, None)


def read_token_count(body: bytes) -> Reply:
    """A count of tokens, or an error."""
    count = decoded(_load_count, body)
    if count is None or count.input_tokens is None:
        return read_error(body)
    return Reply(True, _FREE, 0, None, None)


def _is_list(raw: Raw) -> bool:
    return first_byte(raw) == b"["


def _written_size(content: object) -> int:
    """UTF-8 bytes of what the model wrote."""
    return sum(
        text_size([block.get(name) for name in _WORDS])
        for block in (content if isinstance(content, list) else ())
        if isinstance(block, dict) and block.get("type") in _WRITTEN
    )
