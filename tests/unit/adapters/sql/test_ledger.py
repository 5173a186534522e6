"""The SQL ledger: roll-ups equal the fold of the entries, whatever happens on the way."""

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text
from sqlalchemy.exc import ProgrammingError

from tests.fakes.database import database
from tests.fakes.receipts import an_outcome
from tests.fakes.stores import STORES, store
from tollway.adapters.sql.engine import reading, writing
from tollway.adapters.sql.ledger import SqlLedger
from tollway.adapters.sql.tables import (
    ledger_entries,
    ledger_quarantine,
    usage_rollups_15m,
    usage_rollups_day,
)
from tollway.app.ports import StoreUnavailableError
from tollway.domain.ids import day_of
from tollway.domain.ledger import numbers_of
from tollway.domain.receipt import Receipt
from tollway.domain.rollup import COUNTS, MEASURES, RollupKey, fold, merge

STARTED_NS = 1_795_000_000_000_000_000
QUARTER_NS = 900 * 1_000_000_000


def receipt(number=1, attempt=1, **fields):
    request_id = f"req_20261118abcdefabcdef{number:08x}"
    return an_outcome(request_id, attempt, **{"started_ns": STARTED_NS, **fields})


def entries(engine):
    with reading(engine) as connection:
        rows = connection.execute(select(*ledger_entries.columns[1:])).all()
    return [Receipt(*row)._replace(tags=tuple(row.tags.items())) for row in rows]


def assert_rollups_fold_the_ledger(engine):
    """Invariant I5."""
    fine = fold((day_of(row.request_id), row) for row in entries(engine))
    for table in (usage_rollups_15m, usage_rollups_day):
        key = [column.name for column in table.columns if column.name not in MEASURES]
        expected = {
            group: (*sums.counts, *sums.numbers)
            for group, sums in merge(fine, tuple(map(RollupKey._fields.index, key))).items()
        }
        with reading(engine) as connection:
            rows = connection.execute(select(table)).all()
        assert {tuple(row[: len(key)]): tuple(row[len(key) :]) for row in rows} == expected


def test_rollups_add_up_over_batches(engine):
    """A later batch adds to the groups of an earlier one, and NULL adds nothing."""
    ledger = SqlLedger(engine)
    ledger.append("0", [receipt(1, cached_input=None), receipt(2, end_user="a")], (1, 1))
    ledger.append("0", [receipt(3, cached_input=4), receipt(4, cost_nusd=5)], (1, 2))
    assert_rollups_fold_the_ledger(engine)
    with reading(engine) as connection:
        row = connection.execute(select(usage_rollups_15m)).one()
    assert (row.requests, row.input, row.cached_input, row.reasoning) == (4, 48, 4, None)
    assert (row.cost_nusd, row.unpriced) == (5, 3)


def test_a_quarter_has_no_end_users_and_a_day_has(engine):
    """Cardinality of end users is bounded to one row per user and day."""
    users = [receipt(number, end_user=f"user{number}") for number in range(3)]
    SqlLedger(engine).append("0", users, (1, 1))
    with reading(engine) as connection:
        assert len(connection.execute(select(usage_rollups_15m)).all()) == 1
        assert len(connection.execute(select(usage_rollups_day)).all()) == 3


def test_what_was_set_aside_can_be_read(engine):
    """The quarantine names source and reason, and holds everything that was known."""
    bad = receipt(1, input=-5, end_user="\ud800")
    SqlLedger(engine).append("slot-3", [bad], (1, 1))
    with reading(engine) as connection:
        row = connection.execute(select(ledger_quarantine)).one()
    assert (row.source, row.reason) == ("slot-3", "input cannot be -5")
    assert json.loads(row.payload)["request_id"] == bad.request_id
    assert_rollups_fold_the_ledger(engine)


def test_a_batch_is_whole_or_not_at_all(engine):
    """When the roll-ups cannot be written, neither are the entries nor the cursor."""
    with writing(engine) as connection:
        connection.execute(text("DROP TABLE usage_rollups_day"))
    ledger = SqlLedger(engine)
    with pytest.raises((StoreUnavailableError, ProgrammingError)):
        ledger.append("0", [receipt()], (1, 1))
    assert entries(engine) == []
    assert ledger.cursor("0") == (0, 0)


