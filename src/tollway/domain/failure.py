"""What went wrong upstream, as a value: which phase, what to tell the client, whether another
target may be tried. Decisions read these fields, never message texts.
"""

from dataclasses import dataclass
from enum import StrEnum


class Phase(StrEnum):
    """How far an attempt had come when it failed."""

    CONNECT = "connect"  # DNS, TCP, TLS, proxy: the request was not sent
    HEADERS = "headers"  # sent, no response head yet
    FIRST_EVENT = "first_event"  # head received, no valid first event or whole body yet
    BODY = "body"  # the client has received something


class Cause(StrEnum):
    """What the failure was."""

    REFUSED = "refused"
    DNS = "dns"
    TLS = "tls"
    TIMEOUT = "timeout"
    RESET = "reset"  # closed or reset before the answer was complete
    PROTOCOL = "protocol"  # not HTTP, not the announced type, over a cap, second response
    STATUS = "status"  # a complete answer whose status says no
    STREAM_ERROR = "stream_error"  # an error event inside a 200
    FORBIDDEN_ADDRESS = "forbidden_address"  # the SSRF guard said no
    CREDENTIAL = "credential"  # our own reference to the provider's secret does not resolve
    CLIENT_GONE = "client_gone"
    DRAINED = "drained"  # we are shutting down and the drain time is over
    QUOTA = "quota"  # the answer outgrew what a strict limit has left
    REVOKED = "revoked"  # the key was revoked, or its tenant deactivated, while the request ran


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed attempt. `status` is the provider's own, when there was one."""

    phase: Phase
    cause: Cause
    message: str
    status: int | None = None
    retry_after_s: float | None = None
    code: str | None = None  # the provider's own error code


# Provider statuses that another target may answer better: too busy, or our own credential there
# (401 to 403) or the model behind it (424, of Amazon) is the problem. Every 5xx too. Any other 4xx
# is about the request itself.
_RETRYABLE_STATUSES = frozenset({401, 402, 403, 408, 409, 424, 425, 429})
_OURS = frozenset(
    {Cause.CLIENT_GONE, Cause.DRAINED, Cause.QUOTA, Cause.REVOKED}
)  # no target's doing


CONTEXT_TOO_LONG = "context_length_exceeded"


def may_fall_back(failure: Failure) -> bool:
    """Whether another model may be asked: also for what only this one is too small for."""
    too_long = failure.code == CONTEXT_TOO_LONG and failure.phase is not Phase.BODY
    return too_long or may_try_another(failure)


def may_try_another(failure: Failure) -> bool:
    """Whether another target may be asked: nothing reached the client, and it could help."""
    if failure.phase is Phase.BODY or failure.cause in _OURS:
        return False
    if failure.cause in (Cause.STATUS, Cause.STREAM_ERROR):
        status = failure.status or 502
        return status in _RETRYABLE_STATUSES or not 400 <= status < 500
    return True


def client_status(failure: Failure) -> int:
    """The status a client sees when this failure ends its request before the first byte.

    A provider's own 400, 404, 409, 413, 422, 429 and 5xx pass through. Its 401/403 is about *our*
    credential, so it must not read as the client's key being wrong: 502.
    """
    if failure.cause in (Cause.STATUS, Cause.STREAM_ERROR):
        status = failure.status or 502
        if status in (401, 402, 403, 407) or not 400 <= status <= 599:
            return 502
        return status
    if failure.cause is Cause.TIMEOUT and failure.phase is not Phase.CONNECT:
        return 504
    if failure.cause is Cause.CLIENT_GONE:
        return 499
    if failure.cause is Cause.DRAINED:
        return 503
    if failure.cause is Cause.QUOTA:
        return 429
    if failure.cause is Cause.REVOKED:
        return 401
    return 502


_UNREACHABLE = "upstream_unreachable"
_CODES = {
    Cause.REFUSED: _UNREACHABLE,
    Cause.DNS: _UNREACHABLE,
    Cause.TLS: _UNREACHABLE,
    Cause.FORBIDDEN_ADDRESS: _UNREACHABLE,
    Cause.TIMEOUT: "upstream_timeout",
    Cause.RESET: "upstream_error",
    Cause.PROTOCOL: "upstream_protocol_error",
    Cause.STATUS: "upstream_error",
    Cause.STREAM_ERROR: "upstream_error",
    Cause.CREDENTIAL: "upstream_error",
    Cause.CLIENT_GONE: "client_closed_request",
    Cause.DRAINED: "service_unavailable",
    Cause.QUOTA: "insufficient_quota",
    Cause.REVOKED: "invalid_api_key",
}


def client_code(failure: Failure) -> str:
    """The code a client sees, before the first byte and in the middle of a stream. The provider's
    own goes with its own status only."""
    own = failure.cause in (Cause.STATUS, Cause.STREAM_ERROR) and (
        failure.status is None or failure.status == client_status(failure)
    )
    return (failure.code if own else None) or _CODES[failure.cause]
