"""Each kind of database with the schema in it, for tests that hold on every one."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.fakes.database import database
from tests.fakes.postgres import postgres_database
from tollway.adapters.sql.engine import SqlOptions, open_engine

STORES = ["sqlite", pytest.param("postgres", marks=pytest.mark.slow)]


@contextmanager
def store(kind: str, folder: Path, *, busy_timeout_s: float = 5.0) -> Iterator[Engine]:
    """An engine on a fresh database of this kind."""
    if kind == "sqlite":
        engine = database(folder, busy_timeout_s=busy_timeout_s)
        yield engine
        engine.dispose()
        return
    with postgres_database() as url:
        engine = open_engine(SqlOptions(url, busy_timeout_s))
        yield engine
        engine.dispose()
