"""`/tenants/{id}/tokens` and `/me/tokens`: tokens for the admin API, each shown once."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Response
from fastapi import Path as PathParameter
from pydantic import BaseModel, Field, StrictBool

from tollway.app.admin.commands import tokens as commands
from tollway.app.admin.queries import people as queries
from tollway.app.views import TokenView
from tollway.domain.account import Role
from tollway.domain.ids import TenantId
from tollway.domain.policy import Action
from tollway.web.admin.callers import Caller, route
from tollway.web.admin.forms import Form, TenantPath
from tollway.web.admin.paging import Listed, Paging, listed
from tollway.web.admin.times import Moment, moment, moment_of, seconds

router = APIRouter(tags=["tokens"])
TokenPath = Annotated[
    str, PathParameter(max_length=64, description="A token's id.", examples=["tok_0123456789ab"])
]


class TokenIn(Form):
    """A new token. A read-only one changes nothing, whatever its owner may."""

    name: str = Field(max_length=200, examples=["laptop"])
    expires_at: Moment | None = None
    read_only: StrictBool = False


class ServiceTokenIn(TokenIn):
    """A new token of a tenant's machine."""

    role: Role = Field(default=Role.USER, examples=["viewer"])


class TokenOut(BaseModel):
    """A token as it may be shown."""

    id: str = Field(examples=["tok_0123456789ab"])
    name: str
    prefix: str
    last4: str
    account_id: str | None
    tenant_id: str | None
    role: Role | None
    read_only: bool
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    created_at: datetime


class NewTokenOut(TokenOut):
    """A new token. `token` is shown this once; null in the answer to a repeated request."""

    token: str | None = Field(examples=["twp_..."])


@router.get("/me/tokens", **route(Action.ME_READ, "listMyTokens"))
def list_my_tokens(caller: Caller, paging: Paging) -> Listed[TokenOut]:
    """Your own tokens."""
    found = caller.read(lambda work: queries.my_tokens(work, paging))
    return listed(found, paging, out=_out, key=lambda view: view.id)


@router.post(
    "/me/tokens",
    status_code=201,
    response_model=NewTokenOut,
    **route(Action.TOKEN_WRITE, "createMyToken"),
)
def create_my_token(caller: Caller, body: TokenIn) -> Response:
    """A token that does what you may. Keep the answer's `token`: it is not shown again."""
    spec = commands.TokenSpec(body.name, seconds(body.expires_at), body.read_only)
    return caller.create(
        lambda work: commands.create_token(work, spec),
        out=_issued,
        location=lambda made: f"/api/v1/me/tokens/{made.id}",
        secret=("token",),
    )


@router.delete(
    "/me/tokens/{token_id}", status_code=204, **route(Action.TOKEN_WRITE, "revokeMyToken")
)
def revoke_my_token(caller: Caller, token_id: TokenPath) -> None:
    """The token opens nothing any more."""
    caller.write(lambda work: commands.revoke_token(work, token_id))


@router.get("/tenants/{tenant_id}/tokens", **route(Action.SERVICE_TOKEN_WRITE, "listTokens"))
def list_tokens(caller: Caller, tenant_id: TenantPath, paging: Paging) -> Listed[TokenOut]:
    """The tokens of a tenant's machines."""
    found = caller.read(lambda work: queries.list_service_tokens(work, TenantId(tenant_id), paging))
    return listed(found, paging, out=_out, key=lambda view: view.id)


@router.post(
    "/tenants/{tenant_id}/tokens",
    status_code=201,
    response_model=NewTokenOut,
    **route(Action.SERVICE_TOKEN_WRITE, "createToken"),
)
def create_token(caller: Caller, tenant_id: TenantPath, body: ServiceTokenIn) -> Response:
    """A token for a machine, with a role in the tenant: yours at most."""
    spec = commands.TokenSpec(body.name, seconds(body.expires_at), body.read_only)
    return caller.create(
        lambda work: commands.create_service_token(
            work, TenantId(tenant_id), role=body.role, spec=spec
        ),
        out=_issued,
        location=lambda made: f"/api/v1/tenants/{made.tenant_id}/tokens/{made.id}",
        secret=("token",),
    )


@router.delete(
    "/tenants/{tenant_id}/tokens/{token_id}",
    status_code=204,
    **route(Action.SERVICE_TOKEN_WRITE, "revokeToken"),
)
def revoke_token(caller: Caller, tenant_id: TenantPath, token_id: TokenPath) -> None:
    """The token opens nothing any more."""
    caller.write(lambda work: commands.revoke_token(work, token_id, tenant_id=TenantId(tenant_id)))


def _issued(issued: commands.IssuedToken) -> NewTokenOut:
    return NewTokenOut(**_out(issued.view).model_dump(), token=issued.text)


def _out(view: TokenView) -> TokenOut:
    return TokenOut(
        id=view.id,
        name=view.name,
        prefix=view.prefix,
        last4=view.last4,
        account_id=view.account_id,
        tenant_id=view.tenant_id,
        role=view.role,
        read_only=view.read_only,
        expires_at=moment(view.expires_s),
        revoked_at=moment(view.revoked_s),
        last_used_at=moment(view.last_used_s),
        created_at=moment_of(view.created_s),
    )
