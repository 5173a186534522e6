"""Shipping: everything arrives, once, whatever store and journals do."""

import pytest

from tests.fakes.clock import FixedClock
from tests.fakes.database import database
from tests.fakes.receipts import an_outcome
from tollway.adapters.memory.ledger import MemoryLedger
from tollway.adapters.sql.ledger import SqlLedger
from tollway.app.jobs.ship import Shipped, Shipper, ShipperOptions
from tollway.app.ports import JournalBatch, StoreUnavailableError

ENDED_NS = 1_700_000_001_000_000_000


class Journals:
    """A `JournalReader` over lists: a position is (1, number of records before it). A record is a
    receipt, "damaged" or "intent"."""

    def __init__(self, **records):
        self.records = {source: list(held) for source, held in records.items()}
        self.forgotten = {}
        self.broken = set()

    def sources(self):
        if None in self.broken:
            raise OSError("no such directory")
        return sorted(self.records)

    def read(self, source, after, limit):
        if source in self.broken:
            raise OSError("input/output error")
        held = self.records[source][after[1] :]
        receipts, damaged, used = [], 0, 0
        for record in held:
            if len(receipts) == limit:
                break
            used += 1
            damaged += record == "damaged"
            if record not in ("damaged", "intent"):
                receipts.append(record)
        return JournalBatch(receipts, (1, after[1] + used) if used else after, damaged)

    def forget(self, source, upto):
        self.forgotten[source] = upto


class Wavering:
    """A store that is away for chosen calls of `append`: before its work, or after it."""

    def __init__(self, store, *, before=(), after=()):
        self._store, self._before, self._after, self._calls = store, before, after, 0

    def cursor(self, source):
        return self._store.cursor(source)

    def quarantined(self):
        return self._store.quarantined()

    def append(self, source, receipts, upto):
        self._calls += 1
        if self._calls in self._before:
            raise StoreUnavailableError("locked")
        new = self._store.append(source, receipts, upto)
        if self._calls in self._after:
            raise StoreUnavailableError("connection lost during commit")
        return new


def receipts(count, first=0, **fields):
    return [
        an_outcome(f"req_20231114abcdefabcdef{first + place:08x}", **fields)
        for place in range(count)
    ]


def shipper(journals, store, **options):
    clock = FixedClock(ENDED_NS + 2_500_000_000)
    return Shipper(journals, store, clock, ShipperOptions(**options))


@pytest.fixture(params=["memory", "sql"])
def ledger(request, tmp_path):
    if request.param == "memory":
        yield MemoryLedger()
        return
    engine = database(tmp_path)
    yield SqlLedger(engine)
    engine.dispose()


def test_every_journal_is_shipped_and_forgotten(ledger):
    """All sources, in batches, and segments may go once their cursor is committed."""
    journals = Journals(a=receipts(5), b=receipts(3, first=100))
    assert shipper(journals, ledger, batch_rows=2).run_once() == Shipped(rows=8, outcomes=8)
    assert journals.forgotten == {"a": (1, 5), "b": (1, 3)}
    assert ledger.cursor("a") == (1, 5)


def test_nothing_new_is_nothing_done(ledger):
    """A second run finds its cursors and ships nothing."""
    journals = Journals(a=receipts(5))
    shipper(journals, ledger).run_once()
    assert shipper(journals, ledger).run_once() == Shipped()


def test_damage_is_counted_and_stepped_over(ledger):
    """Unreadable records and bare intents move the cursor, and hide nothing behind them."""
    first, second = receipts(2)
    journals = Journals(a=[first, "damaged", "intent", second, "damaged"])
    done = shipper(journals, ledger).run_once()
    assert (done.rows, done.damaged) == (2, 2)
    assert ledger.cursor("a") == (1, 5)


def test_one_run_is_bounded(ledger):
    """A long journal leaves room for the others, and says how far behind it is."""
    journals = Journals(a=receipts(10), b=receipts(1, first=100))
    done = shipper(journals, ledger, batch_rows=2, batches_per_source=3).run_once()
    assert (done.rows, done.more, done.lag_s) == (7, True, 2.5)
    assert ledger.cursor("b") == (1, 1)


def test_a_store_that_is_away_loses_nothing(ledger):
    """The run ends with the reason; the next one takes up where the last commit was."""
    journals = Journals(a=receipts(6))
    away = shipper(journals, Wavering(ledger, before=(2,)), batch_rows=2).run_once()
    assert (away.rows, away.trouble) == (2, ("The ledger cannot be reached: locked",))
    assert journals.forgotten == {}
    assert shipper(journals, ledger, batch_rows=2).run_once().rows == 4


def test_an_unknown_commit_is_repeated_without_harm(ledger):
    """The store committed and then failed: the cursor was part of the commit."""
    journals = Journals(a=receipts(6))
    wavering = Wavering(ledger, after=(1, 2, 3))
    job = shipper(journals, wavering, batch_rows=2)
    for _ in range(3):
        assert job.run_once().trouble
    assert job.run_once() == Shipped()
    assert ledger.cursor("a") == (1, 6)
    assert all(len(ledger.rows(row.request_id)) == 1 for row in journals.records["a"])


def test_two_shippers_and_every_batch_three_times(ledger):
    """However often and by whomever batches are appended, the ledger is the same."""
    outcomes = receipts(6) + receipts(2, output=99)
    for _ in range(3):
        for source in ("one", "other"):
            batches = [outcomes[start : start + 3] for start in range(0, len(outcomes), 3)]
            for place, batch in enumerate(batches):
                for _ in range(3):
                    ledger.append(source, batch, (1, place + 1))
    shipper(Journals(one=outcomes, third=outcomes), ledger).run_once()
    rows = [ledger.rows(row.request_id) for row in outcomes[:6]]
    assert [len(found) for found in rows] == [2, 2, 1, 1, 1, 1]
    assert [sum(row.output for row in found) for found in rows] == [99, 99, 34, 34, 34, 34]


def test_a_bad_outcome_is_said(ledger):
    """What was set aside shows in the report of the run."""
    journals = Journals(a=[*receipts(2), an_outcome("not ours")])
    done = shipper(journals, ledger).run_once()
    assert (done.rows, done.outcomes, done.quarantined) == (2, 3, 1)


def test_a_broken_journal_does_not_stop_the_others(ledger):
    """Its trouble is named; the rest is shipped."""
    journals = Journals(a=receipts(2), b=receipts(2, first=10))
    journals.broken = {"a"}
    done = shipper(journals, ledger).run_once()
    assert done.rows == 2
    assert done.trouble == ("Journal a cannot be used: input/output error",)


def test_journals_that_cannot_be_listed_are_trouble(ledger):
    """Not an exception: the caller runs again later."""
    journals = Journals()
    journals.broken = {None}
    assert "cannot be listed" in shipper(journals, ledger).run_once().trouble[0]


def test_intents_alone_have_no_lag(ledger):
    """Without an outcome there is nothing that waits."""
    journals = Journals(a=["intent"] * 4)
    job = shipper(journals, ledger, batch_rows=1, batches_per_source=1)
    assert job.run_once() == Shipped(more=True)
