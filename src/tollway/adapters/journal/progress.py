"""The progress file: how far each attempt under way has come, one 64-byte entry per slot, updated
before each write to a client and never synced on the way (a killed process loses no store).

Entry: ticket, state, events, content bytes, four words unused; all native 64-bit. Entry 0 of the
file is its head. Stores of one entry are ordered so that a kill between any two leaves a true
statement: totals only grow while a ticket lives, and a state is set after what it speaks of.
"""

import os
from pathlib import Path

from tollway.adapters.journal.medium import Medium, WordStore
from tollway.app.ports import Progress

FREE, INTENDED, SENT, STREAMING = range(4)
ENTRY_BYTES = 64
WORDS = ENTRY_BYTES // 8  # words per entry
TICKET, STATE, EVENTS, CONTENT_BYTES = range(4)

_NAME = "progress"
_MAGIC = int.from_bytes(b"TOLLPRG1", "little")


class ProgressFile:
    """The owner's mapping. The hot path stores into `words` itself; entry n begins at word
    `(n + 1) * WORDS`."""

    __slots__ = ("fd", "slots", "words")

    def __init__(self, fd: int, words: WordStore, slots: int) -> None:
        self.fd = fd
        self.words = words
        self.slots = slots

    def close(self) -> None:
        """Give the descriptor back; the mapping goes with the last reference."""
        os.close(self.fd)


def open_progress(directory: Path, slots: int, medium: Medium) -> ProgressFile:
    """The slot's file with all entries free. Only after everything it said was recovered.

    A file of the right size is used again, so that a restart needs no room on a full disk.
    Raises OSError.
    """
    path = f"{directory}/{_NAME}"
    size_bytes = (slots + 1) * ENTRY_BYTES
    if not _has_size(path, size_bytes):
        _create(path, slots, size_bytes, medium)
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    words = medium.map_words(fd, size_bytes)
    for slot in range(slots):
        if words[(slot + 1) * WORDS + STATE] != FREE:
            words[(slot + 1) * WORDS + STATE] = FREE
    return ProgressFile(fd, words, slots)


def read_progress(directory: Path) -> list[Progress]:
    """What the file says, by slot; empty when there is no file or it is not one of ours."""
    try:
        with open(f"{directory}/{_NAME}", "rb") as file:
            data = file.read()
    except FileNotFoundError:
        return []
    words = memoryview(data[: len(data) & -ENTRY_BYTES]).cast("Q")
    if not words or words[0] != _MAGIC:
        return []
    return [Progress(*words[at : at + 4]) for at in range(WORDS, len(words), WORDS)]


def _has_size(path: str, size_bytes: int) -> bool:
    try:
        with open(path, "rb") as file:
            head = int.from_bytes(file.read(8), "little")
            return head == _MAGIC and os.fstat(file.fileno()).st_size == size_bytes
    except FileNotFoundError:
        return False


def _create(path: str, slots: int, size_bytes: int, medium: Medium) -> None:
    new = f"{path}.new"
    fd = os.open(new, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        medium.allocate(fd, size_bytes)
        os.pwrite(fd, _MAGIC.to_bytes(8, "little") + slots.to_bytes(8, "little"), 0)
        medium.sync(fd)
    finally:
        os.close(fd)
    medium.rename(new, path)
