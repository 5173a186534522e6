"""Which data the counters are: its epoch. The server's data is a cache that can be lost as a whole
(a restart, a failover, FLUSHALL); then a new epoch begins, counters are seeded again, and every
gateway puts its live holds in again. Until all that were known have, or one lease has passed,
nobody is let in: a hold that is not counted could be given out twice.
"""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Protocol

from tollway.adapters.redis.facts import Facts, Place
from tollway.adapters.redis.lines import REGISTRY, Tag, Word
from tollway.adapters.redis.link import Answer, LinkError, Reply, ServerFacts, Way
from tollway.adapters.redis.scripts import Script, Scripts
from tollway.app.ports import Untold

_log = logging.getLogger(__name__)
_BEAT_S = 1.0
_AWAITING_S = 0.1
_BELIEVED_MS = 45_000
_KEYS = tuple(
    f"{REGISTRY.prefix}{name}".encode() for name in ("epoch", "owners", "awaited", "facts")
)


class PolicyError(ValueError):
    """The server may throw counters away: it must be told not to."""


class LiveHolds(Protocol):
    """What this process has in."""

    lease_ms: int
    registry: "Registry"

    async def adopt_all(self) -> None:
        """Put everything that runs in again. Raises LinkError."""


class Registry:
    """This gateway's place among the others. `leases` are its live holds; `ship` has its journal
    brought into the ledger, and says how far that went; None: not now. `untold` says whether what
    came before us let in what nobody can tell of any more."""

    def __init__(
        self,
        owner: str,
        scripts: Scripts,
        *,
        leases: "LiveHolds",
        facts: Facts,
        ship: Callable[[], Awaitable[Place | None]],
        untold: Untold,
    ) -> None:
        self.epoch = ""
        self.run_id = ""
        self.complete = False  # all gateways that were known have put their holds in again
        self.absent = 0  # of them, how many have not and are waited for no more
        self.trouble: PolicyError | None = None
        self.facts = facts
        self._ship = ship
        self._untold = untold
        self._settles = False  # the next epoch has what was inherited
        self._joined_epoch = ""
        self._adopted = True
        self._owner = owner
        self._scripts = scripts
        self._leases = leases
        leases.registry = self
        self._peers: list[str] = []
        self._opened: set[str] = set()
        self._ends = ""  # an epoch that must end: what we know of it cannot be told any more
        self._joining: asyncio.Task[None] | None = None
        self.link: Way

    async def up(self, facts: ServerFacts) -> None:
        """A new connection. Raises LinkError."""
        if facts.memory_policy and facts.memory_policy != "noeviction":
            self.trouble = PolicyError(
                f"The server's maxmemory-policy is {facts.memory_policy}: under memory pressure it "
                "would drop counters. Set it to noeviction, or take a server of its own."
            )
            raise LinkError(str(self.trouble))
        self.trouble = None
        self.run_id = facts.run_id
        await self.join()

    async def join(self) -> None:
        """Find out which epoch it is, and belong to it. Raises LinkError."""
        if self._joining is None:
            self._joining = asyncio.create_task(self._join())
            self._joining.add_done_callback(self._joined)
        await asyncio.shield(self._joining)

    async def keep(self) -> None:
        """Forever: be known, and notice a loss also without requests."""
        while True:
            await asyncio.sleep(_BEAT_S if self.complete else _AWAITING_S)
            if self.link.ready:
                with suppress(LinkError):
                    await self.join()

    async def open(self, tag: Tag) -> None:
        """A tag that is used for the first time since we joined. Raises LinkError."""
        if tag.name not in self._opened:
            await self.call(self._scripts.open, [tag.epoch], [])
            self._opened.add(tag.name)

    async def lost(self, tag: Tag) -> None:
        """The server says that the tag's epoch is not ours. Raises LinkError."""
        self._opened.discard(tag.name)
        await self.join()
        await self.open(tag)

    def is_open(self, tag: Tag) -> bool:
        """Whether calls under this tag will find it."""
        return tag.name in self._opened

    def reaches(self, tag: Tag) -> bool:
        """Whether calls under this tag can be made."""
        return self.link.ready

    @property
    def reachable(self) -> bool:
        """Whether every counter can be asked for."""
        return self.link.ready and self.complete

    def call(
        self, script: Script, keys: Sequence[Word], words: Sequence[Word], *, lazy: bool = False
    ) -> Answer:
        """A script under the epoch as we know it. `lazy`: nobody waits for it."""
        return self.link.call(script, keys, [self.epoch, self.run_id, *words], lazy=lazy)

    @property
    def ending(self) -> bool:
        """Whether the epoch is to end and has not yet."""
        return bool(self._ends)

    def end_epoch(self) -> None:
        """All counters are to be seeded again: something can only be learnt from the ledger now."""
        self._ends = self.epoch
        self._opened.clear()

    async def reopen(self) -> None:
        """Wait no more for those that are away: their holds are given up. Raises LinkError."""
        await self.link.command(b"DEL", _KEYS[2])
        await self.join()

    def _tell_absent(self, absent: int) -> None:
        if absent and absent != self.absent:
            _log.error(
                "strict limits stay closed: gateways have been away since the counters were lost; "
                "start them again, or give up what they hold with `tollway quotas reopen`",
                extra={"gateways": absent},
            )
        self.absent = absent

    async def leave(self) -> None:
        """Nobody needs to wait for us."""
        if self.link.ready:
            with suppress(LinkError):
                await self._say("left")

    async def _join(self) -> None:
        if self.absent:
            await self._ship()  # their journals may have been closed since
        found = await self._say(self._joined_epoch)
        epoch = found[0].decode()
        if epoch != self.epoch or epoch == self._ends:
            if self.epoch:
                _log.warning("counters begin again from the ledger", extra={"epoch": epoch})
            self._opened.clear()
            self.complete = False
            self.epoch = epoch
            self._joined_epoch = self._ends = ""
            if self._settles:
                self._untold.settle()
                self._settles = False
            self._adopted = False
        if not self._adopted:
            await self._leases.adopt_all()
            self._adopted = True
        if self._joined_epoch != epoch:
            # What we posted before is in the ledger only once our journal is: till then whoever
            # seeds a counter from it would have too little.
            self.facts.shipped = await self._ship()
            if self.facts.shipped is not None:
                self._joined_epoch = epoch
            found = await self._say(self._joined_epoch)
        if found[0].decode() == epoch:
            self.complete = found[2] == 0
            self._tell_absent(found[3])
            self._peers = [one.decode() for one in found[5 : 5 + found[4]]]
            if self._untold.inherited and self._joined_epoch == epoch and not self._settles:
                # It is in the ledger now, and on no counter: they are seeded again.
                self._settles = True
                self.end_epoch()

    async def _say(self, joined: str) -> Reply:
        fresh = os.urandom(8).hex()
        runs = self._runs()
        words: list[Word] = [
            runs,
            fresh,
            self._owner,
            joined,
            self._leases.lease_ms,
            _BELIEVED_MS,
            self._ends,
            *self.facts.words(),
        ]
        began = asyncio.get_running_loop().time()
        reply = await self.link.call(self._scripts.join, _KEYS, [*words, *self._peers])
        self._believe(runs)
        self.facts.hear(reply[5 + reply[4] :], reply[1], began)
        return reply

    def _runs(self) -> str:
        return self.run_id

    def _believe(self, runs: str) -> None:
        """The epoch is one of these servers' data."""

    def _joined(self, task: asyncio.Task[None]) -> None:
        self._joining = None
        if not task.cancelled():
            task.exception()
