"""Structure caps, against a plain walk over the parsed document."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway.dialects.limits import Caps, structure_problem

SMALL = Caps(depth=3, nodes=12, string_bytes=20)


def walk(value, depth=0):
    """Depth and number of values."""
    if isinstance(value, dict | list):
        inner = list(value.values()) if isinstance(value, dict) else value
        found = [walk(item, depth + 1) for item in inner]
        return (
            max([depth + 1, *(d for d, _ in found)]),
            1 + sum(count for _, count in found),
        )
    return depth, 1


values = st.recursive(
    st.sampled_from([0, None, True, "", "[{,", '"', "\\", '\\"', "x"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", '{"', "[[", "\\", ",,,"]), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(values)
def test_depth_is_exact(value):
    """A document is refused for depth exactly when it nests deeper than the cap."""
    depth, _ = walk(value)
    for cap in (1, 2, 3, 4):
        problem = structure_problem(json.dumps(value).encode(), Caps(depth=cap))
        assert (problem is not None) == (depth > cap)


@given(values, st.integers(1, 20))
def test_values_are_counted(value, most):
    """A document is refused exactly above the cap, an empty container counting as two values."""
    _, count = walk(value)
    body = b" " * (64 * 1024) + json.dumps(value).encode()
    refused = structure_problem(body, Caps(nodes=most, depth=1000)) is not None
    assert refused == (count + empties(value) > most)


def empties(value):
    """How many empty containers there are inside."""
    if not isinstance(value, dict | list):
        return 0
    inner = list(value.values()) if isinstance(value, dict) else value
    return (not inner) + sum(map(empties, inner))


def test_small_bodies_are_measured_for_depth_only_when_they_could_be_deep():
    """Many brackets alone are no offence."""
    flat = b"[" + b",".join([b"[]"] * 100) + b"]"
    assert structure_problem(flat, Caps(depth=2)) is None
    assert structure_problem(flat, Caps(depth=1)) is not None


def test_brackets_in_strings_do_not_count():
    """Text may hold any number of brackets, quotes and backslashes."""
    text = '[{"' * 500 + "\\" * 7
    assert structure_problem(json.dumps({"a": text}).encode(), Caps(depth=1)) is None


def test_long_strings_are_refused():
    """The longest string counts, not the body."""
    limit = Caps().string_bytes
    fits = b'["' + b"a" * limit + b'","' + b"b" * limit + b'"]'
    assert structure_problem(fits, Caps()) is None
    problem = structure_problem(b'["' + b"a" * (limit + 1) + b'"]', Caps())
    assert problem is not None
    assert "5 MiB" in problem.message


def test_many_strings_are_refused_without_taking_them_apart():
    """More quotes than any permitted document can have are enough to know."""
    problem = structure_problem(b'["' + b'","' * 500_000 + b'"]', Caps())
    assert problem is not None
    assert "100000 values" in problem.message


@pytest.mark.parametrize("body", [b"[" * 100, b"]" * 100, b"[]]" * 90, b'["' + b"[" * 90, b""])
def test_what_is_no_json_is_left_to_the_decoder_or_refused(body):
    """Unbalanced text never raises and never loops."""
    structure_problem(body, SMALL)
    structure_problem(body, Caps())
