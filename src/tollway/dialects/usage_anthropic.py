"""Anthropic's `usage` objects -> disjoint token classes: cache reads and writes stand beside
`input_tokens`, thinking inside `output_tokens`.

Source: Anthropic's Usage and MessageDeltaUsage, whose counts are cumulative: a stream reports its
input in `message_start` and everything again, or its output alone, in `message_delta`. What is
absent or cannot be true is "not reported", never 0.
"""

from tollway.dialects.counts import count_of, details_of, disjoint
from tollway.domain.usage import Usage, total_tokens


def read_anthropic_usage(value: object) -> Usage | None:
    """The classes of a decoded `usage` value, or None when it reports neither input nor output."""
    if not isinstance(value, dict):
        return None
    plain_in, total_out = count_of(value, "input_tokens"), count_of(value, "output_tokens")
    cached = count_of(value, "cache_read_input_tokens")
    written = count_of(value, "cache_creation_input_tokens")
    if plain_in is None and total_out is None and not cached and not written:
        return None
    details = details_of(value, "output_tokens_details")
    plain_out, (reasoning,) = disjoint(total_out, count_of(details, "thinking_tokens"))
    return Usage(plain_in, cached, written, plain_out, reasoning)


def later_usage(earlier: Usage | None, later: Usage | None) -> Usage | None:
    """What is known after a stream reported `later`: its counts replace the earlier ones, and what
    it leaves out stays. A side, input or output, cannot shrink: servers that know it only at the
    beginning repeat it as 0."""
    if earlier is None or later is None:
        return later if earlier is None else earlier
    read = Usage(
        later.input if later.input is not None else earlier.input,
        later.cached_input if later.cached_input is not None else earlier.cached_input,
        later.cache_write if later.cache_write is not None else earlier.cache_write,
    )
    if total_tokens(read) < total_tokens(earlier._replace(output=None, reasoning=None)):
        read = earlier
    written = later if _written(later) >= _written(earlier) else earlier
    return read._replace(output=written.output, reasoning=written.reasoning)


def _written(usage: Usage) -> int:
    """Tokens of the answer; fewer than none where that is not known."""
    return -1 if usage.output is None else usage.output + (usage.reasoning or 0)
