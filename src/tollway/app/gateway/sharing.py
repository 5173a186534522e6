"""Within phase 7: a turn at a provider's account. Usually there is room and nobody waits; at one
that is saturated tenants take turns by weight (`domain/fair_share.py`), for seconds at most.
"""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from math import ceil

from tollway.app.gateway.exchange import Exchange
from tollway.domain.estimate import estimated_input
from tollway.domain.failure import Cause, Failure
from tollway.domain.fair_share import UNLIMITED, Capacity, FairQueue, LearnedCapacity
from tollway.domain.ids import ModelId
from tollway.domain.model import Target
from tollway.domain.output_history import UNKNOWN_TOKENS, OutputHistory
from tollway.domain.provider import CredentialRecord, ProviderRecord
from tollway.domain.refusal import QuotaExceeded
from tollway.domain.tenant import TenantRecord
from tollway.domain.usage import Usage, total_tokens

Outputs = Mapping[ModelId, OutputHistory]
_MOST_WAIT_S = 5.0
_MOST_WAITING = 256  # of one tenant at one account
_COMPLAINT_S = 1.0  # until an account that said 429 is asked again, if it did not say
_LATER_S = 1.0  # at most, by chance
_TOO_MANY = 429
_REJECTED_S = 60.0  # until a credential that was refused is tried again where there are others
_REJECTED = frozenset({401, 402, 403})
_NO_MONEY = "insufficient_quota"
_MOST_ACCOUNTS = 10_000
# How long OpenAI's and Anthropic's clients wait, as they say themselves.
_TIMEOUTS = (b"x-stainless-read-timeout", b"x-stainless-timeout")


class Turn:
    """A request's at an account. `close` it once, whatever happens; tell it first how it went."""

    __slots__ = ("_account", "_failure", "_more", "_sent", "_tenant", "_tokens")

    def __init__(self, account: "Account", tenant: TenantRecord, tokens: int | None) -> None:
        self._account = account
        self._tenant = tenant
        self._tokens = tokens  # it was let in for; None: nobody counts
        self._more = 0
        self._sent = False
        self._failure: Failure | None = None

    def went(self, failure: Failure | None, usage: Usage | None) -> None:
        """The request was sent, and this came of it."""
        self._sent, self._failure = True, failure
        if self._tokens is not None and usage is not None:
            # One at least: where nothing counts, one tenant's next would always be the first.
            self._more = max(total_tokens(usage), 1) - max(self._tokens, 1)

    def close(self) -> None:
        """Somebody else may go."""
        account = self._account
        if self._failure is None and account.free:
            account.leave_free()
            return
        if self._sent:
            account.learn(self._failure)
        account.leave(self._tenant, self._more)


