"""Segment files: `NNNNNNNNNN.seg`, whole numbers that only grow and are never used twice, each
preallocated and mapped. The next one waits under the name `spare`.
"""

import contextlib
import os
from pathlib import Path

from tollway.adapters.journal.medium import ByteStore, Medium

SPARE = "spare"
_SUFFIX = ".seg"
_DIGITS = 10
_FILE_MODE = 0o600


def segment_path(directory: Path, number: int) -> str:
    """Where a segment lies."""
    return f"{directory}/{number:0{_DIGITS}d}{_SUFFIX}"


def segment_numbers(directory: Path) -> list[int]:
    """The segments of a slot, oldest first; empty when the slot has none."""
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return []
    return sorted(
        int(name[:_DIGITS])
        for name in names
        if name.endswith(_SUFFIX) and name[:_DIGITS].isdigit() and len(name) == _DIGITS + 4
    )


class Segment:
    """An open, mapped segment of the owner. `fd` belongs to it."""

    __slots__ = ("bytes", "fd", "size_bytes")

    def __init__(self, fd: int, store: ByteStore, size_bytes: int) -> None:
        self.fd = fd
        self.bytes = store
        self.size_bytes = size_bytes

    def close(self) -> None:
        """Give the descriptor back; the mapping goes with the last reference."""
        os.close(self.fd)


def make_spare(directory: Path, size_bytes: int, medium: Medium, *, sync: bool) -> Segment:
    """A zeroed, preallocated file named `spare`. Raises OSError; a full disk is given back what
    was taken.
    """
    path = f"{directory}/{SPARE}"
    # What lies there may hold old records: power loss can undo a rename and keep the data.
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, _FILE_MODE)
    try:
        medium.allocate(fd, size_bytes)
        if sync:
            medium.sync(fd)
        return Segment(fd, medium.map_bytes(fd, size_bytes), size_bytes)
    except OSError:
        os.close(fd)
        with contextlib.suppress(OSError):
            medium.unlink(path)
        raise
