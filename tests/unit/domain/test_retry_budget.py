"""Attempts beyond the first are bounded while they come to nothing, and free while they answer."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tollway.domain.retry_budget import RetryBudget


@pytest.mark.parametrize("more", [1, 2])
@pytest.mark.parametrize("ailing", [True, False])
def test_when_all_is_down(more, ailing):
    """A fifth of a thousand requests at most, whatever each would like, and whether or not it is
    known that the next one fails too."""
    budget, attempts = RetryBudget(0), 0
    for turn in range(1, 1001):
        budget.refill(turn)
        attempts += 1
        for _ in range(more):
            attempts += budget.take(ailing=ailing)
    assert 1100 <= attempts <= 1200


@given(
    st.lists(
        st.tuples(st.sampled_from(["asked", "retried", "ailing", "answered"]), st.integers(1, 60)),
        max_size=60,
    )
)
@settings(max_examples=200, deadline=None)
def test_what_comes_to_nothing_is_bounded(steps):
    """In any order: a hundred and a tenth of the requests at most, once what answered is left
    out."""
    budget, turn, open_ = RetryBudget(0), 0, 0
    lost = 0
    for what, count in steps:
        if what == "asked":
            turn += count
            budget.refill(turn)
            continue
        for _ in range(count):
            if what == "answered":
                if open_:
                    open_ -= 1
                    budget.give_back()
            elif budget.take(ailing=what == "ailing"):
                open_ += 1
        lost = max(lost, open_)
        assert lost <= 100 + turn / 10


@pytest.mark.parametrize("ailing", [True, False])
def test_when_the_second_answers(ailing):
    """As often as it likes, forever."""
    budget = RetryBudget(5)
    for turn in range(6, 10_000):
        budget.refill(turn)
        assert budget.take(ailing=ailing)
        budget.give_back()


def test_a_pause_is_no_saving():
    """What many good requests fill is no more than what was there at first."""
    budget = RetryBudget(0)
    budget.refill(100_000)
    assert [budget.take(ailing=True) for _ in range(12)] == [True] * 10 + [False] * 2
    assert [budget.take(ailing=False) for _ in range(92)] == [True] * 90 + [False] * 2


def test_what_is_owed_comes_first():
    """What was asked of targets that had not failed is made up for, before one that has failed is
    asked again."""
    budget = RetryBudget(0)
    for _ in range(50):
        assert budget.take(ailing=False)
    budget.refill(405)
    assert not budget.take(ailing=True)
    budget.refill(425)
    assert budget.take(ailing=True)
