"""The registry where data lies on several servers, each of which can lose its part alone. Two
things tell: a master whose data the registry does not know, and a tag that was in use in this epoch
and is not there. Either begins a new epoch for all: a hold may have lines on several servers.
"""

import asyncio
from contextlib import suppress

from tollway.adapters.redis.cluster import ClusterLink
from tollway.adapters.redis.lines import REGISTRY, Tag
from tollway.adapters.redis.link import LinkError
from tollway.adapters.redis.registry import Registry

_KEY = f"{REGISTRY.prefix}epoch".encode()
_LOOKS, _LOOK_S = 10, 0.02  # whoever uses a tag first says so, and only then makes it


class SpreadRegistry(Registry):
    """As `Registry`, on a cluster."""

    link: ClusterLink

    async def open(self, tag: Tag) -> None:
        """A tag that is used for the first time since we joined. Raises LinkError, also for one
        that was lost: then the epoch ends."""
        if tag.name in self._opened:
            return
        epoch = self.epoch
        found = await self.call(self._scripts.enlist, [_KEY], [tag.name])
        if found[0] == b"OK" and found[1]:
            found = await self.call(self._scripts.open, [tag.epoch], [])
        elif found[0] == b"OK":
            found = await self._find(tag)
        if epoch != self.epoch or found[0] == b"LOST":
            self._hurry()
            raise LinkError("another epoch has begun")
        if found[0] == b"GONE":
            self.end_epoch()
            self._hurry()
            raise LinkError("the data of a node was lost")
        self._opened.add(tag.name)

    async def keep(self) -> None:
        """Forever: be known. Whoever could not say so for as long as a lease is not waited for by
        others, and so does not let in any more."""
        beating = asyncio.create_task(super().keep())
        lease_s = self._leases.lease_ms / 1000
        try:
            while True:
                await asyncio.sleep(min(1.0, lease_s / 10))
                if (
                    self.complete
                    and asyncio.get_running_loop().time() - self.facts.asked_at > lease_s
                ):
                    self.complete = False
        finally:
            beating.cancel()

    def reaches(self, tag: Tag) -> bool:
        """Whether the tag's node can be asked."""
        return self.link.reaches(tag.epoch)

    @property
    def reachable(self) -> bool:
        """Whether every node can be asked."""
        return self.link.whole and self.complete

    async def _find(self, tag: Tag) -> list[bytes]:
        for _ in range(_LOOKS):
            found = await self.call(self._scripts.open, [tag.epoch], ["0"])
            if found[0] != b"GONE":
                break
            await asyncio.sleep(_LOOK_S)
        return found

    def _hurry(self) -> None:
        """Join at once; till then nobody is let in."""
        self.complete = False
        self._hurried = asyncio.create_task(self._rejoin())

    async def _rejoin(self) -> None:
        with suppress(LinkError):
            await self.join()

    def _runs(self) -> str:
        return self.link.histories

    def _believe(self, runs: str) -> None:
        self.link.believe(runs)
