"""`/tenants`."""

from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field, StrictBool, StrictInt

from tollway.app.admin.commands import tenants as commands
from tollway.app.admin.outcome import Rejected
from tollway.app.admin.queries import tenants as queries
from tollway.app.admin.work import Work
from tollway.app.views import TenantSettings, TenantView
from tollway.domain.ids import TenantId
from tollway.domain.policy import Action
from tollway.domain.result import Err, Result
from tollway.web.admin.callers import Caller, CallerOf, route, tagged
from tollway.web.admin.forms import Form, TenantPath
from tollway.web.admin.paging import Listed, Paging, listed
from tollway.web.admin.times import moment, moment_of

router = APIRouter(tags=["tenants"])
Id = Annotated[str, Field(examples=["ten_0123456789abcdef"])]


class Settings(Form):
    """`models`, `group`, `weight` (its share where a provider cannot take everybody) and
    `allowed_residency` (of providers that may see its data; null: any) are the platform's to
    decide."""

    timezone: str = Field(default="UTC", max_length=64, examples=["Europe/Berlin"])
    retention_days: StrictInt | None = Field(default=None, ge=1, le=36_500)
    content_logging: StrictBool = False
    cache: dict[str, Any] | None = None
    models: Literal["all", "listed"] = "all"
    group: str | None = Field(default=None, max_length=200, examples=["gold"])
    weight: float = Field(default=1.0, ge=0.001, le=1000)
    allowed_residency: list[Annotated[str, Field(max_length=200)]] | None = Field(
        default=None, min_length=1, max_length=50, examples=[["eu"]]
    )
    default_model: str | None = Field(
        default=None,
        max_length=256,
        description="The model of requests that name none; null: they are refused.",
        examples=["gpt-5-mini"],
    )


class TenantIn(Form):
    """A new tenant."""

    slug: str = Field(max_length=63, examples=["acme"])
    name: str | None = Field(default=None, max_length=200, examples=["Acme Corporation"])
    settings: Settings = Field(default_factory=Settings)


class TenantChange(Form):
    """What shall be different. Of `settings`, too, only the fields sent change."""

    name: str | None = Field(default=None, max_length=200)
    settings: Settings | None = None


class TenantOut(BaseModel):
    """A tenant."""

    id: Id
    slug: str = Field(examples=["acme"])
    name: str = Field(examples=["Acme Corporation"])
    active: bool
    settings: Settings
    managed_by: str | None
    created_at: datetime
    deleted_at: datetime | None


@router.get("/tenants", **route(Action.TENANT_LIST, "listTenants"))
def list_tenants(
    *,
    caller: Caller,
    paging: Paging,
    q: Annotated[str | None, Query(max_length=200, description="Part of slug or name.")] = None,
    deleted: Annotated[bool, Query(description="Deleted ones too.")] = False,
) -> Listed[TenantOut]:
    """The tenants you may see."""
    found = caller.read(lambda work: queries.list_tenants(work, paging, search=q, deleted=deleted))
    return listed(found, paging, out=_out, key=lambda view: view.id)


@router.post(
    "/tenants",
    status_code=201,
    response_model=TenantOut,
    **route(Action.TENANT_CREATE, "createTenant"),
)
def create_tenant(caller: Caller, body: TenantIn) -> Response:
    """A new tenant."""
    spec = commands.TenantSpec(body.slug, body.name, _settings(TenantSettings(), body.settings))
    return caller.create(
        lambda work: commands.create_tenant(work, spec),
        out=_out,
        location=lambda made: f"/api/v1/tenants/{made.id}",
    )


@router.get("/tenants/{tenant_id}", **route(Action.TENANT_READ, "readTenant"))
def read_tenant(caller: Caller, tenant_id: TenantPath, response: Response) -> TenantOut:
    """One tenant."""
    return _answer(
        caller.read(lambda work: queries.read_tenant(work, TenantId(tenant_id))), response
    )


@router.patch("/tenants/{tenant_id}", **route(Action.TENANT_UPDATE, "updateTenant"))
def update_tenant(
    *, caller: Caller, tenant_id: TenantPath, body: TenantChange, response: Response
) -> TenantOut:
    """Another name or other settings."""

    def act(work: Work) -> Result[TenantView, Rejected]:
        found = commands.living_tenant(work, TenantId(tenant_id))
        if isinstance(found, Err):
            return found
        tenant = found.value
        settings = tenant.settings
        if body.settings is not None:
            settings = _settings(settings, body.settings)
        return commands.update_tenant(
            work, replace(tenant, name=body.name or tenant.name, settings=settings)
        )

    return _answer(caller.write(act), response)


@router.post("/tenants/{tenant_id}/activate", **route(Action.TENANT_GOVERN, "activateTenant"))
def activate_tenant(caller: Caller, tenant_id: TenantPath, response: Response) -> TenantOut:
    """Its keys open again."""
    return _switch(caller, tenant_id, response, active=True)


@router.post("/tenants/{tenant_id}/deactivate", **route(Action.TENANT_GOVERN, "deactivateTenant"))
def deactivate_tenant(caller: Caller, tenant_id: TenantPath, response: Response) -> TenantOut:
    """Its keys open nothing, within a second everywhere."""
    return _switch(caller, tenant_id, response, active=False)


@router.post("/tenants/{tenant_id}/restore", **route(Action.TENANT_GOVERN, "restoreTenant"))
def restore_tenant(caller: Caller, tenant_id: TenantPath, response: Response) -> TenantOut:
    """Take a deletion back, within 30 days."""
    return _answer(
        caller.write(lambda work: commands.restore_tenant(work, TenantId(tenant_id))), response
    )


@router.delete(
    "/tenants/{tenant_id}", status_code=204, **route(Action.TENANT_GOVERN, "deleteTenant")
)
def delete_tenant(caller: Caller, tenant_id: TenantPath) -> None:
    """Gone for everybody; can be restored for 30 days."""
    caller.write(lambda work: commands.delete_tenant(work, TenantId(tenant_id)))


def _switch(caller: CallerOf, tenant_id: str, response: Response, *, active: bool) -> TenantOut:
    return _answer(
        caller.write(lambda work: commands.set_active(work, TenantId(tenant_id), active=active)),
        response,
    )


def _answer(tenant: TenantView, response: Response) -> TenantOut:
    tagged(response, tenant.version)
    return _out(tenant)


def _settings(before: TenantSettings, form: Settings) -> TenantSettings:
    sent = {name: getattr(form, name) for name in form.model_fields_set}
    if sent.get("allowed_residency") is not None:
        sent["allowed_residency"] = tuple(sent["allowed_residency"])
    return replace(before, **sent)


def _listed(names: tuple[str, ...] | None) -> list[str] | None:
    return None if names is None else list(names)


def _out(view: TenantView) -> TenantOut:
    settings = view.settings
    return TenantOut(
        id=view.id,
        slug=view.slug,
        name=view.name,
        active=view.active,
        settings=Settings(
            timezone=settings.timezone,
            retention_days=settings.retention_days,
            content_logging=settings.content_logging,
            cache=None if settings.cache is None else dict(settings.cache),
            models="listed" if settings.models == "listed" else "all",
            group=settings.group,
            weight=settings.weight,
            allowed_residency=_listed(settings.allowed_residency),
            default_model=settings.default_model,
        ),
        managed_by=view.managed_by,
        created_at=moment_of(view.created_s),
        deleted_at=moment(view.deleted_s),
    )
