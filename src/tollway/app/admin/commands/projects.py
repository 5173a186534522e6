"""Projects: named parts of a tenant's usage, which may narrow what their keys call."""

from collections.abc import Sequence
from dataclasses import replace

from tollway.app.admin.checks import check_model_names, check_name
from tollway.app.admin.commands.quotas import drop_quotas_on
from tollway.app.admin.commands.tenants import living_tenant
from tollway.app.admin.outcome import Ensured, Kind, Rejected
from tollway.app.admin.work import Work, absent, changes_between
from tollway.app.views import ProjectView
from tollway.domain.ids import ProjectId, TenantId, make_id
from tollway.domain.policy import Action
from tollway.domain.quota import Scope
from tollway.domain.result import Err, Ok, Result


def create_project(
    work: Work,
    tenant_id: TenantId,
    *,
    name: str,
    models: Sequence[str] | None = None,
    managed_by: str | None = None,
) -> Result[ProjectView, Rejected]:
    """A new project; `models` None narrows nothing."""
    tenant = living_tenant(work, tenant_id)
    if isinstance(tenant, Err):
        return tenant
    wrong = _denied(work, tenant_id) or check_name(name) or check_model_names(models)
    if wrong is None and work.uow.projects.find(tenant_id, name) is not None:
        wrong = _taken(name)
    if wrong is not None:
        return Err(wrong)
    project = ProjectView(
        ProjectId(make_id("prj", work.entropy(10))),
        tenant_id,
        name,
        None if models is None else tuple(models),
        managed_by,
    )
    work.uow.projects.add(project)
    _record(work, "project.created", project, {"name": name, "models": models})
    return Ok(_stored(work, project))


def ensure_project(
    work: Work, tenant_id: TenantId, *, name: str
) -> Result[Ensured[ProjectView], Rejected]:
    """The tenant's project of this name, created if there is none."""
    tenant = living_tenant(work, tenant_id)
    if isinstance(tenant, Err):
        return tenant
    wrong = _denied(work, tenant_id)
    found = None if wrong is not None else work.uow.projects.find(tenant_id, name)
    if wrong is not None:
        return Err(wrong)
    if found is not None:
        return Ok(Ensured(found, created=False))
    made = create_project(work, tenant_id, name=name)
    return made if isinstance(made, Err) else Ok(Ensured(made.value, created=True))


def update_project(work: Work, wanted: ProjectView) -> Result[ProjectView, Rejected]:
    """Another name or other models."""
    found = _found(work, wanted.tenant_id, wanted.id)
    if isinstance(found, Err):
        return found
    before = found.value
    wrong = check_name(wanted.name) or check_model_names(wanted.models)
    if wrong is None and wanted.name != before.name:
        same = work.uow.projects.find(wanted.tenant_id, wanted.name)
        wrong = None if same is None else _taken(wanted.name)
    if wrong is not None:
        return Err(wrong)
    after = replace(before, name=wanted.name, models=wanted.models, managed_by=wanted.managed_by)
    if after != before:
        work.uow.projects.save(after)
        _record(work, "project.updated", after, changes_between(before, after, ("name", "models")))
    return Ok(_stored(work, after))


def delete_project(
    work: Work, tenant_id: TenantId, project_id: ProjectId
) -> Result[None, Rejected]:
    """The project is gone, if no key names it: the ledger does."""
    found = _found(work, tenant_id, project_id)
    if isinstance(found, Err):
        return found
    if work.uow.projects.has_keys(tenant_id, project_id):
        return Err(
            Rejected(
                "",
                f"The project {found.value.name!r} has keys. Keys are kept for the ledger's sake, "
                "and so is their project.",
                Kind.CONFLICT,
            )
        )
    drop_quotas_on(work, Scope.PROJECT, project_id)
    work.uow.projects.remove(tenant_id, project_id)
    _record(work, "project.deleted", found.value, {"name": found.value.name})
    return Ok(None)


def _found(work: Work, tenant_id: TenantId, project_id: ProjectId) -> Result[ProjectView, Rejected]:
    tenant = living_tenant(work, tenant_id)
    if isinstance(tenant, Err):
        return tenant
    project = work.uow.projects.get(tenant_id, project_id)
    if project is None:
        return Err(absent("project"))
    wrong = _denied(work, tenant_id) or work.stale(project.version)
    return Ok(project) if wrong is None else Err(wrong)


def _denied(work: Work, tenant_id: TenantId) -> Rejected | None:
    return work.denied(Action.PROJECT_WRITE, kind="project", tenant_id=tenant_id)


def _taken(name: str) -> Rejected:
    return Rejected("name", f"The tenant has a project {name!r} already.", Kind.CONFLICT)


def _record(work: Work, fact: str, project: ProjectView, changes: dict[str, object]) -> None:
    work.record(
        fact,
        kind="project",
        object_id=project.id,
        tenant_id=project.tenant_id,
        changes=changes,
    )


def _stored(work: Work, project: ProjectView) -> ProjectView:
    stored = work.uow.projects.get(project.tenant_id, project.id)
    assert stored is not None, "what was just written is there"
    return stored
