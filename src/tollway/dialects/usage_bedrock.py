"""Amazon's `TokenUsage` -> disjoint token classes: reads and writes of the cache stand beside
`inputTokens`.

Source: "Prompt caching" in Amazon's Bedrock guide: `inputTokens` "represents only the non-cached
input tokens", all of the input is it plus `cacheReadInputTokens` and `cacheWriteInputTokens`.
Streams of OpenAI's models there have been seen to count what was cached in `inputTokens` too; their
totals do not show it, so such an answer is counted as reported. Thinking is inside `outputTokens`,
and not told apart.
"""

from tollway.dialects.counts import count_of
from tollway.domain.usage import Usage


def read_bedrock_usage(value: object) -> Usage | None:
    """The classes of a decoded `usage` value, or None when it reports neither input nor output."""
    if not isinstance(value, dict):
        return None
    usage = Usage(
        count_of(value, "inputTokens"),
        count_of(value, "cacheReadInputTokens"),
        count_of(value, "cacheWriteInputTokens"),
        count_of(value, "outputTokens"),
    )
    return None if usage.input is None and usage.output is None else usage
