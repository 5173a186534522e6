"""Usage reports, from the roll-ups alone: never from the ledger, whatever its size."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal

from sqlalchemy import Column, ColumnElement, Connection, Engine, Table, case, func, null, select

from tollway.adapters.sql.engine import reading
from tollway.adapters.sql.tables import (
    accounts,
    api_keys,
    projects,
    providers,
    tenants,
    usage_rollups_15m,
    usage_rollups_day,
)
from tollway.app.ports_admin import UsageQuery, UsageRow
from tollway.domain.ledger import NUMBERS
from tollway.domain.receipt import Payer
from tollway.domain.rollup import COUNTS, QUARTER_S

_DAY_S = 86_400
_COLUMNS = {
    "tenant": "tenant_id",
    "project": "project_id",
    "account": "account_id",
    "key": "key_id",
    "model": "model",
    "provider": "provider_id",
    "endpoint": "endpoint",
    "payer": "payer",
    "end_user": "end_user",
    "day": "day",
}
# What people call the thing behind an id.
_NAMES: dict[str, tuple[Column[str], Column[str]]] = {
    "tenant": (tenants.c.id, tenants.c.slug),
    "project": (projects.c.id, projects.c.name),
    "account": (accounts.c.id, accounts.c.email),
    "key": (api_keys.c.id, api_keys.c.name),
    "provider": (providers.c.id, providers.c.name),
}
_ONLY_DAILY = frozenset({"end_user", "day"})


class SqlUsageReader:
    """Implements `app.ports_admin.UsageReader`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def usage(self, query: UsageQuery) -> list[UsageRow]:
        """The sums, by group, largest number of requests first."""
        table, bounds = _bounded(query)
        columns = [table.c[_COLUMNS[name]] for name in query.group_by]
        counts = [func.sum(table.c[name]) for name in COUNTS]
        numbers = [func.sum(_number(table, name, query)) for name in NUMBERS]
        statement = select(*columns, *counts, *numbers).where(*bounds)
        if columns:
            statement = statement.group_by(*columns).order_by(counts[0].desc(), *columns)
        width = len(columns)
        with reading(self._engine) as connection:
            found = connection.execute(statement).all()
            labels = [
                _labels(connection, name, {row[place] for row in found})
                for place, name in enumerate(query.group_by)
            ]
        rows = [tuple(row) for row in found if row[width] is not None]  # no rows sum to NULL
        return [
            UsageRow(
                row[:width],
                tuple(names.get(value, value) for names, value in zip(labels, row, strict=False)),
                *map(int, row[width : width + len(COUNTS)]),
                *map(_whole, row[width + len(COUNTS) :]),
            )
            for row in rows
        ]


def _bounded(query: UsageQuery) -> tuple[Table, list[ColumnElement[bool]]]:
    """The table to read, and the conditions. Whole days come from the smaller one."""
    daily = not _ONLY_DAILY.isdisjoint(query.group_by)
    whole_days = query.since_s % _DAY_S == 0 == query.until_s % _DAY_S
    table = usage_rollups_day if daily or whole_days else usage_rollups_15m
    if table is usage_rollups_day:
        last_s = max(query.until_s - 1, query.since_s)
        bounds = [table.c.day >= _day(query.since_s), table.c.day <= _day(last_s)]
    else:
        since_s = query.since_s // QUARTER_S * QUARTER_S
        bounds = [table.c.quarter_s >= since_s, table.c.quarter_s < query.until_s]
    if query.tenant_id is not None:
        bounds.append(table.c.tenant_id == query.tenant_id)
    if query.account_id is not None:
        bounds.append(table.c.account_id == query.account_id)
    return table, bounds


def _number(table: Table, name: str, query: UsageQuery) -> ColumnElement[int | None]:
    """What an attempt used that lost to another target is nobody's, unless payers are asked for."""
    column: ColumnElement[int | None] = table.c[name]
    if "payer" in query.group_by:
        return column
    return case((table.c.payer == Payer.FAILED_OVER.value, null()), else_=column)


def _labels(connection: Connection, name: str, ids: set[str]) -> dict[str, str]:
    if name not in _NAMES:
        return {}
    id_, label = _NAMES[name]
    labels: dict[str, str] = {}
    wanted: Sequence[str] = sorted(ids)
    for start in range(0, len(wanted), 500):
        some = select(id_, label).where(id_.in_(wanted[start : start + 500]))
        labels.update((row[0], row[1]) for row in connection.execute(some))
    return labels


def _day(moment_s: int) -> str:
    return datetime.fromtimestamp(moment_s, UTC).date().isoformat()


def _whole(total: int | Decimal | None) -> int | None:
    return None if total is None else int(total)  # PostgreSQL sums BIGINT as NUMERIC
