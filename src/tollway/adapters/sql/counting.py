"""What a quota's counter has by the ledger: sums over its window, read in one transaction with the
cursor of a journal, so that whoever asks knows which of its own outcomes are in them.

Whole windows come from the quarter-hour roll-ups. These have neither end users nor model ids: for
such rules whole UTC days come from the daily ones, and the rest of the window from the entries (and
their closings, where retention has removed them).
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Engine,
    Table,
    and_,
    func,
    literal_column,
    or_,
    select,
)

from tollway.adapters.sql.engine import reading
from tollway.adapters.sql.limits import read_limits
from tollway.adapters.sql.partitions import keep_partitions
from tollway.adapters.sql.tables import (
    ledger_closings,
    ledger_entries,
    models,
    ship_cursors,
    usage_rollups_15m,
    usage_rollups_day,
)
from tollway.app.ports_alerts import WatchedQuota
from tollway.domain.hold import CounterRef
from tollway.domain.ledger import USAGE
from tollway.domain.quota import (
    UPSTREAM_SCOPES,
    Metric,
    QuotaRecord,
    Scope,
    is_nobody,
    nobody_of,
    scope_place,
)
from tollway.domain.receipt import Payer
from tollway.domain.window import BUCKET_S, Period, Window, counted_from_s

_DAY_S = 86_400
_NS = 1_000_000_000
_READ = ("input", "cached_input", "cache_write", "audio", "image")
_WRITTEN = ("output", "reasoning")
_NUMBERS = {
    Metric.TOKENS: _READ + _WRITTEN,
    Metric.INPUT_TOKENS: _READ,
    Metric.OUTPUT_TOKENS: _WRITTEN,
    Metric.COST: ("cost_nusd",),
}
_COLUMNS = {
    Scope.TENANT: "tenant_id",
    Scope.PROJECT: "project_id",
    Scope.ACCOUNT: "account_id",
    Scope.KEY: "key_id",
    Scope.END_USER: "end_user",
    Scope.PROVIDER: "provider_id",
    Scope.MODEL: "model_id",
}

Who = tuple[str | None, ...]  # tenant and member; of one counter for all: nothing


class SqlCounts:
    """Sums for `app.ports.Counting`, which the keeper answers."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def sums(
        self, refs: Sequence[CounterRef]
    ) -> tuple[list[dict[int, int]], dict[str, tuple[int, int]]]:
        """For each counter its use by the second its bucket (minute) or window begins; and how far
        each journal was shipped when that was so. Raises StoreUnavailableError."""
        with reading(self._engine) as connection:
            keep_partitions(connection)
            cursors = {
                row.source: (row.segment, row.position)
                for row in connection.execute(select(ship_cursors))
            }
            return [_sum(connection, ref) for ref in refs], cursors

    def used(self, ref: CounterRef) -> int:
        """What one counter has in all. Raises StoreUnavailableError."""
        with reading(self._engine) as connection:
            return sum(_sum(connection, ref).values())

    def limits(self) -> list[WatchedQuota]:
        """Every limit there is. Raises StoreUnavailableError."""
        with reading(self._engine) as connection:
            return read_limits(connection)

    def members(self, quota: QuotaRecord, window: Window) -> dict[str | None, int]:
        """What each of a limit's counters has in a calendar window, by its member; of a limit that
        has one counter for all, that one's by None. Raises StoreUnavailableError."""
        with reading(self._engine) as connection:
            keep_partitions(connection)
            found: Counter[str | None] = Counter()
            for who, amount in _calendar(connection, CounterRef(quota, None, window)).items():
                found[_name(quota.per, who)] += amount
            return dict(found)


def _sum(connection: Connection, ref: CounterRef) -> dict[int, int]:
    quota, window = ref.quota, ref.window
    if quota.metric is Metric.CONCURRENCY:
        return {}
    if quota.period is Period.MINUTE:
        return _buckets(connection, ref)
    return {window.start_s: sum(_calendar(connection, ref).values())}


