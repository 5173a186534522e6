"""Limits as administrators see them."""

from tollway.app.admin.outcome import Rejected
from tollway.app.admin.reach import tenants_in_view
from tollway.app.admin.work import Work, absent
from tollway.app.ports_directory import Page
from tollway.app.views import QuotaView
from tollway.domain.ids import QuotaId, TenantId
from tollway.domain.policy import Action
from tollway.domain.result import Err, Ok, Result


def list_quotas(
    work: Work, at: Page, *, tenant_id: TenantId | None = None
) -> Result[list[QuotaView], Rejected]:
    """A tenant's limits; without one, all that the actor may see."""
    shown = tenants_in_view(work, Action.QUOTA_READ, tenant_id, kind="quota")
    if isinstance(shown, Err):
        return shown
    owners = None if shown.value is None else [tenant.id for tenant in shown.value]
    return Ok(work.uow.quotas.page(at, owners=owners))


def read_quota(work: Work, quota_id: QuotaId) -> Result[QuotaView, Rejected]:
    """One limit. The platform's are its administrators' alone."""
    view = work.uow.quotas.get(quota_id)
    if view is None or (view.quota.tenant_id is None and not work.actor.platform_admin):
        return Err(absent("quota"))
    wrong = work.denied(
        Action.QUOTA_READ, kind="quota", tenant_id=view.quota.tenant_id, writes=False
    )
    return Ok(view) if wrong is None else Err(wrong)
