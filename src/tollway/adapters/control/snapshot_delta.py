"""What became of a base since: records appended to a file beside it. A record that is torn or does
not hold its checksum ends the reading; what follows a gap in the versions is not taken either.

Form: magic, the base's id, then records (`u32` length, `u32` CRC-32, a `Part`). A version may take
several parts: it is served only when its last one was read.
"""

import os
import struct
from collections.abc import Iterator
from itertools import islice
from zlib import crc32

import msgspec

from tollway.adapters.control.snapshot_base import Peppers
from tollway.adapters.control.snapshot_rows import SECTIONS, Section, rows_of
from tollway.domain.snapshot import SnapshotChanges

_MAGIC = b"tollway-delta-4\n"
_RECORD = struct.Struct("<II")
ROWS_PER_PART = 500


class DeltaError(Exception):
    """The file is damaged or belongs to another base."""


class Part(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """At most 500 rows of what became of `since`; None in the place of a row's data: it is gone."""

    since: int
    version: int
    last: bool
    peppers: Peppers
    rows: tuple[tuple[Section, str, bytes | None], ...]


_decode = msgspec.msgpack.Decoder(Part).decode
_encode = msgspec.msgpack.Encoder().encode


def delta_path(run_dir: str, base_id: str) -> str:
    """Where the delta of a base stands."""
    return os.path.join(run_dir, f"snapshot-{base_id}.delta")


def head_of(base_id: str) -> bytes:
    """What a base's delta begins with."""
    return _MAGIC + base_id.encode() + b"\n"


def parts_of(changes: SnapshotChanges) -> Iterator[bytes]:
    """Changes as records, in order."""
    rows = changes.rows
    given: Iterator[tuple[Section, str, bytes | None]] = iter(
        [
            *((SECTIONS[kind], id_, None) for kind, id_ in changes.removed),
            *((row.section, row.key, row.data) for row in rows_of(rows)),
        ]
    )
    part = tuple(islice(given, ROWS_PER_PART))
    while True:
        following = tuple(islice(given, ROWS_PER_PART))
        last = not following
        data = _encode(Part(changes.since, rows.version, last, rows.peppers, part))
        yield _RECORD.pack(len(data), crc32(data)) + data
        if last:
            return
        part = following


class DeltaReader:
    """Reads a base's delta on from where it stopped. A file that is not there yet is empty."""

    __slots__ = ("_at", "_fd", "_head", "_path")

    def __init__(self, run_dir: str, base_id: str) -> None:
        self._path = delta_path(run_dir, base_id)
        self._head = head_of(base_id)
        self._fd = -1
        self._at = 0

    @property
    def size(self) -> int:
        """The file's size by now: whether there may be news. One system call."""
        try:
            return os.stat(self._path).st_size
        except FileNotFoundError:
            return 0

    @property
    def whole(self) -> int:
        """How far the file was read: to the end of its last whole record."""
        return self._at

    def parts(self) -> Iterator[Part]:
        """The records that came since. Raises DeltaError, OSError."""
        if self._fd < 0:
            try:
                self._fd = os.open(self._path, os.O_RDONLY)
            except FileNotFoundError:
                return
        if self._at == 0:
            head = os.pread(self._fd, len(self._head), 0)
            if head != self._head:
                raise DeltaError("the delta belongs to another base")
            self._at = len(head)
        if os.fstat(self._fd).st_size < self._at:
            raise DeltaError("the delta was cut")
        while (part := self._next()) is not None:
            yield part

    def _next(self) -> Part | None:
        head = os.pread(self._fd, _RECORD.size, self._at)
        if len(head) < _RECORD.size:
            return None
        length, checksum = _RECORD.unpack(head)
        data = os.pread(self._fd, length, self._at + _RECORD.size)
        if len(data) < length:
            return None
        if crc32(data) != checksum:
            raise DeltaError("a record of the delta is damaged")
        try:
            part = _decode(data)
        except msgspec.DecodeError as error:
            raise DeltaError(f"a record of the delta cannot be read: {error}") from error
        self._at += _RECORD.size + length
        return part

    def close(self) -> None:
        """Let go of the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __del__(self) -> None:
        self.close()
