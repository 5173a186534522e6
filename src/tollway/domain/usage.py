"""Tokens of one attempt in disjoint classes. `None` is "not reported", never 0."""

from typing import NamedTuple


class Usage(NamedTuple):
    """Disjoint counts in tokens: `input` excludes cached reads and writes, `output` excludes
    reasoning; audio and image are taken out of input or output where the provider reports them.
    """

    input: int | None = None
    cached_input: int | None = None
    cache_write: int | None = None
    output: int | None = None
    reasoning: int | None = None
    audio: int | None = None
    image: int | None = None


USAGE_CLASSES: tuple[str, ...] = Usage._fields
NO_USAGE = Usage()


def most_written(usage: Usage) -> int:
    """The most tokens that the answer can have: those of sound and pictures may be the input's."""
    return (usage.output or 0) + (usage.reasoning or 0) + (usage.audio or 0) + (usage.image or 0)


def total_tokens(usage: Usage) -> int:
    """The sum of what is known."""
    return sum(count for count in usage if count is not None)
