"""A provider's `usage` object -> disjoint token classes. What is absent or cannot be true is "not
reported": never 0, never negative.

Sources: OpenAI's CompletionUsage; `cache_write_tokens` and `image_tokens` as OpenAI and OpenRouter
report them; `prompt_cache_hit_tokens` is DeepSeek's, a top-level `cached_tokens` Moonshot's.
"""

from tollway.domain.usage import Usage

_PLAIN = frozenset({"prompt_tokens", "completion_tokens", "total_tokens"})
_MOST = 2**53  # beyond it, JSON numbers of other languages are no longer exact


def read_usage(value: object) -> Usage | None:
    """The classes of a decoded `usage` value, or None when it reports neither input nor output."""
    if not isinstance(value, dict):
        return None
    total_in, total_out = _count(value, "prompt_tokens"), _count(value, "completion_tokens")
    if total_in is None and total_out is None:
        return None
    if _PLAIN.issuperset(value):  # totals alone: the usual answer of a compatible server
        return Usage(total_in, output=total_out)
    into = _details(value, "prompt_tokens_details")
    out = _details(value, "completion_tokens_details")
    cached = _count(into, "cached_tokens")
    if cached is None:
        cached = _count(value, "prompt_cache_hit_tokens")
    if cached is None:
        cached = _count(value, "cached_tokens")
    plain_in, parts_in = _disjoint(
        total_in,
        cached,
        _count(into, "cache_write_tokens"),
        _count(into, "audio_tokens"),
        _count(into, "image_tokens"),
    )
    plain_out, parts_out = _disjoint(
        total_out,
        _count(out, "reasoning_tokens"),
        _count(out, "audio_tokens"),
        _count(out, "image_tokens"),
    )
    cached, written, audio_in, image_in = parts_in
    reasoning, audio_out, image_out = parts_out
    audio, image = _sum(audio_in, audio_out), _sum(image_in, image_out)
    return Usage(plain_in, cached, written, plain_out, reasoning, audio, image)


def _disjoint(total: int | None, *parts: int | None) -> tuple[int | None, list[int | None]]:
    """The total without its parts. A part that does not fit into what is left is ignored."""
    kept: list[int | None] = []
    for part in parts:
        fits = part is not None and total is not None and part <= total
        kept.append(part if fits else None)
        if fits and part is not None and total is not None:
            total -= part
    return total, kept


def _details(value: dict[str, object], name: str) -> dict[str, object]:
    details = value.get(name)
    return details if isinstance(details, dict) else {}


def _count(value: dict[str, object], name: str) -> int | None:
    count = value.get(name)
    return count if type(count) is int and 0 <= count <= _MOST else None


def _sum(first: int | None, second: int | None) -> int | None:
    return (first or 0) + (second or 0) if first is not None or second is not None else None
