"""The order in which a model's targets are tried: pure functions of the targets and a turn count.

Weighted order is a Weyl sequence: turn x golden ratio, modulo 1, falls into the weights' shares
with the lowest discrepancy a deterministic sequence can have, with no state but the turn.
"""

from collections.abc import Sequence
from hashlib import blake2b
from math import log

from tollway.domain.model import Strategy, Target

_GOLDEN = 0x9E3779B97F4A7C15  # 2**64 / golden ratio, odd
_MASK = 0xFFFFFFFFFFFFFFFF


def order_targets(strategy: Strategy, targets: Sequence[Target], turn: int) -> Sequence[Target]:
    """All targets, the first choice of this turn first, then the rest by priority. By cost and by
    latency they are ordered afterwards, from the order of their priorities."""
    if len(targets) <= 1 or strategy is Strategy.FAILOVER:
        return targets
    ranked = sorted(targets, key=_priority)
    if strategy is Strategy.PRIORITY:
        return _in_turn_among_equals(ranked, turn)
    if strategy in (Strategy.COST_OPTIMIZED, Strategy.LEAST_LATENCY):
        return ranked
    if strategy is Strategy.ROUND_ROBIN:
        start = turn % len(ranked)
        return ranked[start:] + ranked[:start]
    first = weighted_place([target.weight for target in ranked], turn)
    return [ranked[first], *ranked[:first], *ranked[first + 1 :]]


def by_cost(costs_nusd: Sequence[int | None]) -> list[int]:
    """The places of the cheapest first; what has no price is last, and equals keep their order."""
    places = range(len(costs_nusd))
    return sorted(places, key=lambda place: (costs_nusd[place] is None, costs_nusd[place] or 0))


def weighted_place(weights: Sequence[int], turn: int) -> int:
    """The place of whose turn it is, by weight; the first where nobody weighs anything."""
    total = sum(weights)
    if total <= 0:
        return 0
    point = (turn * _GOLDEN & _MASK) * total >> 64
    for place, weight in enumerate(weights[:-1]):
        point -= weight
        if point < 0:
            return place
    return len(weights) - 1


def sticky_place(key: bytes, names: Sequence[str], weights: Sequence[int]) -> int:
    """The place that this key always has, by weight; when another one goes, only its keys move
    (rendezvous hashing, Thaler and Ravishankar 1998; weights after Schindelhauer and Schomaker)."""

    def score(place: int) -> float:
        digest = blake2b(names[place].encode(), digest_size=8, key=key[:64]).digest()
        point = (int.from_bytes(digest, "big") + 1) / (2**64 + 1)
        return max(weights[place], 0) / -log(point)

    return max(range(len(names)), key=score)


def _in_turn_among_equals(ranked: Sequence[Target], turn: int) -> Sequence[Target]:
    equals = sum(target.priority == ranked[0].priority for target in ranked)
    if equals == 1:
        return ranked
    start = turn % equals
    return [*ranked[start:equals], *ranked[:start], *ranked[equals:]]


def _priority(target: Target) -> int:
    return target.priority
