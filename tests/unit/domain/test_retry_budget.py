"""Attempts beyond the first are bounded while they come to nothing, and free while they answer."""

import pytest

from tollway.domain.retry_budget import RetryBudget


@pytest.mark.parametrize("more", [1, 2])
def test_when_all_is_down(more):
    """A fifth of the requests, with what is there at first, whatever each would like."""
    budget, attempts = RetryBudget(0), 0
    for turn in range(1, 1001):
        attempts += 1
        if budget.take(turn):
            attempts += 1
            attempts += more == 2 and budget.take_more()
    assert 1150 <= attempts <= 1200


def test_when_the_second_answers():
    """As often as it likes, forever."""
    budget = RetryBudget(5)
    for turn in range(6, 10_000):
        assert budget.take(turn)
        budget.give_back()


def test_a_pause_is_no_saving():
    """What many good requests fill is no more than what was there at first."""
    budget = RetryBudget(0)
    assert [budget.take(100_000) for _ in range(12)] == [True] * 10 + [False] * 2