class Account:
    """What runs and waits at one credential of one provider, in this worker. `free`: nothing is
    known to bound it, so nobody waits and nothing is counted but what runs."""

    __slots__ = (
        "_counts",
        "_draw",
        "_learned",
        "_loop",
        "_queue",
        "_rejected_until_s",
        "_rests",
        "_timer",
        "configured",
        "free",
    )

    def __init__(self, draw: Callable[[], float]) -> None:
        self._loop = asyncio.get_running_loop()
        self._draw = draw
        self._learned = LearnedCapacity()
        self.configured = UNLIMITED
        self._queue: FairQueue[asyncio.Future[None]] = FairQueue(UNLIMITED, self._loop.time())
        self._timer: asyncio.TimerHandle | None = None
        self._counts: dict[str, int] = {}  # of those who wait, by tenant
        self._rejected_until_s = 0.0
        self._rests = False
        self.free = True

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

    def configure(self, capacity: Capacity) -> None:
        """What is known of the account by its configuration. The same again changes nothing."""
        changed = capacity != self.configured
        self.configured = capacity
        if changed:
            self._resize()

    def blocked_s(self) -> float:
        """How long the provider wants to hear nothing."""
        return self._learned.blocked_until_s - self._loop.time()

    def rest(self, seconds: float) -> None:
        """The provider says that nothing is left for so long."""
        until_s = self._loop.time() + seconds
        self._learned.blocked_until_s = max(self._learned.blocked_until_s, until_s)
        self._rests, self.free = True, False

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
        if self._rests:
            self._rests = False
            self._resize()
        if not self._queue.enter(tenant.id, tenant.weight, tokens=tokens, now_s=now_s):
            return None
        return Turn(self, tenant, tokens)

    async def wait(self, tenant: TenantRecord, tokens: int, *, most_s: float) -> Turn | float:
        """A turn, or in how many seconds to ask again."""
        waiting = self._counts.get(tenant.id, 0)
        if waiting >= _MOST_WAITING:
            return most_s
        ticket = self._loop.create_future()
        self._queue.wait(ticket, tenant.id, tenant.weight, tokens=tokens)
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

    def learn(self, failure: Failure | None) -> None:
        """What an attempt says of the account: too much, or that it can take one more."""
        now_s, learned = self._loop.time(), self._learned
        if failure is None:
            if learned.is_bound:
                learned.went_well(now_s)
                self._resize()
        elif _is_rejection(failure):
            self._rejected_until_s = now_s + _REJECTED_S
        elif _is_complaint(failure):
            retry_s = _COMPLAINT_S if failure.retry_after_s is None else failure.retry_after_s
            # Never sooner than it says, and not in the instant in which all workers could.
            retry_s += self._draw() * min(retry_s, _LATER_S)
            learned.complained(self._queue.running, retry_after_s=retry_s, now_s=now_s)
            self._resize()

    def leave(self, tenant: TenantRecord, more_tokens: int) -> None:
        """A turn is over: let the next one go."""
        self._queue.done(tenant.id, tenant.weight, more_tokens=more_tokens)
        if len(self._queue):
            self._pump()

    def _resize(self) -> None:
        capacity = self._learned.capacity(self.configured)
        self._queue.resize(capacity, self._loop.time())
        self.free = capacity.unknown and not len(self._queue)

    def _pump(self) -> None:
        """Let everybody go for whom there is room, and look again when there will be."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now_s = self._loop.time()
        blocked_s = self._learned.blocked_until_s
        if now_s >= blocked_s:
            while (ticket := self._queue.next(now_s)) is not None:
                ticket.set_result(None)
        if not len(self._queue):
            return
        ready_s = self._queue.ready_s(now_s)
        at_s = blocked_s if ready_s is None and blocked_s > now_s else ready_s
        if at_s is not None:
            at_s = max(at_s, blocked_s, now_s + 0.001)
            self._timer = self._loop.call_at(at_s, self._pump)


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


class Accounts:
    """All of a worker's, by credential. `draw` is for jitter, from [0, 1)."""

    def __init__(self, draw: Callable[[], float] = random.random) -> None:
        self._draw = draw
        self._known: dict[str, Account] = {}

    def get(
        self, provider: ProviderRecord, credential: CredentialRecord | None, model: str
    ) -> Account:
        """The account that a call with this credential goes to. What is configured bounds all its
        models together; what is learned bounds each, as providers count by model."""
        place: str = provider.id if credential is None else credential.id
        capacity = provider.capacity or UNLIMITED
        if capacity is UNLIMITED:
            place += model
        account = self._known.get(place)
        if account is None:
            if len(self._known) >= _MOST_ACCOUNTS:
                known = self._known.items()
                self._known = {place: one for place, one in known if one.running or one.waiting}
            account = self._known[place] = Account(self._draw)
        if account.configured is not capacity:
            account.configure(capacity)
        return account


def roomy_first(
    accounts: Accounts, targets: Sequence[tuple[Target, ProviderRecord]]
) -> Sequence[tuple[Target, ProviderRecord]]:
    """The same targets, those last whose accounts are all taken up: their turn is the next one's
    before anybody waits."""
    room = [
        any(
            accounts.get(provider, credential, target.model).has_room
            for credential in provider.credentials or (None,)
        )
        for target, provider in targets
    ]
    if all(room):
        return targets
    return [
        one
        for wanted in (True, False)
        for one, free in zip(targets, room, strict=True)
        if free is wanted
    ]


async def take_turn(outputs: Outputs, exchange: Exchange, account: Account) -> Turn | QuotaExceeded:
    """A turn at an account that is bounded: at once, or within a few seconds."""
    assert exchange.principal is not None
    tenant, tokens = exchange.principal.tenant, expected_tokens(outputs, exchange)
    exchange.guessed = True
    turn = account.enter(tenant, tokens)
    if turn is not None:
        return turn
    patience_s, found = _patience_s(exchange), account.blocked_s()
    if found <= patience_s:
        waited = await account.wait(tenant, tokens, most_s=patience_s)
        if isinstance(waited, Turn):
            return waited
        found = waited
    wait_s = max(1.0, float(ceil(found)))
    return QuotaExceeded(
        "The provider behind this model takes no more requests at the moment. Try again in "
        f"{wait_s:.0f} s.",
        exhausted=False,
        retry_after_s=wait_s,
    )


def expected_tokens(outputs: Outputs, exchange: Exchange) -> int:
    """What the request may use, for its turn: its real use is set off afterwards."""
    ask = exchange.ask
    return estimated_input(ask.input_bytes) + expected_output(outputs, exchange, ask.output_limit)


def expected_output(outputs: Outputs, exchange: Exchange, most: int | None) -> int:
    """The tokens that answers to such a request have as a rule, all choices together; each of them
    `most` at most."""
    if not exchange.inbound.endpoint.writes:
        return 0
    history = outputs.get(exchange.model.id)
    written = UNKNOWN_TOKENS if history is None else history.expected
    if most is not None and most < written:
        written = most
    return written * exchange.ask.choices


def _patience_s(exchange: Exchange) -> float:
    for name in _TIMEOUTS:
        text = exchange.facts.get(name)
        if text is not None and text.replace(b".", b"", 1).isdigit() and len(text) < 12:
            return min(_MOST_WAIT_S, float(text))
    return _MOST_WAIT_S
