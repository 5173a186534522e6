"""Projects of tenants."""

from typing import Any

from sqlalchemy import Row, select

from tollway.adapters.sql.repositories.unit import Unit, listed, names, paged
from tollway.adapters.sql.tables import api_keys, projects
from tollway.app.ports_directory import Page
from tollway.app.views import ProjectView
from tollway.domain.ids import ProjectId, TenantId

_PROJECTS = select(projects)


class SqlProjects:
    """Implements `app.ports_directory.Projects`."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    def get(self, tenant_id: TenantId, project_id: ProjectId) -> ProjectView | None:
        row = self._unit.first(
            _PROJECTS.where(projects.c.tenant_id == tenant_id, projects.c.id == project_id)
        )
        return _view(row) if row is not None else None

    def find(self, tenant_id: TenantId, name: str) -> ProjectView | None:
        row = self._unit.first(
            _PROJECTS.where(projects.c.tenant_id == tenant_id, projects.c.name == name)
        )
        return _view(row) if row is not None else None

    def page(self, tenant_id: TenantId, at: Page) -> list[ProjectView]:
        query = paged(_PROJECTS.where(projects.c.tenant_id == tenant_id), projects.c.id, at)
        return [_view(row) for row in self._unit.rows(query)]

    def add(self, project: ProjectView) -> None:
        self._unit.add(
            projects,
            id=project.id,
            tenant_id=project.tenant_id,
            name=project.name,
            models=listed(project.models),
            managed_by=project.managed_by,
            created_s=self._unit.now_s,
        )

    def save(self, project: ProjectView) -> None:
        self._unit.change(
            projects,
            projects.c.tenant_id == project.tenant_id,
            projects.c.id == project.id,
            name=project.name,
            models=listed(project.models),
            managed_by=project.managed_by,
        )

    def remove(self, tenant_id: TenantId, project_id: ProjectId) -> None:
        if self._unit.remove(
            projects, projects.c.tenant_id == tenant_id, projects.c.id == project_id
        ):
            self._unit.bury("project", project_id)

    def has_keys(self, tenant_id: TenantId, project_id: ProjectId) -> bool:
        return (
            self._unit.first(
                select(api_keys.c.id)
                .where(api_keys.c.tenant_id == tenant_id, api_keys.c.project_id == project_id)
                .limit(1)
            )
            is not None
        )


def _view(row: Row[Any]) -> ProjectView:
    return ProjectView(
        ProjectId(row.id),
        TenantId(row.tenant_id),
        row.name,
        names(row.models),
        row.managed_by,
        row.created_s,
        row.version,
    )
