"""Within phase 7: a turn at a provider's account. Usually there is room and nobody waits; at one
that is saturated tenants take turns by weight (`domain/fair_share.py`), for seconds at most.
"""

import random
from collections.abc import Callable, Sequence
from functools import partial
from math import ceil

from tollway.app.gateway.account import Account, Turn
from tollway.app.gateway.exchange import Exchange
from tollway.app.ports_sharing import AccountBoard, NoBoard
from tollway.domain.fair_share import UNLIMITED
from tollway.domain.ids import ModelId
from tollway.domain.model import Target
from tollway.domain.provider import CredentialRecord, ProviderRecord
from tollway.domain.refusal import QuotaExceeded
from tollway.domain.turn_history import TurnHistory

_MOST_WAIT_S = 5.0
_MOST_ACCOUNTS = 10_000
_UNUSED_S = 3600.0  # after which nothing is kept of an account
# How long OpenAI's and Anthropic's clients wait, as they say themselves.
_TIMEOUTS = (b"x-stainless-read-timeout", b"x-stainless-timeout")


class Accounts:
    """All of a worker's, by credential. `board` is where it says of them to other workers; `draw`
    is for jitter, from [0, 1)."""

    def __init__(
        self, board: AccountBoard | None = None, *, draw: Callable[[], float] = random.random
    ) -> None:
        self._board = NoBoard() if board is None else board
        self._draw = draw
        self._known: dict[str, Account] = {}

    def look(self, place: str | None = None) -> None:
        """Other workers have done something at this account; or look at all of them, which is
        needed several times a second where accounts are shared. Who was not used for long is
        forgotten."""
        known = self._known
        if place is not None:
            one = known.get(place)
            if one is not None:
                one.look()
            return
        for account in known.values():
            account.look()
        self._forget([place for place, one in known.items() if one.unused_s > _UNUSED_S])

    def _forget(self, places: Sequence[str]) -> None:
        for place in places:
            self._known.pop(place).close()
            self._board.leave(place)

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
                self._forget([name for name, one in known if not (one.running or one.waiting)])
            account = self._known[place] = Account(self._board.commons(place), draw=self._draw)
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


async def take_turn(
    histories: dict[ModelId, TurnHistory], exchange: Exchange, account: Account
) -> Turn | QuotaExceeded:
    """A turn at an account that is bounded: at once, or within a few seconds."""
    assert exchange.principal is not None
    tenant, ask, model_id = exchange.principal.tenant, exchange.ask, exchange.model.id
    history = histories.get(model_id)
    if history is None:
        history = histories[model_id] = TurnHistory()
    most = ask.output_limit if exchange.inbound.endpoint.writes else 0
    tokens = history.expected(ask.input_bytes, ask.choices, most)
    turn = account.enter(tenant, tokens) or await _wait(exchange, account, tokens)
    if isinstance(turn, Turn) and exchange.kept is None:  # what is kept is read too, at any size
        turn.learn = partial(history.learn, ask.input_bytes, ask.choices)
    return turn


async def _wait(exchange: Exchange, account: Account, tokens: int) -> Turn | QuotaExceeded:
    assert exchange.principal is not None
    patience_s, found = _patience_s(exchange), account.blocked_s()
    if found <= patience_s:
        waited = await account.wait(exchange.principal.tenant, tokens, most_s=patience_s)
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


def _patience_s(exchange: Exchange) -> float:
    for name in _TIMEOUTS:
        text = exchange.facts.get(name)
        if text is not None and text.replace(b".", b"", 1).isdigit() and len(text) < 12:
            return min(_MOST_WAIT_S, float(text))
    return _MOST_WAIT_S
