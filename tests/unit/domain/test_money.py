"""Money as text."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway.domain.money import NUSD_PER_USD, usd_text


@pytest.mark.parametrize(
    ("nusd", "text"),
    [
        (0, "0"),
        (1, "0.000000001"),
        (1234567890, "1.23456789"),
        (10**9, "1"),
        (10**12, "1000"),
        (-1, "-0.000000001"),
    ],
)
def test_amounts(nusd, text):
    """Exact, no exponent, no trailing zeros."""
    assert usd_text(nusd) == text


@given(st.integers(-(10**18), 10**18))
def test_the_text_is_exact(nusd):
    """Nothing is rounded."""
    text = usd_text(nusd)
    assert Decimal(text) * NUSD_PER_USD == nusd
    assert "E" not in text
