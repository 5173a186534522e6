"""The unit of work of the control plane: finds and adds configuration rows. What may be written is
decided by the commands; the constraints here only catch what they missed.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from sqlalchemy import Connection, Engine, Table, and_, insert, select, update

from tollway.adapters.sql.engine import upsert, writing
from tollway.adapters.sql.rows import (
    Condition,
    read_keys,
    read_models,
    read_providers,
    read_tenants,
)
from tollway.adapters.sql.tables import (
    accounts,
    api_keys,
    memberships,
    model_targets,
    models,
    peppers,
    projects,
    provider_config,
    provider_credentials,
    providers,
    snapshot_version,
    tenant_settings,
    tenants,
)
from tollway.app.ports import Clock
from tollway.app.ports_admin import KeyFace, UnitOfWork
from tollway.domain.account import AccountRecord, ProjectRecord, Role
from tollway.domain.ids import AccountId, KeyId, ProjectId, ProviderId, TenantId
from tollway.domain.key import KeyRecord
from tollway.domain.model import ModelRecord
from tollway.domain.provider import CredentialRecord, ProviderRecord
from tollway.domain.tenant import TenantRecord

_DEFAULT_TIMEZONE = "UTC"
_T = TypeVar("_T")


class SqlConfiguration:
    """Implements `app.ports_admin.Configuration`."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    @contextmanager
    def begin(self) -> Iterator[UnitOfWork]:
        """One write transaction, undone unless it was committed. Raises StoreUnavailableError."""
        with writing(self._engine) as connection:
            unit = SqlUnitOfWork(connection, self._clock.wall_ns() // 1_000_000_000)
            yield unit
            if not unit.committed:
                connection.rollback()


class SqlUnitOfWork:
    """Implements `app.ports_admin.UnitOfWork`."""

    def __init__(self, connection: Connection, now_s: int) -> None:
        self.now_s = now_s
        self.committed = False
        self._connection = connection
        self._version: int | None = None

    def commit(self) -> None:
        self._connection.commit()
        self.committed = True

    def find_tenant(self, slug: str) -> TenantRecord | None:
        return _first(read_tenants(self._connection, tenants.c.slug == slug))

    def add_tenant(self, tenant: TenantRecord) -> None:
        self._add(
            tenants,
            id=tenant.id,
            slug=tenant.slug,
            name=tenant.name,
            salt=tenant.salt,
            active=tenant.active,
            created_s=self.now_s,
        )
        self._add(
            tenant_settings,
            tenant_id=tenant.id,
            timezone=_DEFAULT_TIMEZONE,
            content_logging=False,
            models=tenant.models,
        )

    def find_account(self, email: str) -> AccountRecord | None:
        row = self._connection.execute(
            select(
                accounts.c.id,
                accounts.c.email,
                accounts.c.name,
                accounts.c.platform_admin,
                accounts.c.active,
            ).where(accounts.c.email == email)
        ).first()
        return AccountRecord(AccountId(row[0]), *row[1:]) if row is not None else None

    def add_account(self, account: AccountRecord) -> None:
        self._add(
            accounts,
            id=account.id,
            email=account.email,
            name=account.name,
            platform_admin=account.platform_admin,
            active=account.active,
            created_s=self.now_s,
        )

    def find_role(self, tenant_id: TenantId, account_id: AccountId) -> Role | None:
        role = self._connection.execute(
            select(memberships.c.role).where(
                memberships.c.tenant_id == tenant_id, memberships.c.account_id == account_id
            )
        ).scalar()
        return Role(role) if role is not None else None

    def add_membership(self, tenant_id: TenantId, account_id: AccountId, role: Role) -> None:
        self._add(
            memberships,
            tenant_id=tenant_id,
            account_id=account_id,
            role=role.value,
            created_s=self.now_s,
        )

    def find_project(self, tenant_id: TenantId, name: str) -> ProjectRecord | None:
        row = self._connection.execute(
            select(projects.c.id).where(projects.c.tenant_id == tenant_id, projects.c.name == name)
        ).first()
        return ProjectRecord(ProjectId(row[0]), tenant_id, name) if row is not None else None

    def add_project(self, project: ProjectRecord) -> None:
        self._add(
            projects,
            id=project.id,
            tenant_id=project.tenant_id,
            name=project.name,
            created_s=self.now_s,
        )

    def find_keys(self, tenant_id: TenantId, name: str) -> Sequence[KeyRecord]:
        return read_keys(
            self._connection, api_keys.c.tenant_id == tenant_id, api_keys.c.name == name
        )

    def add_key(self, key: KeyRecord, face: KeyFace) -> None:
        self._add(
            api_keys,
            id=key.id,
            tenant_id=key.tenant_id,
            project_id=key.project_id,
            account_id=key.account_id,
            env=face.env,
            name=key.name,
            prefix=face.prefix,
            last4=face.last4,
            digest=key.digest,
            pepper_version=key.pepper_version,
            models=_list(key.models),
            endpoints=_list(key.endpoints),
            ip_allow=_list(key.ip_allow),
            tags=dict(key.tags) or None,
            not_before_s=_seconds(key.not_before_s),
            expires_s=_seconds(key.expires_s),
            revoked_s=_seconds(key.revoked_s),
            created_s=self.now_s,
        )

    def revoke_key(self, key_id: KeyId) -> bool:
        revoked = self._connection.execute(
            update(api_keys)
            .where(api_keys.c.id == key_id, api_keys.c.revoked_s.is_(None))
            .values(revoked_s=self.now_s, version=self._moved_version())
        )
        return revoked.rowcount == 1

    def find_provider(self, owner: TenantId | None, name: str) -> ProviderRecord | None:
        return _first(read_providers(self._connection, _named(providers, owner, name)))

    def find_provider_by_id(self, provider_id: ProviderId) -> ProviderRecord | None:
        return _first(read_providers(self._connection, providers.c.id == provider_id))

    def add_provider(self, provider: ProviderRecord) -> None:
        self._add(
            providers,
            id=provider.id,
            tenant_id=provider.tenant_id,
            name=provider.name,
            kind=provider.kind.value,
            base_url=provider.base_url,
            enabled=provider.enabled,
            created_s=self.now_s,
        )
        self._add(
            provider_config,
            provider_id=provider.id,
            stream_usage=provider.stream_usage.value,
            connect_timeout_s=provider.connect_timeout_s,
            headers_timeout_s=provider.headers_timeout_s,
            first_token_timeout_s=provider.first_token_timeout_s,
            idle_timeout_s=provider.idle_timeout_s,
            total_timeout_s=provider.total_timeout_s,
        )

    def move_provider(self, provider_id: ProviderId, base_url: str) -> None:
        self._connection.execute(
            update(providers)
            .where(providers.c.id == provider_id)
            .values(base_url=base_url, version=self._moved_version())
        )

    def add_credential(self, provider_id: ProviderId, credential: CredentialRecord) -> None:
        self._add(
            provider_credentials,
            id=credential.id,
            provider_id=provider_id,
            reference=credential.reference,
            weight=credential.weight,
            created_s=self.now_s,
        )

    def find_model(self, owner: TenantId | None, name: str) -> ModelRecord | None:
        return _first(read_models(self._connection, _named(models, owner, name)))

    def add_model(self, model: ModelRecord) -> None:
        self._add(
            models,
            id=model.id,
            tenant_id=model.tenant_id,
            name=model.name,
            strategy=model.strategy.value,
            max_output_tokens=model.max_output_tokens,
            enabled=model.enabled,
            created_s=self.now_s,
        )
        for position, target in enumerate(model.targets):
            self._connection.execute(
                insert(model_targets).values(
                    model_id=model.id,
                    position=position,
                    provider_id=target.provider_id,
                    model=target.model,
                    weight=target.weight,
                    priority=target.priority,
                )
            )

    def newest_pepper(self) -> tuple[int, bytes] | None:
        row = self._connection.execute(
            select(peppers.c.version, peppers.c.wrapped).order_by(peppers.c.version.desc()).limit(1)
        ).first()
        return (row[0], row[1]) if row is not None else None

    def add_pepper(self, version: int, wrapped: bytes) -> None:
        self._moved_version()
        self._connection.execute(
            insert(peppers).values(version=version, wrapped=wrapped, created_s=self.now_s)
        )

    def _add(self, table: Table, **values: object) -> None:
        self._connection.execute(insert(table).values(version=self._moved_version(), **values))

    def _moved_version(self) -> int:
        """The version this unit writes. Taking it locks the row: units commit one after another."""
        if self._version is None:
            moved = upsert(self._connection, snapshot_version).values(one=1, version=1)
            moved = moved.on_conflict_do_update(
                index_elements=[snapshot_version.c.one],
                set_={"version": snapshot_version.c.version + 1},
            )
            returned = self._connection.execute(moved.returning(snapshot_version.c.version))
            self._version = int(returned.scalar_one())
        return self._version


def _named(table: Table, owner: TenantId | None, name: str) -> Condition:
    same = table.c.tenant_id.is_(None) if owner is None else table.c.tenant_id == owner
    return and_(same, table.c.name == name)


def _first(rows: Sequence[_T]) -> _T | None:
    return rows[0] if rows else None


def _list(names: Sequence[str] | None) -> list[str] | None:
    return None if names is None else list(names)


def _seconds(moment_s: float | None) -> int | None:
    return None if moment_s is None else int(moment_s)
