"""`/auth`: signing in and out in a browser."""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from math import ceil
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi import Path as PathParameter
from fastapi.responses import JSONResponse, RedirectResponse
from pydantic import BaseModel, Field, StrictBool

from tollway.app.admin.commands import sign_in as commands
from tollway.app.admin.work import Request as Origin
from tollway.app.admin.work import Work
from tollway.app.ports import SecretError
from tollway.app.ports_admin import UnitOfWork
from tollway.domain.brand import LOGIN_COOKIE
from tollway.domain.oidc import PENDING_S, PendingLogin, pack_pending, unpack_pending
from tollway.domain.policy import Action
from tollway.domain.result import Err
from tollway.domain.session import DEFAULT_RULES, csrf_token
from tollway.web.admin.callers import Caller, route
from tollway.web.admin.forms import Form
from tollway.web.admin.problems import ProblemError, refused
from tollway.web.admin.services import Services, SignInAt
from tollway.web.admin.signing_in import COOKIE, own_origin, refuse_forged

router = APIRouter(tags=["sign-in"])
PENDING_COOKIE = f"__Host-{LOGIN_COOKIE}"
_PURPOSE = "oidc pending"
ProviderPath = Annotated[
    str, PathParameter(max_length=64, description="A provider's name.", examples=["corp"])
]


class LoginIn(Form):
    """Who signs in."""

    email: str = Field(max_length=254, examples=["ann@example.org"])
    password: str = Field(max_length=1024, examples=["correct horse battery staple"])


class LogoutIn(Form):
    """What shall end."""

    everywhere: StrictBool = False


class SignedInOut(BaseModel):
    """Who is signed in now. Send `csrf_token` as `x-csrf-token` with all that changes something."""

    account_id: str
    email: str
    csrf_token: str


class SignedOutOut(BaseModel):
    """How many sessions ended; where to go to sign out at the identity provider too."""

    sessions: int
    provider_logout_url: str | None


class MethodsOut(BaseModel):
    """How people may sign in."""

    password: bool
    providers: list[str] = Field(examples=[["corp"]])


@router.get("/auth/methods", **route(None, "listSignInMethods"))
def list_methods(http: Request) -> MethodsOut:
    """How people may sign in."""
    return MethodsOut(password=True, providers=sorted(_services(http).sign_in_at))


@router.post("/auth/login", response_model=SignedInOut, **route(None, "signIn"))
def sign_in(http: Request, body: LoginIn) -> Response:
    """Sign in with a password; the session is a cookie."""
    services = _services(http)
    refuse_forged(services, http)
    address = http.client.host if http.client is not None else ""
    with services.configuration.begin() as uow:
        begun = commands.begin_guess(_work(services, http, uow), body.email, address)
        uow.commit()
    if isinstance(begun, Err):
        wait_s = ceil(begun.error.retry_after_s)
        raise ProblemError(
            429,
            "throttled",
            f"Too many wrong passwords. Wait {wait_s} seconds.",
            headers={"retry-after": str(wait_s)},
        )
    guess = begun.value
    right = services.hasher.verify(guess.stored, body.password)
    rehashed = None
    if right and guess.stored is not None and services.hasher.needs_rehash(guess.stored):
        rehashed = services.hasher.hash(body.password)
    with services.configuration.begin() as uow:
        opened = commands.finish_guess(
            _work(services, http, uow),
            guess,
            right=right,
            rehashed=rehashed,
            old=http.cookies.get(COOKIE),
        )
        uow.commit()
    if isinstance(opened, Err):
        raise refused(opened.error)
    return _welcomed(opened.value)


@router.post("/auth/logout", response_model=SignedOutOut, **route(Action.ME_UPDATE, "signOut"))
def sign_out(caller: Caller, body: LogoutIn | None = None) -> Response:
    """Sign out here, or everywhere."""
    everywhere = body is not None and body.everywhere
    session = caller.session
    ended = caller.write(lambda work: commands.sign_out(work, caller.cookie, everywhere=everywhere))
    at = None if session is None else caller.services.sign_in_at.get(session.via)
    url = None
    if at is not None and session is not None and session.id_token is not None:
        back = own_origin(caller.services, caller.http)
        url = at.provider.logout_url(session.id_token, back)
    answer = JSONResponse(SignedOutOut(sessions=ended, provider_logout_url=url).model_dump())
    _forget(answer, COOKIE)
    return answer


