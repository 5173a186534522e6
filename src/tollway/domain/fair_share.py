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
from typing import Generic, TypeVar

from tollway.domain.fair_commons import (
    HEAD,
    REQUESTS,
    RUNG_S,
    RUNNING,
    TOKENS,
    VIRTUAL,
    WAITING,
    WENT,
    Alone,
    Cells,
    Commons,
)
from tollway.domain.told_rates import ToldRate

T = TypeVar("T")

_BURST_S = 5.0  # of a rate may come at once: providers count in less than their minute
_MINUTE_S = 60.0
_SMOOTH = 0.2  # of each new interval between two turns, in their mean
_ANSWERS_S = 0.1  # a worker whose turn it is; after that others go before it
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
    waiting: deque[tuple[T, int]] = field(default_factory=deque)


class FairQueue(Generic[T]):
    """One account's. A ticket is whatever the caller calls a request by, and is in once."""

    def __init__(self, capacity: Capacity, now_s: float, commons: Commons | None = None) -> None:
        self.running = 0  # here
        self.commons = Alone() if commons is None else commons
        self._numbers = self.commons.numbers
        self._finishes = self.commons.finishes
        self._lines: dict[str, _Line[T]] = {}
        self._size = 0
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
        return self.running + sum(int(seat[RUNNING]) for _, seat in self.commons.others())

    def resize(self, capacity: Capacity, now_s: float) -> None:
        """Something else is known of the account."""
        before, self.capacity = self.capacity, capacity
        if capacity.requests_per_minute != before.requests_per_minute:
            self._requests = self._rate(capacity.requests_per_minute, REQUESTS)
        if capacity.tokens_per_minute != before.tokens_per_minute:
            self._tokens = self._rate(capacity.tokens_per_minute, TOKENS)

    def say(self) -> None:
        """What the others have to know of this worker."""
        seat = self.commons.seat
        seat[RUNNING], seat[WAITING] = self.running, self._size
        seat[HEAD] = min(self._start(one) for one in self._lines) if self._lines else 0.0

    def enter(self, tenant: str, weight: float, *, tokens: int, now_s: float) -> bool:
        """Let a request go at once, if there is room and nobody waits. False: `wait`."""
        if not self.has_room(now_s):
            return False
        start = max(self._finishes.get(tenant), self._numbers[VIRTUAL])
        self._go(tenant, start, weight, tokens=tokens, now_s=now_s)
        return True

    def wait(self, ticket: T, tenant: str, weight: float, *, tokens: int) -> None:
        """Queue it behind its tenant's others."""
        line = self._lines.get(tenant)
        if line is None:
            line = self._lines[tenant] = _Line(weight, self._numbers[VIRTUAL])
        line.weight = weight
        line.waiting.append((ticket, tokens))
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
        """Whose turn it is, if there is room and no other worker has somebody who goes before; it
        runs from now on."""
        if not self._size or self._blocked_s(now_s) > now_s:
            return None
        start, tenant = min((self._start(one), one) for one in self._lines)
        if any(
            seat[WAITING] and seat[HEAD] < start and not _is_late(seat, now_s)
            for _, seat in self.commons.others()
        ):
            return None
        line = self._lines[tenant]
        ticket, tokens = line.waiting.popleft()
        self._size -= 1
        if not line.waiting:
            del self._lines[tenant]
        if self._went_s is not None:
            took_s = now_s - self._went_s
            mean_s = took_s if self._interval_s is None else self._interval_s
            self._interval_s = mean_s + _SMOOTH * (took_s - mean_s)
        self._go(tenant, start, line.weight, tokens=tokens, now_s=now_s)
        return ticket

    def to_wake(self, now_s: float) -> int | None:
        """Who has to be told that its turn is next: there is room, and the first of all waits at
        another worker. Each is told once, and passed over when it does not answer."""
        waiting = [
            (seat[HEAD], number, seat)
            for number, seat in self.commons.others()
            if seat[WAITING] and not _is_late(seat, now_s)
        ]
        if not waiting or self._blocked_s(now_s) > now_s:
            return None
        _, number, seat = min(waiting, key=lambda one: one[:2])
        if seat[RUNG_S]:
            return None
        seat[RUNG_S] = now_s
        return number

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
        if self._size or any(seat[WAITING] for _, seat in self.commons.others()):
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
        for other, tokens in line.waiting:
            if other == ticket:
                break
            own += max(tokens, 1) / line.weight
            ahead += 1
        for name, others in self._lines.items():
            if name == tenant:
                continue
            tag = self._start(name)
            for _, tokens in others.waiting:
                if tag > own:
                    break
                tag += max(tokens, 1) / others.weight
                ahead += 1
        return (ahead + 1) * (self._interval_s or 1.0)  # also when all went at one moment

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
        self._numbers[VIRTUAL] = max(self._numbers[VIRTUAL], start)
        self._went_s = now_s if self._size else None  # time in which nobody waits is no interval
        if self._requests is not None:
            self._requests.take(1, now_s)
        if self._tokens is not None:
            self._tokens.take(tokens, now_s)
        self._numbers[WENT] += 1
        amount = max(tokens, 1) / weight
        self._finishes.put(tenant, start + amount / self._finishes.split(tenant))
        self._finishes.used(tenant, weight, amount)


def _is_late(seat: Cells, now_s: float) -> bool:
    """Whether a worker was told that it is next, and has not answered."""
    return bool(seat[RUNG_S]) and now_s - seat[RUNG_S] > _ANSWERS_S
