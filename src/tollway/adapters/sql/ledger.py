"""The ledger of record. A batch, its roll-ups and its journal's cursor are one transaction.

The usual batch is new as a whole and goes in as one statement; only a batch of which that turns out
not to be true is taken row by row, to see what is new, what is known and what must be amended.

A tenant's day that retention has closed takes nothing more: whether an outcome of it was known is
known no longer, so it is set aside instead of perhaps being booked twice.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, Engine, func, select, tuple_
from sqlalchemy.exc import DataError, IntegrityError, ProgrammingError

from tollway.adapters.sql.engine import POSTGRES, reading, upsert, writing
from tollway.adapters.sql.partitions import make_partitions
from tollway.adapters.sql.statements import LedgerStatements, compile_statements
from tollway.adapters.sql.tables import (
    ledger_closings,
    ledger_entries,
    ledger_quarantine,
    ship_cursors,
)
from tollway.domain.entry import Flaw, cleaned, is_plain
from tollway.domain.ids import day_of
from tollway.domain.ledger import ForeignOutcome, amendment
from tollway.domain.receipt import Receipt
from tollway.domain.rollup import Group, Sums, fold, merge

Entry = tuple[str, Receipt]  # the receipt and its day
_TAGS = Receipt._fields.index("tags")
_STREAM = Receipt._fields.index("stream")
_NOT_WHOLE = (ValueError, TypeError, OverflowError, DataError, IntegrityError, ProgrammingError)


class SqlLedger:
    """Implements `app.ports.LedgerStore`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._statements: LedgerStatements | None = None
        self._days: set[str] = set()

    def cursor(self, source: str) -> tuple[int, int]:
        """How far a journal was shipped; (0, 0) when never."""
        where = ship_cursors.c.source == source
        with reading(self._engine) as connection:
            row = connection.execute(
                select(ship_cursors.c.segment, ship_cursors.c.position).where(where)
            ).first()
        return (row[0], row[1]) if row is not None else (0, 0)

    def quarantined(self) -> int:
        """How many outcomes were set aside."""
        with reading(self._engine) as connection:
            count = connection.execute(select(func.count()).select_from(ledger_quarantine))
            return int(count.scalar_one())

    def append(self, source: str, receipts: Sequence[Receipt], upto: tuple[int, int]) -> int:
        """Book a batch. Returns how many rows were new, corrections included."""
        entries, flawed = _screened(receipts)
        self._make_days(entries)
        with writing(self._engine) as connection:
            new = self._append_whole(connection, entries)
            if new is None:
                connection.rollback()
                new = self._append_singly(connection, entries, flawed)
            for receipt, flaw in flawed:
                _set_aside(connection, source, receipt, flaw)
            _advance(connection, source, upto)
        return new

    def amend(self, receipt: Receipt) -> bool:
        """Have the attempt's rows add up to this one; whether a row was new. An attempt that has no
        row gets none: its first outcome is still on its way."""
        entries, flawed = _screened([receipt])
        with writing(self._engine) as connection:
            known = [one for one in entries if self._history(connection, *one)]
            new = self._append_singly(connection, known, flawed)
            for given, flaw in flawed:
                _set_aside(connection, "background", given, flaw)
        return new > 0

    def rows(self, request_id: str) -> list[Receipt]:
        """A request's entries: attempts in order, each usage row before its corrections."""
        entry = ledger_entries.c
        statement = (
            select(*ledger_entries.columns[1:])
            .where(entry.day == day_of(request_id), entry.request_id == request_id)
            .order_by(entry.attempt, entry.kind.desc(), entry.seq)
        )
        with reading(self._engine) as connection:
            return [
                Receipt(*row)._replace(tags=tuple(row.tags.items()))
                for row in connection.execute(statement)
            ]

    def _append_whole(self, connection: Connection, entries: list[Entry]) -> int | None:
        """All rows in one statement, or None when they are not all new and sound."""
        if not entries:
            return 0
        try:
            groups = fold(entries)
            count = self._insert(connection, [_row(day, receipt) for day, receipt in entries])
        except _NOT_WHOLE:
            return None
        # Asked after the insert: until we are done, nobody closes a day that we have written to.
        if count != len(entries) or _closed(connection, entries):
            return None
        self._roll_up(connection, groups)
        return count

    def _append_singly(
        self,
        connection: Connection,
        entries: list[Entry],
        flawed: list[tuple[Receipt, Flaw]],
    ) -> int:
        booked: list[Entry] = []
        make_partitions(connection, {day for day, _ in entries})  # one may have gone meanwhile
        closed = _closed(connection, entries)
        for day, receipt in entries:
            clean = cleaned(receipt)
            if isinstance(clean, Flaw):
                row: Receipt | Flaw | None = clean
            elif (day, clean.tenant_id or "") in closed:
                row = self._late(connection, day, clean)
            else:
                row = self._book(connection, day, clean)
            if isinstance(row, Flaw):
                flawed.append((receipt, row))
            elif row is not None:
                booked.append((day, row))
        self._roll_up(connection, fold(booked))
        return len(booked)

    def _book(self, connection: Connection, day: str, receipt: Receipt) -> Receipt | Flaw | None:
        """The row that was inserted for this outcome, or None when it was known."""
        try:
            with connection.begin_nested():
                if self._insert(connection, [_row(day, receipt)]):
                    return receipt
                history = self._history(connection, day, receipt)
                row = amendment(history, receipt)
                if isinstance(row, ForeignOutcome):
                    return Flaw(f"another outcome stands here, with another {row.field}")
                if row is not None:
                    self._insert(connection, [_row(day, row)])
                return row
        except (DataError, IntegrityError) as error:
            return Flaw(str(error.orig))

    def _late(self, connection: Connection, day: str, receipt: Receipt) -> Flaw | None:
        """Why an outcome of a closed day is not booked, or None when its row is still there."""
        history = self._history(connection, day, receipt)
        if history and amendment(history, receipt) is None:
            return None
        return Flaw(f"{day} is closed: its entries were removed, and it takes no more")

    def _make_days(self, entries: list[Entry]) -> None:
        """On PostgreSQL each day needs its partition before it can take an entry. Usually it has
        been made ahead."""
        new = {day for day, _ in entries} - self._days
        if new:
            if self._engine.dialect.name == POSTGRES:
                with writing(self._engine) as connection:
                    make_partitions(connection, new)
            self._days |= new

    def _insert(self, connection: Connection, rows: list[tuple[object, ...]]) -> int:
        result = connection.exec_driver_sql(
            self._compiled(connection).insert_entry,
            rows,
            execution_options={"preserve_rowcount": True},
        )
        return result.rowcount

    def _history(self, connection: Connection, day: str, receipt: Receipt) -> list[Receipt]:
        rows = connection.exec_driver_sql(
            self._compiled(connection).select_history,
            (day, receipt.request_id, receipt.attempt),
        )
        return [Receipt(*row) for row in rows]  # tags stay text: amendments do not look at them

    def _roll_up(self, connection: Connection, groups: dict[Group, Sums]) -> None:
        for rollup in self._compiled(connection).rollups:
            merged = merge(groups, rollup.places)
            # In order, so that two writers never wait for each other in a circle.
            rows = [(*key, *merged[key].counts, *merged[key].numbers) for key in sorted(merged)]
            if rows:
                connection.exec_driver_sql(rollup.add, rows)

    def _compiled(self, connection: Connection) -> LedgerStatements:
        if self._statements is None:
            self._statements = compile_statements(connection)
        return self._statements


