"""The OpenAPI document: what FastAPI derives, and what it does not know: which credentials open
what, and that every "no" is a problem document.
"""

from typing import Any

from fastapi import FastAPI

from tollway.web.admin.callers import ACTION_KEY, PUBLIC
from tollway.web.admin.problems import MEDIA_TYPE, Problem
from tollway.web.admin.signing_in import COOKIE

# What every operation may answer besides its success. 422 is not: a wrong form is a 400 here.
REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": text}
    for status, text in (
        (400, "What was sent cannot be."),
        (401, "No credential, or none that opens anything."),
        (403, "Known, but not allowed."),
        (404, "No such thing, or it is another tenant's."),
        (405, "The path has no such method."),
        (409, "It does not go with what is there."),
        (412, "The object is not what `If-Match` says."),
        (413, "The body is too large."),
        (429, "Too many at once, or too many wrong passwords."),
        (503, "The database or a provider cannot be used right now."),
    )
}
_CREDENTIALS = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "description": "The bootstrap token, a personal token, or a tenant's service token.",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": COOKIE,
        "description": "A signed-in browser; with `x-csrf-token` on all that changes something.",
    },
}


def describe(app: FastAPI) -> None:
    """Have the application give the whole document."""
    derived = app.openapi

    def whole() -> dict[str, Any]:
        if app.openapi_schema is None:
            _complete(derived())
        assert app.openapi_schema is not None, "deriving it has kept it"
        return app.openapi_schema

    app.openapi = whole  # type: ignore[method-assign]  # FastAPI's own way to extend the document


def _complete(document: dict[str, Any]) -> None:
    document.setdefault("components", {})["securitySchemes"] = _CREDENTIALS
    for operations in document["paths"].values():
        for operation in operations.values():
            operation["responses"].pop("422", None)
            if operation[ACTION_KEY] != PUBLIC:
                operation["security"] = [{name: []} for name in _CREDENTIALS]
            for status, response in operation["responses"].items():
                if status[0] in "45":
                    content = response.get("content", {})
                    if "application/json" in content:
                        content[MEDIA_TYPE] = content.pop("application/json")
