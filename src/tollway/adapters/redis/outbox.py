"""What the server still has to be told: ends of holds, and what running ones hold more. Said at
once where that is possible, and again until it was heard. All of it may be said twice.

Nothing is lost while this process lives: when more waits than can be kept, the whole epoch is given
up, and the counters are seeded from the ledger, which has it all.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from tollway.adapters.redis.lines import Booked, Part, Tag
from tollway.adapters.redis.link import Answer, LinkError, Reply
from tollway.adapters.redis.registry import Registry

_log = logging.getLogger(__name__)
_MOST = 200_000
_AGAIN_S = 0.1
_AT_ONCE = 200


class Notice:
    """One thing to say about one part of a hold: `say` makes the call, None where it is too late
    for it; `heard` takes the answer."""

    __slots__ = ("booked", "heard", "part", "say")

    def __init__(
        self,
        booked: Booked,
        part: Part,
        say: Callable[[Booked, Part], Answer | None],
        heard: Callable[[Booked, Part, Reply], None] | None = None,
    ) -> None:
        self.booked = booked
        self.part = part
        self.say = say
        self.heard = heard


class Outbox:
    """All that was not heard yet."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._later: deque[Notice] = deque()
        self._said = 0
        self._wake = asyncio.Event()
        self._heard_one = asyncio.Event()
        self._lost: dict[str, Tag] = {}

    @property
    def waiting(self) -> int:
        """How many notices the server has not confirmed."""
        return self._said + len(self._later)

    def add(self, notice: Notice) -> None:
        """Say it now, or as soon as it can be said."""
        tag = notice.part.tag
        if self._registry.reaches(tag) and self._registry.is_open(tag):
            self._say(notice)
        else:
            self._put_off(notice)

    def wake(self) -> None:
        """The server can be reached again."""
        self._wake.set()

    async def emptied(self) -> None:
        """Until nothing waits."""
        while self.waiting:
            self._heard_one.clear()
            await self._heard_one.wait()

    async def keep(self) -> None:
        """Forever: say what could not be said."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._later and self._registry.link.ready:
                with suppress(LinkError):
                    await self._say_some()
                if self._later:
                    await asyncio.sleep(_AGAIN_S if self._lost else 0)

    async def _say_some(self) -> None:
        for tag in list(self._lost.values()):
            if self._registry.reaches(tag):
                await self._registry.lost(tag)
                self._lost.pop(tag.name, None)
        some = [self._later.popleft() for _ in range(min(_AT_ONCE, len(self._later)))]
        away = [notice for notice in some if not self._registry.reaches(notice.part.tag)]
        self._later.extend(away)
        some = [notice for notice in some if self._registry.reaches(notice.part.tag)]
        while some:
            try:
                await self._registry.open(some[-1].part.tag)
            except LinkError:
                # Another one is first the next time: only this tag may be in trouble.
                self._later.append(some.pop())
                self._later.extend(some)
                raise
            self._say(some.pop())
        if away:
            await asyncio.sleep(_AGAIN_S)
        await asyncio.sleep(_AGAIN_S / 10)  # for the answers: no flood after an outage

    def _say(self, notice: Notice) -> None:
        answer = notice.say(notice.booked, notice.part)
        if answer is not None:
            self._said += 1
            answer.add_done_callback(partial(self._heard, notice))

    def _heard(self, notice: Notice, answer: Answer) -> None:
        self._said -= 1
        self._heard_one.set()
        if answer.cancelled() or answer.exception() is not None:
            self._put_off(notice)
            return
        reply = answer.result()
        if reply[0] == b"LOST":
            self._lost[notice.part.tag.name] = notice.part.tag
            self._put_off(notice)
        elif notice.heard is not None:
            notice.heard(notice.booked, notice.part, reply)

    def _put_off(self, notice: Notice) -> None:
        if len(self._later) >= _MOST:
            _log.warning("too much waits for the counters: they will begin again from the ledger")
            self._later.clear()
            self._registry.end_epoch()
        self._later.append(notice)
        self._wake.set()
