"""The ledger's days on PostgreSQL: moved there without loss, made in time, shut to other roles."""

import threading

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, ProgrammingError

from tests.fakes.clock import FixedClock
from tests.fakes.postgres import postgres_database, server
from tests.fakes.receipts import an_outcome
from tests.fakes.stores import store
from tollway.adapters.sql.engine import SqlOptions, open_engine, reading, writing
from tollway.adapters.sql.ledger import SqlLedger
from tollway.adapters.sql.migrate import SCRIPTS, check, upgrade
from tollway.adapters.sql.partitions import (
    keep_partitions,
    make_partitions,
    partition_of,
    partitioned_days,
)
from tollway.adapters.sql.retention import SqlRetention
from tollway.adapters.sql.tenancy import APP, SYSTEM, enter_scope
from tollway.app.jobs.retain import Retention
from tollway.app.ports import StoreUnavailableError
from tollway.domain.result import Ok

pytestmark = pytest.mark.slow
DAY = "2026-11-18"
NS = 10**9
STARTED_NS = 1_795_000_000 * NS


@pytest.fixture
def engine(tmp_path):
    with store("postgres", tmp_path) as engine:
        yield engine


def rows(count=6, day="20261118", **fields):
    return [
        an_outcome(f"req_{day}{number:020x}", started_ns=STARTED_NS, **fields)
        for number in range(count)
    ]


def dump(engine):
    with reading(engine) as connection:
        found = connection.execute(text("SELECT e::text FROM ledger_entries e ORDER BY 1"))
        return found.scalars().all()


def test_a_ledger_without_partitions_is_moved_without_loss():
    """Every row is there afterwards, each in its day; and nothing of the old table is left."""
    with postgres_database(migrated=False) as url:
        engine = open_engine(SqlOptions(url))
        with writing(engine) as connection:
            config = Config()
            config.set_main_option("script_location", SCRIPTS)
            config.attributes["connection"] = connection
            command.upgrade(config, "r0005")
            connection.execute(
                text(
                    "INSERT INTO ledger_entries (day, request_id, attempt, kind, seq, started_ns, "
                    "ended_ns, endpoint, stream, tags, usage_source, payer, status, outcome) "
                    "SELECT '2026-11-' || lpad((n % 9 + 1)::text, 2, '0'), 'req_' || n, 1, "
                    "'usage', 0, n, n, 'chat', true, '{\"n\": 1}', 'none', 'failed', 500, 'failed' "
                    "FROM generate_series(1, 5000) n"
                )
            )
        before = dump(engine)
        assert upgrade(engine) == Ok(True)
        assert check(engine) == Ok(None)
        assert dump(engine) == before
        assert len(before) == 5000
        with reading(engine) as connection:
            days = partitioned_days(connection)
            old = connection.execute(text("SELECT to_regclass('ledger_entries_before')")).scalar()
        assert {f"2026-11-0{number}" for number in range(1, 10)} <= days
        assert len(days) >= 9 + 7
        assert old is None
        engine.dispose()


def test_no_row_is_collected_in_silence(engine):
    """A day without a partition takes nothing: there is no default one."""
    with pytest.raises(IntegrityError, match="no partition of relation"), writing(engine) as made:
        made.execute(
            text(
                "INSERT INTO ledger_entries (day, request_id, attempt, kind, seq, started_ns, "
                "ended_ns, endpoint, stream, tags, usage_source, payer, status, outcome) VALUES "
                "('1999-01-01', 'r', 1, 'usage', 0, 0, 0, 'c', true, '{}', 'n', 'f', 1, 'f')"
            )
        )


