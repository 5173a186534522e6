"""The door to what workers know together of providers' accounts."""

from typing import Protocol

from tollway.domain.fair_commons import Alone, Commons


class SharedCommons(Commons, Protocol):
    """One account's. Whoever changes it, but for its own seat, holds the lock meanwhile."""

    @property
    def is_shared(self) -> bool:
        """Whether other workers may look at it at all."""
        ...

    def lock(self) -> bool:
        """Be alone at it. False: somebody else is, for too long to be waited for."""
        ...

    def unlock(self) -> None:
        """Let the others."""
        ...

    def wake(self, number: int | None = None) -> None:
        """Have one worker look at the account, or all."""
        ...


class AccountBoard(Protocol):
    """All accounts'."""

    def commons(self, place: str) -> SharedCommons:
        """Of the account of this name; the same for every worker."""
        ...


class OwnCommons(Alone):
    """Of a worker that shares the account with nobody."""

    __slots__ = ()
    is_shared = False

    def lock(self) -> bool:
        """Nobody else is there."""
        return True

    def unlock(self) -> None:
        """Nobody waits for it."""

    def wake(self, number: int | None = None) -> None:
        """Nobody is there to look."""


class NoBoard:
    """Of a worker that shares no account."""

    def commons(self, place: str) -> SharedCommons:
        """Its own."""
        return OwnCommons()
