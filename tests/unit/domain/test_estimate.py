"""Token counts where nobody gave one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway.domain.estimate import estimated_input, estimated_output


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
