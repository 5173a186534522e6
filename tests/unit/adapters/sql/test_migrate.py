"""The schema is the same by migration and by definition, comes up once, and says when it is odd."""

import subprocess
import sys
from multiprocessing import get_context

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from tests.fakes.database import database
from tollway.adapters.sql.engine import SqlOptions, open_engine, reading, sqlite_url, writing
from tollway.adapters.sql.migrate import REVISIONS, SCRIPTS, check, upgrade
from tollway.adapters.sql.tables import metadata
from tollway.domain.result import Err, Ok


@pytest.fixture
def empty(tmp_path):
    engine = open_engine(SqlOptions(sqlite_url(str(tmp_path / "empty.db"))))
    yield engine
    engine.dispose()


def schema(engine):
    """Columns, keys, constraints and indices of every table. Their order has no meaning: a column
    that came later stands last."""
    with reading(engine) as connection:
        seen = inspect(connection)
        return {
            table: {
                "columns": sorted(
                    (c["name"], str(c["type"]), c["nullable"], c["default"], c["primary_key"])
                    for c in seen.get_columns(table)
                ),
                **{
                    kind: sorted(map(_words, ask(table)))
                    for kind, ask in (
                        ("indices", seen.get_indexes),
                        ("unique", seen.get_unique_constraints),
                        ("checks", seen.get_check_constraints),
                        ("foreign", seen.get_foreign_keys),
                    )
                },
            }
            for table in seen.get_table_names()
            if table != "alembic_version"
        }


def _words(found):
    """What the database said, as text: conditions are objects that equal nobody but themselves."""
    return repr(
        {
            name: {option: str(it) for option, it in value.items()}
            if isinstance(value, dict)
            else value
            for name, value in found.items()
        }
    )


def stamp(engine, revision):
    with writing(engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :it"), {"it": revision})


def test_the_constant_is_the_migrations(empty):
    """The revisions the start-up check knows are those of the files, in their order."""
    config = Config()
    config.set_main_option("script_location", SCRIPTS)
    script = ScriptDirectory.from_config(config)
    walked = [found.revision for found in script.walk_revisions()]
    assert tuple(reversed(walked)) == REVISIONS
    assert script.get_current_head() == REVISIONS[-1]


def test_migrating_gives_the_defined_schema(empty, tmp_path):
    """Migrations from nothing and the table definitions make the same schema."""
    assert upgrade(empty) == Ok(True)
    defined = database(tmp_path)
    assert schema(empty) == schema(defined)
    defined.dispose()
    with reading(empty) as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_migrating_again_does_nothing(empty):
    """The second start finds the schema as it should be."""
    assert isinstance(check(empty), Err)
    upgrade(empty)
    assert upgrade(empty) == Ok(False)
    assert check(empty) == Ok(None)


def test_an_empty_database_is_named(empty):
    """The message says what to run."""
    assert "tollway migrate" in check(empty).error


def test_an_older_schema_is_named(empty):
    """A database that stopped half-way in history can be brought on."""
    upgrade(empty)
    stamp(empty, REVISIONS[0])
    assert REVISIONS[0] in check(empty).error
    assert "tollway migrate" in check(empty).error


def test_a_newer_schema_is_left_alone(empty):
    """An old program must not touch what it does not know."""
    upgrade(empty)
    stamp(empty, "r9999")
    assert "newer Tollway" in check(empty).error
    assert "newer Tollway" in upgrade(empty).error


def test_a_current_database_starts_without_alembic(empty):
    """A usual start does not pay for importing the migration tool, nor for the ORM."""
    upgrade(empty)
    program = (
        "import sys\n"
        "from tollway.adapters.sql.engine import SqlOptions, open_engine\n"
        "from tollway.adapters.sql.migrate import check, upgrade\n"
        f"engine = open_engine(SqlOptions({str(empty.url)!r}))\n"
        "print(check(engine), upgrade(engine))\n"
        "slow = ('alembic', 'sqlalchemy.orm')\n"
        "assert not [name for name in sys.modules if name.startswith(slow)]"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (ran.returncode, ran.stdout.strip()) == (0, "Ok(value=None) Ok(value=False)"), ran.stderr


def migrate(url, barrier, answers):
    engine = open_engine(SqlOptions(url, busy_timeout_s=30))
    barrier.wait()
    answers.put(upgrade(engine).value)
    engine.dispose()


def test_two_processes_may_start_at_once(empty):
    """One migrates, the other waits and finds it done."""
    context = get_context("spawn")
    barrier, answers = context.Barrier(2), context.Queue()
    processes = [
        context.Process(target=migrate, args=(str(empty.url), barrier, answers)) for _ in range(2)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert sorted(answers.get() for _ in processes) == [False, True]
    assert check(empty) == Ok(None)


def test_the_tables_can_be_made_on_postgresql():
    """Types and constraints are portable: every statement compiles for the other database."""
    for table in metadata.sorted_tables:
        made = str(CreateTable(table).compile(dialect=postgresql.dialect()))
        assert "ROWID" not in made
        for index in table.indexes:
            if index.unique:
                made = str(CreateIndex(index).compile(dialect=postgresql.dialect()))
                assert "WHERE tenant_id IS" in made
