"""Who owns which slot. A slot's journal is written by the process that holds the lock in its
folder; the kernel frees the lock with its process, however that ends.

The lock belongs to the open file: never fork without exec while holding one, the child would
share it.
"""

import fcntl
import os
import secrets
import time
from pathlib import Path

from tollway.adapters.journal.startup import checked_folder

_LOCK = "lock"
_IDENTITY = "identity"
_PAUSE_S = 0.005
_PROBE_S = 0.02  # a reader's probe holds the lock for microseconds
RECOVERY_S = 0.5  # the keeper's recovery of a dead slot, for some ten milliseconds


class SlotLock:
    """A slot held by this process. `source` names its journal in the ledger's cursors: it is
    made anew when the folder is, since positions in another journal mean nothing here."""

    __slots__ = ("_fd", "directory", "slot", "source")

    def __init__(self, fd: int, directory: Path, slot: int) -> None:
        self._fd = fd
        self.directory = directory
        self.slot = slot
        self.source = _identify(directory, slot)

    def release(self) -> None:
        """Give the slot back. Call once, after its journal was closed."""
        os.close(self._fd)


def acquire_slot(
    journal_dir: Path, preferred: int = 0, *, slots: int = 256, wait_s: float = RECOVERY_S
) -> SlotLock | None:
    """The preferred slot, waiting a little for it, or the first free one; None when all are held.

    Raises JournalUnusableError when the folder cannot be used.
    """
    lock = take_slot(journal_dir, preferred, wait_s=wait_s)
    if lock is not None:
        return lock
    for slot in range(slots):
        lock = None if slot == preferred else take_slot(journal_dir, slot)
        if lock is not None:
            return lock
    return None


def take_slot(journal_dir: Path, slot: int, *, wait_s: float = _PROBE_S) -> SlotLock | None:
    """Exactly this slot; None when another process (or this one) holds it."""
    directory = checked_folder(checked_folder(journal_dir) / str(slot))
    fd = os.open(directory / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    end = time.monotonic() + wait_s
    while not _locked(fd):
        if time.monotonic() >= end:
            os.close(fd)
            return None
        time.sleep(_PAUSE_S)
    os.pwrite(fd, f"{os.getpid():<20}\n".encode(), 0)
    return SlotLock(fd, directory, slot)


def is_held(directory: Path) -> bool:
    """Whether a living process owns the slot. Takes and frees the lock to find out."""
    try:
        fd = os.open(directory / _LOCK, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def holder_pid(directory: Path) -> int | None:
    """The process that took the lock last, for messages; it may be gone."""
    try:
        text = (directory / _LOCK).read_text(encoding="ascii")
    except FileNotFoundError:
        return None
    return int(text) if text.strip().isdigit() else None


def slot_folders(journal_dir: Path) -> list[Path]:
    """The folders of all slots that ever were, by number."""
    try:
        names = os.listdir(journal_dir)
    except FileNotFoundError:
        return []
    return [journal_dir / name for name in sorted(filter(str.isdigit, names), key=int)]


def source_of(directory: Path) -> str | None:
    """The journal's name in the ledger; None when its first owner has not made it yet."""
    try:
        mark = (directory / _IDENTITY).read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None
    return f"{mark}-{directory.name}"


def _locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _identify(directory: Path, slot: int) -> str:
    source = source_of(directory)
    if source is not None:
        return source
    new = directory / f"{_IDENTITY}.new"
    new.write_text(secrets.token_hex(8), encoding="ascii")
    os.rename(new, directory / _IDENTITY)
    for folder in (directory, directory.parent, directory.parent.parent):
        _sync_folder(folder)
    return f"{(directory / _IDENTITY).read_text(encoding='ascii')}-{slot}"


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
