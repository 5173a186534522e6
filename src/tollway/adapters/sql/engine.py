"""How the database is opened and spoken to: pragmas, transactions, and the one place where a
driver's error becomes `StoreUnavailableError`. Schema and queries live elsewhere.

Writes on SQLite begin IMMEDIATE: a deferred transaction that writes after it has read fails with
SQLITE_BUSY at once, whatever the busy timeout says.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from sqlite3 import Connection as SqliteConnection
from sqlite3 import OperationalError as SqliteOperationalError
from typing import Any

from sqlalchemy import URL, Connection, Engine, Table, create_engine, event
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    NotSupportedError,
    ProgrammingError,
)

from tollway.app.ports import StoreUnavailableError


@dataclass(frozen=True, slots=True)
class SqlOptions:
    """Where the database is, as a SQLAlchemy URL, and how long a writer waits for another."""

    url: str
    busy_timeout_s: float = 5.0


def sqlite_url(path: str) -> str:
    """The URL of a database file."""
    return URL.create("sqlite", database=path).render_as_string()


def open_engine(options: SqlOptions) -> Engine:
    """An engine; nothing is opened until its first use. Call `dispose()` at the end."""
    engine = create_engine(options.url)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _configure(options.busy_timeout_s))
        event.listen(engine, "begin", _begin)
    return engine


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A read transaction: everything in it sees one state. Raises StoreUnavailableError."""
    with _translated(), engine.connect() as connection:
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A write transaction, committed unless the block raises or rolls back. One writer at a time.
    Raises StoreUnavailableError.
    """
    with _translated(), engine.connect().execution_options(writes=True) as connection:
        connection.begin()
        yield connection
        connection.commit()


def upsert(connection: Connection, table: Table) -> sqlite.Insert:
    """An INSERT that can say what to do on conflict. SQLAlchemy has one class per database for it;
    they are used alike."""
    dialect = import_module(f"sqlalchemy.dialects.{connection.dialect.name}")
    insert: sqlite.Insert = dialect.insert(table)
    return insert


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (DataError, IntegrityError, ProgrammingError, NotSupportedError):
        raise  # what we sent was wrong: trying again would not help
    except DBAPIError as error:
        raise StoreUnavailableError(str(error.orig)) from error


def _configure(busy_timeout_s: float) -> Any:
    def configure(connection: SqliteConnection, _record: object) -> None:
        # The driver must not begin transactions of its own: `_begin` does.
        connection.isolation_level = None
        for pragma in (
            f"busy_timeout = {int(busy_timeout_s * 1000)}",
            "foreign_keys = ON",
            "synchronous = FULL",  # in WAL mode: survives power loss, not only a crash
            "cache_size = -8192",
        ):
            connection.execute(f"PRAGMA {pragma}")
        _use_wal(connection, time.monotonic() + busy_timeout_s)

    return configure


def _use_wal(connection: SqliteConnection, deadline: float) -> None:
    """Two processes that open a new file at once collide here, where SQLite does not wait."""
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except SqliteOperationalError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
