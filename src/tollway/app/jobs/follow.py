"""Follows answers in the background whose worker did not read them to their end: it died, or left.
Their attempts are booked by an estimate; here the provider is asked until it has made them, and
what they have used is left to the keeper, which puts the ledger right (`amend.py`).

Bounded: a few at a time. When their time is over the provider is told to end them; what cannot be
learned for a day after that is given up, and the estimate stands.
"""

import asyncio
import logging

from tollway.app.gateway.background import Asking
from tollway.app.gateway.runtime import Gateway
from tollway.app.ports_background import Note
from tollway.dialects.background import Made
from tollway.domain.failure import Cause, Failure, Phase
from tollway.domain.ids import ProviderId
from tollway.domain.provider import CredentialRecord, ProviderRecord

_log = logging.getLogger(__name__)
_LOOK_S = 2.0
_ASK_S = 300.0  # of one at a time, before its provider is looked up again
_MOST = 64
_GIVEN_UP_S = 86_400.0
_OVER = Failure(Phase.HEADERS, Cause.TIMEOUT, "Its time is over.")


class Following:
    """One worker's."""

    def __init__(self, gateway: Gateway, *, look_s: float = _LOOK_S) -> None:
        self._gateway = gateway
        self._look_s = look_s
        self._running: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._running)

    async def run(self) -> None:
        """Forever; when cancelled it lets go of what it has."""
        try:
            while True:
                await asyncio.sleep(self._look_s)
                self.begin()
        finally:
            for task in list(self._running):
                task.cancel()

    def begin(self) -> None:
        """Take up some of what nobody has."""
        for note in self._gateway.notes.take(_MOST - len(self._running)):
            task = asyncio.create_task(self._follow(note))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _follow(self, note: Note) -> None:
        held = True
        try:
            made = await self._until_made(note)
            held = False
            if made is None or made.usage is None:
                _log.warning(
                    "what an answer in the background has used cannot be learned",
                    extra={"request": note.pending.request_id},
                )
                note.drop()
            else:
                note.found(made.usage)
        finally:
            if held:
                note.leave()

    async def _until_made(self, note: Note) -> Made | None:
        """How it ended; None: that is not to be learned any more."""
        pending = note.pending
        while (left_s := pending.until_s - self._now_s()) > -_GIVEN_UP_S:
            place = self._place(note)
            if place is None:
                await asyncio.sleep(self._gateway.options.background_poll_s)
                continue
            asking = Asking(self._gateway, *place, pending.name)
            made = await self._ask(asking, left_s)
            if made is not None and made.final:
                return made
            if asking.is_gone:
                return None
        return None

    async def _ask(self, asking: Asking, left_s: float) -> Made | None:
        if left_s <= 0:
            made = await asking.cancelled()
            if made is None or not made.final:
                await asyncio.sleep(self._gateway.options.background_poll_s)
            return made
        loop = asyncio.get_running_loop()
        timer = loop.call_later(min(left_s, _ASK_S), asking.stop, _OVER)
        try:
            return await asking.until_final()
        finally:
            timer.cancel()

    def _place(self, note: Note) -> tuple[ProviderRecord, CredentialRecord | None] | None:
        """Where it is made; None: nobody knows at the moment, and the configuration may change."""
        pending = note.pending
        provider = self._gateway.source.current.providers.get(ProviderId(pending.provider_id))
        if provider is None:
            return None
        if pending.credential_id is None:
            return provider, None
        for credential in provider.credentials:
            if credential.id == pending.credential_id:
                return provider, credential
        return None

    def _now_s(self) -> float:
        return self._gateway.clock.wall_ns() / 1_000_000_000
