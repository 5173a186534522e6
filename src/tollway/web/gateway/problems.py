"""How a refusal or a provider's failure looks on the wire: status, headers and body. One table,
total over both unions; the shapes themselves are in `dialects/errors.py`.
"""

from collections.abc import Callable
from math import ceil
from typing import Any, NamedTuple

from tollway.app.ports import Header
from tollway.dialects.allowances import allowance_headers
from tollway.dialects.errors import Shape, error_body
from tollway.domain.failure import Cause, Failure, client_code, client_status
from tollway.domain.labels import plain_label
from tollway.domain.refusal import (
    BadRequest,
    Conflict,
    Forbidden,
    ModelNotFound,
    QuotaExceeded,
    Refusal,
    ResponseNotFound,
    Unauthenticated,
    Unavailable,
    refused_status,
)

Rendered = tuple[int, list[Header], bytes]
_JSON: Header = (b"content-type", b"application/json")
_CHALLENGE: Header = (b"www-authenticate", b"Bearer")
_NO_RETRY: Header = (b"x-should-retry", b"false")


class _Problem(NamedTuple):
    message: str
    code: str
    param: str | None = None
    kind: str | None = None
    headers: tuple[Header, ...] = ()


def render_refusal(refusal: Refusal, shape: Shape, request_id: str | None = None) -> Rendered:
    """Our own no. `request_id` goes into the body where the shape has a place for it."""
    problem = _REFUSALS[type(refusal)](refusal)
    return _render(refused_status(refusal), problem, shape, request_id)


def render_failure(failure: Failure, shape: Shape, request_id: str | None = None) -> Rendered:
    """A provider's failure that ends a request before its first byte."""
    status = client_status(failure)
    message = _TOLD.get(failure.cause, failure.message)
    told = failure.cause in (Cause.STATUS, Cause.STREAM_ERROR)
    if told and failure.status not in (None, status):
        message = _DECLINED
    retry_s = failure.retry_after_s
    if retry_s is None and failure.cause is Cause.DRAINED:
        retry_s = 1.0
    problem = _Problem(message, client_code(failure), headers=_retry_after(retry_s))
    return _render(status, problem, shape, request_id)


def _render(status: int, problem: _Problem, shape: Shape, request_id: str | None) -> Rendered:
    message, code, param, kind, headers = problem
    if shape == "anthropic":
        kind = None  # its types follow from the status alone
    body = error_body(
        shape, status, message, code=code, param=param, kind=kind, request_id=request_id
    )
    return status, [_JSON, *headers], body


def _bad_request(refusal: BadRequest) -> _Problem:
    return _Problem(refusal.message, refusal.code, refusal.param)


def _unauthenticated(refusal: Unauthenticated) -> _Problem:
    return _Problem(refusal.message, refusal.code, headers=(_CHALLENGE,))


def _forbidden(refusal: Forbidden) -> _Problem:
    return _Problem(refusal.message, refusal.code)


def _model_not_found(refusal: ModelNotFound) -> _Problem:
    name = plain_label(refusal.model)
    message = f"The model '{name}' does not exist or you do not have access to it."
    return _Problem(message, "model_not_found", "model")


def _response_not_found(refusal: ResponseNotFound) -> _Problem:
    if refusal.param is None:
        message = f"Response with id '{plain_label(refusal.id)}' not found."
        return _Problem(message, "response_not_found")
    message = (
        f"Previous response with id '{plain_label(refusal.id)}' not found. "
        "Send the whole conversation as 'input'."
    )
    return _Problem(message, "previous_response_not_found", refusal.param)


def _quota_exceeded(refusal: QuotaExceeded) -> _Problem:
    headers = (*_retry_after(refusal.retry_after_s), *allowance_headers(refusal.allowances))
    if refusal.exhausted:
        code = "insufficient_quota"
        return _Problem(refusal.message, code, None, code, (_NO_RETRY, *headers))
    return _Problem(refusal.message, "rate_limit_exceeded", headers=headers)


def _conflict(refusal: Conflict) -> _Problem:
    headers = _retry_after(refusal.retry_after_s) or (_NO_RETRY,)
    return _Problem(refusal.message, refusal.code, headers=headers)


def _unavailable(refusal: Unavailable) -> _Problem:
    return _Problem(refusal.message, refusal.code, headers=_retry_after(refusal.retry_after_s))


def _retry_after(seconds: float | None) -> tuple[Header, ...]:
    """Whole seconds for everyone, milliseconds for the SDKs that read them."""
    if seconds is None:
        return ()
    seconds = max(seconds, 0.0)
    return (
        (b"retry-after", b"%d" % ceil(seconds)),
        (b"retry-after-ms", b"%d" % ceil(seconds * 1000)),
    )


_REFUSALS: dict[type[Refusal], Callable[[Any], _Problem]] = {
    BadRequest: _bad_request,
    Unauthenticated: _unauthenticated,
    Forbidden: _forbidden,
    ModelNotFound: _model_not_found,
    ResponseNotFound: _response_not_found,
    Conflict: _conflict,
    QuotaExceeded: _quota_exceeded,
    Unavailable: _unavailable,
}

# A status we do not pass on (401, 403) is about our own credential, and so is its message.
_DECLINED = "The provider declined the gateway's own request."
# Code and message by cause. An empty message: the failure's own may be shown. The fixed ones keep
# names and addresses of the platform's network, and what concerns our credential, to ourselves.
# Where the client is told something else than what we know.
_TOLD: dict[Cause, str] = {
    Cause.REFUSED: "The provider cannot be reached.",
    Cause.DNS: "The provider cannot be reached.",
    Cause.TLS: "No secure connection to the provider could be made.",
    Cause.FORBIDDEN_ADDRESS: "The provider's address is not allowed.",
    Cause.CREDENTIAL: "The gateway has no usable credential for the provider.",
    Cause.CLIENT_GONE: "The client left.",
    Cause.DRAINED: "The gateway is restarting. Try again.",
}
