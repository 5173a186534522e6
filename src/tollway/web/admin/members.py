"""`/tenants/{id}/members`."""

from dataclasses import replace
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from tollway.app.admin.commands import members as commands
from tollway.app.admin.outcome import Rejected
from tollway.app.admin.queries import people as queries
from tollway.app.admin.work import Work
from tollway.app.views import MemberView
from tollway.domain.account import Role
from tollway.domain.ids import AccountId, TenantId
from tollway.domain.policy import Action
from tollway.domain.result import Err, Result
from tollway.web.admin.accounts import AccountPath, Email, Name
from tollway.web.admin.callers import Caller, route, tagged
from tollway.web.admin.forms import Form, ModelNames, TenantPath
from tollway.web.admin.paging import Listed, Paging, listed
from tollway.web.admin.times import moment_of

router = APIRouter(tags=["members"])
RoleOf = Annotated[Role, Field(examples=["user"])]


class MemberIn(Form):
    """Who shall be a member. A person nobody knows yet gets an account."""

    email: Email
    name: Name = None
    role: RoleOf = Role.USER
    models: ModelNames = None


class MemberChange(Form):
    """What shall be different; a field that is not sent stays."""

    role: RoleOf | None = None
    models: ModelNames = None


class MemberOut(BaseModel):
    """An account in a tenant. `source` is `manual`, or the issuer whose groups gave it."""

    tenant_id: str
    account_id: str
    email: str
    name: str
    role: RoleOf
    models: list[str] | None
    source: str
    active: bool
    created_at: datetime


@router.get("/tenants/{tenant_id}/members", **route(Action.MEMBER_LIST, "listMembers"))
def list_members(caller: Caller, tenant_id: TenantPath, paging: Paging) -> Listed[MemberOut]:
    """A tenant's members."""
    found = caller.read(lambda work: queries.list_members(work, TenantId(tenant_id), paging))
    return listed(found, paging, out=member_out, key=lambda view: view.account_id)


@router.post(
    "/tenants/{tenant_id}/members",
    status_code=201,
    response_model=MemberOut,
    **route(Action.MEMBER_WRITE, "addMember"),
)
def add_member(caller: Caller, tenant_id: TenantPath, body: MemberIn) -> Response:
    """A person becomes a member."""
    models = None if body.models is None else tuple(body.models)
    spec = commands.MemberSpec(body.email, body.role, body.name, models)
    return caller.create(
        lambda work: commands.add_member(work, TenantId(tenant_id), spec),
        out=member_out,
        location=lambda made: f"/api/v1/tenants/{made.tenant_id}/members/{made.account_id}",
    )


@router.get("/tenants/{tenant_id}/members/{account_id}", **route(Action.MEMBER_LIST, "readMember"))
def read_member(
    *, caller: Caller, tenant_id: TenantPath, account_id: AccountPath, response: Response
) -> MemberOut:
    """One membership."""
    return _answer(
        caller.read(
            lambda work: queries.read_member(work, TenantId(tenant_id), AccountId(account_id))
        ),
        response,
    )


@router.patch(
    "/tenants/{tenant_id}/members/{account_id}", **route(Action.MEMBER_WRITE, "updateMember")
)
def update_member(
    *,
    caller: Caller,
    tenant_id: TenantPath,
    account_id: AccountPath,
    body: MemberChange,
    response: Response,
) -> MemberOut:
    """Another role or other models. From then on the membership counts as made by hand."""

    def act(work: Work) -> Result[MemberView, Rejected]:
        found = queries.read_member(work, TenantId(tenant_id), AccountId(account_id))
        if isinstance(found, Err):
            return found
        member = replace(found.value, role=body.role or found.value.role, source="manual")
        if "models" in body.model_fields_set:
            member = replace(member, models=None if body.models is None else tuple(body.models))
        return commands.update_member(work, member)

    return _answer(caller.write(act), response)


@router.delete(
    "/tenants/{tenant_id}/members/{account_id}",
    status_code=204,
    **route(Action.MEMBER_WRITE, "removeMember"),
)
def remove_member(caller: Caller, tenant_id: TenantPath, account_id: AccountPath) -> None:
    """No member any more; the account's keys in this tenant are revoked."""
    caller.write(
        lambda work: commands.remove_member(work, TenantId(tenant_id), AccountId(account_id))
    )


def member_out(view: MemberView) -> MemberOut:
    """A membership on the wire."""
    return MemberOut(
        tenant_id=view.tenant_id,
        account_id=view.account_id,
        email=view.email,
        name=view.name,
        role=view.role,
        models=None if view.models is None else list(view.models),
        source=view.source,
        active=view.active,
        created_at=moment_of(view.created_s),
    )


def _answer(member: MemberView, response: Response) -> MemberOut:
    tagged(response, member.version)
    return member_out(member)
