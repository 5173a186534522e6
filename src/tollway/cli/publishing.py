"""Publishing: the database's newest configuration as the machine's snapshot, and every worker told.
A change is appended to the delta at once; the base is made anew beside it when the delta has grown.
"""

import asyncio
import logging
import os
import threading
from collections.abc import Sequence
from concurrent.futures import Executor
from typing import Any

from tollway.adapters.control.client import ControlError, ask
from tollway.adapters.control.snapshot_writer import SnapshotWriter, Staged
from tollway.app.ports import SnapshotStore, StoreUnavailableError
from tollway.domain.hold import CounterRef, counter_key

_log = logging.getLogger(__name__)
_NUDGE_TIMEOUT_S = 2.0
# Below it a base is made in well under a second: then there is no reason to go on with an old one.
_SMALL_ROWS = 20_000
_REBASE_ROWS = 10_000  # in the delta
_MAX_CHANGES = 50_000  # of one kind at once; more are not appended but make a new base
_REBASE_AGAIN_S = 30.0


class _GivenUpError(Exception):
    """The process ends: what is being written is given up."""


class Publisher:
    """One machine's. Restores nothing by itself: whoever runs it calls `publish` again."""

    def __init__(
        self, store: SnapshotStore, run_dir: str, *, behind: Executor | None = None
    ) -> None:
        """`behind`: the threads of what has time; a new base beside the old one is made there."""
        self._store = store
        self._behind = behind
        self._run_dir = run_dir
        self._writer = SnapshotWriter(run_dir)
        self._lock = asyncio.Lock()
        self._turn = threading.Lock()  # the base's writer yields to a change that is published
        self._telling: asyncio.Task[None] | None = None
        self._rebasing: asyncio.Task[None] | None = None
        self._rebase_after = 0.0
        self._rebase_wanted = False
        self._leaving = False

    @property
    def version(self) -> int:
        """What workers find; -1 before the first."""
        return self._writer.version

    async def begin(self) -> None:
        """The first publication. A large snapshot that a predecessor left is gone on with, and made
        anew in the background: it may be of a database that was replaced meanwhile."""
        adopted = await asyncio.to_thread(self._writer.adopt)
        if not adopted or self._writer.base_rows < _SMALL_ROWS:
            async with self._lock:
                await self._rewrite()
        self._rebase_wanted = adopted and self._writer.base_rows >= _SMALL_ROWS
        await self.publish()

    async def publish(self) -> int:
        """Publish if there is news; returns the version every worker that answers now serves."""
        async with self._lock:
            version = await asyncio.to_thread(self._store.version)
            if version != self._writer.version or not self._writer.stands():
                await self._take_over(version)
                self._telling = asyncio.create_task(self._tell(self._writer.version))
            telling, published = self._telling, self._writer.version
        if telling is not None:
            await asyncio.shield(telling)
        self._rebase_if_due()
        return published

    async def hand_over(self, refs: Sequence[CounterRef], *, but: int) -> list[list[int]]:
        """Of every other worker that lives, what it holds on these counters; it takes no more
        holds there. One that is gone has left its journal instead."""
        keys = [list(counter_key(ref)) for ref in refs]
        mine = os.path.join(self._run_dir, f"{but}.sock")
        asks = [
            ask(path, "hand_over", timeout_s=_NUDGE_TIMEOUT_S, counters=keys)
            for path in self._worker_sockets()
            if path != mine
        ]
        answers = await asyncio.gather(*asks, return_exceptions=True)
        return [answer["held"] for answer in answers if isinstance(answer, dict)]

    async def close(self) -> None:
        """Give up what is being written in the background."""
        self._leaving = True
        if self._rebasing is not None:
            await asyncio.gather(self._rebasing, return_exceptions=True)

    async def _take_over(self, version: int) -> None:
        """Append what has changed; without a base of ours, or with too much, write all of it."""
        writer = self._writer
        if writer.stands() and 0 <= writer.version < version:
            with self._turn:  # held for moments only, and by the writing thread between rows
                changes = await asyncio.to_thread(self._store.changes, writer.version, _MAX_CHANGES)
                if changes is not None:
                    await asyncio.to_thread(writer.append, changes)
                    return
        await self._rewrite()

    async def _rewrite(self) -> None:
        staged = await asyncio.to_thread(self._stage)
        await asyncio.to_thread(self._writer.install, staged)

    def _stage(self) -> Staged:
        return self._writer.stage(self._store.stream(), pace=self._pace)

    def _pace(self) -> None:
        """Between rows of a base: let a change go first, and leave when told to."""
        if self._leaving:
            raise _GivenUpError
        with self._turn:
            return

    def _rebase_if_due(self) -> None:
        loop = asyncio.get_running_loop()
        wanted = self._rebase_wanted or self._writer.changed_rows > _REBASE_ROWS
        if wanted and self._rebasing is None and loop.time() >= self._rebase_after:
            self._rebase_after = loop.time() + _REBASE_AGAIN_S
            self._rebasing = asyncio.create_task(self._rebase())

    async def _rebase(self) -> None:
        """A new base beside the one in use; changes go on being published meanwhile."""
        loop = asyncio.get_running_loop()
        try:
            staged = await loop.run_in_executor(self._behind, self._stage)
            async with self._lock:
                changes = await asyncio.to_thread(
                    self._store.changes, staged.header.version, _MAX_CHANGES
                )
                if changes is None:
                    self._writer.discard(staged)
                    return
                await asyncio.to_thread(self._writer.install, staged, changes)
                self._rebase_wanted = False
                self._telling = asyncio.create_task(self._tell(self._writer.version))
        except _GivenUpError:
            return
        except (StoreUnavailableError, OSError) as error:
            _log.warning("the snapshot's base stays as it is", extra={"error": str(error)})
        finally:
            self._rebasing = None

    async def _tell(self, version: int) -> None:
        """Have every worker take over the version. One that cannot is given a new base to read."""
        answers = await asyncio.gather(*(self._nudge(path) for path in self._worker_sockets()))
        if any(answer is not None and answer.get("version", -1) < version for answer in answers):
            _log.warning("a worker does not take over what is published", extra={"to": version})
            self._rebase_wanted = True

    async def _nudge(self, path: str) -> dict[str, Any] | None:
        try:
            return await ask(path, "version", timeout_s=_NUDGE_TIMEOUT_S)
        except ControlError as error:  # it polls the files anyway
            _log.debug("worker not reached", extra={"error": str(error)})
            return None

    def _worker_sockets(self) -> list[str]:
        names = [name for name in os.listdir(self._run_dir) if name[:-5].isdigit()]
        return [os.path.join(self._run_dir, name) for name in names if name.endswith(".sock")]
