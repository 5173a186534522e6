"""`Ok` and `Err`: an expected "no" is a value. A bug or dead infrastructure is an exception."""

from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T", covariant=True)
E = TypeVar("E", covariant=True)


@dataclass(frozen=True, slots=True)
class Ok(Generic[T]):
    """The wanted value."""

    value: T


@dataclass(frozen=True, slots=True)
class Err(Generic[E]):
    """The reason why there is none."""

    error: E


Result = Ok[T] | Err[E]
