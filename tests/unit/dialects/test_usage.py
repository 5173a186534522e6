"""Usage in disjoint classes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway.dialects.usage import read_usage
from tollway.domain.usage import Usage, total_tokens


def read(prompt=None, completion=None, *, into=None, out=None, **more):
    value = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "prompt_tokens_details": into,
        "completion_tokens_details": out,
        **more,
    }
    return read_usage(value)


def test_plain_counts():
    """Without details there are input and output, and the rest is not reported."""
    assert read(5, 7) == Usage(input=5, output=7)
    assert read(5) == Usage(input=5)
    assert read(0, 0) == Usage(input=0, output=0)


def test_classes_are_disjoint():
    """Cached, written, audio, image and reasoning tokens are taken out of input and output."""
    found = read(
        100,
        50,
        into={"cached_tokens": 40, "cache_write_tokens": 5, "audio_tokens": 10, "image_tokens": 20},
        out={"reasoning_tokens": 30, "audio_tokens": 3, "image_tokens": 1},
    )
    assert found == Usage(25, 40, 5, 16, 30, 13, 21)
    assert total_tokens(found) == 150


def test_audio_of_one_side_alone():
    """One side's audio is the class; none on either side stays not reported."""
    assert read(9, 9, out={"audio_tokens": 4}).audio == 4
    assert read(9, 9, into={"audio_tokens": 4}).audio == 4
    assert read(9, 9).audio is None


def test_details_that_do_not_fit_are_ignored():
    """More parts than the whole cannot be: what no longer fits is left in its total."""
    assert read(10, 5, into={"cached_tokens": 11}) == Usage(input=10, output=5)
    found = read(10, 5, into={"cached_tokens": 8, "audio_tokens": 3})
    assert found == Usage(input=2, cached_input=8, output=5)
    assert read(None, 5, into={"cached_tokens": 1}) == Usage(output=5)


def test_reasoning_beside_the_completion():
    """xAI counts it apart: the total has it once more."""
    found = read(32, 9, out={"reasoning_tokens": 94}, total_tokens=135)
    assert found == Usage(input=32, output=9, reasoning=94)
    found = read(32, 94, out={"reasoning_tokens": 90}, total_tokens=126)
    assert found == Usage(input=32, output=4, reasoning=90)
    assert read(32, 9, out={"reasoning_tokens": 94}).reasoning is None


def test_cached_tokens_elsewhere():
    """DeepSeek and Moonshot report cached input at the top."""
    assert read(10, 1, prompt_cache_hit_tokens=4).cached_input == 4
    assert read(10, 1, cached_tokens=4).cached_input == 4
    assert read(10, 1, into={"cached_tokens": 2}, cached_tokens=4).cached_input == 2


@pytest.mark.parametrize("insane", [-1, True, 1.0, "5", 10**9 + 1, None, [], {}, float("inf")])
def test_insane_counts_are_not_reported(insane):
    """What cannot be a count of tokens is treated as absent, never as 0."""
    assert read(insane, 3) == Usage(output=3)
    assert read(3, insane) == Usage(input=3)
    assert read(insane, insane) is None
    assert read(3, 3, into={"cached_tokens": insane}).cached_input is None


@pytest.mark.parametrize("value", [None, 5, [], "x", {}, {"total_tokens": 5}])
def test_no_usage(value):
    """Without input and output there is nothing to bill by."""
    assert read_usage(value) is None


@pytest.mark.parametrize("details", [5, [], "x", None])
def test_details_of_another_type_are_ignored(details):
    """Details that are no object say nothing."""
    assert read(5, 7, into=details, out=details) == Usage(input=5, output=7)


counts = st.none() | st.integers(-5, 60) | st.booleans()


@given(counts, counts, st.lists(counts, min_size=7, max_size=7))
def test_the_sum_is_what_the_provider_counted(prompt, completion, parts):
    """Whatever the details say, the classes are not negative and add up to the two totals."""
    names_in = ("cached_tokens", "cache_write_tokens", "audio_tokens", "image_tokens")
    names_out = ("reasoning_tokens", "audio_tokens", "image_tokens")
    found = read(
        prompt,
        completion,
        into=dict(zip(names_in, parts, strict=False)),
        out=dict(zip(names_out, parts[4:], strict=True)),
    )
    sane = [x for x in (prompt, completion) if type(x) is int and x >= 0]
    if found is None:
        assert not sane
    else:
        assert total_tokens(found) == sum(sane)
        assert all(count is None or count >= 0 for count in found)
