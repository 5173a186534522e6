"""Retention: which days of the ledger are over, for whom, and in what order they go. What a step
does is the store's; a step is a transaction, so it may end at any point and go on at the next run.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from tollway.app.ports import Clock
from tollway.app.ports_retention import RetentionStore
from tollway.domain.retention import (
    DETAIL_DAYS,
    age_days,
    candidates,
    days_ahead,
    is_detailed,
    is_over,
)


class Retained(NamedTuple):
    """One run: entries removed, days that went as a whole, rows of closings that became one."""

    entries: int = 0
    days: int = 0
    compacted: int = 0


class Due(NamedTuple):
    """A day of which something is over."""

    day: str
    age_days: int
    by_default: bool
    detailed: bool


class Retention:
    """Run hourly. What was looked through once is not again, until tenants choose anew or the day
    ages past what somebody has chosen."""

    def __init__(self, store: RetentionStore, clock: Clock, default_days: int | None) -> None:
        """`default_days` is for tenants that have chosen nothing; None: for good."""
        self._store = store
        self._clock = clock
        self._default_days = default_days
        self._seen: dict[str, object] = {}
        self._compacted: str | None = None

    def run_once(self) -> Retained:
        """Raises StoreUnavailableError; what is done by then stays done."""
        today = self._today()
        self._store.prepare(days_ahead(today))
        entries = days = 0
        mark = self._store.kept().mark
        for due in self.due():
            seen = (mark, due.age_days)
            if self._seen.get(due.day) == seen:
                continue
            removed, whole = self._close(due)
            entries, days = entries + removed, days + whole
            self._seen[due.day] = seen
        return Retained(entries, days, self._compact(today))

    def counts(self) -> Iterator[tuple[str, int, int]]:
        """For each day of which something is over: how many entries would go, and stay."""
        for due in self.due():
            goes, stays = self._store.count(
                due.day, age_days=due.age_days, by_default=due.by_default
            )
            yield due.day, goes, stays

    def due(self) -> Iterator[Due]:
        """The days of which something is over, oldest first."""
        today, default = self._today(), self._default_days
        chosen = [days for days in (self._store.kept().shortest_days, default) if days is not None]
        for day in candidates(self._store.days(), today, min(chosen, default=None)):
            age = age_days(day, today)
            assert age is not None  # or it were no candidate
            yield Due(day, age, is_over(day, today, default), is_detailed(day, today))

    def _close(self, due: Due) -> tuple[int, bool]:
        removed = 0
        while True:
            step = self._store.close(
                due.day, age_days=due.age_days, by_default=due.by_default, detailed=due.detailed
            )
            removed += step.rows
            if not step.more:
                return removed, step.whole

    def _compact(self, today: date) -> int:
        before = (today - timedelta(days=DETAIL_DAYS)).isoformat()
        if before == self._compacted:
            return 0
        count = self._store.compact(before)
        self._compacted = before
        return count

    def _today(self) -> date:
        """The earlier of two clocks: one that runs ahead must not remove what is still wanted."""
        here = datetime.fromtimestamp(self._clock.wall_ns() / 1e9, UTC).date()
        there = self._store.today()
        return here if there is None else min(here, date.fromisoformat(there))
