"""A command's answer as the command line needs it: the value, or one clear error."""

from typing import TypeVar

from tollway.app.admin.outcome import Ensured, Rejected
from tollway.domain.result import Err, Result

T = TypeVar("T")


class CommandError(Exception):
    """What was asked for cannot be done; the message says what would be accepted."""


def value_of(result: Result[T, Rejected], label: str) -> T:
    """The value. Raises `CommandError` that names what was being made."""
    if isinstance(result, Err):
        raise CommandError(f"{label}: {result.error.message}")
    return result.value


def ensured(result: Result[Ensured[T], Rejected], label: str) -> T:
    """The thing, whether it was there or made now."""
    return value_of(result, label).value
