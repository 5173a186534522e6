"""`/me`: one's own account."""

from datetime import datetime

from fastapi import APIRouter
from pydantic import BaseModel, Field

from tollway.app.admin.commands import me as commands
from tollway.app.admin.commands import sign_in
from tollway.app.admin.queries import people as queries
from tollway.app.views import MemberView, SessionView
from tollway.domain.account import Role
from tollway.domain.policy import Action
from tollway.domain.session import csrf_token, digest_cookie
from tollway.web.admin.callers import Caller, CallerOf, route
from tollway.web.admin.forms import Form
from tollway.web.admin.times import moment_of

router = APIRouter(tags=["me"])


class MembershipOut(BaseModel):
    """One of your tenants."""

    tenant_id: str
    role: Role
    models: list[str] | None


class MeOut(BaseModel):
    """Who you are here. `csrf_token` is for sessions: send it as `x-csrf-token`."""

    id: str
    name: str
    via: str = Field(examples=["session"])
    account_id: str | None
    platform_admin: bool
    read_only: bool
    memberships: list[MembershipOut]
    csrf_token: str | None


class MeChange(Form):
    """Your own name."""

    name: str = Field(max_length=200, examples=["Ann Example"])


class MyPassword(Form):
    """Your own new password."""

    current: str = Field(max_length=1024)
    password: str = Field(max_length=1024, examples=["correct horse battery staple"])


class SessionOut(BaseModel):
    """Where you are signed in."""

    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    via: str
    current: bool


class SessionsOut(BaseModel):
    """Where you are signed in."""

    data: list[SessionOut]


class EndedOut(BaseModel):
    """How many sessions ended."""

    sessions: int


@router.get("/me", **route(Action.ME_READ, "readMe"))
def read_me(caller: Caller) -> MeOut:
    """Who you are here, and what in which tenant."""
    return _me(caller, caller.read(queries.my_memberships))


@router.patch("/me", **route(Action.ME_UPDATE, "updateMe"))
def update_me(caller: Caller, body: MeChange) -> MeOut:
    """Another name."""
    caller.write(lambda work: commands.rename(work, body.name))
    return _me(caller, caller.read(queries.my_memberships))


@router.post("/me/password", status_code=204, **route(Action.ME_UPDATE, "changeMyPassword"))
def change_password(caller: Caller, body: MyPassword) -> None:
    """Another password; all your other sessions end."""
    stored = caller.read(lambda work: commands.password_to_change(work, body.password))
    hasher = caller.services.hasher
    right = hasher.verify(stored, body.current)
    hashed = hasher.hash(body.password) if right else ""
    caller.write(
        lambda work: sign_in.change_password(work, hashed, right=right, cookie=caller.cookie)
    )


@router.get("/me/sessions", **route(Action.ME_READ, "listMySessions"))
def list_sessions(caller: Caller) -> SessionsOut:
    """Where you are signed in."""
    current = None if caller.cookie is None else digest_cookie(caller.cookie)
    found = caller.read(queries.my_sessions)
    return SessionsOut(data=[_session(one, current) for one in found])


@router.delete("/me/sessions", **route(Action.ME_UPDATE, "endMySessions"))
def end_sessions(caller: Caller) -> EndedOut:
    """Sign out everywhere, here too."""
    ended = caller.write(lambda work: sign_in.sign_out(work, caller.cookie, everywhere=True))
    return EndedOut(sessions=ended)


def _me(caller: CallerOf, memberships: list[MemberView]) -> MeOut:
    actor = caller.actor
    if actor.account_id is None:
        roles = [MembershipOut(tenant_id=t, role=r, models=None) for t, r in actor.roles.items()]
    else:
        roles = [
            MembershipOut(
                tenant_id=one.tenant_id,
                role=one.role,
                models=None if one.models is None else list(one.models),
            )
            for one in memberships
        ]
    return MeOut(
        id=actor.id,
        name=actor.name,
        via=actor.via,
        account_id=actor.account_id,
        platform_admin=actor.platform_admin,
        read_only=actor.read_only,
        memberships=roles,
        csrf_token=csrf_token(caller.cookie) if caller.session and caller.cookie else None,
    )


def _session(view: SessionView, current: bytes | None) -> SessionOut:
    return SessionOut(
        created_at=moment_of(view.created_s),
        last_seen_at=moment_of(view.last_seen_s),
        expires_at=moment_of(view.expires_s),
        via=view.via,
        current=view.digest == current,
    )
