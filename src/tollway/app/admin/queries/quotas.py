"""Limits as those see them whom they concern, and as administrators do."""

from tollway.app.admin.outcome import Rejected
from tollway.app.admin.reach import quota_in_reach, quotas_in_view, tenants_in_view
from tollway.app.admin.work import Work
from tollway.app.ports_directory import EVERY, Page, QuotaFilter
from tollway.app.views import QuotaView
from tollway.domain.hold import CounterRef
from tollway.domain.ids import QuotaId, TenantId
from tollway.domain.policy import Action
from tollway.domain.quota import Scope, scope_place
from tollway.domain.result import Err, Ok, Result
from tollway.domain.window import UTC_ZONE, Zone, window_at


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


def read_quota_use(
    work: Work, quota_id: QuotaId, *, member: str | None, at_s: int
) -> Result[CounterRef, Rejected]:
    """The counter that is asked for, as of a second. `member`: whose, of a limit that each has for
    itself."""
    found = quota_in_reach(work, quota_id)
    if isinstance(found, Err):
        return found
    quota = found.value.quota
    refused = work.denied(
        Action.QUOTA_USE_READ, kind="quota", tenant_id=quota.tenant_id, writes=False
    )
    if refused is not None:
        return Err(refused)
    if (quota.per is None) != (member is None):
        asked = "Say of which" if member is None else "It has one counter for all, so no"
        return Err(Rejected("member", f"{asked} member."))
    place = None
    if quota.per is not None and member is not None:
        tenant_id = member if quota.per is Scope.TENANT else quota.tenant_id
        place = scope_place(quota.per, tenant_id, member)
    tenant = None if quota.tenant_id is None else work.uow.tenants.get(quota.tenant_id)
    zone = UTC_ZONE if tenant is None else Zone(tenant.settings.timezone)
    return Ok(CounterRef(quota, place, window_at(quota.period, zone, at_s)))


def read_quota(work: Work, quota_id: QuotaId) -> Result[QuotaView, Rejected]:
    """One limit, if it is among those that the actor's list holds."""
    return quota_in_reach(work, quota_id)
