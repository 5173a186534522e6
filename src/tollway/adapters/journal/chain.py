"""The owner's segments as one growing tape: the current one, the spare that makes the next roll
a rename, and the rolled ones that still wait to be synced and closed by the keeper.

Called by the owner's loop only, except `provide_spare` and the taking of `rolled`: those are the
keeper's. `spare` is set by the one and taken by the other; no lock is needed.
"""

import errno
import os
from collections import deque
from collections.abc import Callable
from pathlib import Path

from tollway.adapters.journal.medium import Medium
from tollway.adapters.journal.options import Fsync, JournalOptions
from tollway.adapters.journal.record import END_RECORD
from tollway.adapters.journal.segment import SPARE, Segment, make_spare, segment_path


class SegmentChain:
    """Raises OSError from its constructor when there is no room for the first segment."""

    __slots__ = (
        "_at",
        "_bytes",
        "_directory",
        "_limit",
        "_medium",
        "_options",
        "_spare_room",
        "current",
        "number",
        "on_roll",
        "renames",
        "rolled",
        "spare",
    )

    def __init__(
        self, directory: Path, number: int, options: JournalOptions, medium: Medium
    ) -> None:
        self._directory = directory
        self._options = options
        self._medium = medium
        self._limit = options.segment_bytes - len(END_RECORD)
        # One record may not fit at the end of the current segment: that much can go to waste.
        self._spare_room = self._limit - options.max_record_bytes
        self.on_roll: Callable[[], None] = _nothing
        self.rolled: deque[Segment] = deque()
        self.spare: Segment | None = None
        self.renames = 0
        self.number = number - 1
        self.provide_spare()
        self.current = self._take_spare()
        self._bytes = self.current.bytes
        self._at = 0

    @property
    def end(self) -> tuple[int, int]:
        """The place behind what was appended last; (0, 0) before the first of this process."""
        return (self.number, self._at) if self._at else (0, 0)

    @property
    def room_bytes(self) -> int:
        """What can be appended for sure without asking the disk for more."""
        return self._limit - self._at + (0 if self.spare is None else self._spare_room)

    def admits(self, size_bytes: int, owed_bytes: int) -> bool:
        """Whether a record fits and leaves room for all that is owed."""
        left = self._limit - self._at - size_bytes
        if left >= 0:
            return (left if self.spare is None else left + self._spare_room) >= owed_bytes
        return self.spare is not None and self._limit - size_bytes >= owed_bytes

    def append(self, record: bytes) -> None:
        """Store a record: one slice store, or a roll first. Raises OSError (no spare)."""
        at = self._at
        end = at + len(record)
        if end > self._limit:
            self._roll()
            at, end = 0, len(record)
        self._bytes[at:end] = record
        self._at = end

    def provide_spare(self) -> None:
        """Make the next segment ready, if none is. Raises OSError."""
        if self.spare is None:
            self.spare = make_spare(
                self._directory,
                self._options.segment_bytes,
                self._medium,
                sync=self._options.fsync is not Fsync.OFF,
            )

    def close(self) -> None:
        """Give all descriptors back; what was appended stays."""
        for segment in (*self.rolled, self.current, self.spare):
            if segment is not None:
                segment.close()
        self.rolled.clear()
        self.on_roll = _nothing  # the keeper's method holds us, and the mappings with us

    def _roll(self) -> None:
        old = self.current
        # The name first, then the end mark: whoever reads the mark finds the next segment.
        self.current = self._take_spare()
        old.bytes[self._at : self._at + len(END_RECORD)] = END_RECORD
        self._bytes = self.current.bytes
        self._at = 0
        self.rolled.append(old)
        self.on_roll()

    def _take_spare(self) -> Segment:
        spare = self.spare
        if spare is None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._directory))
        number = self.number + 1
        self._medium.rename(f"{self._directory}/{SPARE}", segment_path(self._directory, number))
        self.number = number
        self.spare = None
        self.renames += 1
        return spare


def _nothing() -> None:
    """Nobody wants to know."""
