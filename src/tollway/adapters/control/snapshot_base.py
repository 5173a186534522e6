"""The base of a snapshot: a file of rows that workers map. A look-up is a probe into an index of
open addresses (linear probing, at most half full), so nothing is loaded and every worker of a
machine shares the same pages.

Form: magic, rows (`u16` key length, `u32` data length, key, data), one index a section (`u64` a
slot: 40 bits of the row's offset, 24 bits of the key's hash; 0 is empty), header, footer. The hash
is keyed by the file, so that nobody can choose names that collide. The footer comes last: a file
that was cut has none, and is no base.
"""

import mmap
import os
import struct
from array import array
from collections.abc import Callable, Iterator
from hashlib import blake2b
from typing import BinaryIO
from zlib import crc32

import msgspec

from tollway.adapters.control.snapshot_rows import Section

MAGIC = b"tollway-snapshot-4\n\0\0\0\0\0"
_ROW = struct.Struct("<HI")
_FOOTER = struct.Struct("<QII")  # the header's offset, length and CRC-32
_TAG = 0xFFFFFF
_TAG_BITS = 24
_MAX_SIZE = 1 << 40
_FEW = 16
_BATCH = 10_000

Peppers = tuple[tuple[int, bytes], ...]


class BaseError(Exception):
    """The file is no base, or not a whole one."""


class Place(msgspec.Struct, frozen=True, array_like=True):
    """A section's index: where it begins, how many slots it has (a power of two), of rows."""

    offset: int
    slots: int
    rows: int


class Header(msgspec.Struct, frozen=True):
    """What a base is. `id` names it and its delta."""

    id: str
    version: int
    peppers: Peppers
    salt: bytes
    sections: dict[int, Place]
    size: int  # of the file, header and footer left out

    @property
    def rows(self) -> int:
        """All rows, of every section."""
        return sum(place.rows for place in self.sections.values())


_read_header = msgspec.msgpack.Decoder(Header).decode


class Base:
    """A mapped base. Its pages are let go with the last reference to it."""

    __slots__ = ("_map", "_salt", "_slots", "header")

    def __init__(self, path: str) -> None:
        """Raises BaseError, OSError."""
        with open(path, "rb") as file:
            self._map = _mapped(file.fileno())
        self.header = header = _header(self._map)
        self._salt = header.salt
        view = memoryview(self._map)
        self._slots = [
            view[place.offset : place.offset + 8 * place.slots].cast("Q")
            for place in (header.sections[section] for section in Section)
        ]

    def find(self, section: Section, key: str) -> bytes | None:
        """The row's data, or None. About 2 us."""
        raw = key.encode("utf-8", "surrogatepass")
        digest = _hash(raw, self._salt)
        tag, slots, mapped = digest & _TAG, self._slots[section], self._map
        mask = len(slots) - 1
        at = (digest >> _TAG_BITS) & mask
        while entry := slots[at]:
            if entry & _TAG == tag:
                offset = entry >> _TAG_BITS
                key_size, size = _ROW.unpack_from(mapped, offset)
                begin = offset + _ROW.size
                end = begin + key_size
                if mapped[begin:end] == raw:
                    return mapped[end : end + size]
            at = (at + 1) & mask
        return None


class BaseWriter:
    """Writes a base row by row, in memory of 16 bytes a row and a section's index."""

    def __init__(self, file: BinaryIO, base_id: str, *, pace: Callable[[], None]) -> None:
        """`pace` is called after every few thousand steps; it may wait, or raise to give up."""
        self._file = file
        self._id = base_id
        self._salt = os.urandom(16)
        self._pace = pace
        self._at = len(MAGIC)
        self._hashes = {section: array("Q") for section in Section}
        self._offsets = {section: array("Q") for section in Section}
        file.write(MAGIC)

    def add(self, section: Section, key: str, data: bytes) -> None:
        """One row. A key is given once."""
        raw = key.encode("utf-8", "surrogatepass")
        self._hashes[section].append(_hash(raw, self._salt))
        self._offsets[section].append(self._at)
        head = _ROW.pack(len(raw), len(data))
        self._file.write(head + raw + data)
        self._at += len(head) + len(raw) + len(data)

    def finish(self, version: int, peppers: Peppers) -> Header:
        """The indices, the header and the footer. The file is flushed, not yet on disk."""
        places = {}
        for section in Section:
            self._file.write(bytes(-self._at % 8))
            self._at += -self._at % 8
            slots = self._index(section)
            places[int(section)] = Place(self._at, len(slots), len(self._offsets[section]))
            slots.tofile(self._file)
            self._at += 8 * len(slots)
        if self._at >= _MAX_SIZE:
            raise BaseError("the configuration does not fit into a base")
        header = Header(self._id, version, peppers, self._salt, places, self._at)
        data = msgspec.msgpack.encode(header)
        self._file.write(data + _FOOTER.pack(self._at, len(data), crc32(data)))
        self._file.flush()
        return header

    def _index(self, section: Section) -> "array[int]":
        hashes, offsets = self._hashes[section], self._offsets[section]
        count = 1 << (max(_FEW, 2 * len(offsets)) - 1).bit_length()
        slots, mask = array("Q", bytes(8 * count)), count - 1
        for batch in _batches(len(offsets)):
            for number in batch:
                digest = hashes[number]
                at = (digest >> _TAG_BITS) & mask
                while slots[at]:
                    at = (at + 1) & mask
                slots[at] = offsets[number] << _TAG_BITS | digest & _TAG
            self._pace()
        return slots


def _batches(count: int) -> Iterator[range]:
    return (range(at, min(at + _BATCH, count)) for at in range(0, count, _BATCH))


def _hash(raw: bytes, salt: bytes) -> int:
    return int.from_bytes(blake2b(raw, digest_size=8, key=salt).digest(), "little")


def _mapped(fd: int) -> mmap.mmap:
    if os.fstat(fd).st_size < len(MAGIC) + _FOOTER.size:
        raise BaseError("the file is too short")
    return mmap.mmap(fd, 0, prot=mmap.PROT_READ)


def _header(mapped: mmap.mmap) -> Header:
    """The header of a whole base. Its checksum covers where everything stands; rows are trusted,
    since a base is renamed into place only after it was written and synced."""
    if mapped[: len(MAGIC)] != MAGIC:
        raise BaseError("the file is of another format")
    footer = len(mapped) - _FOOTER.size
    offset, length, checksum = _FOOTER.unpack_from(mapped, footer)
    data = mapped[offset:footer]
    if len(data) != length or crc32(data) != checksum:
        raise BaseError("the file is not whole")
    try:
        header = _read_header(data)
    except msgspec.DecodeError as error:
        raise BaseError(f"the header cannot be read: {error}") from error
    if header.size != offset or any(int(section) not in header.sections for section in Section):
        raise BaseError("the header does not fit the file")
    return header
