"""`/grants`. One is named by its model and its holder: a tenant's id, or `group:NAME`."""

from datetime import datetime
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query, Response
from fastapi import Path as PathParameter
from pydantic import BaseModel, Field

from tollway.app.admin.commands import grants as commands
from tollway.app.admin.queries import routing as queries
from tollway.app.views import GrantView
from tollway.domain.ids import ModelId, TenantId
from tollway.domain.policy import Action
from tollway.web.admin.callers import Caller, route, tagged
from tollway.web.admin.forms import Form
from tollway.web.admin.models import ModelPath
from tollway.web.admin.paging import Listed, Paging, listed
from tollway.web.admin.times import moment_of

router = APIRouter(tags=["grants"])
HolderPath = Annotated[
    str,
    PathParameter(
        max_length=220, description="A tenant's id, or `group:NAME`.", examples=["group:gold"]
    ),
]


class GrantIn(Form):
    """Open a platform model to a tenant or to a group of tenants: one of the two."""

    model_id: str = Field(max_length=64, examples=["mdl_0123456789abcdef"])
    tenant_id: str | None = Field(default=None, max_length=64, examples=["ten_0123456789abcdef"])
    group: str | None = Field(default=None, max_length=200, examples=[None])


class GrantOut(BaseModel):
    """A grant."""

    model_id: str
    holder: str = Field(examples=["ten_0123456789abcdef"])
    tenant_id: str | None
    group: str | None
    created_at: datetime


@router.get("/grants", **route(Action.GRANT_READ, "listGrants"))
def list_grants(
    caller: Caller,
    paging: Paging,
    *,
    tenant_id: Annotated[
        str | None, Query(max_length=64, description="What this tenant holds, itself or by group.")
    ] = None,
    group: Annotated[
        str | None, Query(max_length=200, description="What this group holds.")
    ] = None,
    model_id: Annotated[
        str | None, Query(max_length=64, description="Who holds this model.")
    ] = None,
) -> Listed[GrantOut]:
    """The grants of your tenants; all of them for the platform's administrators."""
    found = caller.read(
        lambda work: queries.list_grants(
            work,
            paging,
            tenant_id=None if tenant_id is None else TenantId(tenant_id),
            group=group,
            model_id=None if model_id is None else ModelId(model_id),
        )
    )
    return listed(found, paging, out=_out, key=lambda view: f"{view.holder}|{view.model_id}")


@router.post(
    "/grants",
    status_code=201,
    response_model=GrantOut,
    **route(Action.GRANT_WRITE, "createGrant"),
)
def create_grant(caller: Caller, body: GrantIn) -> Response:
    """Open a platform model to a tenant or group."""
    tenant_id = None if body.tenant_id is None else TenantId(body.tenant_id)
    return caller.create(
        lambda work: commands.create_grant(
            work, ModelId(body.model_id), tenant_id=tenant_id, group=body.group
        ),
        out=_out,
        location=lambda made: f"/api/v1/grants/{made.model_id}/{quote(made.holder, safe=':')}",
    )


@router.get("/grants/{model_id}/{holder:path}", **route(Action.GRANT_READ, "readGrant"))
def read_grant(
    caller: Caller, model_id: ModelPath, holder: HolderPath, *, response: Response
) -> GrantOut:
    """One grant."""
    found = caller.read(lambda work: queries.read_grant(work, ModelId(model_id), holder))
    tagged(response, found.version)
    return _out(found)


@router.delete(
    "/grants/{model_id}/{holder:path}",
    status_code=204,
    **route(Action.GRANT_WRITE, "deleteGrant"),
)
def delete_grant(caller: Caller, model_id: ModelPath, holder: HolderPath) -> None:
    """Take the grant back: within a second the model is absent for the holder."""
    caller.write(lambda work: commands.delete_grant(work, ModelId(model_id), holder))


def _out(view: GrantView) -> GrantOut:
    return GrantOut(
        model_id=view.model_id,
        holder=view.holder,
        tenant_id=view.tenant_id,
        group=view.group,
        created_at=moment_of(view.created_s),
    )