def _calendar(connection: Connection, ref: CounterRef) -> Counter[Who]:
    """Of a window that is no minute."""
    quota, window = ref.quota, ref.window
    if _in_quarters(quota):
        return _rolled(connection, ref, usage_rollups_15m, window.start_s, window.end_s)
    first_day = -(-window.start_s // _DAY_S)
    last_day = window.end_s // _DAY_S
    if first_day >= last_day:
        return _entered(connection, ref, window.start_s, window.end_s)
    total = _rolled(connection, ref, usage_rollups_day, first_day * _DAY_S, last_day * _DAY_S)
    total.update(_entered(connection, ref, window.start_s, first_day * _DAY_S))
    total.update(_entered(connection, ref, last_day * _DAY_S, window.end_s))
    return total


def _in_quarters(quota: QuotaRecord) -> bool:
    narrowed = quota.model_id is not None or quota.scope is Scope.MODEL
    return not narrowed and Scope.END_USER not in (quota.scope, quota.per)


def _rolled(
    connection: Connection, ref: CounterRef, table: Table, from_s: int, until_s: int
) -> Counter[Who]:
    if table is usage_rollups_15m:
        time = and_(table.c.quarter_s >= from_s, table.c.quarter_s < until_s)
    else:
        time = and_(table.c.day >= _day(from_s), table.c.day < _day(until_s))
    metric, upstream = ref.quota.metric, ref.quota.scope in UPSTREAM_SCOPES
    if metric is Metric.REQUESTS:
        counted = table.c.attempts if upstream else table.c.requests
        amount: ColumnElement[Any] = func.sum(counted)
    else:
        amount = _total(table, metric)
    bounds = [time, *_owner(ref, table), *_payer(table, upstream)]
    return _grouped(connection, ref, table, amount, bounds)


def _entered(connection: Connection, ref: CounterRef, from_s: int, until_s: int) -> Counter[Who]:
    """By the entries, and by what those came to that retention has removed."""
    total: Counter[Who] = Counter()
    if from_s < until_s:
        for table, part in ((ledger_entries, _entries), (ledger_closings, _closings)):
            total.update(_grouped(connection, ref, table, *part(ref, from_s, until_s)))
    return total


def _grouped(
    connection: Connection,
    ref: CounterRef,
    table: Table,
    amount: ColumnElement[Any],
    bounds: Sequence[ColumnElement[bool]],
) -> Counter[Who]:
    """By whose use it is; of one counter alone, all in one."""
    per = ref.quota.per
    who: list[ColumnElement[Any]] = []
    if per is not None and ref.member is None:
        who = [table.c.tenant_id, *([] if per is Scope.TENANT else [table.c[_COLUMNS[per]]])]
    rows = connection.execute(select(amount, *who).where(*bounds).group_by(*who))
    return Counter({tuple(rest): int(total or 0) for total, *rest in rows})


def _name(per: Scope | None, who: Who) -> str | None:
    """The member of a rule: `domain.quota.scope_place`, or nobody."""
    if per is None:
        return None
    if per is not Scope.TENANT and not who[1]:
        return nobody_of(str(who[0]))
    return scope_place(per, who[0], who[-1])


def _buckets(connection: Connection, ref: CounterRef) -> dict[int, int]:
    from_s = counted_from_s(Period.MINUTE, ref.window)
    amount, bounds = _entries(ref, from_s, from_s + _DAY_S)
    # In the text, not as parameters: PostgreSQL must see that it is grouped by what it selects.
    size = literal_column(str(BUCKET_S * _NS), BigInteger)
    began = ledger_entries.c.started_ns
    bucket = (began - began % size).label("bucket_ns")
    rows = connection.execute(select(bucket, amount).where(*bounds).group_by(bucket))
    return {int(start_ns) // _NS: int(total or 0) for start_ns, total in rows}


def _entries(
    ref: CounterRef, from_s: int, until_s: int
) -> tuple[ColumnElement[Any], list[ColumnElement[bool]]]:
    table, metric = ledger_entries, ref.quota.metric
    if metric is Metric.REQUESTS:
        amount: ColumnElement[Any] = func.count().filter(table.c.kind == USAGE)
    else:
        amount = _total(table, metric)
    bounds = [
        table.c.day >= _day(from_s),
        table.c.day <= _day(until_s),
        table.c.started_ns >= from_s * _NS,
        table.c.started_ns < until_s * _NS,
        *_owner(ref, table),
        *_payer(table, ref.quota.scope in UPSTREAM_SCOPES),
    ]
    return amount, bounds


def _closings(
    ref: CounterRef, from_s: int, until_s: int
) -> tuple[ColumnElement[Any], list[ColumnElement[bool]]]:
    table, metric = ledger_closings, ref.quota.metric
    amount: ColumnElement[Any] = (
        func.sum(table.c.attempts) if metric is Metric.REQUESTS else _total(table, metric)
    )
    bounds = [
        table.c.day >= _day(from_s),
        table.c.day <= _day(until_s),
        table.c.quarter_s >= from_s,
        table.c.quarter_s < until_s,
        *_owner(ref, table),
        *_payer(table, ref.quota.scope in UPSTREAM_SCOPES),
    ]
    return amount, bounds


def _total(table: Table, metric: Metric) -> ColumnElement[Any]:
    first, *rest = [func.coalesce(func.sum(table.c[name]), 0) for name in _NUMBERS[metric]]
    total: ColumnElement[Any] = first
    for number in rest:
        total = total + number
    return total


def _owner(ref: CounterRef, table: Table) -> Iterable[ColumnElement[bool]]:
    """Whose use it is: of the scope, of the model beside it, of the member."""
    quota = ref.quota
    if quota.tenant_id is not None:
        yield table.c.tenant_id == quota.tenant_id
    if quota.scope_id is not None and quota.scope is not Scope.MODEL:
        yield table.c[_COLUMNS[quota.scope]] == quota.scope_id
    model_id = quota.scope_id if quota.scope is Scope.MODEL else quota.model_id
    if model_id is not None:
        if table in (ledger_entries, ledger_closings):
            yield table.c.model_id == model_id
        else:  # roll-ups have names
            name = select(models.c.name).where(models.c.id == model_id).scalar_subquery()
            yield table.c.model == name
    if quota.per is not None and ref.member is not None:
        yield from _member(quota.per, ref.member, table)


def _member(per: Scope, member: str, table: Table) -> Iterable[ColumnElement[bool]]:
    tenant_id, _, rest = member.partition("/")
    column = table.c[_COLUMNS[per]]
    if is_nobody(member):
        yield table.c.tenant_id == tenant_id
        yield or_(column.is_(None), column == "")
    elif per is Scope.ACCOUNT:
        yield table.c.tenant_id == tenant_id
        yield column == rest
    elif per is Scope.END_USER:
        yield table.c.tenant_id == tenant_id
        yield column == rest.removeprefix("user:")
    else:
        yield column == member


def _payer(table: Table, upstream: bool) -> Iterable[ColumnElement[bool]]:
    """What lost to another target counts for what answered, not for whoever asked."""
    if not upstream:
        yield table.c.payer != Payer.FAILED_OVER.value


def _day(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%d")
