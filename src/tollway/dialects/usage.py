"""A provider's `usage` object -> disjoint token classes. What is absent or cannot be true is "not
reported": never 0, never negative.

Sources: OpenAI's CompletionUsage; `cache_write_tokens` and `image_tokens` as OpenAI and OpenRouter
report them; `prompt_cache_hit_tokens` is DeepSeek's, a top-level `cached_tokens` Moonshot's. xAI
counts reasoning beside `completion_tokens`: where it is so, only the total says it.
"""

from tollway.dialects.counts import count_of, details_of, disjoint, sum_of
from tollway.domain.usage import Usage

_PLAIN = frozenset({"prompt_tokens", "completion_tokens", "total_tokens"})


def read_usage(value: object) -> Usage | None:
    """The classes of a decoded `usage` value, or None when it reports neither input nor output."""
    if not isinstance(value, dict):
        return None
    total_in, total_out = count_of(value, "prompt_tokens"), count_of(value, "completion_tokens")
    if total_in is None and total_out is None:
        return None
    if _PLAIN.issuperset(value):  # totals alone: the usual answer of a compatible server
        return Usage(total_in, output=total_out)
    into = details_of(value, "prompt_tokens_details")
    out = details_of(value, "completion_tokens_details")
    cached = count_of(into, "cached_tokens")
    if cached is None:
        cached = count_of(value, "prompt_cache_hit_tokens")
    if cached is None:
        cached = count_of(value, "cached_tokens")
    plain_in, parts_in = disjoint(
        total_in,
        cached,
        count_of(into, "cache_write_tokens"),
        count_of(into, "audio_tokens"),
        count_of(into, "image_tokens"),
    )
    reasoning = count_of(out, "reasoning_tokens")
    total = count_of(value, "total_tokens")
    if reasoning and total is not None and total == (total_in or 0) + (total_out or 0) + reasoning:
        total_out = (total_out or 0) + reasoning
    plain_out, parts_out = disjoint(
        total_out,
        reasoning,
        count_of(out, "audio_tokens"),
        count_of(out, "image_tokens"),
    )
    cached, written, audio_in, image_in = parts_in
    reasoning, audio_out, image_out = parts_out
    audio, image = sum_of(audio_in, audio_out), sum_of(image_in, image_out)
    return Usage(plain_in, cached, written, plain_out, reasoning, audio, image)
