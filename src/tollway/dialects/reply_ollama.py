"""Whole answers of `/api/chat`, `/api/generate` and `/api/embed`, read but never changed. Errors
are read as everywhere (`reply.py`).
"""

import msgspec
from msgspec import Raw

from tollway.dialects.bounded import ABSENT, error_in, load_any, usage_in
from tollway.dialects.chunk import text_size
from tollway.dialects.counts import count_of
from tollway.dialects.reply import Reply, decoded, read_error
from tollway.dialects.rules import first_byte
from tollway.dialects.usage_ollama import read_ollama_usage
from tollway.domain.estimate import needs_size
from tollway.domain.usage import Usage


class OllamaLine(msgspec.Struct, gc=False):
    """One object of an answer: a piece, or all of it. Validated; a member is built where it is
    looked into."""

    message: Raw = ABSENT
    response: Raw = ABSENT  # of a text that goes on
    thinking: Raw = ABSENT
    done: Raw = ABSENT
    error: Raw = ABSENT
    prompt_eval_count: Raw = ABSENT
    eval_count: Raw = ABSENT

    @property
    def is_last(self) -> bool:
        """Nothing comes after it."""
        return bytes(self.done) == b"true"

    @property
    def usage(self) -> Usage | None:
        """What it says was counted."""
        counts = (usage_in(self.prompt_eval_count), usage_in(self.eval_count))
        return read_ollama_usage(dict(zip(_COUNTS, counts, strict=True)))


class _Vectors(msgspec.Struct, gc=False):
    embeddings: Raw = Raw()  # a megabyte of numbers
    prompt_eval_count: Raw = ABSENT
    error: Raw = ABSENT


_COUNTS = ("prompt_eval_count", "eval_count")
_load_vectors = msgspec.json.Decoder(_Vectors).decode
load_line = msgspec.json.Decoder(OllamaLine).decode


def read_chat(body: bytes) -> Reply:
    """An answer, or an error."""
    line = decoded(load_line, body)
    return _read(line, body) if line is not None and _is(line.message, b"{") else read_error(body)


def read_generated(body: bytes) -> Reply:
    """A text, or an error."""
    line = decoded(load_line, body)
    return _read(line, body) if line is not None and _is(line.response, b'"') else read_error(body)


def read_embedded(body: bytes) -> Reply:
    """Embeddings, or an error."""
    vectors = decoded(_load_vectors, body)
    if vectors is None or not _is(vectors.embeddings, b"[") or error_in(vectors.error):
        return read_error(body)
    read = count_of({"count": usage_in(vectors.prompt_eval_count)}, "count")
    return Reply(True, None if read is None else Usage(read, output=0), 0, None, None)


def line_size(line: OllamaLine) -> int:
    """UTF-8 bytes of what the model wrote."""
    written = (line.message, line.response, line.thinking)
    return sum(text_size(load_any(bytes(raw))) for raw in written if raw is not ABSENT)


def _read(line: OllamaLine, body: bytes) -> Reply:
    if error_in(line.error) or not line.is_last:
        return read_error(body)
    usage = line.usage
    size = line_size(line) if needs_size(usage, len(body)) else 0
    return Reply(True, usage, size, None, None)


def _is(raw: Raw, beginning: bytes) -> bool:
    return first_byte(raw) == beginning
