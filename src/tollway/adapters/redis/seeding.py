"""What a counter had before the server knew of it: asked of the ledger, and set once in an epoch,
however many gateways ask. Where requests of before still run the answer is not the last word, and
whoever set it asks again.
"""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from itertools import chain, islice

from tollway.adapters.redis.facts import Place
from tollway.adapters.redis.lines import Line, Word
from tollway.adapters.redis.link import LinkError, Reply
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
_MOST = 10_000  # counters in doubt
_FOREIGN_MS = 30_000
_NOTHING = Counted([], [], (0, 0), False)


class _Wanted:
    """A counter to be set. `since_s`: when all gateways count on it. `told_ms` and `told_at`: when
    we heard of it, in which `epoch`; `beats`: how many there had been at some time after that."""

    __slots__ = (
        "beats",
        "epoch",
        "key",
        "kind",
        "ref",
        "since_s",
        "stop_s",
        "tag",
        "told_at",
        "told_ms",
    )

    def __init__(self, line: Line, since_s: float, *, told_ms: int, told_at: float) -> None:
        place, rule = line.place, line.rule
        self.ref = CounterRef(rule.quota, rule.member, Window(place.start_s, place.stop_s))
        self.tag, self.key, self.kind, self.stop_s = place.tag, place.key, place.kind, place.stop_s
        self.since_s = since_s
        self.told_ms = told_ms
        self.told_at = told_at
        self.epoch = ""
        self.beats: int | None = None

    def renew(self, told_ms: int, told_at: float) -> None:
        """What was the last word is none: hear of it anew."""
        self.told_ms, self.told_at = told_ms, told_at
        self.beats = None

    def note(self, epoch: str, beats: int, asked_at: float) -> None:
        """There have been so many beats by now. Each epoch counts them anew."""
        if self.epoch != epoch:
            self.epoch, self.beats = epoch, None
        if self.beats is None and asked_at > self.told_at:
            self.beats = beats


