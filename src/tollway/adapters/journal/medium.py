"""Every act on the disk that a crash can fall between. Nothing else in this package allocates,
maps, syncs, renames or deletes: tests count and break these calls, and the stores into what
`map_bytes` and `map_words` return, one by one.
"""

import mmap
import os
from typing import Protocol


class ByteStore(Protocol):
    """A mapped segment: one slice store is one record."""

    def __setitem__(self, key: slice, value: bytes, /) -> None: ...


class WordStore(Protocol):
    """A mapped file of 64-bit words. One store is one aligned machine store, so a kill leaves the
    old or the new number, never a mixture."""

    def __getitem__(self, index: int, /) -> int: ...

    def __setitem__(self, index: int, value: int, /) -> None: ...


class Medium:
    """The real disk. Every method raises OSError."""

    def allocate(self, fd: int, size_bytes: int) -> None:
        """Give the file real blocks, so that a full disk shows here and never as SIGBUS."""
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(fd, 0, size_bytes)
            return
        missing = size_bytes - os.fstat(fd).st_size
        if missing > 0:
            os.pwrite(fd, bytes(missing), size_bytes - missing)

    def map_bytes(self, fd: int, size_bytes: int) -> ByteStore:
        """The file as memory, shared with the page cache."""
        return mmap.mmap(fd, size_bytes)

    def map_words(self, fd: int, size_bytes: int) -> WordStore:
        """The file as native 64-bit words."""
        return memoryview(mmap.mmap(fd, size_bytes)).cast("Q")

    def sync(self, fd: int) -> None:
        """Force a file's or a folder's data to the disk. Not `mmap.flush`: that keeps the
        interpreter lock while the disk works; fdatasync writes back mapped pages as well."""
        getattr(os, "fdatasync", os.fsync)(fd)

    def rename(self, old: str, new: str) -> None:
        """Atomic, within one folder."""
        os.rename(old, new)

    def unlink(self, path: str) -> None:
        """Delete a name; who has the file open keeps it."""
        os.unlink(path)


DISK = Medium()
