"""Who is next at a provider's account that cannot take everybody at once: tenants by weight, in
tokens. Pure: the clock and the waiting are the caller's.

Start-time fair queueing (Goyal, Vin, Cheng 1996): whoever waits has a start tag, the virtual time
at which its tenant's turn comes; the smallest goes first and pushes its tenant's next one back by
its tokens over the weight. Nobody is held up while there is room, what one tenant leaves is
anybody's, and two that always wait are never further apart than one request of each.
"""

from collections import deque
from dataclasses import dataclass, field
from heapq import nlargest
from typing import Generic, TypeVar

T = TypeVar("T")

_BURST_S = 5.0  # of a rate may come at once: providers count in less than their minute
_MINUTE_S = 60.0
_SMOOTH = 0.2  # of each new interval between two turns, in their mean
_BACKED_OFF = 0.75  # of what ran when an account said that it was too much
_MOST_ASLEEP = 1024
_QUIET_S = 60.0  # without a complaint, one more may run with every round


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
    """So much a minute, and `_BURST_S` of it at once. Starts full."""

    __slots__ = ("_at_s", "_level", "_most", "_per_s")

    def __init__(self, per_minute: int, now_s: float) -> None:
        self._per_s = per_minute / _MINUTE_S
        self._most = max(1.0, self._per_s * _BURST_S)
        self._level = self._most
        self._at_s = now_s

    def ready_s(self, now_s: float) -> float:
        """When something may go: an amount larger than the burst goes when the burst is whole, and
        is paid off afterwards."""
        self._turn(now_s)
        missing = 1.0 - self._level
        return now_s if missing <= 0 else now_s + missing / self._per_s

    def take(self, amount: float, now_s: float) -> None:
        """It went."""
        self._turn(now_s)
        self._level -= amount

    def _turn(self, now_s: float) -> None:
        if now_s > self._at_s:
            self._level = min(self._most, self._level + (now_s - self._at_s) * self._per_s)
            self._at_s = now_s


@dataclass(slots=True)
class _Line(Generic[T]):
    """One tenant's, in the order they came."""

    weight: float
    finish: float = 0.0  # the virtual time its last request went up to
    since: float = 0.0  # the virtual time at which it began to wait
    waiting: deque[tuple[T, int]] = field(default_factory=deque)

    @property
    def start(self) -> float:
        """The tag of its first."""
        return max(self.finish, self.since)


