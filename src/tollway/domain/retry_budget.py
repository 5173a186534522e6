"""How many attempts beyond the first a model's requests may have, so that a provider which is down
is not asked more than it was before. Pure.

A bucket that every request fills by a fifth of an attempt. One that succeeds is put back: where
the second target answers what the first does not, nobody is held up, however long that lasts.
"""

_SHARE = 0.19  # with what is there at first still under a fifth, from a thousand requests on
_MOST = 10.0


class RetryBudget:
    """One model's. `turn` is how many requests it has had."""

    __slots__ = ("_level", "_turn")

    def __init__(self, turn: int) -> None:
        self._level = _MOST
        self._turn = turn

    def take(self, turn: int) -> bool:
        """A second attempt; False: not now."""
        self._level = min(_MOST, self._level + (turn - self._turn) * _SHARE)
        self._turn = turn
        return self.take_more()

    def take_more(self) -> bool:
        """Another one of the same request."""
        if self._level < 1.0:
            return False
        self._level -= 1.0
        return True

    def give_back(self) -> None:
        """It answers."""
        self._level = min(_MOST, self._level + 1.0)
