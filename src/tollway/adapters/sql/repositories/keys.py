"""API keys of tenants, and the peppers their digests are made with."""

from typing import Any

from sqlalchemy import Row, insert, select, update

from tollway.adapters.sql.repositories.unit import Condition, Unit, listed, names, paged
from tollway.adapters.sql.tables import api_keys, peppers
from tollway.app.ports_directory import Page
from tollway.app.views import KeyView
from tollway.domain.ids import AccountId, KeyId, ProjectId, TenantId

_KEYS = select(*(c for c in api_keys.columns if c.name not in ("digest", "pepper_version")))


class SqlKeys:
    """Implements `app.ports_directory.Keys`."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    def get(self, tenant_id: TenantId, key_id: KeyId) -> KeyView | None:
        row = self._unit.first(
            _KEYS.where(api_keys.c.tenant_id == tenant_id, api_keys.c.id == key_id)
        )
        return _view(row) if row is not None else None

    def owner(self, key_id: KeyId) -> TenantId | None:
        row = self._unit.first(select(api_keys.c.tenant_id).where(api_keys.c.id == key_id))
        return None if row is None else TenantId(row.tenant_id)

    def find(self, tenant_id: TenantId, name: str) -> list[KeyView]:
        query = _KEYS.where(api_keys.c.tenant_id == tenant_id, api_keys.c.name == name)
        newest = query.order_by(api_keys.c.created_s.desc(), api_keys.c.version.desc())
        return [_view(row) for row in self._unit.rows(newest)]

    def page(
        self,
        tenant_id: TenantId,
        at: Page,
        *,
        account_id: AccountId | None = None,
        project_id: ProjectId | None = None,
        live: bool | None = None,
    ) -> list[KeyView]:
        query = _KEYS.where(api_keys.c.tenant_id == tenant_id)
        if account_id is not None:
            query = query.where(api_keys.c.account_id == account_id)
        if project_id is not None:
            query = query.where(api_keys.c.project_id == project_id)
        if live is not None:
            revoked = api_keys.c.revoked_s
            query = query.where(revoked.is_(None) if live else revoked.is_not(None))
        return [_view(row) for row in self._unit.rows(paged(query, api_keys.c.id, at))]

    def add(self, key: KeyView, digest: bytes, pepper_version: int) -> None:
        self._unit.add(
            api_keys,
            id=key.id,
            tenant_id=key.tenant_id,
            env=key.env,
            prefix=key.prefix,
            last4=key.last4,
            digest=digest,
            pepper_version=pepper_version,
            created_by=key.created_by,
            replaces=key.replaces,
            created_s=self._unit.now_s,
            **_changeable(key),
        )

    def save(self, key: KeyView) -> None:
        self._unit.change(
            api_keys,
            api_keys.c.tenant_id == key.tenant_id,
            api_keys.c.id == key.id,
            **_changeable(key),
        )

    def revoke_of(self, account_id: AccountId, *, tenant_id: TenantId | None = None) -> list[KeyId]:
        where: list[Condition] = [
            api_keys.c.account_id == account_id,
            api_keys.c.revoked_s.is_(None),
        ]
        if tenant_id is not None:
            where.append(api_keys.c.tenant_id == tenant_id)
        live = [KeyId(row.id) for row in self._unit.rows(select(api_keys.c.id).where(*where))]
        if live:
            self._unit.change(api_keys, *where, revoked_s=self._unit.now_s)
        return live


class SqlPeppers:
    """Implements `app.ports_directory.Peppers`."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    def newest(self) -> tuple[int, bytes] | None:
        found = self.every()
        return found[-1] if found else None

    def every(self) -> list[tuple[int, bytes]]:
        query = select(peppers.c.version, peppers.c.wrapped).order_by(peppers.c.version)
        return [(row.version, row.wrapped) for row in self._unit.rows(query)]

    def add(self, version: int, wrapped: bytes) -> None:
        self._unit.moved()
        self._unit.connection.execute(
            insert(peppers).values(version=version, wrapped=wrapped, created_s=self._unit.now_s)
        )

    def replace(self, version: int, wrapped: bytes) -> None:
        self._unit.moved()
        self._unit.connection.execute(
            update(peppers).where(peppers.c.version == version).values(wrapped=wrapped)
        )


def _changeable(key: KeyView) -> dict[str, Any]:
    return {
        "name": key.name,
        "project_id": key.project_id,
        "account_id": key.account_id,
        "models": listed(key.models),
        "endpoints": listed(key.endpoints),
        "ip_allow": listed(key.ip_allow),
        "tags": dict(key.tags) or None,
        "not_before_s": key.not_before_s,
        "expires_s": key.expires_s,
        "revoked_s": key.revoked_s,
        "managed_by": key.managed_by,
    }


def _view(row: Row[Any]) -> KeyView:
    return KeyView(
        id=KeyId(row.id),
        tenant_id=TenantId(row.tenant_id),
        name=row.name,
        env=row.env,
        prefix=row.prefix,
        last4=row.last4,
        project_id=None if row.project_id is None else ProjectId(row.project_id),
        account_id=None if row.account_id is None else AccountId(row.account_id),
        models=names(row.models),
        endpoints=names(row.endpoints),
        ip_allow=names(row.ip_allow),
        tags=tuple((row.tags or {}).items()),
        not_before_s=row.not_before_s,
        expires_s=row.expires_s,
        revoked_s=row.revoked_s,
        created_by=row.created_by,
        replaces=None if row.replaces is None else KeyId(row.replaces),
        managed_by=row.managed_by,
        created_s=row.created_s,
        version=row.version,
    )
