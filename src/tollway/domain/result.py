"""`Ok` and `Err`: an expected "no" is a value. A bug or dead infrastructure is an exception."""

from dataclasses import dataclass
from typing import Generic, TypeVar

T_co = TypeVar("T_co", covariant=True)
E_co = TypeVar("E_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Ok(Generic[T_co]):
    """The wanted value."""

    value: T_co


@dataclass(frozen=True, slots=True)
class Err(Generic[E_co]):
    """The reason why there is none."""

    error: E_co


Result = Ok[T_co] | Err[E_co]
