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
WENT = 11  # requests so far
AT_ONCE, REQUESTS_A_MINUTE, TOKENS_A_MINUTE = range(12, 15)  # what it takes; 0: not known
# Where other machines use it too: this one's part of the rates and of what runs at once (0: all of
# it), and what runs elsewhere.
PART, SLOTS, ELSEWHERE = range(15, 18)
# What the account said of its rates lately: their pace, by the minute (0: nothing that bounds it),
# and until when that counts.
TOLD_REQUESTS, TOLD_TOKENS, TOLD_UNTIL_S = range(18, 21)
NUMBERS = 24
# Places in a seat: what one worker has there. Others grant it turns: how many it has not taken up,
# and since when.
RUNNING, WAITING, GRANTS, GRANTED_S = range(4)
# Then its lines, the first of those that wait there: where the tenant's finish stands (plus one; 0:
# no line), since when in virtual time and in seconds it waits, its weight, its tokens, and whether
# it has been granted its turn.
LINES_AT, LINES = 4, 4
PLACE, SINCE, CAME_S, WEIGHT, LINE_TOKENS, IS_GRANTED = range(6)
LINE = 6
SEAT = LINES_AT + LINES * LINE

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

    def used(self, tenant: str, weight: float, amount: float) -> None:
        """So much more (or less), in tokens over its weight: for other machines to hear of."""
        ...

    def split(self, tenant: str) -> float:
        """The part of its weight that counts on this machine."""
        ...

    def place(self, tenant: str) -> int | None:
        """Where that of a tenant stands, for other workers to find it; None: it is not known."""
        ...

    def at(self, place: int) -> float:
        """What stands there."""
        ...

    def push(self, place: int, start: float, *, weight: float, amount: float) -> None:
        """One of whoever stands there goes from `start` on, with so much, in tokens over its
        weight."""
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

    def used(self, tenant: str, weight: float, amount: float) -> None:
        """Nobody hears of it."""

    def split(self, tenant: str) -> float:
        """All of it."""
        return 1.0

    def place(self, tenant: str) -> int | None:
        """Nobody looks for it."""
        return None

    def at(self, place: int) -> float:
        """Nobody asks."""
        return 0.0

    def push(self, place: int, start: float, *, weight: float, amount: float) -> None:
        """Nobody has a turn from elsewhere."""


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
