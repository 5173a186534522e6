"""One account at a provider, as a worker sees it: who has a turn there, who waits for one, and what
is learned of it. What other workers have under way there is seen by `SharedCommons`.
"""

import asyncio
import random
from collections.abc import Callable, Sequence

from tollway.app.ports import Clock, Header
from tollway.app.ports_sharing import OwnCommons, SharedCommons
from tollway.domain.failure import Cause, Failure
from tollway.domain.fair_commons import ELSEWHERE, WENT
from tollway.domain.fair_machines import parted, say_capacity
from tollway.domain.fair_share import UNLIMITED, Capacity, FairQueue
from tollway.domain.learned_capacity import LearnedCapacity
from tollway.domain.tenant import TenantRecord
from tollway.domain.told_rates import told_rates
from tollway.domain.usage import Usage, total_tokens

_MOST_WAITING = 256  # of one tenant at one account
_COMPLAINT_S = 1.0  # until an account that said 429 is asked again, if it did not say
_LATER_S = 1.0  # at most, by chance
_TOO_MANY = 429
_REJECTED_S = 60.0  # until a credential that was refused is tried again where there are others
_REJECTED = frozenset({401, 402, 403})
_NO_MONEY = "insufficient_quota"
_HEARS_S = 0.05  # what an account says of its rates is read so often at most
_NOT_SAID = (None, None)
_NS = 1_000_000_000
_ASK_AGAIN_S = 0.005  # where another worker is first, or changes the account's cells
_LOOK_S = 0.05


class Turn:
    """A request's at an account. `close` it once, whatever happens; tell it first how it went."""

    __slots__ = ("_account", "_failure", "_more", "_sent", "_tenant", "_tokens", "learn")

    def __init__(self, account: "Account", tenant: TenantRecord, tokens: int | None) -> None:
        self._account = account
        self._tenant = tenant
        self._tokens = tokens  # it was let in for; None: nobody counts
        self._more = 0
        self._sent = False
        self._failure: Failure | None = None
        self.learn: Callable[[Usage], None] | None = None  # to be told what was used

    def went(self, failure: Failure | None, usage: Usage | None) -> None:
        """The request was sent, and this came of it."""
        self._sent, self._failure = True, failure
        if self._tokens is not None and usage is not None:
            # One at least: where nothing counts, one tenant's next would always be the first.
            self._more = max(total_tokens(usage), 1) - max(self._tokens, 1)
            if self.learn is not None and failure is None:
                self.learn(usage)

    def close(self) -> None:
        """Somebody else may go."""
        account = self._account
        if self._failure is None and account.free:
            account.leave_free()
        else:
            account.leave(self._tenant, self._more, sent=self._sent, failure=self._failure)


