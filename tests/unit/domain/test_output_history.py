"""How long answers are, learned."""

import random

from tollway.domain.output_history import UNKNOWN_TOKENS, OutputHistory


def test_nothing_is_known_at_first():
    """A few answers are not enough to say."""
    history = OutputHistory()
    assert history.expected == UNKNOWN_TOKENS
    for _ in range(7):
        history.learn(10)
    assert history.expected == UNKNOWN_TOKENS
    history.learn(10)
    assert 10 <= history.expected <= 13


def test_nine_of_ten_are_covered_and_little_more_is_held():
    """At most a quarter above the 90th percentile."""
    draw = random.Random(3)
    history, lengths = OutputHistory(), []
    for _ in range(400):
        lengths.append(int(draw.lognormvariate(5, 1)) + 1)
        history.learn(lengths[-1])
    wanted = sorted(lengths)[359]
    assert wanted <= history.expected <= wanted * 1.25 + 1


def test_it_follows_the_traffic():
    """A thousand short answers after a thousand long ones."""
    history = OutputHistory()
    for _ in range(1000):
        history.learn(8000)
    assert history.expected >= 8000
    for _ in range(4000):
        history.learn(10)
    assert history.expected <= 13


def test_odd_lengths():
    """Nothing at all, and more than any model writes."""
    history = OutputHistory()
    for _ in range(10):
        history.learn(0)
    assert history.expected == 1
    history = OutputHistory()
    for _ in range(10):
        history.learn(1 << 40)
    assert history.expected >= 1 << 31
