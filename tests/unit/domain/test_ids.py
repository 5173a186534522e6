"""Identifiers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway.domain.ids import ID_PREFIXES, day_of, make_id, request_id_prefix


def test_the_form_of_an_id():
    """A prefix and sixteen characters that nobody mistakes for one another."""
    assert make_id("ten", bytes(range(10))) == "ten_000g40r40m30e209"
    for prefix in ID_PREFIXES:
        assert make_id(prefix, b"\xff" * 10) == f"{prefix}_{'z' * 16}"


@given(st.binary(min_size=10, max_size=10), st.binary(min_size=10, max_size=10))
def test_different_entropy_is_a_different_id(first, second):
    """No bit of the entropy is lost."""
    assert (make_id("key", first) == make_id("key", second)) == (first == second)


@pytest.mark.parametrize(("prefix", "size"), [("xxx", 10), ("ten", 9), ("ten", 11)])
def test_an_id_takes_the_right_parts(prefix, size):
    """A caller's mistake is loud."""
    with pytest.raises(ValueError, match="an id takes"):
        make_id(prefix, bytes(size))


def test_the_day_stands_in_a_request_id():
    """The admission day can be read off it."""
    prefix = request_id_prefix("20261118", bytes(range(6)))
    assert prefix == "req_20261118000102030405"
    assert day_of(prefix + "00000001") == "2026-11-18"


@pytest.mark.parametrize(("day", "size"), [("2026118", 6), ("2026-1-1", 6), ("20261118", 5)])
def test_a_request_id_takes_the_right_parts(day, size):
    """A caller's mistake is loud."""
    with pytest.raises(ValueError, match="a request id takes"):
        request_id_prefix(day, bytes(size))


@pytest.mark.parametrize("text", ["", "req_", "req_2026111", "evt_20261118aa", "req_2026-11-"])
def test_other_texts_have_no_day(text):
    """What we did not make is refused."""
    with pytest.raises(ValueError, match="not a request id"):
        day_of(text)
