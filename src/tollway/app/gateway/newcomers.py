"""Keys this worker does not have yet: made a moment ago, perhaps by another machine. The first
request with such a key makes the worker ask once for what is new, and waits for the answer.

Whoever sends keys that nobody ever made must not make us ask more than a few times a second.
"""

import asyncio
from collections.abc import Awaitable, Callable

from tollway.domain.ids import KeyId

_ASK_EVERY_S = 0.25
_SAME_KEY_S = 5.0
_MAX_REMEMBERED = 1000
_MAX_WAITING = 64


class Newcomers:
    """One per worker. `ask` has the newest configuration taken over; it ends in a fraction of a
    second and raises nothing. Without it, unknown stays unknown."""

    __slots__ = ("_ask", "_asked", "_next_s", "_running", "_waiting")

    def __init__(self, ask: Callable[[], Awaitable[None]] | None = None) -> None:
        self._ask = ask
        self._asked: dict[KeyId, float] = {}
        self._next_s = 0.0
        self._running: asyncio.Future[None] | None = None
        self._waiting = 0

    def may_ask(self, now_s: float) -> bool:
        """Whether asking is possible at all by now (monotonic seconds): what is cheap to know."""
        if self._running is not None:
            return self._waiting < _MAX_WAITING
        return self._ask is not None and now_s >= self._next_s

    async def ask_for(self, key_id: KeyId, now_s: float) -> None:
        """Wait until what is new was asked for, unless this was done for the key just now."""
        if self._asked.get(key_id, -_SAME_KEY_S) + _SAME_KEY_S > now_s or not self.may_ask(now_s):
            return
        if len(self._asked) >= _MAX_REMEMBERED:
            self._asked.clear()
        self._asked[key_id] = now_s
        if self._running is None:
            assert self._ask is not None
            self._next_s = now_s + _ASK_EVERY_S
            self._running = asyncio.ensure_future(self._ask())
            self._running.add_done_callback(self._done)
        self._waiting += 1
        try:
            await asyncio.shield(self._running)
        finally:
            self._waiting -= 1

    def _done(self, _: "asyncio.Future[None]") -> None:
        self._running = None