class Seeding:
    """Sets counters from the ledger. `registry.facts` tell when the answer is the last word."""

    def __init__(
        self, registry: Registry, scripts: Scripts, clock: Clock, counting: Counting | None
    ) -> None:
        self._registry = registry
        self._facts = registry.facts
        self._scripts = scripts
        self._clock = clock
        self._counting = counting
        self._wanted: dict[bytes, _Wanted] = {}
        self._inexact: dict[bytes, _Wanted] = {}
        self._again: dict[bytes, _Wanted] = {}  # of the inexact, what is still asked for this time
        self._asking: asyncio.Task[None] | None = None
        self._failing = False
        self.seeded = 0  # counters that we set, since the start

    def want(self, line: Line, since_s: float, told_ms: int) -> None:
        """Have the line's counter seeded: it was none when the server said so."""
        now = asyncio.get_running_loop().time()
        self._wanted[line.place.key] = _Wanted(line, since_s, told_ms=told_ms, told_at=now)

    def doubt(self, line: Line, since_s: float, told_ms: int) -> None:
        """The line's counter has something that the ledger will know better, in a while."""
        if line.place.key not in self._inexact and len(self._inexact) < _MOST:
            now = asyncio.get_running_loop().time()
            wanted = _Wanted(line, since_s, told_ms=told_ms, told_at=now)
            self._inexact[line.place.key] = wanted

    async def done(self, timeout_s: float) -> None:
        """All that is wanted was asked for, or the time is over."""
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask())
        await asyncio.wait({self._asking}, timeout=timeout_s)

    async def keep(self) -> None:
        """Forever: ask again where the answer was not the last word."""
        while True:
            await asyncio.sleep(_ASK_AGAIN_S)
            self._forget_over()
            # Not before all are there: who comes back has shipped what is to be counted.
            if (self._inexact or self._wanted) and self._can_ask():
                for wanted in self._inexact.values():
                    wanted.note(self._registry.epoch, self._facts.beats, self._facts.asked_at)
                self._again = dict(self._inexact)
                while (self._again or self._wanted) and self._can_ask():
                    await self.done(_ASK_TIMEOUT_S)

    async def ship(self) -> Place | None:
        """Our journal is in the ledger up to here, with what came before us; None: it cannot be
        reached."""
        if self._counting is None:
            return 0, 0
        try:
            counted = await asyncio.wait_for(self._counting.count([]), _ASK_TIMEOUT_S)
        except (StoreUnavailableError, TimeoutError):
            return None
        self._facts.closed = frozenset(map(_owner, counted.closed))
        return counted.upto

    def _can_ask(self) -> bool:
        return self._registry.link.ready and self._registry.complete

    def _forget_over(self) -> None:
        now_s = self._clock.wall_ns() // 1_000_000_000
        for key, wanted in list(self._inexact.items()):
            if wanted.kind == "c" and wanted.stop_s <= now_s:
                del self._inexact[key]

    async def _ask(self) -> None:
        await asyncio.sleep(0)  # what comes in the same turn of the loop shares the ask
        # Somebody waits for what is wanted; nobody for the rest.
        every = chain(self._wanted.values(), self._again.values())
        some = list({wanted.key: wanted for wanted in islice(every, _AT_ONCE)}.values())
        for wanted in some:
            self._wanted.pop(wanted.key, None)
            self._again.pop(wanted.key, None)
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
        places = {_owner(source): (at, offset) for source, at, offset in counted.others}
        if self._counting is not None:
            places[self._facts.source] = counted.upto
        last = [self._is_last(wanted, counted, places) for wanted in some]
        calls = []
        for number, wanted in enumerate(some):
            used = counted.used[number] if counted.used else {}
            foreign = counted.foreign[number] if counted.foreign else 0
            words = self._words(wanted, used, foreign, is_last=last[number], places=places)
            keys = [wanted.tag.epoch, wanted.tag.leases, wanted.key]
            calls.append(self._registry.call(self._scripts.seed, keys, words))
        answers = await asyncio.gather(*calls, return_exceptions=True)
        for wanted, is_last, answer in zip(some, last, answers, strict=True):
            if isinstance(answer, BaseException):
                continue
            self._heed(wanted, answer, is_last=is_last)
            if answer[0] == b"LOST" and epoch == self._registry.epoch:
                with suppress(LinkError):
                    await self._registry.lost(wanted.tag)
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer

    def _heed(self, wanted: _Wanted, answer: Reply, *, is_last: bool) -> None:
        """Whether to ask again."""
        was_set = answer[0] == b"OK"
        self.seeded += was_set
        again = not is_last and not (answer[0] == b"KEPT" and not answer[2])
        if is_last and was_set and answer[2]:  # somebody went silent since we were told
            wanted.renew(answer[1], asyncio.get_running_loop().time())
            again = True
        if again:
            self._inexact[wanted.key] = wanted
        else:
            self._inexact.pop(wanted.key, None)

    def _words(
        self,
        wanted: _Wanted,
        used: dict[int, int],
        foreign: int,
        *,
        is_last: bool,
        places: Mapping[str, Place],
    ) -> list[Word]:
        words: list[Word] = [wanted.kind, wanted.stop_s, foreign, _FOREIGN_MS]
        words += ["" if is_last else self._facts.source, self._facts.source, wanted.told_ms]
        words.append(len(places))
        for owner, place in places.items():
            words += (owner, *place)
        words.append(len(used))
        for start_s, amount in used.items():
            words += (start_s, amount)
        return words

    def _is_last(self, wanted: _Wanted, counted: Counted, places: Mapping[str, Place]) -> bool:
        if self._counting is None:
            return True
        oldest_s = self._facts.oldest_s()
        early = oldest_s is not None and oldest_s < wanted.since_s
        if counted.settling or early or wanted.beats is None:
            return False
        if not self._can_ask() or self._registry.absent:
            return False  # of a journal whose gateway is away nothing is known in this epoch
        return self._facts.is_settled(wanted.beats, places, set(map(_owner, counted.closed)))


def _owner(source: str) -> str:
    """A journal's name as a part of a field's."""
    return source.replace(":", "_")
