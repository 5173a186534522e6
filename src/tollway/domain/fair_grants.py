"""Turns that one worker grants at another, where both stand before one account. Each says in its
seat who is first there (`say_lines`). Whoever has room finds the first of all by finishes as they
are now and grants it its turn at once: its worker is woken to take it up, and meanwhile others may
go. What nobody takes up goes back. Pure; whoever calls is alone at the account.
"""

from collections.abc import Sequence
from typing import NamedTuple

from tollway.domain.fair_commons import (
    CAME_S,
    GRANTED_S,
    GRANTS,
    IS_GRANTED,
    LINE,
    LINE_TOKENS,
    LINES,
    LINES_AT,
    PLACE,
    SINCE,
    WAITING,
    WEIGHT,
    Cells,
    Finishes,
)

_ANSWERS_S = 0.1  # a worker that was granted a turn; after that others go before it
_LONGER = 1.1  # must one have waited that goes before another of the same tag where the room is
_PLACES = range(LINES_AT, LINES_AT + LINES * LINE, LINE)
_LEAST = 1e-9  # a finish that stands somewhere; 0 is nobody's


class Line(NamedTuple):
    """What a worker says of one tenant's that wait there."""

    start: float
    came_s: float
    tenant: str
    since: float
    weight: float
    tokens: int


class First(NamedTuple):
    """Who is first at another worker, and where that stands."""

    start: float
    came_s: float
    number: int
    seat: Cells
    at: int

    @property
    def tokens(self) -> int:
        """Of the request."""
        return int(self.seat[self.at + LINE_TOKENS])

    def is_before(self, own: Line, now_s: float) -> bool:
        """Whether it goes before one here. At the same tag, as where one tenant's wait at both, a
        worker goes on with its own, unless the other has waited a good deal longer."""
        if self.start != own.start:
            return self.start < own.start
        return now_s - self.came_s > _LONGER * (now_s - own.came_s)


def say_lines(seat: Cells, finishes: Finishes, lines: Sequence[Line]) -> None:
    """Put the first `LINES` of a worker into its seat."""
    for at, line in zip(_PLACES, lines, strict=False):
        place = finishes.place(line.tenant)
        if place is None:
            finishes.put(line.tenant, max(line.since, _LEAST))
            place = finishes.place(line.tenant)
        seat[at + PLACE] = 0.0 if place is None else place + 1
        seat[at + SINCE], seat[at + CAME_S] = line.since, line.came_s
        seat[at + WEIGHT], seat[at + LINE_TOKENS] = line.weight, line.tokens
    for at in _PLACES[len(lines) :]:
        seat[at + PLACE] = 0.0


def first_of(others: Sequence[tuple[int, Cells]], finishes: Finishes, now_s: float) -> First | None:
    """Who is first at the other workers that answer, and has no turn yet."""
    found = None
    for number, seat in others:
        if not seat[WAITING] or is_late(seat, now_s):
            continue
        for at in _PLACES:
            place = seat[at + PLACE]
            if not place or seat[at + IS_GRANTED]:
                continue
            start = max(finishes.at(int(place) - 1), seat[at + SINCE])
            one = First(start, seat[at + CAME_S], number, seat, at)
            if found is None or one[:3] < found[:3]:
                found = one
    return found


def grant(first: First, finishes: Finishes, now_s: float) -> bool:
    """Give it its turn. True: its worker has to be told; it has not been already."""
    seat, at = first.seat, first.at
    seat[at + IS_GRANTED] = 1.0
    seat[GRANTS] += 1
    _push(seat, at, finishes, start=first.start, tokens=seat[at + LINE_TOKENS])
    if seat[GRANTED_S]:
        return False
    seat[GRANTED_S] = now_s
    return True


def granted(seat: Cells) -> tuple[int, int] | None:
    """A worker takes up a turn that it was granted: the number of the line that has it, and for how
    many tokens. None: there are no more, and it has answered."""
    turn = _taken(seat)
    if turn is None:
        seat[GRANTED_S] = 0.0
    return turn


def correct(seat: Cells, number: int, finishes: Finishes, *, more_tokens: int) -> None:
    """A granted turn was of more (or fewer) tokens."""
    at = _PLACES[number]
    start = finishes.at(int(seat[at + PLACE]) - 1)
    _push(seat, at, finishes, start=start, tokens=more_tokens)


def taken_back(seat: Cells, finishes: Finishes, now_s: float) -> list[int]:
    """The tokens of turns that another worker does not take up: it has them no more, and is late
    until it answers."""
    if not seat[GRANTS] or not is_late(seat, now_s):
        return []
    found = []
    while (turn := _taken(seat)) is not None:
        number, tokens = turn
        correct(seat, number, finishes, more_tokens=-tokens)
        found.append(tokens)
    return found


def is_late(seat: Cells, now_s: float) -> bool:
    """Whether a worker was granted a turn, and has not answered."""
    return bool(seat[GRANTED_S]) and now_s - seat[GRANTED_S] > _ANSWERS_S


def _taken(seat: Cells) -> tuple[int, int] | None:
    if not seat[GRANTS]:
        return None
    for number, at in enumerate(_PLACES):
        if seat[at + IS_GRANTED]:
            seat[at + IS_GRANTED] = 0.0
            seat[GRANTS] -= 1
            return number, int(seat[at + LINE_TOKENS])
    seat[GRANTS] = 0.0
    return None


def _push(seat: Cells, at: int, finishes: Finishes, *, start: float, tokens: float) -> None:
    weight = seat[at + WEIGHT]
    place = int(seat[at + PLACE]) - 1
    finishes.push(place, start, weight=weight, amount=tokens / weight)
