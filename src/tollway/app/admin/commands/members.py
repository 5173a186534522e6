"""Members: accounts in a tenant, each with a role. Nobody gives, changes or takes a role above
their own.
"""

from dataclasses import dataclass, replace

from tollway.app.admin.checks import check_email, check_model_names
from tollway.app.admin.commands.accounts import AccountSpec, add_account
from tollway.app.admin.commands.tenants import living_tenant
from tollway.app.admin.outcome import Ensured, Kind, Rejected
from tollway.app.admin.work import Work, absent, changes_between
from tollway.app.views import AccountView, MemberView
from tollway.domain.account import Role
from tollway.domain.ids import AccountId, TenantId
from tollway.domain.policy import Action, may_give
from tollway.domain.result import Err, Ok, Result


@dataclass(frozen=True, slots=True)
class MemberSpec:
    """Who shall be a member, and as what. `models` narrows what their keys may call."""

    email: str
    role: Role = Role.USER
    name: str | None = None  # for an account that does not exist yet
    models: tuple[str, ...] | None = None
    source: str = "manual"


def add_member(work: Work, tenant_id: TenantId, spec: MemberSpec) -> Result[MemberView, Rejected]:
    """A person becomes a member; one nobody knew gets an account without a password."""
    wrong = _denied(work, tenant_id) or _above(work, tenant_id, spec.role)
    wrong = wrong or check_email(spec.email.lower()) or check_model_names(spec.models)
    if wrong is not None:
        return Err(wrong)
    account = work.uow.accounts.find(spec.email.lower())
    if account is None:
        made = add_account(work, AccountSpec(spec.email, spec.name))
        if isinstance(made, Err):
            return made
        account = made.value
    if work.uow.members.get(tenant_id, account.id) is not None:
        return Err(Rejected("email", f"{account.email} is a member already.", Kind.CONFLICT))
    return Ok(
        join(work, tenant_id, account, role=spec.role, models=spec.models, source=spec.source)
    )


def join(
    work: Work,
    tenant_id: TenantId,
    account: AccountView,
    *,
    role: Role,
    models: tuple[str, ...] | None = None,
    source: str = "manual",
) -> MemberView:
    """Write a membership. The caller has asked the policy."""
    member = MemberView(tenant_id, account.id, account.email, account.name, role, models, source)
    work.uow.members.add(member)
    _record(work, "member.added", member, {"role": role, "models": models, "source": source})
    return _stored(work, member)


def ensure_member(
    work: Work, tenant_id: TenantId, spec: MemberSpec
) -> Result[Ensured[MemberView], Rejected]:
    """The person's membership; the role of one who is a member already is kept."""
    account = work.uow.accounts.find(spec.email.lower())
    held = None if account is None else work.uow.members.get(tenant_id, account.id)
    if held is not None:
        wrong = _denied(work, tenant_id)
        return Ok(Ensured(held, created=False)) if wrong is None else Err(wrong)
    made = add_member(work, tenant_id, spec)
    return made if isinstance(made, Err) else Ok(Ensured(made.value, created=True))


def update_member(work: Work, wanted: MemberView) -> Result[MemberView, Rejected]:
    """Another role or other models. By hand, so no identity provider takes it back."""
    found = _found(work, wanted.tenant_id, wanted.account_id)
    if isinstance(found, Err):
        return found
    before = found.value
    wrong = _above(work, wanted.tenant_id, wanted.role) or check_model_names(wanted.models)
    if wrong is not None:
        return Err(wrong)
    after = replace(before, role=wanted.role, models=wanted.models, source=wanted.source)
    if after != before:
        work.uow.members.save(after)
        _record(work, "member.updated", after, changes_between(before, after, ("role", "models")))
    return Ok(_stored(work, after))


def remove_member(work: Work, tenant_id: TenantId, account_id: AccountId) -> Result[None, Rejected]:
    """The account is no member any more; its keys in this tenant are revoked for good."""
    found = _found(work, tenant_id, account_id)
    if isinstance(found, Err):
        return found
    leave(work, found.value)
    return Ok(None)


def leave(work: Work, member: MemberView) -> None:
    """Remove a membership. The caller has asked the policy."""
    work.uow.members.remove(member.tenant_id, member.account_id)
    revoked = work.uow.keys.revoke_of(member.account_id, tenant_id=member.tenant_id)
    _record(work, "member.removed", member, {"keys_revoked": revoked})


def _found(work: Work, tenant_id: TenantId, account_id: AccountId) -> Result[MemberView, Rejected]:
    wrong = _denied(work, tenant_id)
    member = None if wrong is not None else work.uow.members.get(tenant_id, account_id)
    if member is None:
        return Err(wrong or absent("member"))
    account = work.uow.accounts.get(account_id)
    if account is not None and account.platform_admin and not work.actor.platform_admin:
        wrong = Rejected("", "This is an administrator of the platform.", Kind.FORBIDDEN)
    wrong = wrong or _above(work, tenant_id, member.role) or work.stale(member.version)
    return Ok(member) if wrong is None else Err(wrong)


def _denied(work: Work, tenant_id: TenantId) -> Rejected | None:
    tenant = living_tenant(work, tenant_id)
    if isinstance(tenant, Err):
        return tenant.error
    return work.denied(Action.MEMBER_WRITE, kind="member", tenant_id=tenant_id)


def _above(work: Work, tenant_id: TenantId, role: Role) -> Rejected | None:
    if may_give(work.actor, tenant_id, role):
        return None
    return Rejected("role", f"The role {role} is above your own.", Kind.FORBIDDEN)


def _record(work: Work, fact: str, member: MemberView, changes: dict[str, object]) -> None:
    work.record(
        fact,
        kind="member",
        object_id=member.account_id,
        tenant_id=member.tenant_id,
        changes=changes,
    )


def _stored(work: Work, member: MemberView) -> MemberView:
    stored = work.uow.members.get(member.tenant_id, member.account_id)
    assert stored is not None, "what was just written is there"
    return stored
