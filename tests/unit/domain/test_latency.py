"""Latency as load: what is slow counts at once, what is fast by and by."""

from random import Random

import pytest

from tollway.domain.latency import PeakEwma, two_choices


def known(*samples, now_s=100.0):
    found = PeakEwma()
    for took_s in samples:
        found.started()
        found.ended(took_s, now_s, failed=False)
    return found


def test_what_was_slow_counts_at_once():
    """And what is fast again pulls it down slowly."""
    found = known(0.1)
    assert found.load(100.0) == pytest.approx(0.1)
    found.started()
    found.ended(2.0, 101.0, failed=False)
    assert found.load(101.0) == pytest.approx(2.0)
    for second in range(102, 105):
        found.started()
        found.ended(0.1, float(second), failed=False)
    assert 1.0 < found.load(104.0) < 2.0
    assert found.load(160.0) < 0.02  # nobody asked it for a minute


def test_what_is_on_its_way_counts_as_often():
    """Also at a target of which nothing is known."""
    found = known(0.1)
    for number in range(1, 4):
        found.started()
        assert found.load(100.0) == pytest.approx(0.1 * (number + 1))
    fresh = PeakEwma()
    assert fresh.load(0.0) == 0.0
    fresh.started()
    assert fresh.load(0.0) >= 1.0
    fresh.ended(None, 0.0, failed=False)
    assert fresh.load(0.0) == 0.0


def test_who_fails_fast_is_not_fast():
    """Each failure counts for more than the slowest answer."""
    found = known(0.7)
    for _ in range(2):
        before = found.load(100.0)
        found.started()
        found.ended(0.001, 100.0, failed=True)
        assert found.load(100.0) >= max(1.0, 2 * before)


@pytest.mark.parametrize("count", range(1, 7))
def test_every_pair_has_its_turn(count):
    """All targets are in the order, once; over the turns each pair is looked at."""
    chance = Random(count)
    loads = [chance.random() for _ in range(count)]
    firsts = set()
    for turn in range(4 * count * count):
        order = two_choices(loads, turn)
        assert sorted(order) == list(range(count))
        rest = [loads[place] for place in order[1:]]
        assert rest == sorted(rest)
        firsts.add(order[0])
    worst = max(range(count), key=lambda place: loads[place])
    assert firsts == set(range(count)) - ({worst} if count > 1 else set())