def _closed(connection: Connection, entries: list[Entry]) -> set[tuple[str, str]]:
    """Which tenants' days among these are closed."""
    closing = ledger_closings.c
    found = connection.execute(
        select(closing.day, closing.tenant_id)
        .where(closing.day.in_(sorted({day for day, _ in entries})))
        .distinct()
    )
    return {(row.day, row.tenant_id) for row in found}


def _screened(receipts: Iterable[Receipt]) -> tuple[list[Entry], list[tuple[Receipt, Flaw]]]:
    entries: list[Entry] = []
    flawed: list[tuple[Receipt, Flaw]] = []
    days: dict[str, str] = {}
    for given in receipts:
        receipt: Receipt | Flaw = given if is_plain(given) else cleaned(given)
        if isinstance(receipt, Flaw):
            flawed.append((given, receipt))
            continue
        marked = receipt.request_id[:12]
        day = days.get(marked)
        if day is None:
            try:
                day = days[marked] = day_of(receipt.request_id)
            except ValueError as error:
                flawed.append((given, Flaw(str(error))))
                continue
        entries.append((day, receipt))
    return entries, flawed


def _row(day: str, receipt: Receipt) -> tuple[object, ...]:
    tags = json.dumps(dict(receipt.tags), ensure_ascii=False) if receipt.tags else "{}"
    return (day, *receipt[:_TAGS], tags, *receipt[_TAGS + 1 :])


def _set_aside(connection: Connection, source: str, receipt: Receipt, flaw: Flaw) -> None:
    payload = json.dumps(receipt._asdict(), default=repr)  # ASCII: nothing a database refuses
    connection.execute(
        upsert(connection, ledger_quarantine)
        .values(
            digest=hashlib.sha256(payload.encode()).hexdigest(),
            source=source,
            reason=flaw.reason,
            payload=payload,
        )
        .on_conflict_do_nothing()
    )


def _advance(connection: Connection, source: str, upto: tuple[int, int]) -> None:
    """Forward only: of two shippers the slower one must not take the cursor back."""
    insert = upsert(connection, ship_cursors).values(
        source=source, segment=upto[0], position=upto[1]
    )
    new, old = insert.excluded, ship_cursors.c
    connection.execute(
        insert.on_conflict_do_update(
            index_elements=[old.source],
            set_={"segment": new.segment, "position": new.position},
            where=tuple_(old.segment, old.position) < tuple_(new.segment, new.position),
        )
    )
