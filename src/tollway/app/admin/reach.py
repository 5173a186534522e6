"""Which tenants, providers, models, quotas and webhooks an actor may name, and which of the
platform's a tenant sees. A thing outside that reach is absent, in the same words as one that never
was.
"""

from collections.abc import Sequence
from dataclasses import replace

from tollway.app.admin.outcome import Kind, Rejected
from tollway.app.admin.work import Work, absent
from tollway.app.ports_directory import Page, QuotaReach
from tollway.app.views import ModelView, ProviderView, QuotaView, TenantView, WebhookView
from tollway.domain.ids import ModelId, ProviderId, QuotaId, TenantId, WebhookId
from tollway.domain.policy import Action, Verdict, decide
from tollway.domain.result import Err, Ok, Result

GROUP = "group:"


def tenant_in_reach(work: Work, tenant_id: TenantId) -> Result[TenantView, Rejected]:
    """The tenant, unless it is absent, deleted, or not the actor's to know of."""
    tenant = work.uow.tenants.get(tenant_id) if work.actor.knows(tenant_id) else None
    if tenant is None or tenant.deleted_s is not None:
        return Err(absent("tenant"))
    return Ok(tenant)


def provider_in_reach(work: Work, provider_id: ProviderId) -> Result[ProviderView, Rejected]:
    """The provider, if the actor may read it. The platform's are its administrators' alone."""
    provider = work.uow.providers.get(provider_id)
    if provider is None:
        return Err(absent("provider"))
    if provider.tenant_id is None:
        return Ok(provider) if work.actor.platform_admin else Err(absent("provider"))
    wrong = _outside(work, Action.PROVIDER_READ, provider.tenant_id, kind="provider")
    return Ok(provider) if wrong is None else Err(wrong)


def webhook_in_reach(work: Work, webhook_id: WebhookId) -> Result[WebhookView, Rejected]:
    """The webhook, if the actor may read it. The platform's are its administrators' alone."""
    found = work.uow.webhooks.get(webhook_id)
    if found is None:
        return Err(absent("webhook"))
    if found.tenant_id is None:
        return Ok(found) if work.actor.platform_admin else Err(absent("webhook"))
    wrong = _outside(work, Action.WEBHOOK_READ, found.tenant_id, kind="webhook")
    return Ok(found) if wrong is None else Err(wrong)


def model_in_reach(work: Work, model_id: ModelId) -> Result[ModelView, Rejected]:
    """The model, if the actor may read it. A platform model that is opened to none of the actor's
    tenants is absent."""
    model = work.uow.models.get(model_id)
    if model is None:
        return Err(absent("model"))
    if model.tenant_id is not None:
        wrong = _outside(work, Action.MODEL_READ, model.tenant_id, kind="model")
        return Ok(model) if wrong is None else Err(wrong)
    if work.actor.platform_admin or any(
        sees(work, tenant, model) for tenant in tenants_allowing(work, Action.MODEL_READ)
    ):
        return Ok(discreet(work, model))
    return Err(absent("model"))


def quota_in_reach(work: Work, quota_id: QuotaId) -> Result[QuotaView, Rejected]:
    """The limit, if the actor may read it. The platform's are its administrators' alone; a user's
    world holds what concerns them."""
    view = work.uow.quotas.get(quota_id)
    if view is None or (view.quota.tenant_id is None and not work.actor.platform_admin):
        return Err(absent("quota"))
    owner = view.quota.tenant_id
    if owner is None or _outside(work, Action.QUOTA_READ, owner, kind="quota") is None:
        return Ok(view)
    wrong = _outside(work, Action.QUOTA_LIST, owner, kind="quota")
    if wrong is None and work.uow.quotas.get(quota_id, reach=quotas_in_view(work, [owner])) is None:
        wrong = absent("quota")
    return Ok(view) if wrong is None else Err(wrong)


def quotas_in_view(work: Work, tenants: Sequence[TenantId]) -> QuotaReach:
    """Of these tenants, in which the actor may list: all, or what concerns the actor."""
    every = {
        tenant_id
        for tenant_id in tenants
        if work.denied(Action.QUOTA_READ, kind="quota", tenant_id=tenant_id, writes=False) is None
    }
    within = [tenant_id for tenant_id in tenants if tenant_id not in every]
    return QuotaReach(sorted(every), within, work.actor.account_id)


def owner_for(
    work: Work, action: Action, tenant_id: TenantId | None
) -> Result[TenantId | None, Rejected]:
    """Whose a new thing shall be. Not said: the platform's for its administrators, their one
    tenant's for others. None is the platform."""
    if tenant_id is not None:
        found = tenant_in_reach(work, tenant_id)
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
        found = tenant_in_reach(work, tenant_id)
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


def discreet(work: Work, model: ModelView) -> ModelView:
    """Where a platform model leads is the platform's business."""
    if model.tenant_id is not None or work.actor.platform_admin:
        return model
    return replace(model, targets=(), fallbacks=())


def _outside(work: Work, action: Action, owner: TenantId, *, kind: str) -> Rejected | None:
    """None, or why a tenant's thing is not the actor's to read."""
    if isinstance(tenant_in_reach(work, owner), Err):
        return absent(kind)
    return work.denied(action, kind=kind, tenant_id=owner, writes=False)
