"""How a command ends: a value, or one clear error; and the exit codes that scripts may rely on."""

from typing import TypeVar

from tollway.app.admin.outcome import Ensured, Kind, Rejected
from tollway.domain.result import Err, Result

T = TypeVar("T")

REFUSED = 1  # by a rule, or what was given cannot be
USAGE = 2  # the command line itself; click's own code too
NOT_ALLOWED = 3  # not signed in, or forbidden
ABSENT = 4
CONFLICT = 5  # with what is there, or it is not what was seen
UNAVAILABLE = 6  # nobody answers, or not now

_CODES = {
    Kind.INVALID: REFUSED,
    Kind.UNAUTHENTICATED: NOT_ALLOWED,
    Kind.FORBIDDEN: NOT_ALLOWED,
    Kind.NOT_FOUND: ABSENT,
    Kind.CONFLICT: CONFLICT,
    Kind.PRECONDITION: CONFLICT,
}


class CommandError(Exception):
    """What was asked for cannot be done; the message says what would be accepted."""

    def __init__(self, message: str, code: int = REFUSED) -> None:
        super().__init__(message)
        self.code = code


def value_of(result: Result[T, Rejected], label: str = "") -> T:
    """The value. Raises `CommandError` that names what was being made."""
    if isinstance(result, Err):
        message = result.error.message
        raise CommandError(f"{label}: {message}" if label else message, _CODES[result.error.kind])
    return result.value


def ensured(result: Result[Ensured[T], Rejected], label: str) -> T:
    """The thing, whether it was there or made now."""
    return value_of(result, label).value


def code_of_status(status: int) -> int:
    """The exit code for an HTTP status that is no success."""
    if status in (401, 403):
        return NOT_ALLOWED
    if status == 404:
        return ABSENT
    if status in (409, 412):
        return CONFLICT
    return UNAVAILABLE if status == 429 or status >= 500 else REFUSED
