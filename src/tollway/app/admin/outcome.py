"""What a command answers besides plain success: why it said no, or whether it did anything."""

from dataclasses import dataclass
from typing import Generic, TypeVar

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Rejected:
    """What was asked for cannot be. `field` names the part at fault; the message says what would
    be accepted."""

    field: str
    message: str


@dataclass(frozen=True, slots=True)
class Ensured(Generic[T_co]):
    """A thing that exists now, and whether this command made it. One that existed is left as it
    is, even where it differs from what was asked for."""

    value: T_co
    created: bool