def test_a_day_is_made_when_its_first_entry_comes(engine):
    """By one store or by several at once; and again, should it have gone meanwhile."""
    ledger = SqlLedger(engine)
    assert ledger.append("a", rows(), (1, 1)) == 6
    with writing(engine) as connection:
        connection.exec_driver_sql(f"DROP TABLE {partition_of(DAY)}")
    assert ledger.append("a", rows(day="20261118"), (1, 2)) == 6
    answers = []
    batches = [rows(day=f"202610{number:02}") for number in range(1, 9)]
    threads = [
        threading.Thread(
            target=lambda: answers.append(
                sum(SqlLedger(engine).append("b", batch, (1, 1)) for batch in batches)
            )
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(answers) == 48
    assert ledger.quarantined() == 0


def test_row_security_holds_through_the_parent(engine):
    """A tenant sees its entries of every day and no other's, and writes none."""
    ledger = SqlLedger(engine)
    ledger.append("a", rows(3, tenant_id="ten_a"), (1, 1))
    ledger.append("a", rows(2, day="20261117", tenant_id="ten_b"), (1, 2))
    for scope, count in ((("ten_a",), 3), (("ten_b",), 2), (("ten_a", "ten_b"), 5), ((), 0)):
        with engine.connect() as connection:
            enter_scope(connection, scope)
            seen = connection.execute(text("SELECT count(*) FROM ledger_entries"))
            assert seen.scalar() == count


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM {day}",
        "INSERT INTO {day} SELECT * FROM ledger_entries",
        "UPDATE {day} SET payer = 'failed'",
        "DELETE FROM {day}",
        "TRUNCATE {day}",
        "DROP TABLE {day}",
        "UPDATE ledger_entries SET payer = 'failed'",
        "DELETE FROM ledger_entries",
        "INSERT INTO ledger_entries SELECT * FROM ledger_entries",
        "DELETE FROM ledger_closings",
        "UPDATE ledger_closings SET requests = 0",
        "CREATE TABLE ledger_days.mine (x int)",
    ],
)
def test_a_tenants_role_has_no_way_around(engine, statement):
    """Neither beside the parent nor through it: a partition is refused, the ledger is only read."""
    SqlLedger(engine).append("a", rows(tenant_id="ten_a"), (1, 1))
    before = dump(engine)
    with (
        pytest.raises(ProgrammingError, match=r"permission denied|must be owner"),
        engine.begin() as connection,
    ):
        enter_scope(connection, ("ten_a",))
        connection.execute(text(statement.format(day=partition_of(DAY))))
    assert dump(engine) == before


def test_rights_on_a_partition_would_show_nothing(engine):
    """Should somebody grant them: row security is on, and no policy lets a row through."""
    SqlLedger(engine).append("a", rows(tenant_id="ten_a"), (1, 1))
    with engine.begin() as connection:
        connection.exec_driver_sql(f"GRANT USAGE ON SCHEMA ledger_days TO {APP}")
        connection.exec_driver_sql(f"GRANT SELECT ON {partition_of(DAY)} TO {APP}")
        enter_scope(connection, ("ten_a",))
        seen = connection.exec_driver_sql(f"SELECT count(*) FROM {partition_of(DAY)}")
        assert seen.scalar() == 0
        connection.rollback()


def test_the_systems_role_writes_through_the_parent(engine):
    """A login that is not the owner ships into days that are there."""
    with engine.begin() as connection:
        make_partitions(connection, [DAY])
        connection.exec_driver_sql(f"SET LOCAL ROLE {SYSTEM}")
        connection.execute(
            text(
                "INSERT INTO ledger_entries (day, request_id, attempt, kind, seq, started_ns, "
                "ended_ns, endpoint, stream, tags, usage_source, payer, status, outcome) VALUES "
                f"('{DAY}', 'r', 1, 'usage', 0, 0, 0, 'c', true, '{{}}', 'n', 'f', 1, 'f')"
            )
        )
        assert connection.exec_driver_sql("SELECT count(*) FROM ledger_entries").scalar() == 1
    with pytest.raises(StoreUnavailableError, match="must own it"), writing(engine) as connection:
        connection.exec_driver_sql(f"SET LOCAL ROLE {SYSTEM}")
        make_partitions(connection, ["2026-11-01"])


def test_whoever_reads_keeps_what_he_reads(engine):
    """A day is not dropped under a reader whose view is older than its closing; nobody waits for
    long behind the attempt."""
    SqlLedger(engine).append("a", rows(), (1, 1))
    database = SqlRetention(engine)
    database.today = lambda: None
    job = Retention(database, FixedClock(STARTED_NS + 90 * 86_400 * NS), 30)
    with reading(engine) as connection:
        keep_partitions(connection)
        with pytest.raises(StoreUnavailableError, match="lock timeout"):
            job.run_once()
        count = connection.exec_driver_sql("SELECT count(*) FROM ledger_entries").scalar()
    assert count == 6
    assert job.run_once().entries == 6
    assert dump(engine) == []


def test_a_server_that_dies_while_it_closes_has_done_all_or_nothing(tmp_path):
    """The backend is ended between the balances and the drop: the entries stand as they stood."""
    with postgres_database() as url:
        engine = open_engine(SqlOptions(url))
        SqlLedger(engine).append("a", rows(), (1, 1))
        before = dump(engine)
        database = SqlRetention(engine)
        database.today = lambda: None
        job = Retention(database, FixedClock(STARTED_NS + 90 * 86_400 * NS), 30)

        def die(connection, _):
            pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
            with psycopg.connect(server().url().replace("+psycopg", "")) as other:
                other.execute("SELECT pg_terminate_backend(%s)", (pid,))
            connection.exec_driver_sql("SELECT 1")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("tollway.adapters.sql.retention.drop_partition", die)
            with pytest.raises(StoreUnavailableError):
                job.run_once()
        assert dump(engine) == before
        with reading(engine) as connection:
            closings = connection.exec_driver_sql("SELECT count(*) FROM ledger_closings")
            assert closings.scalar() == 0
        assert (job.run_once().entries, dump(engine)) == (6, [])
        engine.dispose()
