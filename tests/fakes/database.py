"""A database file with the schema and nothing else: made without Alembic, or by it and once for all
tests of a process. Both take milliseconds.
"""

import tempfile
from functools import cache
from pathlib import Path

from sqlalchemy import Engine

from tests.fakes.clock import FixedClock
from tollway.adapters.sql.directory import SqlConfiguration
from tollway.adapters.sql.engine import SqlOptions, open_engine, sqlite_url
from tollway.adapters.sql.migrate import upgrade
from tollway.adapters.sql.tables import metadata
from tollway.domain.result import Ok

NOW_S = 1_700_000_000


def database(directory: Path, *, busy_timeout_s: float = 5.0) -> Engine:
    """An engine on a new file in this directory."""
    engine = open_engine(SqlOptions(sqlite_url(str(directory / "tollway.db")), busy_timeout_s))
    metadata.create_all(engine)
    return engine


@cache
def migrated_file() -> bytes:
    """What a database file holds that `migrate` has just made."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tollway.db"
        engine = open_engine(SqlOptions(sqlite_url(str(path))))
        assert isinstance(upgrade(engine), Ok)
        engine.dispose()  # the last connection takes the journal into the file
        assert [found.name for found in path.parent.iterdir()] == [path.name]
        return path.read_bytes()


def configuration(engine: Engine) -> SqlConfiguration:
    """Units of work that all begin at NOW_S."""
    return SqlConfiguration(engine, FixedClock(NOW_S * 1_000_000_000))
