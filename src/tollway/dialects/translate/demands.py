"""What sides of clients demand of a request that was judged only as far as passing needs it: values
of the right type. What is not so is raised, and becomes a value where the side's `read` began.
"""

from typing import Any, NoReturn

from tollway.domain.refusal import BadRequest


class WrongError(Exception):
    """What cannot be read; caught in `read`."""

    def __init__(self, refusal: BadRequest) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


def list_at(value: Any, at: str) -> list[Any]:
    """The array there, or an empty one. Raises WrongError."""
    if value is None:
        return []
    if not isinstance(value, list):
        wrong(at, "must be an array.")
    return value


def text_at(value: dict[str, Any], name: str, at: str) -> str:
    """The string under this name. Raises WrongError."""
    found = value.get(name)
    if not isinstance(found, str):
        wrong(f"{at}.{name}", "must be a string.")
    return found


def wrong(field: str, message: str) -> NoReturn:
    """It is of another type. Raises WrongError."""
    raise WrongError(BadRequest(f"'{field}' {message}", "invalid_type", field))


def refuse(field: str, message: str) -> NoReturn:
    """Another provider has no words for it. Raises WrongError."""
    raise WrongError(BadRequest(f"'{field}' {message}", "unsupported_parameter", field))
