"""People, their passwords and whom identity providers mean by them."""

from typing import Any

from sqlalchemy import Row, select

from tollway.adapters.sql.repositories.unit import Unit, contains, paged
from tollway.adapters.sql.tables import accounts, identity_links
from tollway.app.ports_directory import Page
from tollway.app.views import AccountView
from tollway.domain.ids import AccountId

_ACCOUNTS = select(accounts)


class SqlAccounts:
    """Implements `app.ports_people.Accounts`."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    def get(self, account_id: AccountId) -> AccountView | None:
        return _view(self._unit.first(_ACCOUNTS.where(accounts.c.id == account_id)))

    def find(self, email: str) -> AccountView | None:
        return _view(self._unit.first(_ACCOUNTS.where(accounts.c.email == email)))

    def page(self, at: Page, *, search: str | None = None) -> list[AccountView]:
        query = _ACCOUNTS
        if search is not None:
            query = query.where(contains(search, accounts.c.email, accounts.c.name))
        rows = self._unit.rows(paged(query, accounts.c.id, at))
        return [view for row in rows if (view := _view(row)) is not None]

    def add(self, account: AccountView) -> None:
        self._unit.add(accounts, id=account.id, created_s=self._unit.now_s, **_changeable(account))

    def save(self, account: AccountView) -> None:
        self._unit.change(accounts, accounts.c.id == account.id, **_changeable(account))

    def password(self, account_id: AccountId) -> str | None:
        row = self._unit.first(_ACCOUNTS.where(accounts.c.id == account_id))
        return None if row is None else row.password_hash

    def set_password(self, account_id: AccountId, hashed: str | None) -> None:
        self._unit.change(accounts, accounts.c.id == account_id, password_hash=hashed)

    def find_linked(self, issuer: str, subject: str) -> AccountView | None:
        linked = _ACCOUNTS.join(identity_links, identity_links.c.account_id == accounts.c.id)
        return _view(
            self._unit.first(
                linked.where(identity_links.c.issuer == issuer, identity_links.c.subject == subject)
            )
        )

    def link(self, account_id: AccountId, issuer: str, subject: str) -> None:
        self._unit.moved()
        self._unit.insert(
            identity_links,
            issuer=issuer,
            subject=subject,
            account_id=account_id,
            created_s=self._unit.now_s,
        )


def _changeable(account: AccountView) -> dict[str, Any]:
    return {
        "email": account.email,
        "name": account.name,
        "platform_admin": account.platform_admin,
        "active": account.active,
        "managed_by": account.managed_by,
    }


def _view(row: Row[Any] | None) -> AccountView | None:
    if row is None:
        return None
    return AccountView(
        id=AccountId(row.id),
        email=row.email,
        name=row.name,
        platform_admin=row.platform_admin,
        active=row.active,
        has_password=row.password_hash is not None,
        managed_by=row.managed_by,
        created_s=row.created_s,
        version=row.version,
    )
