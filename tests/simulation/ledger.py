"""Journals, the keepers that ship them, and the ledger that has their rows: what counters are told
as the truth. A journal outlives its writer; a keeper closes what dead writers left open.
"""

import asyncio
from typing import NamedTuple

from tollway.app.ports import Counted, StoreUnavailableError
from tollway.domain.quota import METRICS, NOTHING, Metric, Scope
from tollway.domain.window import Period

_SLOWEST_S = 3.0


class Who(NamedTuple):
    """Whose request it is."""

    tenant: str
    project: str
    key: str


class Row(NamedTuple):
    """One request's end in the ledger. `at_s` by its gateway's clock; `in_s` when it was let in."""

    id: int
    who: Who
    at_s: int
    in_s: float
    used: object


class Journal:
    """Of one slot. `running` has begun and not ended: with what it has used so far."""

    def __init__(self, source):
        self.source = source
        self.records = []
        self.places = []
        self.running = {}
        self.untold = False
        self.segment = self.offset = 0

    @property
    def written(self):
        """The place behind the last record."""
        return self.segment, self.offset

    def begin(self, id_, who, *times_s):
        """Before anything is asked of a provider."""
        self.running[id_] = [who, times_s, NOTHING]
        self._append(None)

    def progress(self, id_, used):
        """It outlives the process, as a mapped file does."""
        self.running[id_][2] = used

    def end(self, id_, used):
        """The outcome."""
        who, times_s, _ = self.running.pop(id_)
        self._append(Row(id_, who, *times_s, used))

    def close(self):
        """Nobody writes it any more: what runs has ended with what it had used."""
        ended = list(self.running.items())
        for id_, (_, _, used) in ended:
            self.end(id_, used)
        if ended:
            self.segment, self.offset = self.segment + 1, 0
        return [id_ for id_, _ in ended]

    def _append(self, row):
        self.offset += 100
        self.records.append(row)
        self.places.append(self.written)


class UntoldOf:
    """`Untold` on a journal's record of it, which outlives the process as a file does."""

    def __init__(self, journal):
        self._journal = journal
        self.inherited = journal.untold

    def settle(self):
        self.inherited = False

    def mark(self):
        self._journal.untold = True
        return True

    def clear(self):
        if not self.inherited:
            self._journal.untold = False


class Ledger:
    """Rows, only ever appended, and how far each journal is in it."""

    def __init__(self):
        self.rows = []
        self.ids = set()
        self.cursors = {}
        self.away = False
        self._taken = {}

    def take(self, journal):
        """All of it that is new: at once or not at all, as one transaction does."""
        begin = self._taken.get(journal.source, 0)
        for row in journal.records[begin:]:
            if row is not None:
                assert row.id not in self.ids, f"I2: two outcomes of request {row.id}"
                self.ids.add(row.id)
                self.rows.append(row)
        self._taken[journal.source] = len(journal.records)
        self.cursors[journal.source] = journal.written

    def used(self, quota, member, window):
        """By the second a bucket or the window begins, as the SQL does."""
        if quota.metric is Metric.CONCURRENCY:
            return {}
        minute, metric = quota.period is Period.MINUTE, METRICS.index(quota.metric)
        begin_s, end_s = window
        if minute:
            begin_s, end_s = begin_s - 60, begin_s - 60 + 86_400
        found = {} if minute else {window.start_s: 0}
        for row in self.rows:
            if begin_s <= row.at_s < end_s and concerns(quota, member, row.who):
                at_s = row.at_s - row.at_s % 10 if minute else window.start_s
                found[at_s] = found.get(at_s, 0) + row.used[metric]
        return found


def concerns(quota, member, who):
    """Whether the request counts on the rule."""
    if quota.per is not None and member != who.key:
        return False
    if quota.scope is Scope.PLATFORM:
        return True
    if quota.tenant_id != who.tenant:
        return False
    return quota.scope is Scope.TENANT or quota.scope_id == who.project


class Keeper:
    """One machine's. `alive`: slots whose journal somebody writes. `slow_s`: the longest that a
    part of its work takes."""

    def __init__(self, ledger, chance, ended):
        self.journals = []
        self.alive = set()
        self.is_up = True
        self.slow_s = 0.005
        self._ledger = ledger
        self._chance = chance
        self._ended = ended

    def recover(self):
        """Close what dead writers left; their sources."""
        closed = [one for one in self.journals if one.source not in self.alive]
        for journal in closed:
            for id_ in journal.close():
                self._ended(id_)
        return [one.source for one in closed]

    def ship(self):
        """All that was written, if the ledger is there."""
        if self._ledger.away or not self.is_up:
            raise StoreUnavailableError("away")
        for journal in self.journals:
            self._ledger.take(journal)

    async def count(self, source, refs):
        """What `Counting` promises."""
        if not self.is_up:
            raise StoreUnavailableError("no keeper")
        closed = self.recover()
        await self._takes()
        self.ship()
        await self._takes()
        self.ship()
        used = [self._ledger.used(*ref) for ref in refs]
        cursors = [(one, *place) for one, place in self._ledger.cursors.items()]
        upto = self._ledger.cursors.get(source, (0, 0))
        await self._takes()
        return Counted(used, [0] * len(refs), upto, False, cursors, closed)

    async def _takes(self):
        await asyncio.sleep(self._chance.uniform(0.0, self.slow_s))


class CountingHere:
    """What one worker asks. `Counting` of `app.ports`."""

    def __init__(self, keeper, source):
        self._keeper = keeper
        self._source = source

    async def count(self, refs):
        """What counters have by the ledger."""
        return await self._keeper.count(self._source, refs)
