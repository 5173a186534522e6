"""What a command answers besides plain success: why it said no, or whether it did anything."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

T_co = TypeVar("T_co", covariant=True)


class Kind(StrEnum):
    """What sort of no it is; the web floor has one table of statuses."""

    INVALID = "invalid"  # what was sent cannot be
    UNAUTHENTICATED = "unauthenticated"
    NOT_FOUND = "not_found"
    FORBIDDEN = "forbidden"
    CONFLICT = "conflict"  # with what is there
    PRECONDITION = "precondition"  # the object is not what the sender saw


@dataclass(frozen=True, slots=True)
class Rejected:
    """What was asked for cannot be. `field` names the part at fault (empty: the whole); the message
    says what would be accepted."""

    field: str
    message: str
    kind: Kind = Kind.INVALID


@dataclass(frozen=True, slots=True)
class Ensured(Generic[T_co]):
    """A thing that exists now, and whether this command made it. One that existed is left as it
    is, even where it differs from what was asked for."""

    value: T_co
    created: bool
