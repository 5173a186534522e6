"""`/tenants/{id}/projects`."""

from dataclasses import replace
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Response
from fastapi import Path as PathParameter
from pydantic import BaseModel, Field

from tollway.app.admin.commands import projects as commands
from tollway.app.admin.outcome import Rejected
from tollway.app.admin.queries import projects as queries
from tollway.app.admin.work import Work
from tollway.app.views import ProjectView
from tollway.domain.ids import ProjectId, TenantId
from tollway.domain.policy import Action
from tollway.domain.result import Err, Result
from tollway.web.admin.callers import Caller, route, tagged
from tollway.web.admin.forms import Form, ModelNames, TenantPath
from tollway.web.admin.paging import Listed, Paging, listed
from tollway.web.admin.times import moment_of

router = APIRouter(tags=["projects"])
ProjectPath = Annotated[
    str,
    PathParameter(max_length=64, description="A project's id.", examples=["prj_0123456789abcdef"]),
]


class ProjectIn(Form):
    """A new project. `models` narrows what its keys may call; null narrows nothing."""

    name: str = Field(max_length=200, examples=["chatbot"])
    models: ModelNames = None


class ProjectChange(Form):
    """What shall be different; a field that is not sent stays."""

    name: str | None = Field(default=None, max_length=200)
    models: ModelNames = None


class ProjectOut(BaseModel):
    """A project."""

    id: str = Field(examples=["prj_0123456789abcdef"])
    tenant_id: str
    name: str
    models: list[str] | None
    managed_by: str | None
    created_at: datetime


@router.get("/tenants/{tenant_id}/projects", **route(Action.PROJECT_READ, "listProjects"))
def list_projects(caller: Caller, tenant_id: TenantPath, paging: Paging) -> Listed[ProjectOut]:
    """A tenant's projects."""
    found = caller.read(lambda work: queries.list_projects(work, TenantId(tenant_id), paging))
    return listed(found, paging, out=_out, key=lambda view: view.id)


@router.post(
    "/tenants/{tenant_id}/projects",
    status_code=201,
    response_model=ProjectOut,
    **route(Action.PROJECT_WRITE, "createProject"),
)
def create_project(caller: Caller, tenant_id: TenantPath, body: ProjectIn) -> Response:
    """A new project."""
    return caller.create(
        lambda work: commands.create_project(
            work, TenantId(tenant_id), name=body.name, models=body.models
        ),
        out=_out,
        location=lambda made: f"/api/v1/tenants/{made.tenant_id}/projects/{made.id}",
    )


@router.get(
    "/tenants/{tenant_id}/projects/{project_id}", **route(Action.PROJECT_READ, "readProject")
)
def read_project(
    *, caller: Caller, tenant_id: TenantPath, project_id: ProjectPath, response: Response
) -> ProjectOut:
    """One project."""
    found = caller.read(
        lambda work: queries.read_project(work, TenantId(tenant_id), ProjectId(project_id))
    )
    tagged(response, found.version)
    return _out(found)


@router.patch(
    "/tenants/{tenant_id}/projects/{project_id}", **route(Action.PROJECT_WRITE, "updateProject")
)
def update_project(
    *,
    caller: Caller,
    tenant_id: TenantPath,
    project_id: ProjectPath,
    body: ProjectChange,
    response: Response,
) -> ProjectOut:
    """Another name or other models."""

    def act(work: Work) -> Result[ProjectView, Rejected]:
        found = queries.read_project(work, TenantId(tenant_id), ProjectId(project_id))
        if isinstance(found, Err):
            return found
        project = found.value
        if "models" in body.model_fields_set:
            project = replace(project, models=None if body.models is None else tuple(body.models))
        return commands.update_project(work, replace(project, name=body.name or project.name))

    changed = caller.write(act)
    tagged(response, changed.version)
    return _out(changed)


@router.delete(
    "/tenants/{tenant_id}/projects/{project_id}",
    status_code=204,
    **route(Action.PROJECT_WRITE, "deleteProject"),
)
def delete_project(caller: Caller, tenant_id: TenantPath, project_id: ProjectPath) -> None:
    """The project is gone; one with keys cannot be deleted."""
    caller.write(
        lambda work: commands.delete_project(work, TenantId(tenant_id), ProjectId(project_id))
    )


def _out(view: ProjectView) -> ProjectOut:
    return ProjectOut(
        id=view.id,
        tenant_id=view.tenant_id,
        name=view.name,
        models=None if view.models is None else list(view.models),
        managed_by=view.managed_by,
        created_at=moment_of(view.created_s),
    )
