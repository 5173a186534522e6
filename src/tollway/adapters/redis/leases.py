"""The holds of this process that are in: their leases are renewed while they run, and they are put
in again where the server has lost them.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import islice

from tollway.adapters.redis.lines import Booked, Part, Tag, renew_words, reserve_words
from tollway.adapters.redis.link import LinkError
from tollway.adapters.redis.registry import Registry
from tollway.adapters.redis.scripts import Scripts
from tollway.domain.hold import Hold
from tollway.domain.quota import Sizes

LEASE_S = 30.0
_RENEW_S = 10.0
_AT_ONCE = 100  # in one call, and calls at a time


class Leases:
    """All of them. `progress` says what a hold's request has used so far, where that is known."""

    def __init__(
        self, scripts: Scripts, progress: Callable[[Hold], Sizes | None], *, lease_s: float
    ) -> None:
        self._scripts = scripts
        self._progress = progress
        self._live: dict[str, Booked] = {}
        self._lease_s = lease_s
        self.lease_ms = int(lease_s * 1000)
        self.registry: Registry

    def add(self, booked: Booked) -> None:
        """It is in."""
        self._live[booked.id] = booked

    def drop(self, booked: Booked) -> None:
        """It has ended."""
        self._live.pop(booked.id, None)

    def has(self, booked: Booked) -> bool:
        """Whether it still runs."""
        return booked.id in self._live

    async def keep(self) -> None:
        """Forever: renew what has been running for a while."""
        renew_s = self._lease_s * _RENEW_S / LEASE_S
        while True:
            await asyncio.sleep(renew_s)
            if self.registry.link.ready:
                await self._renew(asyncio.get_running_loop().time() - renew_s / 2)

    async def adopt_all(self) -> None:
        """Put everything that runs in again. Raises LinkError."""
        await self._adopt([(booked, part) for booked, part in self._pairs()])

    async def _renew(self, before: float) -> None:
        by_tag: dict[str, tuple[Tag, list[tuple[Booked, Part]]]] = {}
        for booked, part in self._pairs():
            if booked.since <= before:
                booked.progress = self._progress(booked.hold) or booked.progress
                by_tag.setdefault(part.tag.name, (part.tag, []))[1].append((booked, part))
        for tag, pairs in by_tag.values():
            for chunk in _chunks(pairs):
                # Where one is in trouble the others' leases run all the same.
                if self.registry.reaches(tag):
                    with suppress(LinkError):
                        await self._renew_some(tag, chunk)

    async def _renew_some(self, tag: Tag, pairs: list[tuple[Booked, Part]]) -> None:
        words = [self.lease_ms, *renew_words(pairs)]
        found = await self.registry.call(self._scripts.renew, [tag.epoch, tag.leases], words)
        if found[0] == b"LOST":
            await self.registry.lost(tag)
        else:
            await self._adopt([pairs[number - 1] for number in found[2:]])

    async def _adopt(self, pairs: list[tuple[Booked, Part]]) -> None:
        for chunk in _chunks(pairs):
            tags = {part.tag.name: part.tag for _, part in chunk}
            for tag in tags.values():
                await self.registry.open(tag)
            epoch = self.registry.epoch
            running = [(booked, part) for booked, part in chunk if self.has(booked)]
            found = await asyncio.gather(
                *(
                    self.registry.call(
                        self._scripts.reserve,
                        part.keys,
                        reserve_words(booked, part, lease_ms=self.lease_ms, adopt=True),
                    )
                    for booked, part in running
                )
            )
            for (booked, _), reply in zip(running, found, strict=True):
                if reply[0] == b"OK":
                    booked.epoch = epoch

    def _pairs(self) -> Iterator[tuple[Booked, Part]]:
        for booked in list(self._live.values()):
            for part in booked.parts:
                yield booked, part


def _chunks(pairs: Iterable[tuple[Booked, Part]]) -> Iterator[list[tuple[Booked, Part]]]:
    rest = iter(pairs)
    while chunk := list(islice(rest, _AT_ONCE)):
        yield chunk
