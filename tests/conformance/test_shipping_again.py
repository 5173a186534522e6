"""G-09: whatever is shipped again, by whomever, and whatever a commit's answer was, the ledger is
what it is when everything was shipped once. Real journals, two shippers at once, each database.
"""

import dataclasses
import random
import threading
from itertools import zip_longest

import pytest

from tests.fakes.clock import FixedClock
from tests.fakes.journals import NOW_NS, TINY, a_journal, begun, finish
from tests.fakes.stores import store
from tollway.adapters.journal.reader import DiskJournalReader
from tollway.adapters.sql.engine import reading
from tollway.adapters.sql.ledger import SqlLedger
from tollway.adapters.sql.ledger_reading import SqlLedgerReader
from tollway.app.jobs.ship import Shipper, ShipperOptions
from tollway.app.ports import StoreUnavailableError
from tollway.domain.ledger_check import check_attempts, compare

LAPS = 3
AT_ONCE = 20  # in one of so many repeats both write at the same time; in the others by turns
REQUESTS = 10
SMALL = dataclasses.replace(TINY, segment_bytes=3200, max_record_bytes=800)


class Kept(DiskJournalReader):
    """Segments stay, to be shipped again."""

    def forget(self, source, upto):
        """Nothing is forgotten."""


class Faulty:
    """A store that begins at the journal's beginning, fails before its work or after the commit,
    and knows of a batch only when the commit's answer came."""

    def __init__(self, ledger, seed):
        self._ledger = ledger
        self._draw = random.Random(seed)
        self._cursors = {}
        self.faults = 0

    def cursor(self, source):
        return self._cursors.get(source, (0, 0))

    def quarantined(self):
        return self._ledger.quarantined()

    def append(self, source, receipts, upto):
        fate = self._draw.random()
        if fate < 0.15:
            self.faults += 1
            raise StoreUnavailableError("gone before")
        new = self._ledger.append(source, receipts, upto)
        if fate > 0.75:
            self.faults += 1
            raise StoreUnavailableError("gone, and whether it was committed is unknown")
        self._cursors[source] = upto
        return new


def a_days_journal(folder, seed):
    """A journal of several segments: requests, some with a second attempt, some corrected."""
    draw = random.Random(seed)
    with a_journal(folder, SMALL) as journal:
        for number in range(REQUESTS):
            request_id = f"req_20231114{seed:012x}{number:08x}"
            end_user = draw.choice([None, "ann"])
            intent = begun(journal, request_id, end_user=end_user)
            finish(journal, intent, output=draw.randrange(500), end_user=end_user)
    assert len(list(folder.rglob("*.seg"))) > 1
    return folder


def laps(reader, ledger, seed, faults):
    """The whole journal, again and again, until every segment was read `LAPS` times. A turn ends
    where a run failed."""
    for lap in range(LAPS):
        faulty = Faulty(ledger, seed * 10 + lap)
        options = ShipperOptions(batch_rows=4, batches_per_source=100)
        shipper = Shipper(reader, faulty, FixedClock(NOW_NS), options)
        while shipper.run_once(drain=True).trouble:
            yield
        faults.append(faulty.faults)


def by_turns(shippers):
    for _ in zip_longest(*shippers):
        pass


def at_once(shippers, troubles):
    def run(shipper):
        try:
            for _ in shipper:
                pass
        except BaseException as error:
            troubles.append(error)

    threads = [threading.Thread(target=run, args=(shipper,)) for shipper in shippers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def findings(engine):
    reader = SqlLedgerReader(engine)
    for day in reader.days():
        with reader.open(day) as book:
            yield from check_attempts(day, book.rows(), reader.price)
            for table, expected, found in book.rollups():
                yield from compare(table, expected, found)


def contents(engine):
    """Every entry and every roll-up."""
    with reading(engine) as connection:
        return [
            sorted(map(repr, connection.exec_driver_sql(f"SELECT * FROM {table}")))
            for table in ("ledger_entries", "usage_rollups_15m", "usage_rollups_day")
        ]


@pytest.mark.parametrize(
    ("kind", "repeats"),
    [
        pytest.param("sqlite", 200, marks=pytest.mark.slow),
        pytest.param("postgres", 16, marks=pytest.mark.slow),
    ],
)
def test_shipped_three_times_by_two_is_shipped_once(tmp_path, kind, repeats):
    """Segments thrice by each of two shippers at once, with lost answers: identical to once."""
    once, again = tmp_path / "once", tmp_path / "again"
    once.mkdir()
    again.mkdir()
    faults, troubles = [], []
    with store(kind, once) as plain, store(kind, again) as engine:
        first, ledgers = SqlLedger(plain), [SqlLedger(engine), SqlLedger(engine)]
        for seed in range(repeats):
            reader = Kept(a_days_journal(tmp_path / f"journal-{seed}", seed))
            Shipper(reader, first, FixedClock(NOW_NS)).run_once(drain=True)
            # The cursor is by source, and these journals are all slot 0 of their own machine.
            with plain.begin() as connection:
                connection.exec_driver_sql("DELETE FROM ship_cursors")

            shippers = [
                laps(reader, ledger, seed * 2 + one, faults) for one, ledger in enumerate(ledgers)
            ]
            if seed % AT_ONCE:
                by_turns(shippers)
            else:
                at_once(shippers, troubles)
        assert troubles == []
        assert contents(engine) == contents(plain)
        assert len(contents(engine)[0]) == repeats * REQUESTS
        assert list(findings(engine)) == []
        assert SqlLedger(engine).quarantined() == 0
    assert len(faults) == repeats * LAPS * 2
    assert sum(faults) > repeats * LAPS
