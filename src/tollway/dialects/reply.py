"""A whole answer of a provider, read but never changed: is it what was asked for, what does it say
it used, and if it is an error, what is wrong.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeVar

import msgspec

from tollway.dialects.bounded import ABSENT, SMALL_BYTES, error_in, load_any, usage_in
from tollway.dialects.chunk import Chunk, content_size, read_chunk
from tollway.dialects.faults import Fault, read_fault
from tollway.dialects.redact import shown
from tollway.dialects.usage import read_usage
from tollway.domain.estimate import needs_size
from tollway.domain.usage import Usage

Answer = TypeVar("Answer")


class Reply(NamedTuple):
    """`content_bytes` are measured where `needs_size` says so. `message` and `code` tell of an
    error; the message is safe to show. `body` is what the client gets where that is not what the
    provider sent, `kind` its type where that is not JSON."""

    valid: bool
    usage: Usage | None
    content_bytes: int
    message: str | None
    code: str | None
    body: bytes | None = None
    kind: bytes | None = None


class _Vectors(msgspec.Struct, gc=False):
    data: msgspec.Raw = msgspec.Raw()  # validated, not built: a megabyte of numbers
    usage: msgspec.Raw = ABSENT
    error: msgspec.Raw = ABSENT


_load_vectors = msgspec.json.Decoder(_Vectors).decode


def read_completion(body: bytes) -> Reply:
    """A chat or text completion, or an error."""
    chunk = read_chunk(body)
    if chunk is None or chunk.choices is None or chunk.error:
        return read_error(body)
    usage = read_usage(chunk.usage)
    size = _content_bytes(chunk) if needs_size(usage, len(body)) else 0
    return Reply(True, usage, size, None, None)


def read_embeddings(body: bytes) -> Reply:
    """Embeddings, or an error."""
    vectors = decoded(_load_vectors, body)
    if vectors is None or memoryview(vectors.data)[:1].tobytes() != b"[":
        return read_error(body)
    if error_in(vectors.error):
        return read_error(body)
    return Reply(True, read_usage(usage_in(vectors.usage)), 0, None, None)


def read_text(body: bytes) -> Reply:
    """An answer that is plain text, which may be empty. Who sends it reports no usage."""
    try:
        body.decode()
    except UnicodeDecodeError:
        return read_error(body)
    return Reply(True, None, len(body), None, None, kind=b"text/plain; charset=utf-8")


def read_error(body: bytes) -> Reply:
    """What a provider says is wrong, with whatever status."""
    fault = _fault(body)
    return Reply(False, None, 0, fault.message, fault.code)


def decoded(load: Callable[[bytes], Answer], body: bytes) -> Answer | None:
    """The answer in a body; None when it is none in UTF-8."""
    try:
        if not body.isascii():
            body.decode()
        return load(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _content_bytes(chunk: Chunk) -> int:
    return sum(content_size(choice) for choice in chunk.choices or ())


def _fault(body: bytes) -> Fault:
    value = load_any(body) if len(body) <= SMALL_BYTES else None
    if value is not None:
        return read_fault(value, certain=True) or Fault(None, None, None)
    return Fault(None, shown(body[:8192].decode("utf-8", "replace")), None)
