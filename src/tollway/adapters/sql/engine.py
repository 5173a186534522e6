"""How the database is opened and spoken to: pragmas, timeouts, transactions, and the one place
where a driver's error becomes `StoreUnavailableError`. Schema and queries live elsewhere.

Writes on SQLite begin IMMEDIATE: a deferred transaction that writes after it has read fails with
SQLITE_BUSY at once, whatever the busy timeout says. On PostgreSQL, reads are one REPEATABLE READ
snapshot, and writers queue on a lock they take first, so none decides on what another has changed.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from sqlite3 import Connection as SqliteConnection
from sqlite3 import OperationalError as SqliteOperationalError
from typing import Any

from sqlalchemy import (
    URL,
    Connection,
    Engine,
    Table,
    create_engine,
    event,
    func,
    make_url,
    select,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    NotSupportedError,
    ProgrammingError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from tollway.app.ports import StoreUnavailableError
from tollway.domain.brand import COMMAND, NAME

POSTGRES = "postgresql"
NOT_ALLOWED = "42501"  # insufficient_privilege
# One lock for all who write configuration; any number will do, as long as it stays the same.
_WRITERS_LOCK = 7_465_727_801


class DriverMissingError(Exception):
    """The database's driver is not installed; the message says how to."""


@dataclass(frozen=True, slots=True)
class SqlOptions:
    """Where the database is, as a SQLAlchemy URL; how long a writer waits for another, a statement
    may take, and anything is waited for at all (longer, so that a living server gives up first;
    None: as long as it takes)."""

    url: str
    busy_timeout_s: float = 5.0
    connect_timeout_s: float = 5.0
    statement_timeout_s: float = 60.0
    answer_timeout_s: float | None = 65.0


def sqlite_url(path: str) -> str:
    """The URL of a database file."""
    return URL.create("sqlite", database=path).render_as_string()


def open_engine(options: SqlOptions) -> Engine:
    """An engine; nothing is opened until its first use. Call `dispose()` at the end. Raises
    DriverMissingError."""
    url = make_url(options.url)
    if url.get_backend_name() in (POSTGRES, "postgres"):
        return _open_postgres(url.set(drivername=f"{POSTGRES}+psycopg"), options)
    engine = create_engine(url)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _configure(options.busy_timeout_s))
        event.listen(engine, "begin", _begin)
    return engine


def _open_postgres(url: URL, options: SqlOptions) -> Engine:
    timeouts = {
        "statement_timeout": options.statement_timeout_s,
        "lock_timeout": options.busy_timeout_s,
        "idle_in_transaction_session_timeout": options.statement_timeout_s,
    }
    settings = [f"-c {name}={int(seconds * 1000)}" for name, seconds in timeouts.items()]
    try:
        engine = create_engine(
            url,
            paramstyle="format",  # the ledger's statements are text with positional parameters
            pool_size=4,
            max_overflow=8,
            pool_timeout=options.busy_timeout_s,
            pool_pre_ping=True,  # the server may have been restarted since
            connect_args={
                "connect_timeout": max(2, int(options.connect_timeout_s)),
                "options": " ".join(["-c timezone=UTC", *settings]),
                "application_name": NAME.lower(),
            },
        )
    except ModuleNotFoundError as error:
        raise DriverMissingError(
            f'PostgreSQL needs its driver. Install it: pip install "{COMMAND}[postgres]"'
        ) from error
    if options.answer_timeout_s is not None:
        bounded = import_module("tollway.adapters.sql.bounded")  # it needs the driver
        made = bounded.connections(options.answer_timeout_s)
        event.listen(
            engine, "do_connect", lambda _, __, args, kwargs: made.connect(*args, **kwargs)
        )
    return engine


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A read transaction: everything in it sees one state. Raises StoreUnavailableError."""
    with _translated(), engine.connect() as connection:
        if engine.dialect.name == POSTGRES:
            connection = connection.execution_options(  # noqa: PLW2901 - the same one, set up
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
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


def take_turn(connection: Connection) -> None:
    """On PostgreSQL, wait for the other writers of configuration; held until the transaction's end.
    On SQLite a write transaction has the turn from its beginning."""
    if connection.dialect.name == POSTGRES:
        connection.execute(select(func.pg_advisory_xact_lock(_WRITERS_LOCK)))


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
    except (DataError, IntegrityError, ProgrammingError, NotSupportedError) as error:
        if not _is_passing(error):
            raise  # what we sent was wrong: trying again would not help
        raise StoreUnavailableError(str(error.orig)) from error
    except PoolTimeoutError as error:
        raise StoreUnavailableError("all connections to the database are in use") from error
    except DBAPIError as error:
        raise StoreUnavailableError(str(error.orig)) from error


def _is_passing(error: DBAPIError) -> bool:
    """Whether it is the server's state and not our statement: it shuts down, is read-only, has too
    many clients, was asked to give up. Their classes are 25, 53, 55, 57 and 58 (PostgreSQL manual,
    appendix A); a driver may file them under any of its own."""
    state = getattr(error.orig, "sqlstate", None) or ""
    return state[:2] in {"25", "53", "55", "57", "58"}


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
