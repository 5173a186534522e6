"""Tenants as their people and the platform see them."""

from tollway.app.admin.commands.tenants import living_tenant
from tollway.app.admin.outcome import Rejected
from tollway.app.admin.work import Work
from tollway.app.ports_directory import Page
from tollway.app.views import TenantView
from tollway.domain.ids import TenantId
from tollway.domain.policy import Action
from tollway.domain.result import Err, Ok, Result


def list_tenants(
    work: Work, at: Page, *, search: str | None = None, deleted: bool = False
) -> Result[list[TenantView], Rejected]:
    """All for the platform's administrators, their own for everybody else."""
    wrong = work.denied(Action.TENANT_LIST, kind="tenant", writes=False)
    if wrong is not None:
        return Err(wrong)
    everywhere = work.actor.platform_admin
    within = None if everywhere else list(work.actor.roles)
    return Ok(
        work.uow.tenants.page(at, within=within, search=search, deleted=deleted and everywhere)
    )


def read_tenant(work: Work, tenant_id: TenantId) -> Result[TenantView, Rejected]:
    """One tenant."""
    found = living_tenant(work, tenant_id)
    wrong = work.denied(Action.TENANT_READ, kind="tenant", tenant_id=tenant_id, writes=False)
    return found if isinstance(found, Err) or wrong is None else Err(wrong)
