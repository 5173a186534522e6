"""People, memberships, tokens and sessions as those who may see them do."""

from tollway.app.admin.commands.tenants import living_tenant
from tollway.app.admin.outcome import Kind, Rejected
from tollway.app.admin.work import Work, absent
from tollway.app.ports_directory import Page
from tollway.app.views import AccountView, MemberView, SessionView, TokenView
from tollway.domain.ids import AccountId, TenantId
from tollway.domain.policy import Action
from tollway.domain.result import Err, Ok, Result

_NOBODY = Rejected("", "Only a person has this.", Kind.FORBIDDEN)


def list_accounts(
    work: Work, at: Page, *, search: str | None = None
) -> Result[list[AccountView], Rejected]:
    """Everybody."""
    wrong = work.denied(Action.ACCOUNT_LIST, kind="account", writes=False)
    return Err(wrong) if wrong is not None else Ok(work.uow.accounts.page(at, search=search))


def read_account(work: Work, account_id: AccountId) -> Result[AccountView, Rejected]:
    """One account; others' are there for the platform's administrators alone."""
    wrong = work.denied(Action.ACCOUNT_READ, kind="account", owner=account_id, writes=False)
    account = None if wrong is not None else work.uow.accounts.get(account_id)
    return Err(wrong or absent("account")) if account is None else Ok(account)


def list_members(work: Work, tenant_id: TenantId, at: Page) -> Result[list[MemberView], Rejected]:
    """A tenant's members."""
    wrong = _member_wrong(work, tenant_id)
    return Err(wrong) if wrong is not None else Ok(work.uow.members.page(tenant_id, at))


def read_member(
    work: Work, tenant_id: TenantId, account_id: AccountId
) -> Result[MemberView, Rejected]:
    """One membership."""
    wrong = _member_wrong(work, tenant_id)
    member = None if wrong is not None else work.uow.members.get(tenant_id, account_id)
    return Err(wrong or absent("member")) if member is None else Ok(member)


def my_memberships(work: Work) -> Result[list[MemberView], Rejected]:
    """Where the actor is a member; a machine's token has no memberships of its own."""
    wrong = work.denied(Action.ME_READ, kind="account", writes=False)
    if wrong is not None:
        return Err(wrong)
    account_id = work.actor.account_id
    return Ok([] if account_id is None else work.uow.members.of_account(account_id))


def my_tokens(work: Work, at: Page) -> Result[list[TokenView], Rejected]:
    """The actor's own tokens."""
    account_id = work.actor.account_id
    if account_id is None:
        return Err(_NOBODY)
    wrong = work.denied(Action.TOKEN_WRITE, kind="token", owner=account_id, writes=False)
    if wrong is not None:
        return Err(wrong)
    return Ok(work.uow.tokens.page(at, account_id=account_id))


def my_sessions(work: Work) -> Result[list[SessionView], Rejected]:
    """Where the actor is signed in."""
    account_id = work.actor.account_id
    if account_id is None:
        return Err(_NOBODY)
    return Ok(work.uow.sessions.of_account(account_id))


def list_service_tokens(
    work: Work, tenant_id: TenantId, at: Page
) -> Result[list[TokenView], Rejected]:
    """The tokens of a tenant's machines."""
    tenant = living_tenant(work, tenant_id)
    if isinstance(tenant, Err):
        return tenant
    wrong = work.denied(Action.SERVICE_TOKEN_WRITE, kind="token", tenant_id=tenant_id, writes=False)
    return Err(wrong) if wrong is not None else Ok(work.uow.tokens.page(at, tenant_id=tenant_id))


def _member_wrong(work: Work, tenant_id: TenantId) -> Rejected | None:
    tenant = living_tenant(work, tenant_id)
    if isinstance(tenant, Err):
        return tenant.error
    return work.denied(Action.MEMBER_LIST, kind="member", tenant_id=tenant_id, writes=False)
