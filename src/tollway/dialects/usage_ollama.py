"""Ollama's counts -> disjoint token classes. They stand beside the message in the last object of an
answer, not in an object of their own.

Source: Ollama's API reference. Its JSON leaves out what is 0, so a count that is missing beside the
other one is not known. What was read from a cache, and thoughts, are not told apart.
"""

from tollway.dialects.counts import count_of
from tollway.domain.usage import Usage


def read_ollama_usage(value: dict[str, object]) -> Usage | None:
    """The classes of an answer's last object, or None when it reports neither input nor output."""
    read, written = count_of(value, "prompt_eval_count"), count_of(value, "eval_count")
    return None if read is None and written is None else Usage(read, output=written)
