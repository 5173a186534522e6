"""Amazon's usage in disjoint classes."""

import pytest

from tollway.dialects.usage_bedrock import read_bedrock_usage
from tollway.domain.usage import Usage


@pytest.mark.parametrize(
    ("value", "usage"),
    [
        ({"inputTokens": 5, "outputTokens": 2, "totalTokens": 7}, Usage(5, output=2)),
        (
            {
                "inputTokens": 4,
                "outputTokens": 2,
                "totalTokens": 1106,
                "cacheReadInputTokens": 1000,
                "cacheWriteInputTokens": 100,
            },
            Usage(4, 1000, 100, 2),
        ),
        ({"inputTokens": 0, "outputTokens": -1}, Usage(0)),
        ({"outputTokens": 3}, Usage(output=3)),
        ({"totalTokens": 3}, None),
        ({"inputTokens": "5"}, None),
        ([], None),
        (None, None),
    ],
)
def test_classes(value, usage):
    """What was cached stands beside the input; what is no count is not known."""
    assert read_bedrock_usage(value) == usage
