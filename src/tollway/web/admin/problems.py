"""Every "no" of the admin API as an RFC 9457 problem document: one table of kinds, one shape."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from tollway.app.admin.outcome import Kind, Rejected
from tollway.app.ports import SecretError, StoreUnavailableError
from tollway.app.ports_directory import ConflictError

_log = logging.getLogger(__name__)
MEDIA_TYPE = "application/problem+json"
_TITLES = {
    400: "Bad request",
    401: "Not signed in",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict",
    412: "Precondition failed",
    413: "Too large",
    415: "Unsupported media type",
    429: "Too many requests",
    500: "Internal error",
    503: "Not available now",
}
_STATUSES = {
    Kind.INVALID: 400,
    Kind.UNAUTHENTICATED: 401,
    Kind.FORBIDDEN: 403,
    Kind.NOT_FOUND: 404,
    Kind.CONFLICT: 409,
    Kind.PRECONDITION: 412,
}


class FieldError(BaseModel):
    """One part of the request that cannot be."""

    field: str
    message: str


class Problem(BaseModel):
    """An RFC 9457 problem document."""

    type: str = Field(examples=["urn:tollway:problem:not_found"])
    title: str = Field(examples=["Not found"])
    status: int = Field(examples=[404])
    detail: str = Field(examples=["There is no such tenant."])
    errors: list[FieldError] = Field(default_factory=list)


class ProblemError(Exception):
    """Raised by the web floor alone, where there is no value to return."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.errors = errors
        self.headers = headers


def refused(rejected: Rejected) -> ProblemError:
    """A command's no."""
    errors = [FieldError(field=rejected.field, message=rejected.message)] if rejected.field else []
    return ProblemError(
        _STATUSES[rejected.kind], rejected.kind.value, rejected.message, errors=errors
    )


def answer(problem: ProblemError) -> JSONResponse:
    """The document on the wire."""
    body = Problem(
        type=f"urn:tollway:problem:{problem.code}",
        title=_TITLES.get(problem.status, "Error"),
        status=problem.status,
        detail=str(problem),
        errors=list(problem.errors),
    )
    headers = None if problem.headers is None else dict(problem.headers)
    return JSONResponse(body.model_dump(), problem.status, headers, media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Every exception that may leave an endpoint has its handler here."""
    app.add_exception_handler(ProblemError, _problem)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(StoreUnavailableError, _unavailable)
    app.add_exception_handler(ConflictError, _conflict)
    app.add_exception_handler(SecretError, _secret)
    app.add_exception_handler(Exception, _bug)


def _problem(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ProblemError)
    return answer(error)


def _invalid(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    errors = [
        FieldError(field=_where(found["loc"]), message=_plain(found)) for found in error.errors()
    ]
    detail = "; ".join(f"{wrong.field}: {wrong.message}" for wrong in errors[:5])
    return answer(ProblemError(400, "invalid", detail, errors=errors[:50]))


def _where(path: Sequence[Any]) -> str:
    return ".".join(str(part) for part in path[1:]) or str(path[0])


def _plain(found: Mapping[str, Any]) -> str:
    if found["type"] == "extra_forbidden":
        return "There is no such field."
    if found["type"] in ("model_attributes_type", "dict_type") and len(found["loc"]) == 1:
        return "Send a JSON object, with 'content-type: application/json'."
    return str(found["msg"]).removeprefix("Value error, ")


def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    if error.status_code == 405:  # the router names the methods of one route, not of the path
        error.headers = {"allow": ", ".join(sorted(_methods_at(request) or {"GET"}))}
    code = {404: "not_found", 405: "method_not_allowed", 413: "too_large"}.get(
        error.status_code, "invalid"
    )
    detail = {404: "There is no such path."}.get(error.status_code, str(error.detail))
    return answer(ProblemError(error.status_code, code, detail, headers=error.headers))


def _methods_at(request: Request) -> set[str]:
    """What may be asked at this path, as the document says."""
    asked = request.scope["path"].split("/")
    found: set[str] = set()
    for path, operations in request.app.openapi()["paths"].items():
        parts = path.split("/")
        if len(parts) == len(asked) and all(
            part == given or part.startswith("{") for part, given in zip(parts, asked, strict=True)
        ):
            found |= {method.upper() for method in operations}
    return found


def _unavailable(_request: Request, error: Exception) -> JSONResponse:
    _log.warning("the database cannot be used", extra={"error": str(error)})
    return answer(
        ProblemError(
            503,
            "unavailable",
            # Not "nothing was changed": the answer to a commit may be what got lost.
            "The database cannot be used right now. Try again; with an Idempotency-Key that is "
            "safe even if the change was made.",
            headers={"retry-after": "2"},
        )
    )


def _conflict(_request: Request, error: Exception) -> JSONResponse:
    _log.info("two writers met", extra={"error": str(error)})
    return answer(
        ProblemError(409, "conflict", "Somebody made the same a moment ago. Read it again.")
    )


def _secret(_request: Request, error: Exception) -> JSONResponse:
    _log.error("a secret does not open", extra={"error": str(error)})
    return answer(
        ProblemError(503, "secrets_unavailable", "A stored secret does not open; see the log.")
    )


def _bug(request: Request, error: Exception) -> JSONResponse:
    request_id = getattr(request.state, "request_id", "")
    _log.error("an endpoint failed", exc_info=error, extra={"request_id": request_id})
    return answer(
        ProblemError(
            500,
            "internal",
            "Something went wrong here; the log says what.",
            headers={"x-request-id": request_id},
        )
    )
