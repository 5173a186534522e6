"""Whether a slot's journal has usage that the shared counters were not told of: what was let in
without them. An empty file in the slot's folder says so, and outlives the process.
"""

import logging
import os
from contextlib import suppress
from pathlib import Path

from tollway.adapters.journal.medium import DISK, Medium
from tollway.adapters.journal.slots import SlotLock, is_held, slot_folders, take_slot

_NAME = "untold"
_log = logging.getLogger(__name__)


class UntoldFile:
    """`Untold` of the slot that `lock` holds; besides it inherits those of slots nobody holds."""

    def __init__(self, lock: SlotLock, medium: Medium = DISK) -> None:
        self._own = lock.directory / _NAME
        self._medium = medium
        self._marked = self._own.exists()
        self._inherited = [self._own] if self._marked else []
        self._inherited += [
            folder / _NAME
            for folder in slot_folders(lock.directory.parent)
            if folder != lock.directory and (folder / _NAME).exists() and not is_held(folder)
        ]

    @property
    def inherited(self) -> bool:
        """Whether the counters have to be taken from the ledger for what others left."""
        return bool(self._inherited)

    def settle(self) -> None:
        """The counters have begun again from the ledger: what was inherited is in them."""
        for path in self._inherited:
            self._settle(path)
        self._inherited = []

    def mark(self) -> bool:
        """Something is let in that will have to be told; False: that cannot be noted."""
        if not self._marked:
            try:
                os.close(os.open(self._own, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
            except OSError as error:
                _log.error("no share of a limit is given out", extra={"error": str(error)})
                return False
            self._marked = True
        return True

    def clear(self) -> None:
        """All of our own was told."""
        if self._marked and self._own not in self._inherited:
            self._remove(self._own)
            self._marked = False

    def _settle(self, path: Path) -> None:
        # Our own stays until what we let in meanwhile was told too.
        if path == self._own:
            return
        lock = take_slot(path.parent.parent, int(path.parent.name))
        if lock is not None:  # else somebody goes on there, who has inherited it as well
            self._remove(path)
            lock.release()

    def _remove(self, path: Path) -> None:
        with suppress(OSError):  # one that stays costs another beginning, later
            self._medium.unlink(str(path))
