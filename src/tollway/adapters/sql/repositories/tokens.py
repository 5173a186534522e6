"""Tokens for the admin API. They are not published: no worker knows them."""

from typing import Any

from sqlalchemy import Row, select, update

from tollway.adapters.sql.repositories.unit import Unit, paged
from tollway.adapters.sql.tables import access_tokens
from tollway.app.ports_directory import Page
from tollway.app.views import TokenView
from tollway.domain.account import Role
from tollway.domain.ids import AccountId, TenantId

_TOKENS = select(access_tokens)


class SqlTokens:
    """Implements `app.ports_people.Tokens`."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    def get(self, token_id: str) -> tuple[TokenView, bytes] | None:
        row = self._unit.first(_TOKENS.where(access_tokens.c.id == token_id))
        return (_view(row), row.digest) if row is not None else None

    def page(
        self,
        at: Page,
        *,
        account_id: AccountId | None = None,
        tenant_id: TenantId | None = None,
    ) -> list[TokenView]:
        query = _TOKENS
        if account_id is not None:
            query = query.where(access_tokens.c.account_id == account_id)
        if tenant_id is not None:
            query = query.where(access_tokens.c.tenant_id == tenant_id)
        return [_view(row) for row in self._unit.rows(paged(query, access_tokens.c.id, at))]

    def add(self, token: TokenView, digest: bytes) -> None:
        self._unit.add(
            access_tokens,
            id=token.id,
            account_id=token.account_id,
            tenant_id=token.tenant_id,
            role=None if token.role is None else token.role.value,
            name=token.name,
            prefix=token.prefix,
            last4=token.last4,
            digest=digest,
            read_only=token.read_only,
            expires_s=token.expires_s,
            created_s=self._unit.now_s,
        )

    def revoke(self, token_id: str) -> None:
        self._unit.change(
            access_tokens,
            access_tokens.c.id == token_id,
            access_tokens.c.revoked_s.is_(None),
            revoked_s=self._unit.now_s,
        )

    def revoke_of(self, account_id: AccountId) -> None:
        self._unit.change(
            access_tokens,
            access_tokens.c.account_id == account_id,
            access_tokens.c.revoked_s.is_(None),
            revoked_s=self._unit.now_s,
        )

    def touch(self, token_id: str, now_s: int) -> None:
        self._unit.connection.execute(
            update(access_tokens).where(access_tokens.c.id == token_id).values(last_used_s=now_s)
        )


def _view(row: Row[Any]) -> TokenView:
    return TokenView(
        id=row.id,
        name=row.name,
        prefix=row.prefix,
        last4=row.last4,
        account_id=None if row.account_id is None else AccountId(row.account_id),
        tenant_id=None if row.tenant_id is None else TenantId(row.tenant_id),
        role=None if row.role is None else Role(row.role),
        read_only=row.read_only,
        expires_s=row.expires_s,
        revoked_s=row.revoked_s,
        last_used_s=row.last_used_s,
        created_s=row.created_s,
        version=row.version,
    )
