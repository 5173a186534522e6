"""The journal of one worker slot, as its owner writes it: `intend`, progress, `settle`.

Order is everything. A record is stored before the progress entry that refers to it; totals before
the state that speaks of them; an outcome before its slot is freed. A kill between any two leaves a
journal from which `recovery` bills at least what was delivered and at most what was emitted.
"""

import asyncio
import contextlib
from typing import NamedTuple

from tollway.adapters.journal.chain import SegmentChain
from tollway.adapters.journal.keeper import Keeper
from tollway.adapters.journal.options import Fsync, JournalOptions
from tollway.adapters.journal.progress import (
    CONTENT_BYTES,
    EVENTS,
    FREE,
    INTENDED,
    SENT,
    STATE,
    STREAMING,
    TICKET,
    WORDS,
    ProgressFile,
)
from tollway.adapters.journal.record import intent_record, outcome_record
from tollway.adapters.journal.recovery import Recovery
from tollway.app.ports import Progress
from tollway.domain.receipt import Intent, Receipt

NO_SLOT = -1
# What an outcome can be longer than its intent: the numbers, the usage source, a short error.
_OUTCOME_EXTRA_BYTES = 512


class JournalHealth(NamedTuple):
    """For readiness and metrics. `failure` is a sync that went wrong: no attempt is recorded any
    more until a restart; `refused` counts intents turned away since the start."""

    open: int
    room_bytes: int
    owed_bytes: int
    refused: int
    failure: str | None


class DiskJournal:
    """The `Journal` on disk. Made by `open_journal`; all methods belong to the loop's thread."""

    __slots__ = (
        "_chain",
        "_committing",
        "_free",
        "_keeper",
        "_max_bytes",
        "_owed",
        "_owed_bytes",
        "_progress",
        "_refused",
        "_ticket",
        "_waiters",
        "_words",
        "needs_wait",
        "recovery",
    )

    def __init__(
        self,
        chain: SegmentChain,
        keeper: Keeper,
        progress: ProgressFile,
        options: JournalOptions,
        recovery: Recovery,
    ) -> None:
        self.needs_wait = options.fsync is Fsync.ALWAYS
        self.recovery = recovery
        self._chain = chain
        self._keeper = keeper
        self._progress = progress
        self._words = progress.words
        self._max_bytes = options.max_record_bytes
        self._free = list(range(progress.slots - 1, -1, -1))
        self._owed = [0] * progress.slots
        self._owed_bytes = 0
        self._refused = 0
        # Never used twice in this slot's life, since no segment number is.
        self._ticket = chain.number << 32
        self._committing = False
        self._waiters: list[asyncio.Future[None]] = []

    def claim(self) -> tuple[int, int]:
        """A free slot and a new ticket; slot `NO_SLOT` when none is left: then `intend` refuses."""
        self._ticket += 1
        return (self._free.pop() if self._free else NO_SLOT), self._ticket

    def intend(self, intent: Intent) -> bool:
        """Record the intent and open its slot. False: no slot, no room for it and for the
        outcomes of all that is open, too large, or the disk failed; the slot is free again."""
        slot = intent.slot
        if slot == NO_SLOT:
            self._refused += 1
            return False
        record = intent_record(intent, self._max_bytes)
        if record is None or self._keeper.failure is not None or not self._keep(record, slot):
            self._refused += 1
            self._free.append(slot)
            return False
        words, at = self._words, (slot + 1) * WORDS
        words[at + EVENTS] = 0
        words[at + CONTENT_BYTES] = 0
        words[at + TICKET] = intent.ticket
        words[at + STATE] = INTENDED
        return True

    async def durable(self) -> None:
        """Wait for the group commit that covers all recorded so far. Raises OSError when the disk
        failed: then the attempt must not be made."""
        if not self.needs_wait:
            return
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        if not self._waiters and not self._committing:
            # Not at once: everything recorded in this tick of the loop shares the sync.
            loop.call_soon(self._begin_commit, loop)
        self._waiters.append(waiter)
        await waiter

    def sent(self, slot: int) -> None:
        """The request is on its way."""
        self._words[(slot + 1) * WORDS + STATE] = SENT

    def progress(self, slot: int, events: int, content_bytes: int) -> None:
        """Running totals; call before the client's write. Must not shrink."""
        words, at = self._words, (slot + 1) * WORDS
        words[at + EVENTS] = events
        words[at + CONTENT_BYTES] = content_bytes
        words[at + STATE] = STREAMING

    def settle(self, slot: int, receipt: Receipt) -> None:
        """Record the outcome, for which room was kept since `intend`, and free the slot."""
        words, at = self._words, (slot + 1) * WORDS
        assert words[at + STATE] != FREE, "an attempt has one outcome"
        owed = self._owed[slot]
        self._chain.append(outcome_record(receipt, words[at + TICKET], owed))
        words[at + STATE] = FREE
        self._owed_bytes -= owed
        self._free.append(slot)

    @property
    def written(self) -> tuple[int, int]:
        """The place behind the last record: (segment, offset)."""
        return self._chain.end

    def progress_at(self, slot: int) -> Progress:
        """What the slot says now."""
        at = (slot + 1) * WORDS
        words = self._words
        return Progress(
            words[at + TICKET], words[at + STATE], words[at + EVENTS], words[at + CONTENT_BYTES]
        )

    def health(self) -> JournalHealth:
        """How much can still be recorded."""
        failure = self._keeper.failure
        return JournalHealth(
            len(self._owed) - len(self._free),
            self._chain.room_bytes,
            self._owed_bytes,
            self._refused,
            None if failure is None else str(failure),
        )

    def close(self) -> None:
        """Sync as the policy promises and let go of all files. The lock stays with its holder."""
        self._keeper.stop()
        self._chain.close()
        self._progress.close()

    def _keep(self, record: bytes, slot: int) -> bool:
        size_bytes = len(record)
        owed = min(size_bytes + _OUTCOME_EXTRA_BYTES, self._max_bytes)
        if not self._chain.admits(size_bytes, self._owed_bytes + owed):
            return False
        try:
            self._chain.append(record)
        except OSError:
            return False
        self._owed[slot] = owed
        self._owed_bytes += owed
        return True

    def _begin_commit(self, loop: asyncio.AbstractEventLoop) -> None:
        self._committing = True
        batch, self._waiters = self._waiters, []

        def done(failure: OSError | None) -> None:
            # A loop that closed meanwhile has nobody left to tell.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._end_commit, loop, batch, failure)

        self._keeper.commit(done)

    def _end_commit(
        self,
        loop: asyncio.AbstractEventLoop,
        batch: list["asyncio.Future[None]"],
        failure: OSError | None,
    ) -> None:
        self._committing = False
        for waiter in batch:
            if waiter.done():
                continue
            if failure is None:
                waiter.set_result(None)
            else:
                waiter.set_exception(OSError(failure.errno, failure.strerror))
        if self._waiters:
            self._begin_commit(loop)
