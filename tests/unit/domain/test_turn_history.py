"""What a request stands for in line, learned."""

import random

import pytest

from tollway.domain.output_history import UNKNOWN_TOKENS
from tollway.domain.turn_history import TurnHistory
from tollway.domain.usage import Usage


def test_nothing_is_known_at_first():
    """The size says what it says, and an answer may be long; never longer than it may be."""
    history = TurnHistory()
    for _ in range(7):
        assert history.expected(400, 1, None) == 100 + UNKNOWN_TOKENS
        assert history.expected(400, 3, 20) == 100 + 60
        history.learn(400, 1, Usage(input=10, output=5))
    history.learn(400, 1, Usage(input=10, output=5))
    assert history.expected(400, 1, None) == 15


def test_all_that_is_read_and_written_counts():
    """Cached input and reasoning too; of several answers each."""
    history = TurnHistory()
    for _ in range(9):
        history.learn(400, 2, Usage(10, 20, 20, output=6, reasoning=8))
    assert history.expected(400, 1, None) == 50 + 7
    assert history.expected(800, 2, None) == 100 + 14
    assert history.expected(400, 4, 3) == 50 + 12
    assert history.expected(400, 4, 0) == 50


def test_on_average_it_is_right():
    """Within a tenth, whatever the lengths are like."""
    draw, history, guessed, used = random.Random(5), TurnHistory(), 0, 0
    for number in range(4000):
        size, read = draw.randint(100, 4000), draw.uniform(0.1, 0.4)
        usage = Usage(input=round(size * read), output=int(draw.lognormvariate(4, 1)))
        if number > 100:
            guessed += history.expected(size, 1, None)
            used += usage.input + usage.output
        history.learn(size, 1, usage)
    assert guessed == pytest.approx(used, rel=0.1)


def test_it_follows_the_traffic():
    """And one that is like no other moves it little."""
    history = TurnHistory()
    for _ in range(100):
        history.learn(400, 1, Usage(input=100, output=1000))
    for _ in range(100):
        history.learn(400, 1, Usage(input=50, output=10))
    assert history.expected(400, 1, None) == pytest.approx(60, abs=5)
    history.learn(1, 1, Usage(input=10**9, output=10))
    assert history.expected(400, 1, None) < 120