@router.get(
    "/auth/oidc/{name}/login",
    status_code=303,
    response_class=RedirectResponse,
    **route(None, "beginOidcSignIn"),
)
def begin_oidc(http: Request, name: ProviderPath) -> Response:
    """To the identity provider's page."""
    services = _services(http)
    begun = _sign_in_at(services, name).provider.begin_login(_redirect_uri(services, http, name))
    if isinstance(begun, Err):
        raise ProblemError(503, "provider_unavailable", f"{name}: {begun.error}")
    url, pending = begun.value
    answer = RedirectResponse(url, 303)
    sealed = urlsafe_b64encode(services.box.seal(pack_pending(pending), _PURPOSE)).decode()
    _remember(answer, PENDING_COOKIE, sealed, PENDING_S)
    return answer


@router.get(
    "/auth/oidc/{name}/callback",
    status_code=303,
    response_class=RedirectResponse,
    **route(None, "finishOidcSignIn"),
)
def finish_oidc(
    *,
    http: Request,
    name: ProviderPath,
    code: Annotated[str | None, Query(max_length=4096)] = None,  # noqa: ARG001 - for the document
    state: Annotated[str | None, Query(max_length=512)] = None,  # noqa: ARG001 - the same
) -> Response:
    """Back from the identity provider; the session is a cookie."""
    services = _services(http)
    at = _sign_in_at(services, name)
    pending = _pending(services, http.cookies.get(PENDING_COOKIE))
    if pending is None or pending.issuer != at.issuer.issuer:
        raise ProblemError(400, "sign_in_expired", "This sign-in has expired. Begin it again.")
    identity = at.provider.finish_login(pending, dict(http.query_params))
    if isinstance(identity, Err):
        raise ProblemError(403, "sign_in_refused", f"{name}: {identity.error}")
    with services.configuration.begin() as uow:
        opened = commands.sign_in_identified(
            _work(services, http, uow), identity.value, at.issuer, old=http.cookies.get(COOKIE)
        )
        if isinstance(opened, Err):
            raise refused(opened.error)
        uow.commit()
        version = uow.version
    if version is not None:
        services.publish(version)
    answer = RedirectResponse(own_origin(services, http) + "/", 303)
    _remember(answer, COOKIE, opened.value.cookie, DEFAULT_RULES.lifetime_s)
    _forget(answer, PENDING_COOKIE)
    return answer


def _welcomed(opened: commands.Opened) -> Response:
    account = opened.account
    body = SignedInOut(
        account_id=account.id, email=account.email, csrf_token=csrf_token(opened.cookie)
    )
    answer = JSONResponse(body.model_dump())
    _remember(answer, COOKIE, opened.cookie, DEFAULT_RULES.lifetime_s)
    return answer


def _services(http: Request) -> Services:
    services: Services = http.app.state.services
    return services


def _work(services: Services, http: Request, uow: UnitOfWork) -> Work:
    address = http.client.host if http.client is not None else None
    origin = Origin(http.state.request_id, address)
    return Work(uow, commands.ANONYMOUS, services.entropy, services.box, origin)


def _sign_in_at(services: Services, name: str) -> SignInAt:
    found = services.sign_in_at.get(name)
    if found is None:
        raise ProblemError(404, "not_found", "There is no such identity provider.")
    return found


def _redirect_uri(services: Services, http: Request, name: str) -> str:
    return f"{own_origin(services, http)}/api/v1/auth/oidc/{name}/callback"


def _pending(services: Services, cookie: str | None) -> PendingLogin | None:
    if cookie is None:
        return None
    try:
        sealed = urlsafe_b64decode(cookie.encode("ascii"))
        return unpack_pending(services.box.open(sealed, _PURPOSE))
    except (SecretError, ValueError, binascii.Error):
        return None


def _remember(answer: Response, name: str, value: str, seconds: int) -> None:
    """The `__Host-` prefix has the browser hold us to Secure, the whole path and no domain."""
    settings: dict[str, Any] = {"secure": True, "httponly": True, "samesite": "lax", "path": "/"}
    answer.set_cookie(name, value, max_age=seconds, **settings)


def _forget(answer: Response, name: str) -> None:
    _remember(answer, name, "", 0)
