import pytest

from bench.figures import quantile, ratio_bound, slope, spread


def test_a_quantile_is_a_value_that_was_seen():
    """The 99 % quantile of 1..100 is 99, of one value that value, of nothing 0."""
    assert quantile(list(range(1, 101)), 0.99) == 99
    assert quantile([7.0], 0.99) == 7.0
    assert quantile([], 0.5) == 0.0


def test_spread_is_median_and_quartiles():
    """Quartiles lie between neighbours where no value sits on them."""
    found = spread([4.0, 1.0, 3.0, 2.0])
    assert found is not None
    assert (found.low, found.median, found.high, found.rounds) == (1.75, 2.5, 3.25, 4)
    assert spread([]) is None


def test_slope_takes_the_fixed_cost_out():
    """A stream of n chunks that costs 100 + 3 n has a chunk cost of 3."""
    assert slope([(n, 100 + 3 * n) for n in (8, 64, 256)]) == pytest.approx(3)


def test_the_bound_of_a_ratio_covers_the_noise():
    """Equal rounds leave no doubt, scattered ones much; a single one proves nothing."""
    assert ratio_bound([1.1] * 9) == (pytest.approx(1.1), pytest.approx(1.1))
    mean, bound = ratio_bound([0.5, 2.0])
    assert mean == pytest.approx(1.0)
    assert bound > 10  # two rounds this far apart say next to nothing
    assert ratio_bound([1.0])[1] == float("inf")
