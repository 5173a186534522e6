"""Projects as their tenant's people see them."""

from tollway.app.admin.commands.tenants import living_tenant
from tollway.app.admin.outcome import Rejected
from tollway.app.admin.work import Work, absent
from tollway.app.ports_directory import Page
from tollway.app.views import ProjectView
from tollway.domain.ids import ProjectId, TenantId
from tollway.domain.policy import Action
from tollway.domain.result import Err, Ok, Result


def list_projects(work: Work, tenant_id: TenantId, at: Page) -> Result[list[ProjectView], Rejected]:
    """A tenant's projects."""
    wrong = _wrong(work, tenant_id)
    return Err(wrong) if wrong is not None else Ok(work.uow.projects.page(tenant_id, at))


def read_project(
    work: Work, tenant_id: TenantId, project_id: ProjectId
) -> Result[ProjectView, Rejected]:
    """One project."""
    wrong = _wrong(work, tenant_id)
    project = None if wrong is not None else work.uow.projects.get(tenant_id, project_id)
    return Err(wrong or absent("project")) if project is None else Ok(project)


def _wrong(work: Work, tenant_id: TenantId) -> Rejected | None:
    tenant = living_tenant(work, tenant_id)
    if isinstance(tenant, Err):
        return tenant.error
    return work.denied(Action.PROJECT_READ, kind="project", tenant_id=tenant_id, writes=False)
