"""From a credential of the admin API to who acts: the bootstrap token, a personal or service token,
or a session. What an account may do is read afresh for each request, so a change acts at once.
"""

import hmac
from dataclasses import dataclass

from tollway.app.ports_admin import UnitOfWork
from tollway.app.views import AccountView, SessionView, TokenView
from tollway.domain.policy import Actor
from tollway.domain.session import digest_cookie, is_over, needs_touch
from tollway.domain.token import split_token, token_matches

TOUCH_S = 60  # how stale a token's `last_used_s` may become before a request writes it


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who acts; and what should be written down about it, when that is due."""

    actor: Actor
    session: SessionView | None = None
    stale_token: str | None = None
    stale_session: bytes | None = None


def by_token(uow: UnitOfWork, text: str, *, admin_token: str) -> SignedIn | None:
    """Whose token this is; None when it opens nothing, whatever the reason."""
    # An empty bootstrap token is none: it must not be opened by an empty text.
    if admin_token and hmac.compare_digest(text.encode(), admin_token.encode()):
        return SignedIn(Actor("bootstrap", "bootstrap token", "bootstrap", platform_admin=True))
    parts = split_token(text)
    found = None if parts is None else uow.tokens.get(parts[0])
    if parts is None or found is None:
        return None
    token, digest = found
    if not token_matches(*parts, digest) or not _is_live(token, uow.now_s):
        return None
    actor = _bearer(uow, token)
    if actor is None:
        return None
    stale = token.last_used_s is None or uow.now_s >= token.last_used_s + TOUCH_S
    return SignedIn(actor, stale_token=token.id if stale else None)


def by_cookie(uow: UnitOfWork, cookie: str) -> SignedIn | None:
    """Whose session this is; None when it is over, whatever the reason."""
    digest = digest_cookie(cookie)
    session = None if digest is None else uow.sessions.get(digest)
    if session is None or is_over(
        now_s=uow.now_s, last_seen_s=session.last_seen_s, expires_s=session.expires_s
    ):
        return None
    account = uow.accounts.get(session.account_id)
    if account is None or not account.active:
        return None
    stale = needs_touch(now_s=uow.now_s, last_seen_s=session.last_seen_s)
    return SignedIn(
        person(uow, account, "session"),
        session=session,
        stale_session=session.digest if stale else None,
    )


def person(uow: UnitOfWork, account: AccountView, via: str, *, read_only: bool = False) -> Actor:
    """An account as an actor, with the roles it has now."""
    roles = {member.tenant_id: member.role for member in uow.members.of_account(account.id)}
    return Actor(
        account.id, account.email, via, account.id, account.platform_admin, roles, read_only
    )


def _bearer(uow: UnitOfWork, token: TokenView) -> Actor | None:
    if token.account_id is not None:
        account = uow.accounts.get(token.account_id)
        if account is None or not account.active:
            return None
        return person(uow, account, "token", read_only=token.read_only)
    assert token.tenant_id is not None, "a token without an account has a tenant"
    tenant = uow.tenants.get(token.tenant_id)
    if tenant is None or tenant.deleted_s is not None or token.role is None:
        return None
    return Actor(
        token.id,
        token.name,
        "token",
        roles={token.tenant_id: token.role},
        read_only=token.read_only,
    )


def _is_live(token: TokenView, now_s: int) -> bool:
    return token.revoked_s is None and (token.expires_s is None or now_s < token.expires_s)
