"""The repositories of people and of what they sign in with. The rules of `ports_directory` hold."""

from typing import Protocol

from tollway.app.ports_directory import Page
from tollway.app.views import (
    AccountView,
    MemberView,
    SessionView,
    TokenView,
)
from tollway.domain.ids import (
    AccountId,
    TenantId,
)


class Accounts(Protocol):
    """People."""

    def get(self, account_id: AccountId) -> AccountView | None:
        """By id."""

    def find(self, email: str) -> AccountView | None:
        """By the address in lower case."""

    def page(self, at: Page, *, search: str | None = None) -> list[AccountView]:
        """All, or those with `search` in address or name."""

    def add(self, account: AccountView) -> None:
        """A new account, without a password."""

    def save(self, account: AccountView) -> None:
        """Everything but id and password."""

    def password(self, account_id: AccountId) -> str | None:
        """The password's hash."""

    def set_password(self, account_id: AccountId, hashed: str | None) -> None:
        """Another password, or none."""

    def find_linked(self, issuer: str, subject: str) -> AccountView | None:
        """Whom an issuer means by a subject."""

    def link(self, account_id: AccountId, issuer: str, subject: str) -> None:
        """From now on the issuer's subject is this account."""


class Members(Protocol):
    """Accounts in tenants."""

    def get(self, tenant_id: TenantId, account_id: AccountId) -> MemberView | None:
        """What the account is in the tenant."""

    def page(self, tenant_id: TenantId, at: Page) -> list[MemberView]:
        """A tenant's members, by account id."""

    def of_account(self, account_id: AccountId) -> list[MemberView]:
        """All memberships of an account in tenants that are not deleted."""

    def add(self, member: MemberView) -> None:
        """The account becomes a member."""

    def save(self, member: MemberView) -> None:
        """Role, models and source."""

    def remove(self, tenant_id: TenantId, account_id: AccountId) -> None:
        """The account is no member any more."""


class Tokens(Protocol):
    """Tokens for the admin API."""

    def get(self, token_id: str) -> tuple[TokenView, bytes] | None:
        """By id, with the digest of its secret."""

    def page(
        self,
        at: Page,
        *,
        account_id: AccountId | None = None,
        tenant_id: TenantId | None = None,
    ) -> list[TokenView]:
        """An account's or a tenant's."""

    def add(self, token: TokenView, digest: bytes) -> None:
        """A new token."""

    def revoke(self, token_id: str) -> None:
        """From now on it opens nothing."""

    def revoke_of(self, account_id: AccountId) -> None:
        """All of an account."""

    def touch(self, token_id: str, now_s: int) -> None:
        """It was used."""


class Sessions(Protocol):
    """Signed-in browsers, and the failures to sign in."""

    def get(self, digest: bytes) -> SessionView | None:
        """By the digest of its cookie."""

    def of_account(self, account_id: AccountId) -> list[SessionView]:
        """An account's."""

    def add(self, session: SessionView) -> None:
        """A new session."""

    def touch(self, digest: bytes, now_s: int) -> None:
        """It was used."""

    def remove(self, digest: bytes) -> None:
        """Signed out."""

    def remove_of(self, account_id: AccountId, *, but: bytes | None = None) -> int:
        """Signed out everywhere (but here); how many."""

    def remove_expired(self, now_s: int) -> int:
        """Those whose time is over; how many."""

    def failures(self, subject: str) -> tuple[int, int]:
        """How often signing in failed since it last worked, and when last (UTC seconds)."""

    def fail(self, subject: str, now_s: int) -> None:
        """It failed once more."""

    def forgive(self, subject: str) -> None:
        """It worked: no failure counts any more."""

    def uncount(self, subject: str) -> None:
        """The last one counted was none."""
