"""What an account takes, learned from its complaints and from what it says of its rates."""

from collections.abc import Sequence

from tollway.domain.fair_commons import (
    BLAMED_S,
    BLOCKED_S,
    CHANGES,
    GOOD,
    LEARNED,
    MOST,
    NUMBERS,
    TOLD_REQUESTS,
    TOLD_TOKENS,
    TOLD_UNTIL_S,
    Cells,
)
from tollway.domain.fair_share import Capacity
from tollway.domain.told_rates import ToldRate

_BACKED_OFF = 0.75  # of what ran when an account said that it was too much
_QUIET_S = 60.0  # without a complaint, one more may run with every round
_SCARCE_S, _PLENTY_S = 10.0, 20.0  # of a rate's own pace: with less left it bounds, with more not
_SLOWER = 0.95  # than it says: at its very pace the least delay on the way is a refusal
_NEWS = 0.1  # of a pace: less is how it was rounded


class LearnedCapacity:
    """How many requests at a time an account takes, learned from its complaints (429): fewer at
    each, one more for every round that went well, and no bound again when it has been quiet for
    long. And at which rates, while it says that little is left of them. `configured` bounds stand
    beside it. All of it stands in the account's cells, so whoever shares those has learned the
    same."""

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

    def told(self, rates: Sequence[ToldRate | None], now_s: float) -> None:
        """The account said so much of its requests and of its tokens. A rate bounds while little is
        left of it: whoever goes on at its pace is not refused, and shares what there is."""
        for place, rate in zip((TOLD_REQUESTS, TOLD_TOKENS), rates, strict=True):
            if rate is None:
                continue
            if rate.left_s > _PLENTY_S:
                self._set_pace(place, 0.0)
            elif rate.left_s <= _SCARCE_S or self._cells[place]:
                self._cells[TOLD_UNTIL_S] = now_s + _QUIET_S
                self._set_pace(place, max(1.0, _SLOWER * rate.per_s * 60))

    def forget(self, now_s: float) -> None:
        """What the account said long ago counts no more."""
        if 0 < self._cells[TOLD_UNTIL_S] < now_s:
            self._cells[TOLD_UNTIL_S] = 0
            self._set_pace(TOLD_REQUESTS, 0.0)
            self._set_pace(TOLD_TOKENS, 0.0)

    def _set_pace(self, place: int, per_minute: float) -> None:
        before = self._cells[place]
        if abs(per_minute - before) > _NEWS * before:
            self._cells[place] = per_minute
            self._cells[CHANGES] += 1

    def capacity(self, configured: Capacity) -> Capacity:
        """All together."""
        cells = self._cells
        if not (cells[LEARNED] or cells[TOLD_REQUESTS] or cells[TOLD_TOKENS]):
            return configured
        return Capacity(
            _least(cells[LEARNED], configured.at_once),
            _least(cells[TOLD_REQUESTS], configured.requests_per_minute),
            _least(cells[TOLD_TOKENS], configured.tokens_per_minute),
        )


def _least(learned: float, configured: int | None) -> int | None:
    if not learned:
        return configured
    return int(learned) if configured is None else min(int(learned), configured)
