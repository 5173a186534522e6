"""Why Tollway itself says no: one closed union of facts. How each looks on the wire is one table
(`web/gateway/problems.py`); a provider's failure is not a refusal (`failure.py`).
"""

from dataclasses import dataclass

from tollway.domain.allowance import Allowance


@dataclass(frozen=True, slots=True)
class BadRequest:
    """The request cannot be understood or must not be sent. `param` names the field."""

    message: str
    code: str = "invalid_request"
    param: str | None = None


@dataclass(frozen=True, slots=True)
class Unauthenticated:
    """No key, or none that opens anything. The message never says which part was wrong."""

    message: str
    code: str = "invalid_api_key"


@dataclass(frozen=True, slots=True)
class Forbidden:
    """Known, but not allowed: disabled tenant, endpoint or address outside the key's scope."""

    message: str
    code: str = "permission_denied"


@dataclass(frozen=True, slots=True)
class ModelNotFound:
    """No such model, or not granted: the two look the same."""

    model: str


@dataclass(frozen=True, slots=True)
class ResponseNotFound:
    """No such kept response, or somebody else's: the two look the same. `param` names the field
    that went on from it."""

    id: str
    param: str | None = None


@dataclass(frozen=True, slots=True)
class QuotaExceeded:
    """A limit binds. `exhausted` tells budgets (do not retry) from rates (retry later).
    `allowances` is what the caller may know of its limits."""

    message: str
    exhausted: bool
    retry_after_s: float | None = None
    allowances: tuple[Allowance, ...] = ()


@dataclass(frozen=True, slots=True)
class Conflict:
    """The same is being done, or was done in a way that cannot be done again."""

    message: str
    code: str
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Unavailable:
    """Tollway cannot take the request now (draining, journal full, no target). Try again later."""

    message: str
    code: str = "service_unavailable"
    retry_after_s: float = 1.0


Refusal = (
    BadRequest
    | Unauthenticated
    | Forbidden
    | ModelNotFound
    | ResponseNotFound
    | Conflict
    | QuotaExceeded
    | Unavailable
)

_STATUSES: dict[type[Refusal], int] = {
    BadRequest: 400,
    Unauthenticated: 401,
    Forbidden: 403,
    ModelNotFound: 404,
    ResponseNotFound: 404,
    Conflict: 409,
    QuotaExceeded: 429,
    Unavailable: 503,
}


def refused_status(refusal: Refusal) -> int:
    """The HTTP status this fact has, in every dialect."""
    return _STATUSES[type(refusal)]
