"""Token counts where nobody gave one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway.domain.estimate import (
    estimated_input,
    estimated_output,
    is_understated,
    needs_size,
)
from tollway.domain.usage import Usage


@pytest.mark.parametrize(
    ("events", "size_bytes", "tokens"),
    [(0, 0, 0), (3, 0, 3), (3, 8, 3), (1, 8, 2), (1, 9, 3), (0, 1, 1)],
)
def test_the_larger_of_two_bounds(events, size_bytes, tokens):
    """Each event is a token at least; bundled tokens show in the bytes."""
    assert estimated_output(events, size_bytes) == tokens


@given(st.integers(0, 10**9), st.floats(1.0, 16.0))
def test_the_division_rounds_up(size_bytes, bytes_per_token):
    """Never less than the bytes suggest, and less than one token more."""
    tokens = estimated_input(size_bytes, bytes_per_token)
    assert (tokens - 1) * bytes_per_token < size_bytes or tokens == 0
    assert tokens * bytes_per_token >= size_bytes
    assert estimated_output(0, size_bytes, bytes_per_token) == tokens


@pytest.mark.parametrize(
    ("usage", "content_bytes", "doubted"),
    [
        (Usage(5, output=0), 4096, False),
        (Usage(5, output=0), 4097, True),
        (Usage(5, output=1), 4096 + 32, False),
        (Usage(5, output=1), 4096 + 33, True),
        (Usage(5), 4097, True),
        (Usage(5, output=1, reasoning=1, audio=1, image=1), 4096 + 4 * 32, False),
        (Usage(10**6, 10**6, 10**6, 1), 16_000, True),
    ],
)
def test_bytes_that_cannot_be_so_few_tokens(usage, content_bytes, doubted):
    """All that can be the answer's counts for it, and nothing of the input."""
    assert is_understated(usage, content_bytes) is doubted
    assert needs_size(usage, content_bytes) is doubted
    assert needs_size(None, 0)
