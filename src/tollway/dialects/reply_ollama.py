"""A whole answer of `/api/chat`, read but never changed. Errors are read as everywhere
(`reply.py`)."""

from typing import Any

import msgspec

from tollway.dialects.chunk import text_size
from tollway.dialects.reply import Reply, decoded, read_error
from tollway.dialects.usage_ollama import read_ollama_usage


class OllamaLine(msgspec.Struct, gc=False):
    """One object of an answer: a piece, or all of it."""

    message: Any = None
    done: Any = None
    error: Any = None
    prompt_eval_count: Any = None
    eval_count: Any = None


load_line = msgspec.json.Decoder(OllamaLine).decode


def read_chat(body: bytes) -> Reply:
    """An answer, or an error."""
    line = decoded(load_line, body)
    if line is None or line.error or line.done is not True or not isinstance(line.message, dict):
        return read_error(body)
    usage = read_ollama_usage(msgspec.structs.asdict(line))
    # The size is for estimates, and those are made only where nothing was reported.
    return Reply(True, usage, text_size(line.message) if usage is None else 0, None, None)
