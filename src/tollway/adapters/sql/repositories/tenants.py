"""Tenants and their settings."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, case, select, update

from tollway.adapters.sql.repositories.purging import purge_tenant
from tollway.adapters.sql.repositories.unit import Unit, contains, listed, mapped, paged
from tollway.adapters.sql.tables import tenant_settings, tenants
from tollway.app.ports_directory import Page
from tollway.app.views import TenantSettings, TenantView
from tollway.domain.ids import TenantId

_TENANTS = select(
    tenants.c.id,
    tenants.c.slug,
    tenants.c.name,
    tenants.c.active,
    tenants.c.deleted_s,
    tenants.c.managed_by,
    tenants.c.created_s,
    tenants.c.version,
    tenant_settings.c.timezone,
    tenant_settings.c.retention_days,
    tenant_settings.c.content_logging,
    tenant_settings.c.cache,
    tenant_settings.c.models,
    tenant_settings.c.grant_group,
    tenant_settings.c.weight,
    tenant_settings.c.allowed_residency,
    tenant_settings.c.default_model,
).join(tenant_settings, tenant_settings.c.tenant_id == tenants.c.id)


class SqlTenants:
    """Implements `app.ports_directory.Tenants`."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    def get(self, tenant_id: TenantId) -> TenantView | None:
        return _view(self._unit.first(_TENANTS.where(tenants.c.id == tenant_id)))

    def find(self, slug: str) -> TenantView | None:
        return _view(self._unit.first(_TENANTS.where(tenants.c.slug == slug)))

    def page(
        self,
        at: Page,
        *,
        within: Sequence[TenantId] | None = None,
        search: str | None = None,
        deleted: bool = False,
    ) -> list[TenantView]:
        query = _TENANTS
        if not deleted:
            query = query.where(tenants.c.deleted_s.is_(None))
        if within is not None:
            query = query.where(tenants.c.id.in_(within))
        if search is not None:
            query = query.where(contains(search, tenants.c.slug, tenants.c.name))
        rows = self._unit.rows(paged(query, tenants.c.id, at))
        return [view for row in rows if (view := _view(row)) is not None]

    def add(self, tenant: TenantView, salt: bytes) -> None:
        self._unit.add(
            tenants,
            id=tenant.id,
            slug=tenant.slug,
            name=tenant.name,
            salt=salt,
            active=tenant.active,
            managed_by=tenant.managed_by,
            created_s=self._unit.now_s,
        )
        self._unit.add(tenant_settings, tenant_id=tenant.id, **_settings(tenant.settings))

    def save(self, tenant: TenantView) -> None:
        self._unit.change(
            tenants,
            tenants.c.id == tenant.id,
            slug=tenant.slug,
            name=tenant.name,
            active=tenant.active,
            deleted_s=tenant.deleted_s,
            managed_by=tenant.managed_by,
        )
        before = tenant_settings.c.timezone
        changes = before != tenant.settings.timezone
        self._unit.connection.execute(
            update(tenant_settings)
            .where(tenant_settings.c.tenant_id == tenant.id)
            .values(
                version=self._unit.moved(),
                timezone_before=case((changes, before), else_=tenant_settings.c.timezone_before),
                timezone_since_s=case(
                    (changes, self._unit.now_s), else_=tenant_settings.c.timezone_since_s
                ),
                **_settings(tenant.settings),
            )
        )

    def due(self, deleted_before_s: int) -> list[TenantId]:
        query = select(tenants.c.id).where(
            tenants.c.deleted_s < deleted_before_s, ~tenants.c.slug.startswith("~")
        )
        return [TenantId(row.id) for row in self._unit.rows(query)]

    def purge(self, tenant_id: TenantId) -> None:
        purge_tenant(self._unit, tenant_id)


def _settings(settings: TenantSettings) -> dict[str, Any]:
    return {
        "timezone": settings.timezone,
        "retention_days": settings.retention_days,
        "content_logging": settings.content_logging,
        "cache": mapped(settings.cache),
        "models": settings.models,
        "grant_group": settings.group,
        "weight": settings.weight,
        "allowed_residency": listed(settings.allowed_residency),
        "default_model": settings.default_model,
    }


def _view(row: Row[Any] | None) -> TenantView | None:
    if row is None:
        return None
    return TenantView(
        id=TenantId(row.id),
        slug=row.slug,
        name=row.name,
        settings=TenantSettings(
            row.timezone,
            row.retention_days,
            row.content_logging,
            row.cache,
            row.models,
            row.grant_group,
            row.weight,
            None if row.allowed_residency is None else tuple(row.allowed_residency),
            row.default_model,
        ),
        active=row.active,
        deleted_s=row.deleted_s,
        managed_by=row.managed_by,
        created_s=row.created_s,
        version=row.version,
    )
