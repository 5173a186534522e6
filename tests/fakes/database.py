"""A database file with the schema and nothing else, made without Alembic: in milliseconds."""

from pathlib import Path

from sqlalchemy import Engine

from tests.fakes.clock import FixedClock
from tollway.adapters.sql.directory import SqlConfiguration
from tollway.adapters.sql.engine import SqlOptions, open_engine, sqlite_url
from tollway.adapters.sql.tables import metadata

NOW_S = 1_700_000_000


def database(directory: Path, *, busy_timeout_s: float = 5.0) -> Engine:
    """An engine on a new file in this directory."""
    engine = open_engine(SqlOptions(sqlite_url(str(directory / "tollway.db")), busy_timeout_s))
    metadata.create_all(engine)
    return engine


def configuration(engine: Engine) -> SqlConfiguration:
    """Units of work that all begin at NOW_S."""
    return SqlConfiguration(engine, FixedClock(NOW_S * 1_000_000_000))