class FairQueue(Generic[T]):
    """One account's. A ticket is whatever the caller calls a request by, and is in once."""

    def __init__(self, capacity: Capacity, now_s: float) -> None:
        self.running = 0
        self._virtual = 0.0
        self._lines: dict[str, _Line[T]] = {}
        self._asleep: dict[str, float] = {}  # tenants that wait for nothing: up to where they went
        self._size = 0
        self._went_s: float | None = None
        self._interval_s: float | None = None
        self.capacity = capacity
        self._set(capacity, now_s)

    def __len__(self) -> int:
        """How many wait."""
        return self._size

    def resize(self, capacity: Capacity, now_s: float) -> None:
        """Something else is known of the account."""
        if capacity != self.capacity:
            self.capacity = capacity
            self._set(capacity, now_s)

    def enter(self, tenant: str, weight: float, *, tokens: int, now_s: float) -> bool:
        """Let a request go at once, if there is room and nobody waits. False: `wait`."""
        if self._size or self._blocked_s(now_s) > now_s:
            return False
        finish = max(self._asleep.get(tenant, 0.0), self._virtual)
        self._go(tenant, finish, weight, tokens=tokens, now_s=now_s)
        return True

    def wait(self, ticket: T, tenant: str, weight: float, *, tokens: int) -> None:
        """Queue it behind its tenant's others."""
        line = self._lines.get(tenant)
        if line is None:
            line = self._lines[tenant] = _Line(weight, self._asleep.pop(tenant, 0.0), self._virtual)
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
                self._sleep(tenant, line.finish)

    def next(self, now_s: float) -> T | None:
        """Whose turn it is, if there is room; it runs from now on."""
        if not self._size or self._blocked_s(now_s) > now_s:
            return None
        tenant = min(self._lines, key=lambda one: (self._lines[one].start, one))
        line = self._lines[tenant]
        ticket, tokens = line.waiting.popleft()
        self._size -= 1
        start = line.start
        if self._went_s is not None:
            took_s = now_s - self._went_s
            mean_s = took_s if self._interval_s is None else self._interval_s
            self._interval_s = mean_s + _SMOOTH * (took_s - mean_s)
        if line.waiting:
            line.finish = start + max(tokens, 1) / line.weight
            self._charge(start, tokens, now_s)
        else:
            del self._lines[tenant]
            self._go(tenant, start, line.weight, tokens=tokens, now_s=now_s)
        return ticket

    def done(self, tenant: str, weight: float, *, more_tokens: int) -> None:
        """One that ran has ended, with so many tokens more (or fewer) than it was let in for."""
        self.running -= 1
        if not more_tokens:
            return
        line = self._lines.get(tenant)
        if line is not None:
            line.finish = max(0.0, line.finish + more_tokens / weight)
        elif tenant in self._asleep:
            self._asleep[tenant] = max(0.0, self._asleep[tenant] + more_tokens / weight)

    def has_room(self, now_s: float) -> bool:
        """Whether somebody who comes now would go at once."""
        return not self._size and self._blocked_s(now_s) <= now_s

    def ready_s(self, now_s: float) -> float | None:
        """When to ask `next` again if nothing ends before; None: not before something ends."""
        at_s = self._blocked_s(now_s)
        return None if at_s == float("inf") else at_s

    def expected_s(self, ticket: T, tenant: str) -> float:
        """How long it may take until its turn: those that would go before it, each after the time
        that passed between turns lately."""
        line = self._lines.get(tenant)
        if line is None:
            return 0.0
        ahead = 0
        own = line.start
        for other, tokens in line.waiting:
            if other == ticket:
                break
            own += max(tokens, 1) / line.weight
            ahead += 1
        for name, others in self._lines.items():
            if name == tenant:
                continue
            tag = others.start
            for _, tokens in others.waiting:
                if tag > own:
                    break
                tag += max(tokens, 1) / others.weight
                ahead += 1
        return (ahead + 1) * (1.0 if self._interval_s is None else self._interval_s)

    def _set(self, capacity: Capacity, now_s: float) -> None:
        per_minute = (capacity.requests_per_minute, capacity.tokens_per_minute)
        self._requests, self._tokens = (
            None if one is None else Rate(max(one, 1), now_s) for one in per_minute
        )

    def _blocked_s(self, now_s: float) -> float:
        at_once = self.capacity.at_once
        if at_once is not None and self.running >= max(at_once, 1):
            return float("inf")
        rates = (self._requests, self._tokens)
        return max([now_s, *(rate.ready_s(now_s) for rate in rates if rate is not None)])

    def _go(self, tenant: str, start: float, weight: float, *, tokens: int, now_s: float) -> None:
        self._charge(start, tokens, now_s)
        self._sleep(tenant, start + max(tokens, 1) / weight)

    def _charge(self, start: float, tokens: int, now_s: float) -> None:
        self.running += 1
        self._virtual = max(self._virtual, start)
        self._went_s = now_s if self._size else None  # time in which nobody waits is no interval
        if self._requests is not None:
            self._requests.take(1, now_s)
        if self._tokens is not None:
            self._tokens.take(tokens, now_s)

    def _sleep(self, tenant: str, finish: float) -> None:
        self._lines.pop(tenant, None)
        if len(self._asleep) >= _MOST_ASLEEP:  # who is least ahead has least to remember
            ahead = nlargest(_MOST_ASLEEP // 2, self._asleep.items(), key=lambda one: one[1])
            self._asleep = dict(ahead)
        self._asleep[tenant] = finish


class LearnedCapacity:
    """How many requests at a time an account takes, learned from its complaints (429): fewer at
    each, one more for every round that went well, and no bound again when it has been quiet for
    long. `configured` bounds stand beside it."""

    __slots__ = ("_at_once", "_blamed_s", "_good", "_most", "blocked_until_s")

    def __init__(self) -> None:
        self._at_once: float | None = None
        self._blamed_s = float("-inf")
        self._good = 0
        self._most = 0.0
        self.blocked_until_s = 0.0

    @property
    def is_bound(self) -> bool:
        """Whether there is anything to unlearn."""
        return self._at_once is not None

    def complained(self, running: int, *, retry_after_s: float, now_s: float) -> None:
        """The account said that it is too much, while so many ran. What was under way at the time
        says the same again: that is no new complaint."""
        self.blocked_until_s = max(self.blocked_until_s, now_s + retry_after_s)
        if now_s - self._blamed_s < 1.0:
            return
        self._blamed_s, self._good = now_s, 0
        known = float(running) if self._at_once is None else min(self._at_once, running)
        self._most = max(known, 1.0)
        self._at_once = max(1.0, known * _BACKED_OFF)

    def went_well(self, now_s: float) -> None:
        """One was answered."""
        if self._at_once is None:
            return
        self._good += 1
        if self._good >= self._at_once:
            self._good = 0
            self._at_once += 1
            if self._at_once > 2 * self._most and now_s - self._blamed_s > _QUIET_S:
                self._at_once = None

    def capacity(self, configured: Capacity) -> Capacity:
        """Both together."""
        if self._at_once is None:
            return configured
        at_once = int(self._at_once)
        if configured.at_once is not None:
            at_once = min(at_once, configured.at_once)
        return Capacity(at_once, configured.requests_per_minute, configured.tokens_per_minute)
