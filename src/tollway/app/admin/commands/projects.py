"""Projects: named parts of a tenant's usage."""

from tollway.app.admin.checks import check_name
from tollway.app.admin.outcome import Ensured, Rejected
from tollway.app.ports_admin import Entropy, UnitOfWork
from tollway.domain.account import ProjectRecord
from tollway.domain.ids import ProjectId, make_id
from tollway.domain.result import Err, Ok, Result
from tollway.domain.tenant import TenantRecord


def create_project(
    uow: UnitOfWork, entropy: Entropy, *, tenant: TenantRecord, name: str
) -> Result[ProjectRecord, Rejected]:
    """A new project."""
    wrong = check_name(name)
    if wrong is not None:
        return Err(wrong)
    if uow.find_project(tenant.id, name) is not None:
        return Err(Rejected("name", f"Tenant {tenant.slug!r} has a project {name!r} already."))
    project = ProjectRecord(ProjectId(make_id("prj", entropy(10))), tenant.id, name)
    uow.add_project(project)
    return Ok(project)


def ensure_project(
    uow: UnitOfWork, entropy: Entropy, *, tenant: TenantRecord, name: str
) -> Result[Ensured[ProjectRecord], Rejected]:
    """The tenant's project of this name, created if there is none."""
    found = uow.find_project(tenant.id, name)
    if found is not None:
        return Ok(Ensured(found, created=False))
    made = create_project(uow, entropy, tenant=tenant, name=name)
    return made if isinstance(made, Err) else Ok(Ensured(made.value, created=True))
