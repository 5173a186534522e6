"""How long a target takes to begin to answer, as load: peak-EWMA with two choices (Finagle's, after
Mitzenmacher's power of two). Pure: the clock is the caller's.

What was slower than the mean counts at once and in full; what was faster pulls it down slowly. A
target that is not asked is forgotten, so that a slow one is tried again.
"""

from collections.abc import Sequence
from math import exp

_DECAY_S = 10.0
_FAILED_S = 1.0  # the least that a failure counts as: who fails fast is not fast


class PeakEwma:
    """One target's."""

    __slots__ = ("_at_s", "_mean_s", "_running")

    def __init__(self) -> None:
        self._mean_s = 0.0
        self._at_s = 0.0
        self._running = 0

    def started(self) -> None:
        """A request is on its way to it."""
        self._running += 1

    def ended(self, took_s: float | None, now_s: float, *, failed: bool) -> None:
        """It began to answer after so long, or failed after so long; None: nobody knows."""
        self._running -= 1
        if took_s is None:
            return
        if failed:
            took_s = max(took_s, 2 * self._mean_s, _FAILED_S)
        kept = exp((self._at_s - now_s) / _DECAY_S)
        mean_s = self._mean_s * kept + took_s * (1 - kept)
        self._mean_s = took_s if took_s > self._mean_s else mean_s
        self._at_s = now_s

    def load(self, now_s: float) -> float:
        """How long the next one may wait, in seconds, behind what is on its way already."""
        idle_s = max(0.0, now_s - self._at_s)
        mean_s = self._mean_s * exp(-idle_s / _DECAY_S)
        if not mean_s and self._running:
            mean_s = _FAILED_S  # nothing is known of it, and it owes us an answer
        return mean_s * (self._running + 1)


def two_choices(loads: Sequence[float], turn: int) -> list[int]:
    """Places in the order to be tried: the better of two that the turn picks, then the others, the
    least loaded first. With two alone it is the better one."""
    count = len(loads)
    one = turn % count
    step = 1 + turn // count % (count - 1) if count > 1 else 0
    other = (one + step) % count
    first = min((one, other), key=lambda place: loads[place])
    rest = sorted((place for place in range(count) if place != first), key=lambda at: loads[at])
    return [first, *rest]
