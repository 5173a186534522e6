"""Rows that are a tenant's own or (tenant NULL) the platform's: the conditions all such tables
share.
"""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Table, or_, select

from tollway.adapters.sql.tables import tenants
from tollway.domain.ids import TenantId

_LIVING = select(tenants.c.id).where(tenants.c.deleted_s.is_(None)).scalar_subquery()


def living(table: Table) -> ColumnElement[bool]:
    """The platform's rows, and those of tenants that are not deleted."""
    return or_(table.c.tenant_id.is_(None), table.c.tenant_id.in_(_LIVING))


def owned_by(table: Table, owner: TenantId | None) -> ColumnElement[bool]:
    """Rows of one owner."""
    return table.c.tenant_id.is_(None) if owner is None else table.c.tenant_id == owner


def of_owners(table: Table, owners: Sequence[TenantId | None]) -> ColumnElement[bool]:
    """Rows of these owners; without any there are none."""
    theirs = table.c.tenant_id.in_([owner for owner in owners if owner is not None])
    return or_(theirs, table.c.tenant_id.is_(None)) if None in owners else theirs
