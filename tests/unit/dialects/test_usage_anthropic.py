"""Anthropic's usage in disjoint classes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway.dialects.usage_anthropic import later_usage, read_anthropic_usage
from tollway.domain.usage import Usage, total_tokens


def test_cache_counts_stand_beside_input():
    """Reads and writes of the cache are not part of `input_tokens`; thinking is part of output."""
    found = read_anthropic_usage(
        {
            "input_tokens": 3,
            "cache_read_input_tokens": 100,
            "cache_creation_input_tokens": 20,
            "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 0},
            "output_tokens": 50,
            "output_tokens_details": {"thinking_tokens": 30},
            "service_tier": "standard",
        }
    )
    assert found == Usage(3, 100, 20, 20, 30)
    assert total_tokens(found) == 173


def test_what_is_not_reported_stays_unknown():
    """A count that is absent or null is None; one that is 0 is 0."""
    assert read_anthropic_usage({"input_tokens": 3, "output_tokens": 0}) == Usage(3, output=0)
    found = {"output_tokens": 9, "input_tokens": None, "cache_read_input_tokens": None}
    assert read_anthropic_usage(found) == Usage(output=9)
    assert read_anthropic_usage({"cache_read_input_tokens": 4}) == Usage(cached_input=4)


@pytest.mark.parametrize("insane", [-1, True, 1.0, "5", 10**9 + 1, None, [], {}, float("inf")])
def test_insane_counts_are_not_reported(insane):
    """What cannot be a count of tokens is treated as absent, never as 0."""
    assert read_anthropic_usage({"input_tokens": insane, "output_tokens": 3}) == Usage(output=3)
    assert read_anthropic_usage({"input_tokens": insane, "output_tokens": insane}) is None
    found = read_anthropic_usage(
        {"input_tokens": 1, "output_tokens": 2, "output_tokens_details": {"thinking_tokens": 3}}
    )
    assert found == Usage(1, output=2)


@pytest.mark.parametrize(
    "value", [None, 5, [], "x", {}, {"service_tier": "x"}, {"cache_read_input_tokens": 0}]
)
def test_no_usage(value):
    """Without any tokens told there is nothing to bill by."""
    assert read_anthropic_usage(value) is None


@pytest.mark.parametrize(
    ("earlier", "later", "after"),
    [
        (None, None, None),
        (Usage(3, 5, 7, 1), None, Usage(3, 5, 7, 1)),
        (None, Usage(output=9), Usage(output=9)),
        (Usage(3, 5, 7, 1), Usage(output=9), Usage(3, 5, 7, 9)),  # the older form of message_delta
        (Usage(3, 5, 7, 1), Usage(30, 50, 7, 9, 4), Usage(30, 50, 7, 9, 4)),  # a tool was searched
        (Usage(3, output=1), Usage(3, 5, output=9), Usage(3, 5, output=9)),
        (Usage(30, 5, output=1), Usage(0, output=9), Usage(30, 5, output=9)),  # repeated as 0
        (Usage(0, output=0), Usage(30, output=9), Usage(30, output=9)),  # known only at the end
        (Usage(3, output=8, reasoning=2), Usage(output=9), Usage(3, output=8, reasoning=2)),
        (Usage(3, output=8, reasoning=2), Usage(output=11), Usage(3, output=11)),
        (Usage(3, output=8), Usage(3), Usage(3, output=8)),
        (Usage(3), Usage(output=0), Usage(3, output=0)),
    ],
)
def test_later_counts_of_a_stream(earlier, later, after):
    """Counts are cumulative: the later replace the earlier, and neither side shrinks."""
    assert later_usage(earlier, later) == after


counts = st.none() | st.integers(0, 60)
usages = st.none() | st.tuples(*[counts] * 5).map(lambda five: Usage(*five))


@given(usages, usages)
def test_repeating_changes_nothing(earlier, later):
    """The same report twice is that report, and no report brings the input below what was known."""
    after = later_usage(earlier, later)
    assert later_usage(after, after) == after
    if earlier is not None:
        read = earlier._replace(output=None, reasoning=None)
        assert total_tokens(after._replace(output=None, reasoning=None)) >= total_tokens(read)
