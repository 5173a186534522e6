"""The configuration the data plane serves from: all of it piece by piece, or what has changed since
a version. Each answer is read in one transaction and has one version. Decides nothing.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

from sqlalchemy import Connection, Engine, Table, select, tuple_

from tollway.adapters.sql.engine import reading
from tollway.adapters.sql.rows import (
    Condition,
    read_grants,
    read_keys,
    read_members,
    read_models,
    read_projects,
    read_providers,
    read_quotas,
    read_tenants,
    read_version,
)
from tollway.adapters.sql.tables import (
    api_keys,
    grants,
    memberships,
    models,
    peppers,
    projects,
    providers,
    quotas,
    tenants,
    tombstones,
)
from tollway.domain.snapshot import Kind, SnapshotChanges, SnapshotRows

_PEPPERS = select(peppers.c.version, peppers.c.wrapped).order_by(peppers.c.version)
_TOMBSTONES = select(tombstones.c.kind, tombstones.c.id).where(tombstones.c.kind.in_(list(Kind)))
_DELETED = select(tenants.c.id).where(tenants.c.deleted_s.is_not(None))
_PAGE = 1000


class _Read(Protocol):
    """One of the readers in `rows.py`."""

    def __call__(
        self, connection: Connection, /, *only: Condition, limit: int | None = None
    ) -> tuple[Any, ...]: ...


class _Source(NamedTuple):
    """Where a field of `SnapshotRows` comes from. `by` orders the rows: columns of the table, and
    fields of the records. `only` is what stands in a whole snapshot."""

    field: str
    table: Table
    read: _Read
    by: tuple[str, ...] = ("id",)
    only: tuple[Condition, ...] = ()


# A scope that narrows nothing is as good as none: most memberships stay away.
_SOURCES = (
    _Source("tenants", tenants, read_tenants),
    _Source("keys", api_keys, read_keys),
    _Source("projects", projects, read_projects),
    _Source(
        "members",
        memberships,
        read_members,
        ("tenant_id", "account_id"),
        (memberships.c.models.is_not(None),),
    ),
    _Source("providers", providers, read_providers),
    _Source("models", models, read_models),
    _Source("grants", grants, read_grants, ("holder",)),
    _Source("quotas", quotas, read_quotas, ("place",)),
)


class SqlSnapshotStore:
    """Implements `app.ports.SnapshotStore`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def version(self) -> int:
        """The newest committed version; 0 before the first configuration write."""
        with reading(self._engine) as connection:
            return read_version(connection)

    def load(self) -> SnapshotRows:
        """All rows at once, for whoever wants to look at them. Nothing of deleted tenants."""
        with _one_state(self._engine) as connection:
            found: dict[str, Any] = {
                source.field: source.read(connection, *_of_living(source.table))
                for source in _SOURCES
            }
            return SnapshotRows(*_stamp(connection), **found)

    def stream(self) -> Iterator[SnapshotRows]:
        """All rows in pieces of at most 1000. What deleted tenants own is among them: without its
        tenant nothing of it can be reached, and a tenant that is restored has it again."""
        with _one_state(self._engine) as connection:
            stamp = _stamp(connection)
            yield SnapshotRows(*stamp)
            for source in _SOURCES:
                for rows in _pages(connection, source):
                    piece: dict[str, Any] = {source.field: rows}
                    yield SnapshotRows(*stamp, **piece)

    def changes(self, since: int, limit: int) -> SnapshotChanges | None:
        """What has become of a version; None when it is more than so many rows of a kind."""
        with _one_state(self._engine) as connection:
            stamp = _stamp(connection)
            removed = _removed(connection, since, limit + 1)
            found: dict[str, Any] = {
                source.field: source.read(connection, _changed(source, since, limit + 1))
                for source in _SOURCES
            }
        if any(len(rows) > limit for rows in (removed, *found.values())):
            return None
        return SnapshotChanges(since, SnapshotRows(*stamp, **found), removed)


@contextmanager
def _one_state(engine: Engine) -> Iterator[Connection]:
    """A read transaction whose statements all see the same state."""
    with reading(engine) as connection:
        if connection.dialect.name != "sqlite":  # which knows nothing else
            connection.execution_options(isolation_level="REPEATABLE READ")
        yield connection


def _stamp(connection: Connection) -> tuple[int, tuple[tuple[int, bytes], ...]]:
    """The version, and the peppers."""
    return read_version(connection), tuple((row[0], row[1]) for row in connection.execute(_PEPPERS))


def _pages(connection: Connection, source: _Source) -> Iterator[tuple[Any, ...]]:
    """All rows of a source in their order, page by page: what is held is one page."""
    columns = [source.table.c[name] for name in source.by]
    place = tuple_(*columns) if len(columns) > 1 else columns[0]
    rows = source.read(connection, *source.only, limit=_PAGE)
    while rows:
        yield rows
        last = [getattr(rows[-1], name) for name in source.by]
        after = place > (tuple_(*last) if len(last) > 1 else last[0])
        rows = source.read(connection, *source.only, after, limit=_PAGE)


def _changed(source: _Source, since: int, limit: int) -> Condition:
    """Rows with a later version. Found by it first: in the order of ids a database would look at
    every row there is."""
    columns = [source.table.c[name] for name in source.by]
    place = tuple_(*columns) if len(columns) > 1 else columns[0]
    return place.in_(select(*columns).where(source.table.c.version > since).limit(limit))


def _removed(connection: Connection, since: int, limit: int) -> tuple[tuple[Kind, str], ...]:
    """What was buried since, and tenants that were deleted."""
    buried = connection.execute(_TOMBSTONES.where(tombstones.c.version > since).limit(limit))
    deleted = connection.execute(_DELETED.where(tenants.c.version > since).limit(limit))
    return (
        *((Kind(kind), id_) for kind, id_ in buried),
        *((Kind.TENANT, id_) for (id_,) in deleted),
    )


def _of_living(table: Table) -> tuple[Condition, ...]:
    """Rows of the platform, and of tenants that are not deleted."""
    if table is tenants:
        return ()
    owner = table.c.tenant_id
    return (owner.is_(None) | owner.not_in(_DELETED),)
