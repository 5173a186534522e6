"""The `usage` object of OpenAI's Responses -> disjoint token classes: cached and written input
stands inside `input_tokens`, reasoning inside `output_tokens`.

Source: OpenAI's ResponseUsage. What is absent or cannot be true is "not reported", never 0.
"""

from tollway.dialects.counts import count_of, details_of, disjoint
from tollway.domain.usage import Usage


def read_responses_usage(value: object) -> Usage | None:
    """The classes of a decoded `usage` value, or None when it reports neither input nor output."""
    if not isinstance(value, dict):
        return None
    total_in, total_out = count_of(value, "input_tokens"), count_of(value, "output_tokens")
    if total_in is None and total_out is None:
        return None
    into = details_of(value, "input_tokens_details")
    out = details_of(value, "output_tokens_details")
    plain_in, (cached, written) = disjoint(
        total_in, count_of(into, "cached_tokens"), count_of(into, "cache_write_tokens")
    )
    plain_out, (reasoning,) = disjoint(total_out, count_of(out, "reasoning_tokens"))
    return Usage(plain_in, cached, written, plain_out, reasoning)
