"""What the workers in front of one provider's account know together: numbers in places that each of
them reads, and changes in turn. Pure: where the numbers lie, and whose turn it is to change them,
is the caller's.
"""

from collections.abc import Sequence
from heapq import nlargest
from typing import Protocol

# Places in `Commons.numbers`. All are 0 where nothing has happened yet; times are in seconds.
VIRTUAL, REQUESTS, TOKENS = 0, 1, 3  # each rate: its level, and when that was so
LEARNED, BLAMED_S, GOOD, MOST, BLOCKED_S, CHANGES = range(5, 11)
PART = 11  # of the account that this machine has, where others have the rest; 0: all of it
NUMBERS = 16
# Places in a seat: what one worker has there.
RUNNING, WAITING, HEAD, RUNG_S = range(4)
SEAT = 4

_MOST_FINISHES = 1024


class Cells(Protocol):
    """Numbers by place."""

    def __getitem__(self, place: int, /) -> float:
        """What stands there."""
        ...

    def __setitem__(self, place: int, number: float, /) -> None:
        """It stands there from now on."""
        ...


class Finishes(Protocol):
    """Up to which virtual time each tenant's requests went. Who is not known is at 0."""

    def get(self, tenant: str) -> float:
        """Of one tenant."""
        ...

    def put(self, tenant: str, finish: float) -> None:
        """Who is least ahead is forgotten first."""
        ...


class Commons(Protocol):
    """One account's, as one worker sees it from its own seat."""

    @property
    def numbers(self) -> Cells:
        """Everybody's."""
        ...

    @property
    def finishes(self) -> Finishes:
        """Everybody's."""
        ...

    @property
    def seat(self) -> Cells:
        """This worker's own; the others read it."""
        ...

    def others(self) -> Sequence[tuple[int, Cells]]:
        """The seats of the other workers that live, by number."""
        ...


class OwnFinishes:
    """In this worker's memory."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[str, float] = {}

    def __len__(self) -> int:
        """How many are known."""
        return len(self._known)

    def get(self, tenant: str) -> float:
        """Of one tenant."""
        return self._known.get(tenant, 0.0)

    def put(self, tenant: str, finish: float) -> None:
        """Who is least ahead has least to remember."""
        if len(self._known) >= _MOST_FINISHES and tenant not in self._known:
            ahead = nlargest(_MOST_FINISHES // 2, self._known.items(), key=lambda one: one[1])
            self._known = dict(ahead)
        self._known[tenant] = finish


class Alone:
    """Of a worker that shares the account with nobody."""

    __slots__ = ("finishes", "numbers", "seat")

    def __init__(self) -> None:
        self.numbers: Cells = [0.0] * NUMBERS
        self.finishes: Finishes = OwnFinishes()
        self.seat: Cells = [0.0] * SEAT

    def others(self) -> Sequence[tuple[int, Cells]]:
        """Nobody."""
        return ()
