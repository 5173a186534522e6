"""Keys and models this worker does not have yet: made a moment ago, perhaps by another machine. The
first request that names one makes the worker ask once for what is new, and waits for the answer.

Whoever names what nobody ever made must not make us ask more than a few times a second; who comes
in between waits for a turn.
"""

import asyncio
from collections.abc import Awaitable, Callable

_ASK_EVERY_S = 0.25
_SAME_S = 5.0
_MAX_REMEMBERED = 1000
_MAX_WAITING = 64


class Newcomers:
    """One per worker and kind, so that neither kind takes the other's turns. `ask` has the newest
    configuration taken over; it ends within a second or so and raises nothing. Without it, unknown
    stays unknown."""

    __slots__ = ("_ask", "_asked", "_last", "_next", "_next_s", "_waiting")

    def __init__(self, ask: Callable[[], Awaitable[None]] | None = None) -> None:
        self._ask = ask
        self._asked: dict[str, float] = {}
        self._next_s = 0.0
        self._last: asyncio.Future[None] | None = None  # the turn that began last
        self._next: asyncio.Future[None] | None = None  # one that has not begun
        self._waiting = 0

    @property
    def may_ask(self) -> bool:
        """Whether asking is possible at all: what is cheap to know."""
        return self._ask is not None and self._waiting < _MAX_WAITING

    async def ask_for(self, subject: str, now_s: float) -> None:
        """Wait until what is new by `now_s` (monotonic seconds) was asked for, unless this was done
        for the subject (a key's id, say) just now."""
        if self._asked.get(subject, -_SAME_S) + _SAME_S > now_s or not self.may_ask:
            return
        if len(self._asked) >= _MAX_REMEMBERED:
            self._asked.clear()
        self._asked[subject] = now_s
        # A turn that has begun may have looked before it was there: it takes another.
        if self._next is None:
            delay_s = max(0.0, self._next_s - now_s)
            self._next_s = now_s + delay_s + _ASK_EVERY_S
            self._next = asyncio.ensure_future(self._turn(delay_s, self._last))
        self._waiting += 1
        try:
            await asyncio.shield(self._next)
        finally:
            self._waiting -= 1

    async def _turn(self, delay_s: float, before: "asyncio.Future[None] | None") -> None:
        assert self._ask is not None
        if before is not None:
            await before
        await asyncio.sleep(delay_s)
        self._last, self._next = self._next, None
        await self._ask()
