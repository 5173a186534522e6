"""How long a model's answers are, learned from those it gave: what a bounded quota holds. A few
dozen counters per model, halved as they fill, so that what is learned follows the traffic.
"""

from math import frexp, ldexp

_PER_OCTAVE = 4
_BUCKETS = 32 * _PER_OCTAVE  # up to 2**32 tokens
_HALVED_AT = 512
_ENOUGH = 8
_FEW = 32
_LOOKED_EVERY = 16  # answers, once there are more than a few
UNKNOWN_TOKENS = 512  # held until a few answers were seen
_QUANTILE_PERCENT = 90


class OutputHistory:
    """One model's. Tokens of one answer."""

    __slots__ = ("_counts", "_seen", "expected")

    def __init__(self) -> None:
        self._counts = [0] * _BUCKETS
        self._seen = 0
        self.expected = UNKNOWN_TOKENS  # the 90th percentile, at most a quarter too large

    def learn(self, tokens: int) -> None:
        """An answer had so many."""
        counts = self._counts
        counts[_bucket(tokens)] += 1
        self._seen += 1
        if self._seen >= _HALVED_AT:
            self._counts = counts = [count // 2 for count in counts]
            self._seen = sum(counts)
        if self._seen >= _ENOUGH and (self._seen % _LOOKED_EVERY == 0 or self._seen <= _FEW):
            self.expected = self._quantile(counts)

    def _quantile(self, counts: list[int]) -> int:
        wanted = self._seen * _QUANTILE_PERCENT
        reached = 0
        for place, count in enumerate(counts):
            reached += count * 100
            if reached >= wanted:
                return _upper(place)
        return _upper(_BUCKETS - 1)


def _bucket(tokens: int) -> int:
    if tokens < 1:
        return 0
    mantissa, exponent = frexp(tokens)  # 0.5 <= mantissa < 1
    place = (exponent - 1) * _PER_OCTAVE + int((mantissa - 0.5) * 2 * _PER_OCTAVE)
    return min(place, _BUCKETS - 1)


def _upper(place: int) -> int:
    octave, part = divmod(place, _PER_OCTAVE)
    return int(ldexp(1 + (part + 1) / _PER_OCTAVE, octave))
