"""Tokens for the admin API: a person's own, or a tenant's for its machines. Shown once; only the
digest is kept. A token never does more than whoever made it.
"""

from dataclasses import dataclass

from tollway.app.admin.checks import check_name
from tollway.app.admin.commands.tenants import living_tenant
from tollway.app.admin.outcome import Kind, Rejected
from tollway.app.admin.work import Work, absent
from tollway.app.views import TokenView
from tollway.domain.account import Role
from tollway.domain.ids import TenantId
from tollway.domain.policy import Action, may_give
from tollway.domain.result import Err, Ok, Result
from tollway.domain.token import (
    TOKEN_ENTROPY_BYTES,
    digest_token,
    make_token,
    split_token,
    token_prefix,
)


@dataclass(frozen=True, slots=True)
class TokenSpec:
    """What a token shall be. UTC seconds; None never expires."""

    name: str
    expires_s: int | None = None
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token and its full text, which exists nowhere else."""

    view: TokenView
    text: str | None


def create_token(work: Work, spec: TokenSpec) -> Result[IssuedToken, Rejected]:
    """A token of the actor's own."""
    account_id = work.actor.account_id
    wrong = work.denied(Action.TOKEN_WRITE, kind="token", owner=account_id)
    if wrong is None and account_id is None:
        wrong = Rejected("", "Only a person has tokens of their own.", Kind.FORBIDDEN)
    wrong = wrong or _check(work, spec)
    if wrong is not None:
        return Err(wrong)
    token_id, text = make_token(work.entropy(TOKEN_ENTROPY_BYTES))
    token = TokenView(
        token_id,
        spec.name,
        token_prefix(text),
        text[-4:],
        account_id=account_id,
        read_only=spec.read_only,
        expires_s=spec.expires_s,
    )
    return Ok(_issue(work, token, text))


def create_service_token(
    work: Work, tenant_id: TenantId, *, role: Role, spec: TokenSpec
) -> Result[IssuedToken, Rejected]:
    """A token of a tenant's machine, with a role there."""
    tenant = living_tenant(work, tenant_id)
    if isinstance(tenant, Err):
        return tenant
    wrong = work.denied(Action.SERVICE_TOKEN_WRITE, kind="token", tenant_id=tenant_id)
    if wrong is None and not may_give(work.actor, tenant_id, role):
        wrong = Rejected("role", f"The role {role} is above your own.", Kind.FORBIDDEN)
    wrong = wrong or _check(work, spec)
    if wrong is not None:
        return Err(wrong)
    token_id, text = make_token(work.entropy(TOKEN_ENTROPY_BYTES))
    token = TokenView(
        token_id,
        spec.name,
        token_prefix(text),
        text[-4:],
        tenant_id=tenant_id,
        role=role,
        read_only=spec.read_only,
        expires_s=spec.expires_s,
    )
    return Ok(_issue(work, token, text))


def revoke_token(
    work: Work, token_id: str, *, tenant_id: TenantId | None = None
) -> Result[None, Rejected]:
    """The token opens nothing any more; a tenant's, or (without one) the actor's own. Revoking
    again changes nothing."""
    if tenant_id is not None:
        tenant = living_tenant(work, tenant_id)
        if isinstance(tenant, Err):
            return tenant
    owner = work.actor.account_id if tenant_id is None else None
    action = Action.TOKEN_WRITE if tenant_id is None else Action.SERVICE_TOKEN_WRITE
    wrong = work.denied(action, kind="token", tenant_id=tenant_id, owner=owner)
    if wrong is not None:
        return Err(wrong)
    found = work.uow.tokens.get(token_id)
    if found is None or found[0].tenant_id != tenant_id or found[0].account_id != owner:
        return Err(absent("token"))
    changed = work.stale(found[0].version)
    if changed is not None:
        return Err(changed)
    if found[0].revoked_s is None:
        work.uow.tokens.revoke(token_id)
        _record(work, "token.revoked", found[0])
    return Ok(None)


def _check(work: Work, spec: TokenSpec) -> Rejected | None:
    if spec.expires_s is not None and spec.expires_s <= work.uow.now_s:
        return Rejected("expires_at", "The token would have expired already.")
    return check_name(spec.name)


def _issue(work: Work, token: TokenView, text: str) -> IssuedToken:
    parts = split_token(text)
    assert parts is not None, "a token we made must parse"
    work.uow.tokens.add(token, digest_token(*parts))
    _record(work, "token.created", token)
    stored = work.uow.tokens.get(token.id)
    assert stored is not None, "what was just written is there"
    return IssuedToken(stored[0], text)


def _record(work: Work, fact: str, token: TokenView) -> None:
    work.record(
        fact,
        kind="token",
        object_id=token.id,
        tenant_id=token.tenant_id,
        changes={"name": token.name, "role": token.role, "account_id": token.account_id},
    )
