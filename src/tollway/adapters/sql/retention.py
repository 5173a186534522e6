"""Removes entries whose time is over. What they came to is written in the same transaction, so a
crash at any point leaves either the entries or their closing. A batch at a time; a day that nobody
wants any more goes as a whole where it is a partition.
"""

import logging
from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Engine,
    and_,
    case,
    delete,
    exists,
    func,
    literal,
    literal_column,
    not_,
    or_,
    select,
    text,
    true,
)

from tollway.adapters.sql.engine import POSTGRES, reading, upsert, writing
from tollway.adapters.sql.partitions import (
    drop_partition,
    has_partitions,
    hold_partition,
    make_partitions,
    partitioned_days,
)
from tollway.adapters.sql.statements import added, keys
from tollway.adapters.sql.tables import ledger_closings, ledger_entries, tenant_settings
from tollway.app.ports import StoreUnavailableError
from tollway.app.ports_retention import Kept, Step
from tollway.domain.ledger import NUMBERS, USAGE
from tollway.domain.receipt import Payer
from tollway.domain.rollup import COUNTS, ERRORS, MEASURES, QUARTER_S, UNBILLED

_log = logging.getLogger(__name__)
_BATCH_ROWS = 5_000
_TRIES = 3
# One keeper at a time; any number will do, as long as it stays the same.
_RETENTION_LOCK = 7_465_727_802
_ENTRY = ledger_entries.c
_TENANT = func.coalesce(_ENTRY.tenant_id, "")


class SqlRetention:
    """Implements `app.ports_retention.RetentionStore`."""

    def __init__(self, engine: Engine, *, batch_rows: int = _BATCH_ROWS) -> None:
        self._engine = engine
        self._batch_rows = batch_rows

    def prepare(self, days: Sequence[str]) -> None:
        """Partitions, where there are such."""
        with reading(self._engine) as connection:
            missing = has_partitions(connection) and set(days) - partitioned_days(connection)
        if missing:
            with writing(self._engine) as connection:
                make_partitions(connection, missing)

    def today(self) -> str | None:
        """A server's own day; SQLite has our clock."""
        if self._engine.dialect.name != POSTGRES:
            return None
        with reading(self._engine) as connection:
            day = connection.execute(text("SELECT (now() AT TIME ZONE 'UTC')::date"))
            return str(day.scalar_one())

    def days(self) -> list[str]:
        """Step by step along the key: each is one look, however many entries there are."""
        with reading(self._engine) as connection:
            if has_partitions(connection):
                return sorted(partitioned_days(connection))
            found: list[str] = []
            last = ""
            while True:
                query = select(func.min(_ENTRY.day)).where(_ENTRY.day > last)
                day = connection.execute(query).scalar()
                if day is None:
                    return found
                found.append(day)
                last = day

    def kept(self) -> Kept:
        """What tenants have chosen."""
        chosen = tenant_settings.c
        query = select(func.min(chosen.retention_days), func.max(chosen.version))
        with reading(self._engine) as connection:
            shortest, version = connection.execute(query).one()
        return Kept(shortest, version)

    def count(self, day: str, *, age_days: int, by_default: bool) -> tuple[int, int]:
        """How many entries would go, and stay."""
        due = _due(age_days, by_default)
        query = select(func.count().filter(due), func.count().filter(not_(due)))
        with reading(self._engine) as connection:
            goes, stays = connection.execute(query.where(_ENTRY.day == day)).one()
        return goes, stays

    def close(self, day: str, *, age_days: int, by_default: bool, detailed: bool) -> Step:
        """One batch, or a whole partition. Of the latter one whose lock others hold is tried again:
        a shipper between two of our statements is no reason to wait for an hour."""
        for _ in range(_TRIES - 1):
            try:
                return self._close(day, _due(age_days, by_default), detailed)
            except StoreUnavailableError as error:
                _log.info("closing a day of the ledger again", extra={"reason": str(error)})
        return self._close(day, _due(age_days, by_default), detailed)

    def _close(self, day: str, due: ColumnElement[bool], detailed: bool) -> Step:
        with writing(self._engine) as connection:
            if has_partitions(connection):
                if not _take_turn(connection) or day not in partitioned_days(connection):
                    return Step(0)
                hold_partition(connection, day)
                wanted = exists().where(_ENTRY.day == day, not_(due))
                if not connection.execute(select(wanted)).scalar_one():
                    rows = self._write_all(connection, day, detailed)
                    drop_partition(connection, day)
                    return Step(rows, whole=True)
            last = self._batch_end(connection, day, due)
            if last is None:
                return Step(0)
            # As they are now: somebody may choose anew between two statements.
            tenants = select(_TENANT).where(_ENTRY.day == day, _ENTRY.request_id <= last, due)
            gone = and_(
                _ENTRY.day == day,
                _ENTRY.request_id <= last,
                _TENANT.in_([row[0] for row in connection.execute(tenants.distinct())]),
            )
            _write_closings(connection, gone, detailed)
            rows = connection.execute(delete(ledger_entries).where(gone)).rowcount
            return Step(rows, more=self._batch_end(connection, day, due) is not None)

    def compact(self, before_day: str) -> int:
        """A day is a transaction."""
        closing = ledger_closings.c
        detailed = and_(closing.day < before_day, closing.quarter_s > 0)
        with reading(self._engine) as connection:
            days = (
                connection.execute(select(closing.day).where(detailed).distinct()).scalars().all()
            )
        count = 0
        for day in days:
            with writing(self._engine) as connection:
                if has_partitions(connection) and not _take_turn(connection):
                    return count
                of_day = and_(closing.day == day, closing.quarter_s > 0)
                sums = [func.sum(closing[name]).label(name) for name in MEASURES]
                whole = select(closing.day, closing.tenant_id, *_empty_keys(), *sums)
                group = whole.where(of_day).group_by(closing.day, closing.tenant_id)
                _add(connection, group)
                count += connection.execute(delete(ledger_closings).where(of_day)).rowcount
        return count

    def _write_all(self, connection: Connection, day: str, detailed: bool) -> int:
        """A whole day, in as many statements as keep each of them short."""
        rows, after = 0, ""
        while True:
            rest = and_(_ENTRY.day == day, _ENTRY.request_id > after)
            last = self._batch_end(connection, day, _ENTRY.request_id > after)
            if last is None:
                return rows
            batch = and_(rest, _ENTRY.request_id <= last)
            _write_closings(connection, batch, detailed)
            rows += connection.execute(
                select(func.count()).select_from(ledger_entries).where(batch)
            ).scalar_one()
            after = last

    def _batch_end(self, connection: Connection, day: str, due: ColumnElement[bool]) -> str | None:
        """The request with which the next batch ends, or None when there is nothing to close."""
        query = select(_ENTRY.request_id).where(_ENTRY.day == day, due)
        some = query.order_by(_ENTRY.request_id).limit(self._batch_rows).subquery()
        last: str | None = connection.execute(select(func.max(some.c.request_id))).scalar()
        return last


