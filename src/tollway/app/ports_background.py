"""What is known of answers that providers make in the background, for whoever comes after a process
that did not read them to their end: by a worker noted and asked for, by the keeper booked.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from tollway.domain.receipt import Receipt
from tollway.domain.usage import Usage


class Pending(NamedTuple):
    """An answer under way: the attempt it belongs to, who makes it, and how it is called there.
    After `until_s` (UTC seconds) nobody waits for it any more."""

    request_id: str
    attempt: int
    provider_id: str
    credential_id: str | None
    name: str
    until_s: float


class Note(Protocol):
    """One such answer, on record. Whoever has the note asks for the answer, and nobody else; with a
    process that dies it is free. Each ends by one of `drop`, `leave` and `found`. Never raises."""

    @property
    def pending(self) -> Pending:
        """What it says."""

    def drop(self) -> None:
        """It is booked, or nothing can be known of it any more."""

    def leave(self) -> None:
        """Somebody else is to go on."""

    def found(self, usage: Usage) -> None:
        """What it has used is known; the keeper books it."""


class Notes(Protocol):
    """All of this machine. Never raises: what cannot be noted is not followed after a crash."""

    def make(self, pending: Pending) -> Note:
        """From now on it survives this process."""

    def take(self, most: int) -> Sequence[Note]:
        """Some that nobody has."""


class Found(NamedTuple):
    """An answer whose usage became known after its attempt was booked, at `since_s` (UTC)."""

    place: str  # of the record, for `forget`
    request_id: str
    attempt: int
    usage: Usage
    since_s: float


class FoundNotes(Protocol):
    """The keeper's side. Raises OSError."""

    def found(self, most: int) -> Sequence[Found]:
        """Some that are to be booked."""

    def forget(self, found: Found) -> None:
        """It is booked, and counters have heard of it."""


class AmendableLedger(Protocol):
    """What is booked already can be put right. Raises StoreUnavailableError."""

    def rows(self, request_id: str) -> Sequence[Receipt]:
        """A request's entries, by attempt, each usage row before its corrections."""

    def amend(self, receipt: Receipt) -> bool:
        """The attempt's rows add up to this one from now on; whether a row was new. Only where the
        attempt has a row. Idempotent."""


class NoNotes:
    """Of a worker that notes nothing."""

    def make(self, pending: Pending) -> Note:
        """Ends with the process."""
        return Unnoted(pending)

    def take(self, most: int) -> Sequence[Note]:
        """None were left."""
        return ()


class Unnoted:
    """Known to this process alone."""

    __slots__ = ("pending",)

    def __init__(self, pending: Pending) -> None:
        self.pending = pending

    def drop(self) -> None:
        """Nothing is on record."""

    def leave(self) -> None:
        """Nobody can go on."""

    def found(self, usage: Usage) -> None:
        """Nobody is told."""
