"""Without the server: a rule that may go on gives out a share of its limit here, counted here. What
it lets in is in the ledger, and the server is told of it when it is back.
"""

import asyncio
from collections.abc import Callable, Sequence

from tollway.adapters.redis.lines import Booked, Line
from tollway.app.ports import Untold
from tollway.domain.hold import Outage
from tollway.domain.quota import Sizes
from tollway.domain.window import BUCKET_S, BUCKETS

SHARE_PERCENT = 10
_MOST = 100_000  # counters
_LOOK_S = 1.0


class _NeverUntold:
    """`Untold` of a process that leaves nothing behind."""

    inherited = False

    def settle(self) -> None:
        """There was nothing."""

    def mark(self) -> bool:
        """Nobody comes after us."""
        return True

    def clear(self) -> None:
        """Nothing was noted."""


NEVER_UNTOLD = _NeverUntold()


class Shares:
    """What was given out, by counter (of the minute: by its ten seconds): over several outages in
    one window it stays one share. `left`: of a line's limit, when it was last seen. `untold` has
    it on record while the server does not know."""

    def __init__(self, left: Callable[[Line], int | None], untold: Untold) -> None:
        self.admitted = 0  # holds, since the start
        self._running = 0  # of them
        self._given: dict[tuple[bytes, int], int] = {}
        self._left = left
        self._untold = untold

    async def keep(self, told: Callable[[], bool]) -> None:
        """Forever: find out when the server has been told of all, as `told` says of what ended."""
        while True:
            await asyncio.sleep(_LOOK_S)
            if not self._running and told():
                self._untold.clear()

    def admit(self, lines: Sequence[Line], now_s: int) -> Outage | None:
        """Let them in, or say whose counters cannot be had."""
        for line in lines:
            if line.rule.shadow:
                continue
            if not line.rule.shares:
                return Outage(line.rule)
            share, left = line.limit * SHARE_PERCENT // 100, self._left(line)
            if left is not None:
                share = min(share, left)
            if not self._used(line, now_s) + line.amount <= share:
                return Outage(line.rule)
        if not self._untold.mark():
            return Outage(lines[0].rule)
        for line in lines:
            line.bucket_s = now_s - now_s % BUCKET_S if line.place.kind == "m" else 0
            self._add(line, line.held)
        self.admitted += 1
        self._running += 1
        return None

    def end(self, booked: Booked, actual: Sizes | None) -> None:
        """What it has used stays given out."""
        self._running -= 1
        for line in booked.lines():
            if line.books:
                used = 0 if actual is None else actual[line.rule.metric]
                self._add(line, used - line.held)

    def _used(self, line: Line, now_s: int) -> int:
        key = line.place.key
        if line.place.kind != "m":
            return self._given.get((key, 0), 0)
        newest_s = now_s - now_s % BUCKET_S
        starts = range(newest_s - (BUCKETS - 1) * BUCKET_S, newest_s + 1, BUCKET_S)
        return sum(self._given.get((key, start_s), 0) for start_s in starts)

    def _add(self, line: Line, amount: int) -> None:
        key = line.place.key, line.bucket_s
        self._given[key] = max(0, self._given.pop(key, 0) + amount)
        while len(self._given) > _MOST:
            del self._given[next(iter(self._given))]  # what was not asked for the longest
