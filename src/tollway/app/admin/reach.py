"""Whose providers and models an actor may name, and which of the platform's a tenant sees. A thing
outside that reach is absent, in the same words as one that never was.
"""

from tollway.app.admin.commands.tenants import living_tenant
from tollway.app.admin.outcome import Kind, Rejected
from tollway.app.admin.work import Work, absent
from tollway.app.ports_directory import Page
from tollway.app.views import ModelView, TenantView
from tollway.domain.ids import TenantId
from tollway.domain.policy import Action, Verdict, decide
from tollway.domain.result import Err, Ok, Result

GROUP = "group:"


def owner_for(
    work: Work, action: Action, tenant_id: TenantId | None
) -> Result[TenantId | None, Rejected]:
    """Whose a new thing shall be. Not said: the platform's for its administrators, their one
    tenant's for others. None is the platform."""
    if tenant_id is not None:
        found = living_tenant(work, tenant_id)
        return found if isinstance(found, Err) else Ok(found.value.id)
    if work.actor.platform_admin:
        return Ok(None)
    able = tenants_allowing(work, action)
    if not able:
        return Err(Rejected("", f"You may not do this ({action}).", Kind.FORBIDDEN))
    if len(able) > 1:
        return Err(Rejected("tenant_id", "You may do this in several tenants. Say in which."))
    return Ok(able[0].id)


def tenants_allowing(work: Work, action: Action) -> list[TenantView]:
    """The actor's own tenants in which they may do this."""
    actor = work.actor
    able = [
        tenant_id
        for tenant_id in actor.roles
        if decide(actor, action, tenant_id=tenant_id) is Verdict.ALLOWED
    ]
    return work.uow.tenants.page(Page(limit=len(able)), within=able) if able else []


def tenants_in_view(
    work: Work, action: Action, tenant_id: TenantId | None, *, kind: str
) -> Result[list[TenantView] | None, Rejected]:
    """Whose things a list shows: the named tenant's, else of all tenants where the actor may; None
    is everybody's, the platform's too."""
    if tenant_id is not None:
        found = living_tenant(work, tenant_id)
        if isinstance(found, Err):
            return found
        wrong = work.denied(action, kind=kind, tenant_id=tenant_id, writes=False)
        return Ok([found.value]) if wrong is None else Err(wrong)
    if work.actor.platform_admin:
        return Ok(None)
    able = tenants_allowing(work, action)
    if not able:
        return Err(Rejected("", f"You may not do this ({action}).", Kind.FORBIDDEN))
    return Ok(able)


def within_reach(
    work: Work, action: Action, owner: TenantId, *, kind: str, writes: bool = False
) -> Rejected | None:
    """None, or why a tenant's thing is not the actor's to read or change."""
    if isinstance(living_tenant(work, owner), Err):
        return absent(kind)
    return work.denied(action, kind=kind, tenant_id=owner, writes=writes)


def holders_of(tenant: TenantView) -> list[str]:
    """Under which names the tenant holds grants."""
    group = tenant.settings.group
    return [tenant.id] if group is None else [tenant.id, f"{GROUP}{group}"]


def sees(work: Work, tenant: TenantView, model: ModelView) -> bool:
    """Whether the model exists for the tenant: its own, or a platform model opened to it."""
    if model.tenant_id is not None:
        return model.tenant_id == tenant.id
    if tenant.settings.models == "all":
        return True
    return any(work.uow.grants.get(model.id, holder) is not None for holder in holders_of(tenant))
