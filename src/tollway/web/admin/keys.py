"""`/tenants/{id}/keys`. A key's text is in the answer to its making, and nowhere else ever."""

from dataclasses import replace
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from fastapi import Path as PathParameter
from pydantic import BaseModel, Field, StrictInt

from tollway.app.admin.commands import keys as commands
from tollway.app.admin.outcome import Rejected
from tollway.app.admin.queries import keys as queries
from tollway.app.admin.work import Work
from tollway.app.views import KeyView
from tollway.domain.ids import AccountId, KeyId, ProjectId, TenantId
from tollway.domain.policy import Action
from tollway.domain.result import Err, Result
from tollway.web.admin.callers import Caller, route, tagged
from tollway.web.admin.forms import Form, ModelNames, TenantPath
from tollway.web.admin.paging import Listed, Paging, listed
from tollway.web.admin.times import Moment, moment, moment_of, seconds

router = APIRouter(tags=["keys"])
KeyPath = Annotated[
    str, PathParameter(max_length=64, description="A key's id.", examples=["key_0123456789ab"])
]
Names = Annotated[list[Annotated[str, Field(max_length=64)]] | None, Field(max_length=100)]
Tags = Annotated[dict[str, str], Field(max_length=16, examples=[{"team": "search"}])]


class KeyScope(Form):
    """Where a key reaches. Null means everything that is granted, an empty list nothing."""

    project_id: str | None = Field(default=None, max_length=64)
    models: ModelNames = None
    endpoints: Names = Field(default=None, examples=[["chat.completions"]])
    ip_allow: Names = Field(default=None, examples=[["10.0.0.0/8"]])
    tags: Tags = Field(default_factory=dict)
    not_before: Moment | None = None
    expires_at: Moment | None = None


class KeyIn(KeyScope):
    """A new key. Without an account it is a service key (for administrators to make)."""

    name: str = Field(max_length=200, examples=["chatbot in production"])
    env: Literal["live", "test", "demo"] = "live"
    account_id: str | None = Field(default=None, max_length=64)


class KeyChange(KeyScope):
    """What shall be different; a field that is not sent stays."""

    name: str | None = Field(default=None, max_length=200)


class Rotation(Form):
    """How long the old key opens beside the new one, in seconds."""

    overlap_s: StrictInt = Field(default=0, ge=0, le=commands.MAX_OVERLAP_S, examples=[86_400])


class KeyOut(BaseModel):
    """A key as it may be shown."""

    id: str = Field(examples=["key_0123456789ab"])
    tenant_id: str
    name: str
    env: str
    prefix: str = Field(examples=["tw_live_0123456789ab"])
    last4: str
    project_id: str | None
    account_id: str | None
    models: list[str] | None
    endpoints: list[str] | None
    ip_allow: list[str] | None
    tags: dict[str, str]
    not_before: datetime | None
    expires_at: datetime | None
    revoked_at: datetime | None
    created_by: str | None
    replaces: str | None
    managed_by: str | None
    created_at: datetime


class NewKeyOut(KeyOut):
    """A new key. `key` is shown this once; null in the answer to a repeated request."""

    key: str | None = Field(examples=["tw_live_..."])


@router.get("/tenants/{tenant_id}/keys", **route(Action.KEY_LIST, "listKeys"))
def list_keys(
    *,
    caller: Caller,
    tenant_id: TenantPath,
    paging: Paging,
    account_id: Annotated[str | None, Query(max_length=64)] = None,
    project_id: Annotated[str | None, Query(max_length=64)] = None,
    live: Annotated[bool | None, Query(description="Not revoked, or revoked.")] = None,
) -> Listed[KeyOut]:
    """A tenant's keys; a user sees their own."""
    only = queries.KeyFilter(
        None if account_id is None else AccountId(account_id),
        None if project_id is None else ProjectId(project_id),
        live,
    )
    found = caller.read(
        lambda work: queries.list_keys(work, TenantId(tenant_id), at=paging, only=only)
    )
    return listed(found, paging, out=_out, key=lambda view: view.id)


@router.post(
    "/tenants/{tenant_id}/keys",
    status_code=201,
    response_model=NewKeyOut,
    **route(Action.KEY_CREATE, "createKey"),
)
def create_key(caller: Caller, tenant_id: TenantPath, body: KeyIn) -> Response:
    """A new key. Keep the answer's `key`: it is not shown again."""
    spec = commands.KeySpec(
        name=body.name,
        env=body.env,
        account_id=None if body.account_id is None else AccountId(body.account_id),
        project_id=None if body.project_id is None else ProjectId(body.project_id),
        models=_tuple(body.models),
        endpoints=_tuple(body.endpoints),
        ip_allow=_tuple(body.ip_allow),
        tags=tuple(body.tags.items()),
        not_before_s=seconds(body.not_before),
        expires_s=seconds(body.expires_at),
    )
    return caller.create(
        lambda work: commands.create_key(work, TenantId(tenant_id), spec),
        out=_issued,
        location=lambda made: f"/api/v1/tenants/{made.tenant_id}/keys/{made.id}",
        secret=("key",),
    )


