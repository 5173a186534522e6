"""Limits as those see them whom they concern, and as administrators do."""

from tollway.app.admin.outcome import Rejected
from tollway.app.admin.reach import quota_in_reach, quotas_in_view, tenants_in_view
from tollway.app.admin.work import Work
from tollway.app.ports_directory import EVERY, Page, QuotaFilter
from tollway.app.views import QuotaView
from tollway.domain.ids import QuotaId, TenantId
from tollway.domain.policy import Action
from tollway.domain.result import Err, Ok, Result


def list_quotas(
    work: Work, at: Page, *, tenant_id: TenantId | None = None, only: QuotaFilter = EVERY
) -> Result[list[QuotaView], Rejected]:
    """A tenant's limits; without one, all that the actor may see. A user's list holds the tenant's
    and those on the own account, keys and their projects."""
    shown = tenants_in_view(work, Action.QUOTA_LIST, tenant_id, kind="quota")
    if isinstance(shown, Err):
        return shown
    reach = None
    if shown.value is not None:
        reach = quotas_in_view(work, [tenant.id for tenant in shown.value])
    return Ok(work.uow.quotas.page(at, reach=reach, only=only))


def read_quota(work: Work, quota_id: QuotaId) -> Result[QuotaView, Rejected]:
    """One limit, if it is among those that the actor's list holds."""
    return quota_in_reach(work, quota_id)
