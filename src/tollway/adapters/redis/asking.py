"""One try to get a hold in: all its parts at the same time, then what follows from the answers."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress

from tollway.adapters.redis.booking import Booking
from tollway.adapters.redis.leases import Leases
from tollway.adapters.redis.lines import Booked, Line, Part, Place, reserve_words
from tollway.adapters.redis.link import Answer, LinkError, Reply
from tollway.adapters.redis.scripts import Scripts
from tollway.adapters.redis.seeding import Seeding
from tollway.adapters.redis.stands import Stands
from tollway.adapters.redis.telling import Telling
from tollway.domain.hold import Bound, Stand
from tollway.domain.ids import QuotaId

_log = logging.getLogger(__name__)
_DAMAGED, _DOUBTED = 2, 3  # why the server asks for a counter to be seeded
_Answered = Reply | BaseException


class Asking:
    """`ask` answers None (it is in), the rule that binds, or the second for which to ask again.
    Raises LinkError: the server does not decide."""

    def __init__(
        self,
        booking: Booking,
        leases: Leases,
        scripts: Scripts,
        *,
        seeding: Seeding,
        stands: Stands,
        telling: Telling,
    ) -> None:
        self._booking = booking
        self._leases = leases
        self._registry = leases.registry
        self._scripts = scripts
        self._seeding = seeding
        self._stands = stands
        self._telling = telling
        self.shadowed: dict[QuotaId, int] = {}

    async def ask(self, booked: Booked, left_s: float) -> Bound | int | None:
        """Waits for one answer; with something to be seeded or joined at most `left_s`."""
        for part in booked.parts:
            if not self._registry.is_open(part.tag):
                await self._registry.open(part.tag)
        epoch = self._registry.epoch
        calls = [self._call(booked, part) for part in booked.parts]
        try:
            replies = await _all(calls)
        except asyncio.CancelledError:
            self._take_back(booked, [None] * len(calls))
            raise
        # What is in since before this epoch only may have been missed when all was put in again.
        current = epoch == self._registry.epoch
        if current and all(isinstance(reply, list) and reply[0] == b"OK" for reply in replies):
            self._let_in(booked, epoch, replies)
            return None
        self._take_back(booked, replies)
        if not current:
            return booked.hold.at_s
        pairs = []
        for part, reply in zip(booked.parts, replies, strict=True):
            if isinstance(reply, BaseException):
                raise reply
            pairs.append((part, reply))
        for part, reply in pairs:
            if reply[0] == b"BOUND":
                return self._bound(part.lines[reply[2] - 1], reply)
        return await self._remedy(booked.hold.at_s, pairs, left_s)

    async def look(self, place: Place) -> Stand | None:
        """How the counter there stands. Raises LinkError."""
        if not self._registry.is_open(place.tag):
            await self._registry.open(place.tag)
        keys = [place.tag.epoch, place.tag.leases, place.key]
        reply = await self._registry.call(self._scripts.look, keys, [place.kind])
        if reply[0] != b"OK":
            return None
        used, held, frees_s = reply[2:]
        return Stand(used, held, frees_s if place.kind == "m" and frees_s else place.stop_s)

    def _call(self, booked: Booked, part: Part) -> Answer:
        words = reserve_words(booked, part, lease_ms=self._leases.lease_ms, adopt=False)
        return self._registry.call(self._scripts.reserve, part.keys, words)

    def _let_in(self, booked: Booked, epoch: str, replies: Sequence[_Answered]) -> None:
        for part, reply in zip(booked.parts, replies, strict=True):
            assert isinstance(reply, list), "whoever is let in was answered"
            numbers = reply[2:]
            self._judge(part, numbers, reply[1])
            self._stands.take(part.lines, numbers)
        booked.epoch = epoch
        booked.hold.bookings = booked
        self._leases.add(booked)

    def _judge(self, part: Part, numbers: Sequence[int], told_ms: int) -> None:
        for line, at in zip(part.lines, range(0, len(numbers), 5), strict=True):
            self._heed(line, numbers[at + 4], told_ms)
            if line.rule.shadow and not numbers[at] + numbers[at + 1] + line.amount <= line.limit:
                quota_id = line.rule.quota.id
                self.shadowed[quota_id] = self.shadowed.get(quota_id, 0) + 1

    def _take_back(self, booked: Booked, replies: Sequence[_Answered | None]) -> None:
        """Void every part that is in or may get in later."""
        for part, reply in zip(booked.parts, replies, strict=True):
            if not isinstance(reply, list) or reply[0] == b"OK":
                self._telling.end(booked, part, None)

    async def _remedy(self, at_s: int, pairs: Sequence[tuple[Part, Reply]], left_s: float) -> int:
        """Do what the server misses."""
        seeds = False
        for part, reply in pairs:
            if reply[0] == b"WRONG":
                at_s = int(reply[1]) // 1000
            elif reply[0] == b"SEED":
                seeds = True
                self._want(part, reply)
            elif reply[0] == b"LOST":
                with suppress(LinkError):
                    await self._registry.lost(part.tag)
        if seeds:
            await self._seeding.done(left_s)
        return at_s

    def _want(self, part: Part, reply: Reply) -> None:
        for number, why in zip(reply[2::2], reply[3::2], strict=True):
            line = part.lines[number - 1]
            if why == _DAMAGED:
                _log.error(
                    "a counter was damaged; it begins again from the ledger",
                    extra={"counter": line.rule.counter},
                )
            self._heed(line, why, reply[1])

    def _heed(self, line: Line, why: int, told_ms: int) -> None:
        if why == _DOUBTED:
            self._seeding.doubt(line, self._booking.known_since_s(line.rule), told_ms)
        elif why:
            self._seeding.want(line, self._booking.known_since_s(line.rule), told_ms)

    def _bound(self, line: Line, reply: Reply) -> Bound:
        used, held, frees_s, why = reply[3:]
        self._heed(line, why, reply[1])
        if line.place.kind == "m":
            line.bucket_s = int(reply[1]) // 10_000 * 10
        stand = self._stands.put(line, used, held, frees_s=frees_s)
        return Bound(line.rule, line.limit, used, held, line.amount, stand.frees_s)


async def _all(calls: Sequence[Answer]) -> list[_Answered]:
    if len(calls) > 1:
        return await asyncio.gather(*calls, return_exceptions=True)
    try:
        return [await calls[0]]
    except LinkError as error:
        return [error]
