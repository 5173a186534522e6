"""What an account takes, learned from its complaints."""

from tollway.domain.fair_commons import (
    BLAMED_S,
    BLOCKED_S,
    CHANGES,
    GOOD,
    LEARNED,
    MOST,
    NUMBERS,
    Cells,
)
from tollway.domain.fair_share import Capacity

_BACKED_OFF = 0.75  # of what ran when an account said that it was too much
_QUIET_S = 60.0  # without a complaint, one more may run with every round


class LearnedCapacity:
    """How many requests at a time an account takes, learned from its complaints (429): fewer at
    each, one more for every round that went well, and no bound again when it has been quiet for
    long. `configured` bounds stand beside it. All of it stands in the account's cells, so whoever
    shares those has learned the same."""

    __slots__ = ("_cells",)

    def __init__(self, cells: Cells | None = None) -> None:
        self._cells = [0.0] * NUMBERS if cells is None else cells

    @property
    def is_bound(self) -> bool:
        """Whether there is anything to unlearn."""
        return self._cells[LEARNED] > 0

    @property
    def blocked_until_s(self) -> float:
        """Until when the account wants to hear nothing."""
        return self._cells[BLOCKED_S]

    @property
    def changes(self) -> float:
        """Another number whenever there is something new."""
        return self._cells[CHANGES]

    def rest(self, until_s: float) -> None:
        """It wants to hear nothing until then."""
        if until_s > self._cells[BLOCKED_S]:
            self._cells[BLOCKED_S] = until_s
            self._cells[CHANGES] += 1

    def complained(self, running: int, *, retry_after_s: float, now_s: float) -> None:
        """The account said that it is too much, while so many ran. What was under way at the time
        says the same again: that is no new complaint."""
        cells = self._cells
        self.rest(now_s + retry_after_s)
        if cells[BLAMED_S] and now_s - cells[BLAMED_S] < 1.0:
            return
        cells[BLAMED_S], cells[GOOD] = now_s, 0
        known = float(running) if not self.is_bound else min(cells[LEARNED], running)
        cells[MOST] = max(known, 1.0)
        cells[LEARNED] = max(1.0, known * _BACKED_OFF)
        cells[CHANGES] += 1

    def went_well(self, now_s: float) -> None:
        """One was answered."""
        cells = self._cells
        if not self.is_bound:
            return
        cells[GOOD] += 1
        if cells[GOOD] < cells[LEARNED]:
            return
        cells[GOOD] = 0
        cells[LEARNED] += 1
        cells[CHANGES] += 1
        if cells[LEARNED] > 2 * cells[MOST] and now_s - cells[BLAMED_S] > _QUIET_S:
            cells[LEARNED] = 0

    def capacity(self, configured: Capacity) -> Capacity:
        """Both together."""
        if not self.is_bound:
            return configured
        at_once = int(self._cells[LEARNED])
        if configured.at_once is not None:
            at_once = min(at_once, configured.at_once)
        return Capacity(at_once, configured.requests_per_minute, configured.tokens_per_minute)
