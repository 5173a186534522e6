"""Turns: some at once, fewer of one owner, and each is given back."""

import pytest

from tollway.app.turns import Turns


def test_so_many_at_once():
    """The next one has none, and has one again when a turn is over."""
    turns = Turns(at_once=2, per_owner=2)
    with turns.turn("a") as first, turns.turn("b") as second:
        with turns.turn("c") as third:
            assert (first, second, third) == (True, True, False)
        with turns.turn("c") as again:
            assert not again
    with turns.turn("c") as after:
        assert after


def test_fewer_of_one_owner():
    """Another owner's turn is still there; the platform is an owner too."""
    turns = Turns(at_once=8, per_owner=1)
    with turns.turn(None) as one, turns.turn(None) as two, turns.turn("a") as other:
        assert (one, two, other) == (True, False, True)


def test_given_back_after_a_failure():
    """Whatever ends the block."""
    turns = Turns(at_once=1, per_owner=1)
    with pytest.raises(ZeroDivisionError), turns.turn("a"):
        _ = 1 // 0
    with turns.turn("a") as mine:
        assert mine
