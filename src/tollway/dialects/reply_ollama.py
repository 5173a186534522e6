"""Whole answers of `/api/chat`, `/api/generate` and `/api/embed`, read but never changed. Errors
are read as everywhere (`reply.py`).
"""

from typing import Any

import msgspec

from tollway.dialects.chunk import text_size
from tollway.dialects.counts import count_of
from tollway.dialects.reply import Reply, decoded, read_error
from tollway.dialects.usage_ollama import read_ollama_usage
from tollway.domain.usage import Usage


class OllamaLine(msgspec.Struct, gc=False):
    """One object of an answer: a piece, or all of it."""

    message: Any = None
    response: Any = None  # of a text that goes on
    thinking: Any = None
    done: Any = None
    error: Any = None
    prompt_eval_count: Any = None
    eval_count: Any = None


class _Vectors(msgspec.Struct, gc=False):
    embeddings: msgspec.Raw = msgspec.Raw()  # validated, not built: a megabyte of numbers
    prompt_eval_count: Any = None
    error: Any = None


_load_vectors = msgspec.json.Decoder(_Vectors).decode
load_line = msgspec.json.Decoder(OllamaLine).decode


def read_chat(body: bytes) -> Reply:
    """An answer, or an error."""
    line = decoded(load_line, body)
    if line is None or not isinstance(line.message, dict):
        return read_error(body)
    return _read(line, body)


def read_generated(body: bytes) -> Reply:
    """A text, or an error."""
    line = decoded(load_line, body)
    if line is None or not isinstance(line.response, str):
        return read_error(body)
    return _read(line, body)


def read_embedded(body: bytes) -> Reply:
    """Embeddings, or an error."""
    vectors = decoded(_load_vectors, body)
    if vectors is None or memoryview(vectors.embeddings)[:1].tobytes() != b"[" or vectors.error:
        return read_error(body)
    read = count_of({"count": vectors.prompt_eval_count}, "count")
    return Reply(True, None if read is None else Usage(read, output=0), 0, None, None)


def line_size(line: OllamaLine) -> int:
    """UTF-8 bytes of what the model wrote."""
    return text_size([line.message, line.response, line.thinking])


def _read(line: OllamaLine, body: bytes) -> Reply:
    if line.error or line.done is not True:
        return read_error(body)
    usage = read_ollama_usage(msgspec.structs.asdict(line))
    # The size is for estimates, and those are made only where nothing was reported.
    return Reply(True, usage, line_size(line) if usage is None else 0, None, None)
