"""What a counter had before the server knew of it: asked of the ledger, and set once in an epoch,
however many gateways ask. Where requests of before still run the answer is not the last word, and
whoever set it asks again.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from typing import NamedTuple

from tollway.adapters.redis.lines import Line, Tag
from tollway.adapters.redis.link import LinkError
from tollway.adapters.redis.registry import Registry
from tollway.adapters.redis.scripts import Scripts
from tollway.app.ports import Clock, Counted, Counting, StoreUnavailableError
from tollway.domain.hold import CounterRef
from tollway.domain.window import Window

_log = logging.getLogger(__name__)
_ASK_TIMEOUT_S = 2.0
_ASK_AGAIN_S = 1.0
_PAUSE_S = 0.05
_AT_ONCE = 500  # counters of one ask
_NOTHING = Counted([], [], (0, 0), False)


class _Wanted(NamedTuple):
    ref: CounterRef
    tag: Tag
    key: bytes
    kind: str
    stop_s: int
    since_s: float


class Seeding:
    """`owner` names this process's journal; `running_since_s` when the oldest request under way was
    admitted."""

    def __init__(
        self,
        registry: Registry,
        scripts: Scripts,
        clock: Clock,
        counting: Counting | None,
        *,
        owner: str,
        running_since_s: Callable[[], float | None],
    ) -> None:
        self._registry = registry
        self._scripts = scripts
        self._clock = clock
        self._counting = counting
        self._owner = owner
        self._running_since_s = running_since_s
        self._wanted: dict[bytes, _Wanted] = {}
        self._inexact: dict[bytes, _Wanted] = {}
        self._asking: asyncio.Task[None] | None = None
        self._failing = False
        self.seeded = 0  # counters that we set, since the start

    def want(self, line: Line, since_s: float) -> None:
        """Have the line's counter seeded."""
        place, rule = line.place, line.rule
        window = Window(place.start_s, place.stop_s)
        ref = CounterRef(rule.quota, rule.member, window)
        self._wanted[place.key] = _Wanted(
            ref, place.tag, place.key, place.kind, place.stop_s, since_s
        )

    async def done(self, timeout_s: float) -> None:
        """All that is wanted was asked for, or the time is over."""
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask())
        await asyncio.wait({self._asking}, timeout=timeout_s)

    async def keep(self) -> None:
        """Forever: ask again where the answer was not the last word."""
        while True:
            await asyncio.sleep(_ASK_AGAIN_S)
            if self._inexact and self._registry.link.ready:
                self._wanted |= self._inexact
                await self.done(_ASK_TIMEOUT_S)

    async def _ask(self) -> None:
        await asyncio.sleep(0)  # what comes in the same turn of the loop shares the ask
        some = list(islice(self._wanted.values(), _AT_ONCE))
        for wanted in some:
            del self._wanted[wanted.key]
        try:
            counted = _NOTHING
            if self._counting is not None:
                asked = self._counting.count([wanted.ref for wanted in some])
                counted = await asyncio.wait_for(asked, _ASK_TIMEOUT_S)
            await self._set(some, counted)
            self._failing = False
        except (StoreUnavailableError, TimeoutError) as error:
            if not self._failing:
                _log.warning(
                    "what limits have used cannot be counted; trying again until it can",
                    extra={"counters": len(some), "error": str(error) or type(error).__name__},
                )
            self._failing = True
            await asyncio.sleep(_PAUSE_S)  # whoever waits asks again at once
        except LinkError:
            await asyncio.sleep(_PAUSE_S)
        finally:
            self._asking = None

    async def _set(self, some: list[_Wanted], counted: Counted) -> None:
        epoch = self._registry.epoch
        calls = []
        for number, wanted in enumerate(some):
            used = counted.used[number] if counted.used else {}
            foreign = counted.foreign[number] if counted.foreign else 0
            calls.append(self._seed(wanted, used, foreign, counted))
        for wanted, answer in zip(some, await asyncio.gather(*calls), strict=True):
            if answer[0] == b"OK":
                self.seeded += 1
            if answer[0] == b"OK" and not self._is_last(wanted, counted):
                self._inexact[wanted.key] = wanted
            else:
                self._inexact.pop(wanted.key, None)
            if answer[0] == b"LOST" and epoch == self._registry.epoch:
                with suppress(LinkError):
                    await self._registry.lost(wanted.tag)

    def _seed(
        self, wanted: _Wanted, used: dict[int, int], foreign: int, counted: Counted
    ) -> "asyncio.Future[list[object]]":
        who = "" if self._is_last(wanted, counted) else self._owner
        owners: tuple[str | int, ...] = ()
        if self._counting is not None:
            known = {
                owner.replace(":", "_"): (segment, offset)
                for owner, segment, offset in counted.others
            }
            known[self._owner] = counted.upto
            owners = tuple(part for owner, place in known.items() for part in (owner, *place))
        words: list[bytes | str | int] = [wanted.kind, wanted.stop_s, foreign, 30_000, who]
        words += [self._owner, len(owners) // 3, *owners, len(used)]
        for start_s, amount in used.items():
            words += (start_s, amount)
        keys = [wanted.tag.epoch, wanted.tag.leases, wanted.key]
        return self._registry.call(self._scripts.seed, keys, words)

    def _is_last(self, wanted: _Wanted, counted: Counted) -> bool:
        oldest_s = self._running_since_s()
        early = oldest_s is not None and oldest_s < wanted.since_s
        return not counted.settling and not early
