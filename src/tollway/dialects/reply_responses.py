"""A whole answer of `/v1/responses`, read but never changed. Errors are read as everywhere
(`reply.py`), and so is an answer that failed with a status that says yes."""

from typing import Any

import msgspec
from msgspec import Raw

from tollway.dialects.chunk import load_any, text_size
from tollway.dialects.reply import Reply, decoded, read_error
from tollway.dialects.usage_responses import read_responses_usage


class _Response(msgspec.Struct, gc=False):
    output: Raw = Raw()  # validated, and built only where its size is needed
    usage: Any = None
    error: Any = None


_load_response = msgspec.json.Decoder(_Response).decode


def read_response(body: bytes) -> Reply:
    """A response, or an error."""
    response = decoded(_load_response, body)
    if response is None or response.error or bytes(response.output)[:1] != b"[":
        return read_error(body)
    usage = read_responses_usage(response.usage)
    # The size is for estimates, and those are made only where nothing was reported.
    size = text_size(load_any(bytes(response.output))) if usage is None else 0
    return Reply(True, usage, size, None, None)
