"""Units of work over the configuration: one transaction, its repositories, and the tenants it may
touch. What may be written is decided by the commands; the constraints only catch what they missed.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine

from tollway.adapters.sql.announce import announce
from tollway.adapters.sql.engine import reading, take_turn, writing
from tollway.adapters.sql.repositories.accounts import SqlAccounts
from tollway.adapters.sql.repositories.grants import SqlGrants
from tollway.adapters.sql.repositories.keys import SqlKeys, SqlPeppers
from tollway.adapters.sql.repositories.members import SqlMembers
from tollway.adapters.sql.repositories.models import SqlModels
from tollway.adapters.sql.repositories.prices import SqlPrices
from tollway.adapters.sql.repositories.projects import SqlProjects
from tollway.adapters.sql.repositories.providers import SqlProviders
from tollway.adapters.sql.repositories.quotas import SqlQuotas
from tollway.adapters.sql.repositories.records import SqlAudit, SqlReplies
from tollway.adapters.sql.repositories.sessions import SqlSessions
from tollway.adapters.sql.repositories.tenants import SqlTenants
from tollway.adapters.sql.repositories.tokens import SqlTokens
from tollway.adapters.sql.repositories.unit import Unit
from tollway.adapters.sql.repositories.webhooks import SqlWebhooks
from tollway.adapters.sql.tenancy import enter_scope
from tollway.app.ports import Clock
from tollway.app.ports_admin import Scope, UnitOfWork


class SqlConfiguration:
    """Implements `app.ports_admin.Configuration`."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    @contextmanager
    def begin(self, scope: Scope = None) -> Iterator[UnitOfWork]:
        """One write transaction, undone unless it was committed. Raises StoreUnavailableError."""
        with writing(self._engine) as connection:
            take_turn(connection)
            enter_scope(connection, scope)
            unit = SqlUnitOfWork(connection, self._now_s())
            yield unit
            if not unit.committed:
                connection.rollback()

    @contextmanager
    def read(self, scope: Scope = None) -> Iterator[UnitOfWork]:
        """One read transaction. Raises StoreUnavailableError."""
        with reading(self._engine) as connection:
            enter_scope(connection, scope)
            yield SqlUnitOfWork(connection, self._now_s())

    def _now_s(self) -> int:
        return self._clock.wall_ns() // 1_000_000_000


class SqlUnitOfWork:
    """Implements `app.ports_admin.UnitOfWork`."""

    def __init__(self, connection: Connection, now_s: int) -> None:
        self.now_s = now_s
        self.committed = False
        self._connection = connection
        self._unit = unit = Unit(connection, now_s)
        self.accounts = SqlAccounts(unit)
        self.audit = SqlAudit(unit)
        self.grants = SqlGrants(unit)
        self.keys = SqlKeys(unit)
        self.members = SqlMembers(unit)
        self.models = SqlModels(unit)
        self.peppers = SqlPeppers(unit)
        self.prices = SqlPrices(unit)
        self.projects = SqlProjects(unit)
        self.providers = SqlProviders(unit)
        self.quotas = SqlQuotas(unit)
        self.replies = SqlReplies(unit)
        self.sessions = SqlSessions(unit)
        self.tenants = SqlTenants(unit)
        self.tokens = SqlTokens(unit)
        self.webhooks = SqlWebhooks(unit)

    @property
    def version(self) -> int | None:
        return self._unit.version

    def commit(self) -> None:
        if self._unit.version is not None:
            announce(self._connection, self._unit.version)
        self._connection.commit()
        self.committed = True
