"""The slow side of a journal, in one background thread: syncs and closes segments, keeps a spare
ready, and asks a full disk again. It never appends a record. Without its thread it works inline,
for recovery and for tests that need one order of events.
"""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from tollway.adapters.journal.chain import SegmentChain
from tollway.adapters.journal.medium import Medium
from tollway.adapters.journal.options import Fsync, JournalOptions
from tollway.adapters.journal.segment import Segment

Done = Callable[[OSError | None], None]


class Keeper:
    """One per journal. `failure` is set for good when a sync fails: the kernel has then dropped
    what it could not write, and a later success would say nothing about it."""

    def __init__(
        self, directory: Path, chain: SegmentChain, options: JournalOptions, medium: Medium
    ) -> None:
        self.failure: OSError | None = None
        self.progress_fd: int | None = None
        self._chain = chain
        self._medium = medium
        self._policy = options.fsync
        self._interval_s = options.fsync_interval_s
        self._retry_s = options.retry_s
        self._folder_fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._named = 0  # how many renames are known to be on the disk
        self._next_sync = time.monotonic() + self._interval_s
        self._wake = threading.Event()
        self._done: Done | None = None
        self._stopping = False
        self._thread: threading.Thread | None = None
        chain.on_roll = self.wake

    def start(self) -> None:
        """Work in a thread of its own from now on."""
        self._thread = threading.Thread(target=self._run, name="journal-keeper", daemon=True)
        self._thread.start()
        self._wake.set()

    def wake(self) -> None:
        """There is something to do: a spare is missing, or a segment was rolled."""
        if self._thread is None:
            self._round()
        else:
            self._wake.set()

    def commit(self, done: Done) -> None:
        """Call `done` (in the keeper's thread) when all that was appended before this call is on
        the disk, or cannot be brought there. One commit at a time."""
        self._done = done
        self.wake()

    def stop(self) -> None:
        """Sync what the policy promises, end the thread and give descriptors back."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._stopping = True
            self._wake.set()
            thread.join()
        if self._policy is not Fsync.OFF:
            self._sync()
        os.close(self._folder_fd)

    def _run(self) -> None:
        while not self._stopping:
            self._wake.wait(self._pause_s())
            self._wake.clear()
            self._round()

    def _pause_s(self) -> float | None:
        waits = [] if self._policy is Fsync.OFF else [self._interval_s]
        if self._chain.spare is None:
            waits.append(self._retry_s)
        return min(waits, default=None)

    def _round(self) -> None:
        done, self._done = self._done, None
        if done is not None or self._is_sync_due():
            self._sync()
        else:
            self._retire(sync=self._policy is not Fsync.OFF)
        if done is not None:
            done(self.failure)
        try:
            self._chain.provide_spare()
        except OSError:
            # The disk is full: new work is refused until a later round finds room.
            return

    def _is_sync_due(self) -> bool:
        now = time.monotonic()
        if self._policy is Fsync.OFF or now < self._next_sync:
            return False
        self._next_sync = now + self._interval_s
        return True

    def _sync(self) -> None:
        # The current segment is looked at before the rolled ones: one that is rolled in between
        # is then in hand as the former, one rolled earlier is in the queue.
        current = self._chain.current
        self._retire(sync=True, keep=current)
        self._guarded(current.fd)
        if self.progress_fd is not None:
            self._guarded(self.progress_fd)

    def _retire(self, *, sync: bool, keep: Segment | None = None) -> None:
        """Close rolled segments, and make the names of new ones survive power loss: a reader's
        cursor may stand in such a segment, so its number must never be given out again."""
        renames = self._chain.renames
        while self._chain.rolled and self._chain.rolled[0] is not keep:
            segment = self._chain.rolled.popleft()
            if sync:
                self._guarded(segment.fd)
            segment.close()
        if renames != self._named:
            self._guarded(self._folder_fd)
            self._named = renames

    def _guarded(self, fd: int) -> None:
        try:
            self._medium.sync(fd)
        except OSError as error:
            self.failure = error