@router.get("/tenants/{tenant_id}/keys/{key_id}", **route(Action.KEY_READ, "readKey"))
def read_key(
    *, caller: Caller, tenant_id: TenantPath, key_id: KeyPath, response: Response
) -> KeyOut:
    """One key."""
    found = caller.read(lambda work: queries.read_key(work, TenantId(tenant_id), KeyId(key_id)))
    tagged(response, found.version)
    return _out(found)


@router.patch("/tenants/{tenant_id}/keys/{key_id}", **route(Action.KEY_UPDATE, "updateKey"))
def update_key(
    *, caller: Caller, tenant_id: TenantPath, key_id: KeyPath, body: KeyChange, response: Response
) -> KeyOut:
    """Another name or scope."""

    def act(work: Work) -> Result[KeyView, Rejected]:
        found = queries.read_key(work, TenantId(tenant_id), KeyId(key_id))
        return (
            found
            if isinstance(found, Err)
            else commands.update_key(work, _changed(found.value, body))
        )

    changed = caller.write(act)
    tagged(response, changed.version)
    return _out(changed)


@router.post(
    "/tenants/{tenant_id}/keys/{key_id}/rotate",
    status_code=201,
    response_model=NewKeyOut,
    **route(Action.KEY_UPDATE, "rotateKey"),
)
def rotate_key(
    *, caller: Caller, tenant_id: TenantPath, key_id: KeyPath, body: Rotation | None = None
) -> Response:
    """A new key with the same scope. The old one opens for `overlap_s` longer."""
    overlap_s = 0 if body is None else body.overlap_s
    return caller.create(
        lambda work: commands.rotate_key(
            work, TenantId(tenant_id), KeyId(key_id), overlap_s=overlap_s
        ),
        out=_issued,
        location=lambda made: f"/api/v1/tenants/{made.tenant_id}/keys/{made.id}",
        secret=("key",),
    )


@router.post("/tenants/{tenant_id}/keys/{key_id}/revoke", **route(Action.KEY_UPDATE, "revokeKey"))
def revoke_key(
    *, caller: Caller, tenant_id: TenantPath, key_id: KeyPath, response: Response
) -> KeyOut:
    """The key opens nothing any more, within a second everywhere."""
    revoked = caller.write(
        lambda work: commands.revoke_key(work, TenantId(tenant_id), KeyId(key_id))
    )
    tagged(response, revoked.version)
    return _out(revoked)


def _changed(key: KeyView, body: KeyChange) -> KeyView:
    sent = body.model_fields_set
    if "models" in sent:
        key = replace(key, models=_tuple(body.models))
    if "endpoints" in sent:
        key = replace(key, endpoints=_tuple(body.endpoints))
    if "ip_allow" in sent:
        key = replace(key, ip_allow=_tuple(body.ip_allow))
    if "tags" in sent:
        key = replace(key, tags=tuple(body.tags.items()))
    if "project_id" in sent:
        project = body.project_id
        key = replace(key, project_id=None if project is None else ProjectId(project))
    if "not_before" in sent:
        key = replace(key, not_before_s=seconds(body.not_before))
    if "expires_at" in sent:
        key = replace(key, expires_s=seconds(body.expires_at))
    return replace(key, name=body.name or key.name)


def _tuple(names: list[str] | None) -> tuple[str, ...] | None:
    return None if names is None else tuple(names)


def _list(names: tuple[str, ...] | None) -> list[str] | None:
    return None if names is None else list(names)


def _issued(issued: commands.IssuedKey) -> NewKeyOut:
    return NewKeyOut(**_out(issued.view).model_dump(), key=issued.text)


def _out(view: KeyView) -> KeyOut:
    return KeyOut(
        id=view.id,
        tenant_id=view.tenant_id,
        name=view.name,
        env=view.env,
        prefix=view.prefix,
        last4=view.last4,
        project_id=view.project_id,
        account_id=view.account_id,
        models=_list(view.models),
        endpoints=_list(view.endpoints),
        ip_allow=_list(view.ip_allow),
        tags=dict(view.tags),
        not_before=moment(view.not_before_s),
        expires_at=moment(view.expires_s),
        revoked_at=moment(view.revoked_s),
        created_by=view.created_by,
        replaces=view.replaces,
        managed_by=view.managed_by,
        created_at=moment_of(view.created_s),
    )