class Account:
    """What runs and waits at one credential of one provider, in this worker. `free`: nothing is
    known to bound it, so nobody waits and nothing is counted but what runs. What is shared with
    other workers is changed under the lock of its `commons`."""

    __slots__ = (
        "_changes",
        "_commons",
        "_counts",
        "_draw",
        "_hears_s",
        "_learned",
        "_loop",
        "_queue",
        "_rejected_until_s",
        "_rests",
        "_timer",
        "_used",
        "configured",
        "free",
    )

    def __init__(
        self, commons: SharedCommons | None = None, *, draw: Callable[[], float] = random.random
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._draw = draw
        self._commons = OwnCommons() if commons is None else commons
        self._learned = LearnedCapacity(self._commons.numbers)
        self.configured = UNLIMITED
        self._queue: FairQueue[asyncio.Future[None]] = FairQueue(
            UNLIMITED, self._loop.time(), self._commons
        )
        self._timer: asyncio.TimerHandle | None = None
        self._counts: dict[str, int] = {}  # of those who wait, by tenant
        self._rejected_until_s = 0.0
        self._rests = False
        self._hears_s = 0.0
        self._changes = 0.0  # up to which what is learned was taken up
        self._used = self._loop.time(), 0.0  # when it was seen in use last, and turns until then
        self.free = True
        if self._commons.is_shared:
            self.look()

    @property
    def running(self) -> int:
        """Requests that have their turn."""
        return self._queue.running

    @property
    def waiting(self) -> int:
        """Requests that have not."""
        return len(self._queue)

    @property
    def has_room(self) -> bool:
        """Whether a request would have its turn at once."""
        if self.free:
            return True
        now_s = self._loop.time()
        return now_s >= self._learned.blocked_until_s and self._queue.has_room(now_s)

    @property
    def is_well(self) -> bool:
        """Whether it may be chosen before others: its credential was not refused lately, it does
        not want to be left alone, and nobody waits for it."""
        now_s = self._loop.time()
        resting = now_s < max(self._learned.blocked_until_s, self._rejected_until_s)
        return not resting and not len(self._queue)

    @property
    def unused_s(self) -> float:
        """How long nothing was seen to run or wait, since it was looked at first; 0 while the
        provider wants to hear nothing."""
        if self.running or self.waiting or self.blocked_s() > 0:
            return 0.0
        return self._loop.time() - self._used[0]

    def close(self) -> None:
        """It is not used any more."""
        if self._timer is not None:
            self._timer.cancel()

    def configure(self, capacity: Capacity) -> None:
        """What is known of the account by its configuration. The same again changes nothing."""
        changed = capacity != self.configured
        self.configured = capacity
        if changed:
            self._resize()
            self._queue.say()

    def blocked_s(self) -> float:
        """How long the provider wants to hear nothing."""
        return self._learned.blocked_until_s - self._loop.time()

    def rest(self, seconds: float) -> None:
        """The provider says that nothing is left for so long."""
        with self._alone():
            self._learned.rest(self._loop.time() + seconds)
            self._take_up()
        self._commons.wake()

    def told(self, headers: Sequence[Header], clock: Clock) -> None:
        """An answer has begun, and its headers may say how much the account has left of its rates.
        Where something is configured that stands: whoever set it knows the account."""
        now_s = self._loop.time()
        if now_s < self._hears_s or self.configured is not UNLIMITED:
            return
        self._hears_s = now_s + _HEARS_S
        rates = told_rates(headers, clock.wall_ns() / _NS)
        if rates == _NOT_SAID:
            return
        changes = self._learned.changes
        with self._alone() as alone:
            if not alone:
                return  # the next answer says it again
            self._learned.told(rates, now_s)
            if self._learned.changes != self._changes:
                self._take_up()
            self._queue.leave_of_rates(rates, now_s)
        if self._learned.changes != changes:
            self._commons.wake()
            self._pump()

    def look(self) -> None:
        """Take up what other workers have learned, let go who may go now, and say how it stands
        here."""
        self._learned.forget(self._loop.time())
        if self._learned.changes != self._changes:
            self._take_up()
        if len(self._queue) or not self.free:
            self._pump()
        else:
            self._queue.say()
        went = self._commons.numbers[WENT]
        if self.running or self.waiting or went != self._used[1]:
            self._used = self._loop.time(), went

    def leave_free(self) -> None:
        """Nothing bounds the account, and nothing is to be learned."""
        self._queue.running -= 1

    def enter_free(self, tenant: TenantRecord) -> Turn:
        """A turn where nothing bounds the account."""
        self._queue.running += 1
        return Turn(self, tenant, None)

    def enter(self, tenant: TenantRecord, tokens: int) -> Turn | None:
        """A turn at once, if there is room; else wait for one."""
        now_s = self._loop.time()
        if now_s < self._learned.blocked_until_s:
            return None
        self._learned.forget(now_s)
        if self._rests or self._learned.changes != self._changes:
            self._take_up()
        queue = self._queue
        with self._alone() as alone:
            went = alone and queue.enter(tenant.id, tenant.weight, tokens=tokens, now_s=now_s)
            if went:
                queue.say()
        return Turn(self, tenant, tokens) if went else None

    async def wait(self, tenant: TenantRecord, tokens: int, *, most_s: float) -> Turn | float:
        """A turn, or in how many seconds to ask again."""
        waiting = self._counts.get(tenant.id, 0)
        if waiting >= _MOST_WAITING:
            return most_s
        ticket = self._loop.create_future()
        self._queue.wait(ticket, tenant.id, tenant.weight, tokens=tokens, now_s=self._loop.time())
        self._counts[tenant.id] = waiting + 1
        self._pump()
        try:
            await asyncio.wait((ticket,), timeout=most_s)
            if ticket.done():
                return Turn(self, tenant, tokens)
            return self._queue.expected_s(ticket, tenant.id)
        finally:
            self._counts[tenant.id] -= 1
            if not self._counts[tenant.id]:
                del self._counts[tenant.id]
            if not ticket.done():
                self._queue.leave(ticket, tenant.id)
                ticket.cancel()
                self._pump()  # who comes next here may be behind one elsewhere

    def leave(
        self, tenant: TenantRecord, more_tokens: int, *, sent: bool, failure: Failure | None
    ) -> None:
        """A turn is over, and this came of it: let the next one go."""
        changes = self._learned.changes
        with self._alone() as alone:
            if sent:
                self._learn(failure)
            self._queue.done(tenant.id, tenant.weight, more_tokens=more_tokens)
            if self._learned.changes != self._changes:
                self._take_up()
            self._let_go_if(alone)
        self._wake_next()
        if failure is not None and self._learned.changes != changes:
            self._commons.wake()

    def _learn(self, failure: Failure | None) -> None:
        """What an attempt says of the account: too much, or that it can take one more."""
        now_s, learned = self._loop.time(), self._learned
        if failure is None:
            learned.went_well(now_s)
        elif _is_rejection(failure):
            self._rejected_until_s = now_s + _REJECTED_S
        elif _is_complaint(failure):
            retry_s = _COMPLAINT_S if failure.retry_after_s is None else failure.retry_after_s
            # Never sooner than it says, and not in the instant in which all machines could.
            retry_s += self._draw() * min(retry_s, _LATER_S)
            running = self._queue.running_everywhere + int(self._commons.numbers[ELSEWHERE])
            learned.complained(running, retry_after_s=retry_s, now_s=now_s)

    def _take_up(self) -> None:
        """What is learned may be news."""
        self._changes = self._learned.changes
        self._rests = self._learned.blocked_until_s > self._loop.time()
        self._resize()

    def _resize(self) -> None:
        capacity = self._learned.capacity(self.configured)
        say_capacity(self._commons.numbers, capacity)
        self._queue.resize(parted(self._commons.numbers, capacity), self._loop.time())
        self.free = capacity.unknown and not len(self._queue) and not self._rests

    def _pump(self) -> None:
        with self._alone() as alone:
            self._let_go_if(alone)
        self._wake_next()

    def _wake_next(self) -> None:
        """Those who were granted turns meanwhile. They will want the lock, so it is free by now."""
        for number in self._queue.to_wake():
            self._commons.wake(number)

    def _let_go_if(self, alone: bool) -> None:
        if alone:
            self._let_go()
            return
        self._queue.say()
        if self._timer is None:
            self._timer = self._loop.call_later(_ASK_AGAIN_S, self._again)

    def _again(self) -> None:
        self._timer = None
        self._pump()

    def _let_go(self) -> None:
        """Let everybody go for whom there is room, here and at other workers, and look again when
        there will be room."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        queue = self._queue
        now_s, blocked_s = self._loop.time(), self._learned.blocked_until_s
        if now_s >= blocked_s:
            while (ticket := queue.next(now_s)) is not None:
                ticket.set_result(None)
        if self._commons.is_shared:
            queue.say(alone=True)
        if len(queue):
            self._look_again(now_s, blocked_s)

    def _look_again(self, now_s: float, blocked_s: float) -> None:
        ready_s = self._queue.ready_s(now_s)
        at_s = blocked_s if ready_s is None and blocked_s > now_s else ready_s
        if at_s is not None:
            at_s = max(at_s, blocked_s, now_s + 0.001)
        if self._commons.is_shared:  # others end requests too, and one of them may have died
            again_s = now_s + (_LOOK_S if at_s is None else _ASK_AGAIN_S)
            at_s = again_s if at_s is None else max(at_s, again_s)
        if at_s is not None:
            self._timer = self._loop.call_at(at_s, self._again)

    def _alone(self) -> "_Lock":
        return _Lock(self._commons)


class _Lock:
    """Whoever is inside changes what is shared. True: nobody else does meanwhile."""

    __slots__ = ("_commons", "_held")

    def __init__(self, commons: SharedCommons) -> None:
        self._commons = commons
        self._held = False

    def __enter__(self) -> bool:
        self._held = self._commons.lock()
        return self._held

    def __exit__(self, *_: object) -> None:
        if self._held:
            self._commons.unlock()


def _is_complaint(failure: Failure) -> bool:
    """Too many at the time; an account without money says 429 too, and waiting does not help it."""
    is_429 = failure.cause is Cause.STATUS and failure.status == _TOO_MANY
    return is_429 and failure.code != _NO_MONEY


def _is_rejection(failure: Failure) -> bool:
    """The account is not served at all: its secret is wrong, or it has no money."""
    if failure.cause is not Cause.STATUS:
        return failure.cause is Cause.CREDENTIAL
    return failure.status in _REJECTED or (
        failure.status == _TOO_MANY and failure.code == _NO_MONEY
    )