def test_what_only_the_database_refuses_is_set_aside(engine):
    """A row that passed every check and still breaks a constraint holds up nothing."""
    refused = {
        "sqlite": "CREATE TRIGGER no_odd BEFORE INSERT ON ledger_entries "
        "WHEN new.model = 'odd' BEGIN SELECT RAISE(ABORT, 'odd is refused'); END",
        "postgresql": "ALTER TABLE ledger_entries ADD CHECK (model <> 'odd')",
    }
    with writing(engine) as connection:
        connection.execute(text(refused[engine.dialect.name]))
    ledger = SqlLedger(engine)
    batch = [receipt(1), receipt(2, model="odd"), receipt(3)]
    assert ledger.append("0", batch, (1, 3)) == 2
    assert ledger.quarantined() == 1
    assert_rollups_fold_the_ledger(engine)


@pytest.mark.parametrize("kind", STORES)
def test_a_locked_database_is_unavailable(tmp_path, kind):
    """A writer that waits too long says so, and keeps nothing."""
    with store(kind, tmp_path, busy_timeout_s=0.05) as engine:
        ledger = SqlLedger(engine)
        with writing(engine) as connection:
            if kind == "postgres":
                connection.exec_driver_sql("LOCK TABLE ship_cursors, ledger_entries")
            with pytest.raises(StoreUnavailableError, match="lock"):
                ledger.append("0", [receipt()], (1, 1))
            connection.rollback()
        assert ledger.cursor("0") == (0, 0)
        assert ledger.append("0", [receipt()], (1, 1)) == 1


def test_the_entry_columns_are_the_receipt(engine):
    """Tuples go straight into the table: the order of columns is a contract."""
    assert [column.name for column in ledger_entries.columns] == ["day", *Receipt._fields]


OUTCOMES = st.builds(
    receipt,
    number=st.integers(1, 4),
    attempt=st.integers(1, 2),
    started_ns=st.integers(STARTED_NS, STARTED_NS + 2 * QUARTER_NS),
    input=st.none() | st.integers(0, 3),
    output=st.none() | st.integers(-1, 3),
    cost_nusd=st.none() | st.integers(0, 2),
    payer=st.sampled_from(["reported", "killed", "failed_over"]),
    outcome=st.sampled_from(["finished", "killed"]),
    end_user=st.none() | st.just("anna") | st.just("b\x00"),
)


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.lists(OUTCOMES, max_size=5), max_size=4), st.randoms(use_true_random=False))
def test_any_order_and_repetition_of_batches_folds(batches, random):
    """However batches interleave and repeat: roll-ups = fold of the ledger, one usage row per
    attempt, and each attempt adds up to one of the outcomes it was given."""
    with tempfile.TemporaryDirectory() as directory:
        engine = database(Path(directory))
        ledger = SqlLedger(engine)
        deliveries = batches * 3
        random.shuffle(deliveries)
        for place, batch in enumerate(deliveries):
            ledger.append("0", batch, (1, place))
        rows = entries(engine)
        assert_rollups_fold_the_ledger(engine)
        for batch in batches:
            assert ledger.append("1", batch, (1, 1)) == 0
        engine.dispose()
    assert rows == sorted(rows, key=lambda row: (row.request_id, row.attempt, row.kind, row.seq))
    keys = [(row.request_id, row.attempt) for row in rows]
    assert len(set(keys)) == sum(row.kind == "usage" for row in rows)
    given_numbers = [
        (outcome.request_id, outcome.attempt, tuple(number or 0 for number in numbers_of(outcome)))
        for batch in batches
        for outcome in batch
    ]
    for key in set(keys):
        mine = [numbers_of(row) for row in rows if (row.request_id, row.attempt) == key]
        totals = tuple(sum(number or 0 for number in column) for column in zip(*mine, strict=True))
        assert (*key, totals) in given_numbers


def test_counts_are_never_null(engine):
    """A group that exists has counts."""
    SqlLedger(engine).append("0", [receipt()], (1, 1))
    with reading(engine) as connection:
        row = connection.execute(select(usage_rollups_day)).one()._mapping
    assert all(row[name] is not None for name in COUNTS)
