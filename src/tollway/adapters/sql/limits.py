"""Limits with the zone their windows are in, for those who sum them."""

from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, select

from tollway.adapters.sql.repositories.owners import living
from tollway.adapters.sql.rows import QUOTA_COLUMNS, quota_record
from tollway.adapters.sql.tables import quotas, tenant_settings, tenants
from tollway.app.ports_alerts import WatchedQuota
from tollway.domain.window import UTC_ZONE, Zone

_ZONE = (
    tenant_settings.c.timezone,
    tenant_settings.c.timezone_before,
    tenant_settings.c.timezone_since_s,
)
_LIMITS: Select[Any] = (
    select(*QUOTA_COLUMNS, quotas.c.created_s, tenants.c.name.label("tenant_name"), *_ZONE)
    .outerjoin(tenants, tenants.c.id == quotas.c.tenant_id)
    .outerjoin(tenant_settings, tenant_settings.c.tenant_id == quotas.c.tenant_id)
    .where(living(quotas))
    .order_by(quotas.c.id)
)


def read_limits(connection: Connection, *only: ColumnElement[bool]) -> list[WatchedQuota]:
    """Those of the platform and of tenants that are not deleted."""
    return [_limit(row) for row in connection.execute(_LIMITS.where(*only))]


def _limit(row: Row[Any]) -> WatchedQuota:
    zone = UTC_ZONE
    if row.timezone is not None:
        zone = Zone(row.timezone, row.timezone_before, row.timezone_since_s)
    record = quota_record([getattr(row, column.name) for column in QUOTA_COLUMNS])
    return WatchedQuota(record, row.created_s, row.tenant_name, zone)
