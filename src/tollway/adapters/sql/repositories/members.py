"""Accounts in tenants."""

from typing import Any

from sqlalchemy import Row, select

from tollway.adapters.sql.repositories.unit import Unit, listed, names, paged
from tollway.adapters.sql.tables import accounts, memberships, tenants
from tollway.app.ports_directory import Page
from tollway.app.views import MemberView
from tollway.domain.account import Role
from tollway.domain.ids import AccountId, TenantId

_MEMBERS = select(memberships, accounts.c.email, accounts.c.name, accounts.c.active).join(
    accounts, accounts.c.id == memberships.c.account_id
)


class SqlMembers:
    """Implements `app.ports_people.Members`."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    def get(self, tenant_id: TenantId, account_id: AccountId) -> MemberView | None:
        row = self._unit.first(
            _MEMBERS.where(
                memberships.c.tenant_id == tenant_id, memberships.c.account_id == account_id
            )
        )
        return _view(row) if row is not None else None

    def page(self, tenant_id: TenantId, at: Page) -> list[MemberView]:
        query = _MEMBERS.where(memberships.c.tenant_id == tenant_id)
        return [_view(row) for row in self._unit.rows(paged(query, memberships.c.account_id, at))]

    def of_account(self, account_id: AccountId) -> list[MemberView]:
        living = _MEMBERS.join(tenants, tenants.c.id == memberships.c.tenant_id)
        query = living.where(
            memberships.c.account_id == account_id, tenants.c.deleted_s.is_(None)
        ).order_by(memberships.c.tenant_id)
        return [_view(row) for row in self._unit.rows(query)]

    def add(self, member: MemberView) -> None:
        self._unit.dig_up("member", _place(member.tenant_id, member.account_id))
        self._unit.add(
            memberships,
            tenant_id=member.tenant_id,
            account_id=member.account_id,
            created_s=self._unit.now_s,
            **_changeable(member),
        )

    def save(self, member: MemberView) -> None:
        self._unit.change(
            memberships,
            memberships.c.tenant_id == member.tenant_id,
            memberships.c.account_id == member.account_id,
            **_changeable(member),
        )

    def remove(self, tenant_id: TenantId, account_id: AccountId) -> None:
        if self._unit.remove(
            memberships,
            memberships.c.tenant_id == tenant_id,
            memberships.c.account_id == account_id,
        ):
            self._unit.bury("member", _place(tenant_id, account_id))


def _place(tenant_id: TenantId, account_id: AccountId) -> str:
    return f"{tenant_id}|{account_id}"


def _changeable(member: MemberView) -> dict[str, Any]:
    return {
        "role": member.role.value,
        "models": listed(member.models),
        "source": member.source,
    }


def _view(row: Row[Any]) -> MemberView:
    return MemberView(
        tenant_id=TenantId(row.tenant_id),
        account_id=AccountId(row.account_id),
        email=row.email,
        name=row.name,
        role=Role(row.role),
        models=names(row.models),
        source=row.source,
        active=row.active,
        created_s=row.created_s,
        version=row.version,
    )
