"""The doors to what workers, and machines, know together of providers' accounts."""

from collections.abc import Mapping
from typing import Any, Protocol

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

    def leave(self, place: str) -> None:
        """Nothing here uses it any more."""
        ...


class MachinesAccount(SharedCommons, Protocol):
    """One account's, as the one worker sees it that speaks for its machine."""

    def standing(self) -> tuple[int, int]:
        """What runs and what waits on this machine."""
        ...

    def tenants(self) -> Mapping[str, tuple[float, float]]:
        """By a name that is the same on every machine: weight, and all that was used so far, in
        tokens over the weight."""
        ...

    def split(self, parts: Mapping[str, float]) -> None:
        """The parts of tenants' weights that count here. Who is not named counts in full."""
        ...


class MachineBoard(Protocol):
    """All accounts of this machine."""

    @property
    def speaks(self) -> bool:
        """Whether this worker is the one that speaks for its machine."""
        ...

    def accounts(self) -> Mapping[str, MachinesAccount]:
        """By names that are the same on every machine."""
        ...


class ReportsError(Exception):
    """Other machines cannot be heard now."""


class Reports(Protocol):
    """Where machines leave what they have to say."""

    async def swap(self, report: Mapping[str, Any] | None) -> Mapping[str, Any]:
        """Leave ours (None: there is none any more) and get everybody's, by machine. Raises
        ReportsError."""
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

    def leave(self, place: str) -> None:
        """Nobody else has it."""
