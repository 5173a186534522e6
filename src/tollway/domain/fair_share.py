"""Who is next at a provider's account that cannot take everybody at once: tenants by weight, in
tokens, by start-time fair queueing (Goyal, Vin, Cheng 1996). Whoever waits has a start tag, the
virtual time of its tenant's turn; the smallest goes first and pushes its tenant's next one back by
its tokens over the weight. Nobody is held up while there is room, and two that always wait are
never further apart than one request of each. Several workers may stand before one account, with a
queue each: what they know together (`fair_commons.py`) makes it one line. Who changes that has to
be alone at it. Pure: the clock and the waiting are the caller's.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import nsmallest
from typing import Generic, TypeVar

from tollway.domain.fair_commons import (
    GRANTED_S,
    GRANTS,
    LINES,
    REQUESTS,
    RUNNING,
    TOKENS,
    VIRTUAL,
    WAITING,
    WENT,
    Alone,
    Cells,
    Commons,
)
from tollway.domain.fair_grants import (
    Line,
    correct,
    first_of,
    grant,
    granted,
    say_lines,
    taken_back,
)
from tollway.domain.told_rates import ToldRate

T = TypeVar("T")

_BURST_S = 5.0  # of a rate may come at once: providers count in less than their minute
_MINUTE_S = 60.0
_SMOOTH = 0.2  # of each new interval between two turns, in their mean
_NEVER = float("inf")


@dataclass(frozen=True, slots=True)
class Capacity:
    """What an account takes: requests at a time, requests and tokens a minute. None: not known."""

    at_once: int | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None

    @property
    def unknown(self) -> bool:
        """Nothing is known, so nobody is held up."""
        return self == UNLIMITED


UNLIMITED = Capacity()


class Rate:
    """So much a minute, and `_BURST_S` of it at once. What is spent of the burst stands in two of
    somebody's cells, in seconds of the rate: whoever has another rate pays it off as fast."""

    __slots__ = ("_at", "_burst_s", "_cells", "_one_s")

    def __init__(self, per_minute: int, cells: Cells, at: int) -> None:
        self._one_s = _MINUTE_S / per_minute
        self._burst_s = max(self._one_s, _BURST_S)
        self._cells = cells
        self._at = at

    def ready_s(self, now_s: float) -> float:
        """When something may go: an amount larger than the burst goes when the burst is whole, and
        is paid off afterwards."""
        missing_s = self._one_s - self._burst_s + self._spent_s(now_s)
        return now_s if missing_s <= 0 else now_s + missing_s

    def take(self, amount: float, now_s: float) -> None:
        """It went."""
        at = self._at
        self._cells[at] = self._spent_s(now_s) + amount * self._one_s
        self._cells[at + 1] = max(now_s, self._cells[at + 1])

    def leave(self, left_s: float, now_s: float) -> None:
        """No more than that may come at once now, whatever was counted here."""
        if self._burst_s - self._spent_s(now_s) > left_s:
            self._cells[self._at] = self._burst_s - left_s
            self._cells[self._at + 1] = now_s

    def _spent_s(self, now_s: float) -> float:
        spent_s, since_s = self._cells[self._at], self._cells[self._at + 1]
        return max(0.0, spent_s - max(0.0, now_s - since_s))


@dataclass(slots=True)
class _Line(Generic[T]):
    """One tenant's, in the order they came."""

    weight: float
    since: float = 0.0  # the virtual time at which it began to wait
    waiting: deque[tuple[T, int, float]] = field(default_factory=deque)  # tokens, and since when


