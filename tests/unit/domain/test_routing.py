"""The order of targets."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway.domain.model import Strategy, Target
from tollway.domain.routing import order_targets, sticky_place


def target(name, weight=1, priority=0):
    return Target(f"prv_{name}", name, weight, priority)


def names(targets):
    return "".join(target.model for target in targets)


A, B, C = target("a", 5, 2), target("b", 3, 1), target("c", 2, 1)


def test_priority_shares_among_equals():
    """The lowest number first; equal ones take turns, the others follow as they stand."""
    orders = [names(order_targets(Strategy.PRIORITY, [A, B, C], turn)) for turn in range(4)]
    assert orders == ["bca", "cba", "bca", "cba"]
    alone = [B, target("x", 1, 2), target("y", 1, 2)]
    for turn in range(3):
        assert names(order_targets(Strategy.PRIORITY, alone, turn)) == "bxy"


def test_a_key_stays_where_it_is():
    """By weight; when a place goes, only its keys move, and nobody weighs less than nothing."""
    places, weights = ["one", "two", "three"], [1, 2, 1]
    keys = [f"key {number}".encode() for number in range(4000)]
    found = {key: sticky_place(key, places, weights) for key in keys}
    shares = Counter(found.values())
    assert [abs(shares[at] - 1000 * weights[at]) < 150 for at in range(3)] == [True] * 3
    for key, place in found.items():
        if place != 2:
            assert sticky_place(key, places[:2], weights[:2]) == place
    assert sticky_place(b"", ["one"], [0]) == 0
    assert sticky_place(b"k" * 100, ["one", "two"], [-1, 1]) == 1


def test_round_robin_takes_turns():
    """Each is first in turn, and the others follow in the circle."""
    orders = [names(order_targets(Strategy.ROUND_ROBIN, [A, B, C], turn)) for turn in range(4)]
    assert orders == ["bca", "cab", "abc", "bca"]


def test_weights_are_met_closely():
    """After n turns each target was first n x share times, give or take very few."""
    turns = 1000
    first = Counter(names(order_targets(Strategy.WEIGHTED, [A, B, C], t))[0] for t in range(turns))
    for one in (A, B, C):
        assert abs(first[one.model] - turns * one.weight / 10) <= 4


@pytest.mark.parametrize("turn", [0, 1, 7])
def test_targets_without_weight_come_last(turn):
    """A weight of 0 is a fallback; all 0 means the order of priority."""
    order = order_targets(Strategy.WEIGHTED, [target("a", 0), target("b", 1)], turn)
    assert names(order) == "ba"
    order = order_targets(Strategy.WEIGHTED, [target("a", 0, 1), target("b", 0, 0)], turn)
    assert names(order) == "ba"


def test_a_negative_weight_counts_against_nobody():
    """Damaged weights still give an order of all targets."""
    order = order_targets(Strategy.WEIGHTED, [target("a", 2), target("b", -1)], 1)
    assert sorted(names(order)) == ["a", "b"]


@given(
    st.sampled_from(Strategy),
    st.lists(st.builds(target, st.sampled_from("abcdef"), st.integers(0, 5), st.integers(0, 3))),
    st.integers(0, 2**70),
)
def test_every_target_is_tried_once(strategy, targets, turn):
    """An order is a permutation: nothing is lost, nothing is asked twice."""
    order = order_targets(strategy, targets, turn)
    assert Counter(map(id, order)) == Counter(map(id, targets))