def _due(age_days: int, by_default: bool) -> ColumnElement[bool]:
    """Whose entries of a day are over. Never NULL: also for entries of nobody."""
    chosen = tenant_settings.c
    own = _TENANT.in_(select(chosen.tenant_id).where(chosen.retention_days < age_days))
    if not by_default:
        return own
    all_own = select(chosen.tenant_id).where(chosen.retention_days.is_not(None))
    return or_(own, _TENANT.not_in(all_own))


def _take_turn(connection: Connection) -> bool:
    found = connection.execute(select(func.pg_try_advisory_xact_lock(_RETENTION_LOCK)))
    return bool(found.scalar_one())


def _write_closings(connection: Connection, gone: ColumnElement[bool], detailed: bool) -> None:
    """Add what these entries come to: the sums of `domain.rollup`, by the database."""
    groups = _keys_of(detailed)
    part = select(*groups, *_MEASURED, *(_ENTRY[name] for name in NUMBERS)).where(gone).subquery()
    names = keys(ledger_closings)
    columns = [part.c[name] for name in names]
    sums = [func.sum(part.c[name]).label(name) for name in MEASURES]
    _add(connection, select(*columns, *sums).where(true()).group_by(*columns))


def _add(connection: Connection, sums: Any) -> None:
    insert = upsert(connection, ledger_closings)
    names = [*keys(ledger_closings), *MEASURES]
    connection.execute(added(ledger_closings, insert.from_select(names, sums)))


def _keys_of(detailed: bool) -> list[ColumnElement[Any]]:
    own: list[ColumnElement[Any]] = [_ENTRY.day, _TENANT.label("tenant_id")]
    if not detailed:
        return own + _empty_keys()
    quarter = literal_column(str(QUARTER_S * 1_000_000_000), BigInteger)
    started = (_ENTRY.started_ns - _ENTRY.started_ns % quarter) // literal_column(
        "1000000000", BigInteger
    )
    return [
        *own,
        started.label("quarter_s"),
        *(func.coalesce(_ENTRY[name], "").label(name) for name in keys(ledger_closings)[3:]),
    ]


def _empty_keys() -> list[ColumnElement[Any]]:
    return [
        literal(0).label("quarter_s"),
        *(literal("").label(name) for name in keys(ledger_closings)[3:]),
    ]


def _counted(*conditions: ColumnElement[bool]) -> ColumnElement[Any]:
    return case((and_(_ENTRY.kind == USAGE, *conditions), 1), else_=0)


_ASKED = _ENTRY.payer != Payer.FAILED_OVER.value
_MEASURED = [
    counted.label(name)
    for name, counted in zip(
        COUNTS,
        (
            _counted(_ASKED),
            _counted(),
            _counted(_ASKED, _ENTRY.outcome.in_(sorted(ERRORS))),
            _counted(_ENTRY.usage_source == "estimated"),
            _counted(_ENTRY.payer.not_in(sorted(UNBILLED)), _ENTRY.cost_nusd.is_(None)),
        ),
        strict=True,
    )
]
