"""Tells events to webhooks: takes what is due, sends each once, and says what became of it. An
event may be told twice when a process dies between the two, under the same id; never less than
once, unless its receiver cannot be reached for three days.
"""

import logging
import random
from collections.abc import Callable
from concurrent.futures import Executor

from tollway.app.ports import Clock, SecretError
from tollway.app.ports_alerts import AlertStore, Due, NoticeSender
from tollway.domain.event import notice_of
from tollway.domain.notice_delivery import Delivered, Failed, next_after_s

_log = logging.getLogger(__name__)
_AT_ONCE = 32
_LEASE_S = 300  # longer than all that is taken at once can last
_UNSEALED = "what it keeps closed does not open with this gateway's master key"


class Telling:
    """Run every second, in as many gateways as there are."""

    def __init__(
        self,
        store: AlertStore,
        sender: NoticeSender,
        clock: Clock,
        *,
        senders: Executor,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._store = store
        self._sender = sender
        self._clock = clock
        self._senders = senders
        self._draw = draw
        self._leaving = False

    def leave(self) -> None:
        """Begin nothing more. What was taken and not sent is due again when its lease is over."""
        self._leaving = True

    def run_once(self) -> int:
        """How many were sent, or tried. Raises StoreUnavailableError."""
        due = self._store.due(self._now_s(), limit=_AT_ONCE, lease_s=_LEASE_S)
        for _ in self._senders.map(self._tell, due):
            pass
        return len(due)

    def _tell(self, due: Due) -> None:
        if self._leaving:
            return
        notice = notice_of(due.record, due.tenant_name)
        try:
            outcome = self._sender.send_now(due.webhook, due.sealed, notice)
        except SecretError:
            outcome = Failed(True, _UNSEALED)
        if isinstance(outcome, Delivered):
            self._store.done(due, now_s=self._now_s(), reason=outcome.remark)
            return
        wait_s = next_after_s(due.attempts, self._draw()) if outcome.retryable else None
        if wait_s is not None:
            wait_s = max(wait_s, outcome.retry_after_s or 0.0)
            self._store.again(due, next_s=self._now_s() + int(wait_s) + 1, reason=outcome.reason)
            return
        _log.warning(
            "an alert could not be delivered",
            extra={
                "webhook": due.webhook.id,
                "event": due.record.id,
                "attempts": due.attempts,
                "reason": outcome.reason,
            },
        )
        self._store.done(due, now_s=self._now_s(), reason=outcome.reason, failed=True)
        if outcome.gone:
            self._store.disable(due.webhook.id)

    def _now_s(self) -> int:
        return self._clock.wall_ns() // 1_000_000_000
