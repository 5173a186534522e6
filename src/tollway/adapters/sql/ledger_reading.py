"""The ledger read back, a day at a time, each from one consistent state: a shipper that goes on
meanwhile makes no difference.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Engine, Table, func, select, union

from tollway.adapters.sql.engine import reading
from tollway.adapters.sql.partitions import keep_partitions
from tollway.adapters.sql.statements import keys
from tollway.adapters.sql.tables import (
    ledger_closings,
    ledger_entries,
    ledger_quarantine,
    prices,
    usage_rollups_15m,
    usage_rollups_day,
)
from tollway.domain.pricing import Price, read_rates
from tollway.domain.receipt import Receipt
from tollway.domain.result import Err
from tollway.domain.rollup import COUNTS, MEASURES, Group, RollupKey, Sums, fold, merge, united

_CHUNK = 20_000
_DAY_S = 86_400
_DAILY = (ledger_entries, ledger_closings, usage_rollups_day)


class DayBook:
    """One day of the ledger, as it stood at one moment."""

    def __init__(self, connection: Connection, day: str) -> None:
        self._connection = connection
        self.day = day
        self._sums: dict[Group, Sums] = {}

    def rows(self) -> Iterator[Receipt]:
        """Every row by request and attempt, the usage row before its corrections; adds them up on
        the way."""
        entry = ledger_entries.c
        query = (
            select(*ledger_entries.columns[1:])
            .where(entry.day == self.day)
            .order_by(entry.request_id, entry.attempt, entry.kind.desc(), entry.seq)
        )
        found = self._connection.execution_options(yield_per=_CHUNK).execute(query)
        rows = (Receipt(*row)._replace(tags=()) for row in found)
        while chunk := list(islice(rows, _CHUNK)):
            yield from chunk
            for group, sums in fold((self.day, row) for row in chunk).items():
                known = self._sums.get(group)
                self._sums[group] = sums if known is None else united([known, sums])

    def rollups(self) -> Iterator[tuple[str, dict[Group, Sums], dict[Group, Sums]]]:
        """For each roll-up its name, what the rows read so far add up to, and what it says. Of
        tenants whose day is closed, its sums alone: there are no rows to group."""
        closed = self._closings()
        from_s = int(datetime.fromisoformat(f"{self.day}T00:00:00+00:00").timestamp())
        quarter = usage_rollups_15m.c.quarter_s
        of_day = {
            usage_rollups_15m: (quarter >= from_s) & (quarter < from_s + _DAY_S),
            usage_rollups_day: usage_rollups_day.c.day == self.day,
        }
        for table, where in of_day.items():
            names = keys(table)
            places = tuple(RollupKey._fields.index(name) for name in names)
            found = {
                tuple(row[: len(names)]): _sums(row[len(names) :])
                for row in self._connection.execute(select(*_columns(table, names)).where(where))
            }
            expected = merge(self._sums, places)
            if closed:
                at = names.index("tenant_id")
                rest = _by_tenant(expected, at, closed)
                known = {key: united([sums, *rest.get(key, [])]) for key, sums in closed.items()}
                told = _by_tenant(found, at, closed)
                yield table.name, known, {key: united(parts) for key, parts in told.items()}
                expected, found = _open(expected, at, closed), _open(found, at, closed)
            yield table.name, expected, found

    def _closings(self) -> dict[Group, Sums]:
        """What was removed of this day, by tenant."""
        closing = ledger_closings.c
        query = (
            select(closing.tenant_id, *(func.sum(closing[name]) for name in MEASURES))
            .where(closing.day == self.day)
            .group_by(closing.tenant_id)
        )
        rows = self._connection.execute(query)
        return {
            (row[0],): _sums([None if number is None else int(number) for number in row[1:]])
            for row in rows
        }


class SqlLedgerReader:
    """Raises StoreUnavailableError."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._prices: dict[str, Price | None] = {}

    def days(self) -> list[str]:
        """Every day of which there is anything."""
        quarters = usage_rollups_15m.c.quarter_s
        with reading(self._engine) as connection:
            named = connection.execute(union(*(select(table.c.day) for table in _DAILY)))
            days = {row.day for row in named}
            first, last = connection.execute(select(func.min(quarters), func.max(quarters))).one()
        if first is not None:
            at = datetime.fromtimestamp(first - first % _DAY_S, UTC)
            while at.timestamp() <= last:
                days.add(at.strftime("%Y-%m-%d"))
                at += timedelta(days=1)
        return sorted(days)

    @contextmanager
    def open(self, day: str) -> Iterator[DayBook]:
        """One day, from one state."""
        with reading(self._engine) as connection:
            keep_partitions(connection)
            yield DayBook(connection, day)

    def price(self, price_id: str) -> Price | None:
        """An entry of the price book."""
        if price_id not in self._prices:
            with reading(self._engine) as connection:
                query = select(prices.c.effective_from_s, prices.c.rates)
                row = connection.execute(query.where(prices.c.id == price_id)).first()
            read = None if row is None else read_rates(row.rates)
            known = None if row is None or read is None or isinstance(read, Err) else read.value
            self._prices[price_id] = (
                None if row is None or known is None else Price(price_id, row[0], known)
            )
        return self._prices[price_id]

    def quarantined(self) -> int:
        """How many outcomes stand aside."""
        with reading(self._engine) as connection:
            count = connection.execute(select(func.count()).select_from(ledger_quarantine))
            return int(count.scalar_one())


def _by_tenant(
    groups: dict[Group, Sums], place: int, closed: dict[Group, Sums]
) -> dict[Group, list[Sums]]:
    found: dict[Group, list[Sums]] = {}
    for group, sums in groups.items():
        if (group[place],) in closed:
            found.setdefault((group[place],), []).append(sums)
    return found


def _open(groups: dict[Group, Sums], place: int, closed: dict[Group, Sums]) -> dict[Group, Sums]:
    return {group: sums for group, sums in groups.items() if (group[place],) not in closed}


def _columns(table: Table, names: list[str]) -> list[Any]:
    return [table.c[name] for name in (*names, *MEASURES)]


def _sums(row: Any) -> Sums:
    return Sums(list(row[: len(COUNTS)]), list(row[len(COUNTS) :]))
