"""What every repository of one unit of work shares: the connection, the clock's second and the
version that this unit writes. Nothing is decided here.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, Table, delete, insert, or_, update
from sqlalchemy.exc import IntegrityError

from tollway.adapters.sql.engine import upsert
from tollway.adapters.sql.tables import snapshot_version, tombstones
from tollway.app.ports_directory import ConflictError, Page

Condition = ColumnElement[bool]


class Unit:
    """One transaction's connection. The first write takes the version's row, and with it the turn:
    units that write come one after another."""

    def __init__(self, connection: Connection, now_s: int) -> None:
        self.connection = connection
        self.now_s = now_s
        self.version: int | None = None

    def moved(self) -> int:
        """The version this unit writes."""
        if self.version is None:
            moved = upsert(self.connection, snapshot_version).values(one=1, version=1)
            moved = moved.on_conflict_do_update(
                index_elements=[snapshot_version.c.one],
                set_={"version": snapshot_version.c.version + 1},
            )
            returned = self.connection.execute(moved.returning(snapshot_version.c.version))
            self.version = int(returned.scalar_one())
        return self.version

    def add(self, table: Table, **values: object) -> None:
        """A new row with the unit's version. Raises ConflictError when it stands there already."""
        self.insert(table, version=self.moved(), **values)

    def insert(self, table: Table, **values: object) -> None:
        """A new row of a table without a version. Raises ConflictError."""
        try:
            self.connection.execute(insert(table).values(**values))
        except IntegrityError as error:
            raise ConflictError(f"{table.name}: {error.orig}") from error

    def change(self, table: Table, *where: Condition, **values: object) -> int:
        """Change rows, and move their version; how many."""
        try:
            statement = update(table).where(*where).values(version=self.moved(), **values)
            return self.connection.execute(statement).rowcount
        except IntegrityError as error:
            raise ConflictError(f"{table.name}: {error.orig}") from error

    def remove(self, table: Table, *where: Condition) -> int:
        """Remove rows; how many. Published kinds leave a tombstone (`bury`)."""
        return self.connection.execute(delete(table).where(*where)).rowcount

    def bury(self, kind: str, id_: str) -> None:
        """What publishers learn of a thing that is gone."""
        buried = upsert(self.connection, tombstones).values(kind=kind, id=id_, version=self.moved())
        self.connection.execute(
            buried.on_conflict_do_update(
                index_elements=[tombstones.c.kind, tombstones.c.id],
                set_={"version": self.moved()},
            )
        )

    def dig_up(self, kind: str, id_: str) -> None:
        """The thing is there again (a membership, a grant: their ids come back)."""
        self.remove(tombstones, tombstones.c.kind == kind, tombstones.c.id == id_)

    def first(self, query: Select[Any]) -> Row[Any] | None:
        """The first row."""
        return self.connection.execute(query).first()

    def rows(self, query: Select[Any]) -> Sequence[Row[Any]]:
        """All rows."""
        return self.connection.execute(query).all()


def paged(query: Select[Any], key: ColumnElement[str], at: Page) -> Select[Any]:
    """That part of a list, in the order of its key."""
    if at.after is not None:
        query = query.where(key > at.after)
    return query.order_by(key).limit(at.limit)


def contains(text: str, *columns: ColumnElement[str]) -> Condition:
    """Whether one of the columns has the text in it; `%` and `_` are plain characters."""
    return or_(*(column.icontains(text, autoescape=True) for column in columns))


def names(value: Sequence[str] | None) -> tuple[str, ...] | None:
    """A JSON list as a tuple; None stays None."""
    return None if value is None else tuple(value)


def listed(value: Sequence[str] | None) -> list[str] | None:
    """A tuple as a JSON list; None stays None."""
    return None if value is None else list(value)


def mapped(value: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A mapping as a JSON object; None stays None."""
    return None if value is None else dict(value)
