"""How connections are set up, and what a transaction promises."""

import sqlite3
from multiprocessing import get_context

import pytest
from sqlalchemy import insert, select, text

from tests.fakes.database import configuration, database
from tests.fakes.receipts import an_outcome
from tollway.adapters.sql.engine import SqlOptions, open_engine, reading, sqlite_url, writing
from tollway.adapters.sql.ledger import SqlLedger
from tollway.adapters.sql.rows import read_version
from tollway.adapters.sql.tables import peppers, ship_cursors
from tollway.app.ports import StoreUnavailableError


@pytest.fixture
def engine(tmp_path):
    engine = database(tmp_path)
    yield engine
    engine.dispose()


@pytest.mark.parametrize(
    ("pragma", "value"),
    [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1), ("busy_timeout", 5000)],
)
def test_every_connection_is_set_up(engine, pragma, value):
    """WAL with full syncs, foreign keys checked, writers wait."""
    with reading(engine) as connection:
        assert connection.execute(text(f"PRAGMA {pragma}")).scalar() == value


def a_pepper(version):
    return insert(peppers).values(version=version, wrapped=b"w", created_s=0)


def test_a_block_that_raises_writes_nothing(engine):
    """All of a transaction or none of it."""
    with pytest.raises(ZeroDivisionError), writing(engine) as connection:
        connection.execute(a_pepper(1))
        _ = 1 / 0
    with reading(engine) as connection:
        assert connection.execute(select(peppers)).all() == []


def test_a_reader_sees_one_state(engine):
    """What another commits meanwhile appears in the next transaction."""
    with reading(engine) as before:
        assert before.execute(select(peppers)).all() == []
        with writing(engine) as connection:
            connection.execute(a_pepper(1))
        assert before.execute(select(peppers)).all() == []
    with reading(engine) as after:
        assert len(after.execute(select(peppers)).all()) == 1


def test_a_missing_directory_is_unavailable(tmp_path):
    """Not a traceback of the driver: the caller tries again later."""
    engine = open_engine(SqlOptions(sqlite_url(str(tmp_path / "none" / "x.db"))))
    with pytest.raises(StoreUnavailableError, match="unable to open"), reading(engine):
        pass


def test_a_file_that_is_no_database_is_unavailable(tmp_path):
    """Damage is named."""
    path = tmp_path / "x.db"
    path.write_bytes(b"this is no database at all" * 100)
    engine = open_engine(SqlOptions(sqlite_url(str(path))))
    with pytest.raises(StoreUnavailableError, match="not a database"), reading(engine):
        pass


def test_a_new_file_that_another_process_holds_is_unavailable(tmp_path):
    """Switching to WAL needs the file alone; it is tried until the busy timeout is over."""
    holder = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    engine = open_engine(SqlOptions(sqlite_url(str(tmp_path / "x.db")), busy_timeout_s=0.05))
    with pytest.raises(StoreUnavailableError, match="locked"), reading(engine):
        pass
    holder.execute("ROLLBACK")
    holder.close()
    with reading(engine) as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
    engine.dispose()


def test_any_path_can_hold_the_database(tmp_path):
    """Characters that mean something in a URL do not change the file."""
    path = tmp_path / "a ?b#c%41.db"
    engine = open_engine(SqlOptions(sqlite_url(str(path))))
    with reading(engine):
        assert path.exists()
    engine.dispose()


BATCHES, ROWS = 40, 20


def write_ledger(url, worker, barrier):
    engine = open_engine(SqlOptions(url, busy_timeout_s=30))
    ledger, units = SqlLedger(engine), configuration(engine)
    barrier.wait()
    for batch in range(BATCHES):
        rows = [
            an_outcome(f"req_20261118abcdefabcde{worker}{batch * ROWS + place:08x}")
            for place in range(ROWS)
        ]
        assert ledger.append(f"slot-{worker}", rows, (1, batch + 1)) == ROWS
        with units.begin() as uow:
            uow.peppers.add(worker * BATCHES + batch, b"w")
            uow.commit()
    engine.dispose()


def test_two_processes_write_at_once(engine):
    """Writers wait for each other: nothing fails, nothing is lost, versions are not given twice."""
    context = get_context("spawn")
    barrier = context.Barrier(2)
    processes = [
        context.Process(target=write_ledger, args=(str(engine.url), worker, barrier))
        for worker in range(2)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    with reading(engine) as connection:
        assert read_version(connection) == 2 * BATCHES
        assert connection.execute(text("SELECT count(*) FROM ledger_entries")).scalar() == (
            2 * BATCHES * ROWS
        )
        sums = connection.execute(text("SELECT sum(requests) FROM usage_rollups_day")).scalar()
        assert sums == 2 * BATCHES * ROWS
        assert len(connection.execute(select(ship_cursors)).all()) == 2
