"""The ledger's statements as text for the driver, compiled once: a row of the ledger must cost
microseconds, and a Core insert costs more than SQLite itself. Every parameter is positional.
"""

from dataclasses import dataclass

from sqlalchemy import ClauseElement, ColumnElement, Connection, Table, bindparam, func, select
from sqlalchemy.dialects import sqlite

from tollway.adapters.sql.engine import upsert
from tollway.adapters.sql.tables import ledger_entries, usage_rollups_15m, usage_rollups_day
from tollway.domain.ledger import NUMBERS
from tollway.domain.rollup import COUNTS, MEASURES, RollupKey


@dataclass(frozen=True, slots=True)
class Rollup:
    """One roll-up table's upsert, and where its group's columns stand in a `RollupKey`."""

    add: str
    places: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class LedgerStatements:
    """`insert_entry` takes the entry's columns in order and skips rows that exist;
    `select_history` takes day, request id and attempt, and gives fields of `Receipt`."""

    insert_entry: str
    select_history: str
    rollups: tuple[Rollup, ...]


def compile_statements(connection: Connection) -> LedgerStatements:
    """The texts in this database's dialect."""
    entry = ledger_entries.c
    history = (
        select(*ledger_entries.columns[1:])
        .where(
            entry.day == bindparam("day"),
            entry.request_id == bindparam("request_id"),
            entry.attempt == bindparam("attempt"),
        )
        .order_by(entry.kind.desc(), entry.seq)  # the usage row before its corrections
    )
    return LedgerStatements(
        _text(connection, upsert(connection, ledger_entries).on_conflict_do_nothing()),
        _text(connection, history),
        tuple(_rollup(connection, table) for table in (usage_rollups_15m, usage_rollups_day)),
    )


def _rollup(connection: Connection, table: Table) -> Rollup:
    statement = added(table, upsert(connection, table))
    return Rollup(
        _text(connection, statement), tuple(RollupKey._fields.index(name) for name in keys(table))
    )


def keys(table: Table) -> list[str]:
    """The columns of a table of sums that name a group."""
    return [column.name for column in table.columns if column.name not in MEASURES]


def added(table: Table, insert: sqlite.Insert) -> sqlite.Insert:
    """The insert, made to add to the sums that are there."""
    sums: dict[str, ColumnElement[int]] = {
        name: table.c[name] + insert.excluded[name] for name in COUNTS
    }
    for name in NUMBERS:
        old, more = table.c[name], insert.excluded[name]
        sums[name] = func.coalesce(old + more, old, more)  # NULL is "unknown", and adds nothing
    return insert.on_conflict_do_update(index_elements=keys(table), set_=sums)


def _text(connection: Connection, statement: ClauseElement) -> str:
    return str(statement.compile(dialect=connection.dialect))
