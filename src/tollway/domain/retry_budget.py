"""How many attempts beyond the first a model's requests may have, so that a provider which is down
is not asked more than it was before. Pure.

A bucket that every request fills by a tenth of an attempt. One that succeeds is put back: where the
second target answers what the first does not, nobody is held up, however long that lasts. Until a
target has failed itself all of the bucket is for it, as what asked the first one when it fell
silent asks the second all at once, and answers can take long; what has failed lately is asked from
the upper part alone.
"""

_SHARE = 0.1  # with a whole bucket still under a fifth, from a thousand requests on
_MOST = 100.0
_KEPT = 90.0  # for targets that have not failed


class RetryBudget:
    """One model's. `turn` is how many requests it has had."""

    __slots__ = ("_level", "_turn")

    def __init__(self, turn: int) -> None:
        self._level = _MOST
        self._turn = turn

    def refill(self, turn: int) -> None:
        """By the requests since it was asked last."""
        self._level = min(_MOST, self._level + (turn - self._turn) * _SHARE)
        self._turn = turn

    def take(self, *, ailing: bool) -> bool:
        """Another attempt; False: not now. `ailing`: at a target that failed lately."""
        if self._level < (_KEPT + 1.0 if ailing else 1.0):
            return False
        self._level -= 1.0
        return True

    def give_back(self) -> None:
        """It answers."""
        self._level = min(_MOST, self._level + 1.0)
