"""Usage of OpenAI's Responses in disjoint classes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway.dialects.usage_responses import read_responses_usage
from tollway.domain.usage import Usage, total_tokens


def read(into=None, out=None, **details):
    value = {"input_tokens": into, "output_tokens": out, "total_tokens": 0}
    return read_responses_usage(
        {**value, **{f"{side}_tokens_details": parts for side, parts in details.items()}}
    )


def test_details_stand_inside_their_totals():
    """Cached and written input and reasoning are taken out of the totals."""
    found = read(
        100,
        50,
        input={"cached_tokens": 40, "cache_write_tokens": 5},
        output={"reasoning_tokens": 30},
    )
    assert found == Usage(55, 40, 5, 20, 30)
    assert total_tokens(found) == 150


def test_plain_totals():
    """Without details there are input and output, and the rest is not reported."""
    assert read(5, 7) == Usage(5, output=7)
    assert read(0, 0) == Usage(0, output=0)
    assert read(5) == Usage(5)
    assert read(5, 7, input=[], output="x") == Usage(5, output=7)


def test_details_that_do_not_fit_are_ignored():
    """More parts than the whole cannot be."""
    assert read(10, 5, input={"cached_tokens": 11}, output={"reasoning_tokens": 6}) == Usage(
        10, output=5
    )
    assert read(None, 5, input={"cached_tokens": 1}) == Usage(output=5)


@pytest.mark.parametrize("insane", [-1, True, 1.0, "5", 10**9 + 1, None, [], {}, float("inf")])
def test_insane_counts_are_not_reported(insane):
    """What cannot be a count of tokens is treated as absent, never as 0."""
    assert read(insane, 3) == Usage(output=3)
    assert read(insane, insane) is None
    assert read(3, 3, input={"cached_tokens": insane}).cached_input is None


@pytest.mark.parametrize("value", [None, 5, [], "x", {}, {"total_tokens": 5}])
def test_no_usage(value):
    """Without input and output there is nothing to bill by."""
    assert read_responses_usage(value) is None


counts = st.none() | st.integers(-5, 60) | st.booleans()


@given(counts, counts, counts, counts, counts)
def test_the_sum_is_what_the_provider_counted(into, out, cached, written, reasoning):
    """Whatever the details say, the classes are not negative and add up to the two totals."""
    parts = {"cached_tokens": cached, "cache_write_tokens": written}
    found = read(into, out, input=parts, output={"reasoning_tokens": reasoning})
    sane = [x for x in (into, out) if type(x) is int and x >= 0]
    if found is None:
        assert not sane
    else:
        assert total_tokens(found) == sum(sane)
        assert all(count is None or count >= 0 for count in found)
