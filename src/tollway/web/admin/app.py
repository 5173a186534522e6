"""The admin API as one application: routers, problems, bounds, packaged documentation."""

import re
from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, FastAPI, HTTPException
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tollway.domain.brand import COMMAND, NAME
from tollway.web.admin import (
    accounts,
    apply,
    audit,
    auth,
    credentials,
    docs,
    explain,
    grants,
    keys,
    me,
    members,
    models,
    prices,
    problems,
    projects,
    providers,
    quotas,
    tenants,
    tokens,
    usage,
    webhooks,
)
from tollway.web.admin.callers import new_request_id
from tollway.web.admin.document import REFUSALS, describe
from tollway.web.admin.problems import ProblemError
from tollway.web.admin.services import Services

PREFIX = "/api/v1"
MAX_BODY_BYTES = 1024 * 1024
_ROUTERS: tuple[APIRouter, ...] = (
    auth.router,
    me.router,
    tenants.router,
    accounts.router,
    members.router,
    tokens.router,
    projects.router,
    keys.router,
    providers.router,
    credentials.router,
    models.router,
    grants.router,
    prices.router,
    quotas.router,
    explain.router,
    webhooks.router,
    usage.router,
    audit.router,
    apply.router,
)
_HOST = re.compile(rb"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_TOKEN_IN_URL = re.compile(rb"tw(?:p|_(?:live|test|demo))_[0-9A-Za-z]{8}")
_HEADERS = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
}


def build_app(services: Services) -> FastAPI:
    """The application on its services."""
    app = _application()
    app.state.services = services
    return app


def openapi_document() -> dict[str, Any]:
    """The OpenAPI document, which needs no services."""
    return _application().openapi()


def _application() -> FastAPI:
    app = FastAPI(
        title=f"{NAME} admin API",
        version=version(COMMAND),
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        separate_input_output_schemas=False,
    )
    for router in _ROUTERS:
        app.include_router(router, prefix=PREFIX, responses=REFUSALS)
    app.include_router(docs.router)
    problems.install(app)
    describe(app)
    app.add_middleware(_Frame)
    return app


class _Frame:
    """Around every request: an id, the headers every answer has, and a body read no further than
    the bound, whatever its length claims to be."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = new_request_id()
        scope.setdefault("state", {})["request_id"] = request_id
        taken = 0

        async def bounded() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > MAX_BODY_BYTES:
                raise HTTPException(413, f"A body has at most {MAX_BODY_BYTES} bytes.")
            return message

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                headers["x-request-id"] = request_id
            await send(message)

        wrong = _malformed(scope)
        if wrong is not None:
            await problems.answer(wrong)(scope, bounded, dressed)
            return
        await self._app(scope, bounded, dressed)


def _malformed(scope: Scope) -> ProblemError | None:
    """What is refused before anything is looked at."""
    hosts = [value for name, value in scope["headers"] if name == b"host"]
    if any(_HOST.fullmatch(host) is None for host in hosts) or len(hosts) > 1:
        return ProblemError(400, "invalid", "Host is not a host with an optional port.")
    if _TOKEN_IN_URL.search(scope["query_string"]):
        return ProblemError(
            400,
            "token_in_url",
            "A credential stands in the URL, where logs keep it. Send it as 'Authorization: Bearer "
            "...', and replace this one.",
        )
    return None