class FairQueue(Generic[T]):
    """One account's. A ticket is whatever the caller calls a request by, and is in once."""

    def __init__(self, capacity: Capacity, now_s: float, commons: Commons | None = None) -> None:
        self.running = 0  # here
        self.commons = Alone() if commons is None else commons
        self._numbers = self.commons.numbers
        self._finishes = self.commons.finishes
        self._seat = self.commons.seat
        self._lines: dict[str, _Line[T]] = {}
        self._size = 0
        self._said: list[str] = []  # whose lines stand in the seat
        self._to_wake: list[int] = []
        self._went_s: float | None = None
        self._interval_s: float | None = None
        self.capacity = UNLIMITED
        self._requests: Rate | None = None
        self._tokens: Rate | None = None
        self.resize(capacity, now_s)

    def __len__(self) -> int:
        """How many wait here."""
        return self._size

    @property
    def running_everywhere(self) -> int:
        """What all workers have running, as they said last."""
        running = self.running + self._seat[GRANTS]
        for _, seat in self.commons.others():
            running += seat[RUNNING] + seat[GRANTS]
        return int(running)

    def resize(self, capacity: Capacity, now_s: float) -> None:
        """Something else is known of the account."""
        before, self.capacity = self.capacity, capacity
        if capacity.requests_per_minute != before.requests_per_minute:
            self._requests = self._rate(capacity.requests_per_minute, REQUESTS)
        if capacity.tokens_per_minute != before.tokens_per_minute:
            self._tokens = self._rate(capacity.tokens_per_minute, TOKENS)

    def say(self, *, alone: bool = False) -> None:
        """What the others have to know of this worker. Its lines stay as they are for whoever is
        not alone, and while there are turns of theirs to take up."""
        seat = self._seat
        seat[RUNNING], seat[WAITING] = self.running, self._size
        if not alone or seat[GRANTS] or not (self._said or self._size):
            return
        lines = nsmallest(LINES, map(self._line, self._lines)) if self.commons.others() else []
        say_lines(seat, self._finishes, lines)
        self._said = [line.tenant for line in lines]

    def enter(self, tenant: str, weight: float, *, tokens: int, now_s: float) -> bool:
        """Let a request go at once, if there is room and nobody waits. False: `wait`."""
        if not self.has_room(now_s):
            return False
        start = max(self._finishes.get(tenant), self._numbers[VIRTUAL])
        self._go(tenant, start, weight, tokens=tokens, now_s=now_s)
        return True

    def wait(
        self, ticket: T, tenant: str, weight: float, *, tokens: int, now_s: float = 0.0
    ) -> None:
        """Queue it behind its tenant's others."""
        line = self._lines.get(tenant)
        if line is None:
            line = self._lines[tenant] = _Line(weight, self._numbers[VIRTUAL])
        line.weight = weight
        line.waiting.append((ticket, max(tokens, 1), now_s))
        self._size += 1

    def leave(self, ticket: T, tenant: str) -> None:
        """It waits no more. Nothing is charged."""
        line = self._lines.get(tenant)
        found = (
            None if line is None else next((one for one in line.waiting if one[0] == ticket), None)
        )
        if line is not None and found is not None:
            line.waiting.remove(found)
            self._size -= 1
            if not line.waiting:
                del self._lines[tenant]

    def next(self, now_s: float) -> T | None:
        """Whose turn it is here, if there is room and no other worker has somebody who goes before;
        it runs from now on. Such ones are granted their turns: tell their workers (`to_wake`)."""
        ticket = self._take_up(now_s) if self._seat[GRANTED_S] else None
        if ticket is not None:
            return ticket
        others = self.commons.others()
        if not self._size and not _is_waited_at(others):
            return None
        for _, seat in others:
            for tokens in taken_back(seat, self._finishes, now_s):
                self._unspend(tokens, now_s)
        own = min(map(self._line, self._lines)) if self._size else None
        while self._blocked_s(now_s) <= now_s:
            first = first_of(others, self._finishes, now_s) if others else None
            if own is not None and (first is None or not first.is_before(own, now_s)):
                ticket, tokens = self._popped(own.tenant, now_s)
                self._go(own.tenant, own.start, own.weight, tokens=tokens, now_s=now_s)
                return ticket
            if first is None:
                return None
            self._spend(first.start, first.tokens, now_s)
            if grant(first, self._finishes, now_s):
                self._to_wake.append(first.number)
        return None

    def to_wake(self) -> Sequence[int]:
        """The workers that have turns since this was asked last; each is told once."""
        if not self._to_wake:
            return ()
        numbers, self._to_wake = self._to_wake, []
        return numbers

    def leave_of_rates(self, told: Sequence[ToldRate | None], now_s: float) -> None:
        """The account says how much is left of its requests and of its tokens; None: not said. What
        runs may have come there after it said so."""
        requests, tokens = told
        if self._requests is not None and requests is not None:
            on_its_way_s = self.running_everywhere / requests.per_s if requests.per_s else 0.0
            self._requests.leave(max(0.0, requests.left_s - on_its_way_s), now_s)
        if self._tokens is not None and tokens is not None:
            self._tokens.leave(tokens.left_s, now_s)

    def done(self, tenant: str, weight: float, *, more_tokens: int) -> None:
        """One that ran has ended, with so many tokens more (or fewer) than it was let in for."""
        self.running -= 1
        finish = self._finishes.get(tenant) if more_tokens else 0.0
        if finish:
            finish += more_tokens / (weight * self._finishes.split(tenant))
            self._finishes.put(tenant, max(0.0, finish))
            self._finishes.used(tenant, weight, more_tokens / weight)

    def has_room(self, now_s: float) -> bool:
        """Whether somebody who comes now would go at once."""
        if self._size or _is_waited_at(self.commons.others()):
            return False
        return self._blocked_s(now_s) <= now_s

    def ready_s(self, now_s: float) -> float | None:
        """When to ask `next` again if nothing ends before; None: not before something ends."""
        at_s = self._blocked_s(now_s)
        return None if at_s == _NEVER else at_s

    def expected_s(self, ticket: T, tenant: str) -> float:
        """How long it may take until its turn: those that would go before it, each after the time
        that passed between turns here lately."""
        line = self._lines.get(tenant)
        if line is None:
            return 0.0
        ahead = 0
        own = self._start(tenant)
        for other, tokens, _ in line.waiting:
            if other == ticket:
                break
            own += max(tokens, 1) / line.weight
            ahead += 1
        for name, others in self._lines.items():
            if name == tenant:
                continue
            tag = self._start(name)
            for _, tokens, _ in others.waiting:
                if tag > own:
                    break
                tag += max(tokens, 1) / others.weight
                ahead += 1
        return (ahead + 1) * (self._interval_s or 1.0)  # also when all went at one moment

    def _take_up(self, now_s: float) -> T | None:
        """The next one here that was granted its turn by another worker."""
        seat = self._seat
        while (turn := granted(seat)) is not None:
            number, charged = turn
            tenant = self._said[number]
            if tenant not in self._lines:  # it has left
                correct(seat, number, self._finishes, more_tokens=-charged)
                self._unspend(charged, now_s)
                continue
            ticket, tokens = self._popped(tenant, now_s)
            if tokens != charged:
                correct(seat, number, self._finishes, more_tokens=tokens - charged)
                if self._tokens is not None:
                    self._tokens.take(tokens - charged, now_s)
            self.running += 1
            self._went_s = now_s if self._size else None
            return ticket
        return None

    def _popped(self, tenant: str, now_s: float) -> tuple[T, int]:
        """The first of a tenant's, and its tokens. It waits no more."""
        line = self._lines[tenant]
        ticket, tokens, _ = line.waiting.popleft()
        self._size -= 1
        if not line.waiting:
            del self._lines[tenant]
        if self._went_s is not None:
            took_s = now_s - self._went_s
            mean_s = took_s if self._interval_s is None else self._interval_s
            self._interval_s = mean_s + _SMOOTH * (took_s - mean_s)
        return ticket, tokens

    def _line(self, tenant: str) -> Line:
        """What is said of one."""
        line = self._lines[tenant]
        _, tokens, came_s = line.waiting[0]
        start = max(self._finishes.get(tenant), line.since)
        return Line(start, came_s, tenant, line.since, line.weight, tokens)

    def _start(self, tenant: str) -> float:
        """The tag of its first that waits."""
        return max(self._finishes.get(tenant), self._lines[tenant].since)

    def _rate(self, per_minute: int | None, at: int) -> Rate | None:
        if per_minute is None:
            return None
        return Rate(max(per_minute, 1), self._numbers, at)

    def _blocked_s(self, now_s: float) -> float:
        at_once = self.capacity.at_once
        if at_once is not None and self.running_everywhere >= max(at_once, 1):
            return _NEVER
        rates = (self._requests, self._tokens)
        return max([now_s, *(rate.ready_s(now_s) for rate in rates if rate is not None)])

    def _go(self, tenant: str, start: float, weight: float, *, tokens: int, now_s: float) -> None:
        self.running += 1
        self._went_s = now_s if self._size else None  # time in which nobody waits is no interval
        self._spend(start, tokens, now_s)
        amount = max(tokens, 1) / weight
        self._finishes.put(tenant, start + amount / self._finishes.split(tenant))
        self._finishes.used(tenant, weight, amount)

    def _spend(self, start: float, tokens: int, now_s: float) -> None:
        self._numbers[VIRTUAL] = max(self._numbers[VIRTUAL], start)
        self._numbers[WENT] += 1
        if self._requests is not None:
            self._requests.take(1, now_s)
        if self._tokens is not None:
            self._tokens.take(tokens, now_s)

    def _unspend(self, tokens: int, now_s: float) -> None:
        """One that was granted its turn did not go."""
        self._numbers[WENT] -= 1
        if self._requests is not None:
            self._requests.take(-1, now_s)
        if self._tokens is not None:
            self._tokens.take(-tokens, now_s)


def _is_waited_at(others: Sequence[tuple[int, Cells]]) -> bool:
    waiting = 0.0
    for _, seat in others:  # in each turn: a generator costs as much as all the rest of it
        waiting += seat[WAITING]
    return waiting > 0
