"""Whether the counters that enforce limits have what the ledger has (I5), while requests run. A
counter only grows within its window, so what the ledger has must lie between how the counter stood
before everything was shipped and how it stood after. Other machines ship every second, so what does
not fit is looked at again.
"""

import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from tollway.app.ports_admin import StandReader
from tollway.app.ports_alerts import MemberSums, WatchedQuota
from tollway.domain.quota import QuotaRecord
from tollway.domain.window import Period, window_at

_PATIENCE_S = 45.0  # after a loss of data counters are right again within this
_PAUSE_S = 0.5
_MEMBERS = 20  # of one limit: those that have used most


class Counter(NamedTuple):
    """One of a limit's, and what it and the ledger had when last looked at."""

    quota: QuotaRecord
    member: str | None
    counted: int
    booked: int


def recount(
    limits: Iterable[WatchedQuota],
    *,
    stands: StandReader,
    sums: MemberSums,
    ship: Callable[[], None],
    wall_s: Callable[[], float] = time.time,
) -> tuple[int, list[Counter]]:
    """How many counters were looked at, and those that do not have what the ledger has. A minute's
    and those of requests at a time are in no sum; a counter that nobody here keeps is none."""
    waiting = [one for one in limits if one.quota.period not in (Period.MINUTE, Period.NONE)]
    seen: set[tuple[str, str | None]] = set()
    until_s = wall_s() + _PATIENCE_S
    while True:
        now_s = int(wall_s())
        looks = [_Look(limit, now_s, stands=stands, sums=sums) for limit in waiting]
        ship()
        wrong = [counter for look in looks for counter in look.unequal(stands=stands, sums=sums)]
        seen |= {(look.quota.id, member) for look in looks for member in look.before}
        if not wrong or wall_s() > until_s:
            return len(seen), wrong
        ids = {counter.quota.id for counter in wrong}
        waiting = [limit for limit in waiting if limit.quota.id in ids]
        time.sleep(_PAUSE_S)


class _Look:
    """How the counters of one limit stood before everything was shipped."""

    def __init__(
        self, limit: WatchedQuota, now_s: int, *, stands: StandReader, sums: MemberSums
    ) -> None:
        self.quota = limit.quota
        self._window = window_at(limit.quota.period, limit.zone, now_s)
        members: list[str | None] = [None]
        if self.quota.per is not None:
            used = sums.members(self.quota, self._window)
            members = sorted(used, key=lambda one: used[one], reverse=True)[:_MEMBERS]
        found = ((member, stands.read(self.quota, member)) for member in members)
        self.before = {member: stand.used for member, stand in found if stand is not None}

    def unequal(self, *, stands: StandReader, sums: MemberSums) -> list[Counter]:
        """Those that cannot have what the ledger has. When the window has ended meanwhile they
        cannot either: the next look is at the next one."""
        booked = sums.members(self.quota, self._window)
        wrong = []
        for member, before in self.before.items():
            after = stands.read(self.quota, member)
            amount = booked.get(member, 0)
            if after is not None and not before <= amount <= after.used:
                wrong.append(Counter(self.quota, member, after.used, amount))
        return wrong
