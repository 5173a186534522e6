"""From samples to figures: quantiles, medians with their spread, ratios of one round, slopes, and
the bound a change is judged by. Pure; knows nothing of processes.

A ratio is taken inside each round, where both sides met the same machine, and then the median of
the ratios; never the ratio of two medians.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

# One-sided 95 % quantiles of Student's t by degrees of freedom; beyond the table the normal's.
_T95 = (
    *(6.314, 2.920, 2.353, 2.132, 2.015, 1.943, 1.895, 1.860, 1.833, 1.812),
    *(1.796, 1.782, 1.771, 1.761, 1.753, 1.746, 1.740, 1.734, 1.729, 1.725),
)
_NORMAL95 = 1.645


@dataclass(frozen=True, slots=True)
class Spread:
    """A median with its quartiles and how many rounds it stands on."""

    median: float
    low: float
    high: float
    rounds: int


def quantile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that at least this share does not exceed; 0 of nothing."""
    if not ordered:
        return 0.0
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def spread(values: Sequence[float]) -> Spread | None:
    """Median and quartiles, between neighbours where needed; None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    return Spread(
        _between(ordered, 0.5), _between(ordered, 0.25), _between(ordered, 0.75), len(ordered)
    )


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Least squares through (x, y) points: how much y grows with one more x."""
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    spread_x = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread_x


def ratio_bound(ratios: Sequence[float]) -> tuple[float, float]:
    """The mean ratio of paired rounds and its one-sided upper 95 % bound, both in logarithms, so
    that twice as slow and twice as fast weigh the same."""
    logs = [math.log(ratio) for ratio in ratios]
    mean = sum(logs) / len(logs)
    if len(logs) < 2:
        return math.exp(mean), math.inf
    variance = sum((log - mean) ** 2 for log in logs) / (len(logs) - 1)
    freedom = len(logs) - 1
    t = _T95[freedom - 1] if freedom <= len(_T95) else _NORMAL95
    return math.exp(mean), math.exp(mean + t * math.sqrt(variance / len(logs)))


def _between(ordered: Sequence[float], share: float) -> float:
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)
