"""Reading segments: which bytes are records, which are not written yet, and which are damage.

A segment is final when a higher one exists or its owner is dead. In a final segment everything
must be a record, the end mark or untouched zeros; the rest is damage and is stepped over. At the
tail of a live segment a wrong checksum is a record being stored right now: it is left for later.
"""

import os
import re
from collections.abc import Callable, Iterator
from enum import Enum, auto
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

from tollway.adapters.journal.options import RECORD_LIMIT_BYTES
from tollway.adapters.journal.record import (
    END,
    FRAME_BYTES,
    HEAD,
    HEAD_BYTES,
    KINDS,
    LENGTH_MASK,
)
from tollway.adapters.journal.segment import segment_numbers, segment_path

Position = tuple[int, int]  # (segment, offset)
IsLive = Callable[[], bool]
Frame = tuple[int, int, int, int, int]  # kind, ticket, body from, body to, next record

_CHUNK_BYTES = 4 * RECORD_LIMIT_BYTES
_MIN_LENGTH = 8  # the ticket
_ZEROS = re.compile(rb"\0*")  # ten times as fast as a search for what is not zero


class Stop(Enum):
    """Why a run of records ended."""

    MORE = auto()  # the data ends before the record does
    EMPTY = auto()  # zeros: nothing was written here
    MARK = auto()  # the end mark
    BAD = auto()  # neither


class Stretch(NamedTuple):
    """A run of records of one segment. `data` was read at offset `base` of it; `damaged` counts
    what was stepped over before them; `after` is the position behind everything in here."""

    number: int
    base: int
    data: bytes
    frames: list[Frame]
    damaged: int
    after: Position


def split(data: bytes) -> tuple[list[Frame], int, Stop]:
    """The records at the start of the data, where they stop, and why. Offsets are into `data`."""
    frames: list[Frame] = []
    add, unpack = frames.append, HEAD.unpack_from
    at, size = 0, len(data)
    view = memoryview(data)
    while at + HEAD_BYTES <= size:
        word, crc, ticket = unpack(data, at)
        if not word:
            return frames, at, Stop.EMPTY
        length = word & LENGTH_MASK
        end = at + FRAME_BYTES + (length + 7 & -8)
        if not _MIN_LENGTH <= length <= RECORD_LIMIT_BYTES:
            return frames, at, Stop.BAD
        if end > size:
            return frames, at, Stop.MORE
        if crc32(view[at + FRAME_BYTES : end], word) != crc:
            return frames, at, Stop.BAD
        if word >> 24 == END:
            return frames, at, Stop.MARK
        add((word >> 24, ticket, at + HEAD_BYTES, at + FRAME_BYTES + length, end))
        at = end
    return frames, at, Stop.MORE


def find_record(data: bytes, start: int) -> int | None:
    """The first offset from `start` (a multiple of 8) at which a whole, right record stands."""
    at = start
    while (at := _past_zeros(data, at)) < len(data):
        at &= -8
        if is_record(data, at):
            return at
        at += 8
    return None


def _past_zeros(data: bytes, at: int) -> int:
    found = _ZEROS.match(data, at)
    return at if found is None else found.end()


def is_record(data: bytes, at: int) -> bool:
    """Whether a whole, right record of a known kind stands exactly here."""
    if at + HEAD_BYTES > len(data):
        return False
    word, crc, _ = HEAD.unpack_from(data, at)
    if word >> 24 not in KINDS:
        return False
    length = word & LENGTH_MASK
    end = at + FRAME_BYTES + (length + 7 & -8)
    if not _MIN_LENGTH <= length <= RECORD_LIMIT_BYTES or end > len(data):
        return False
    return bool(crc32(memoryview(data)[at + FRAME_BYTES : end], word) == crc)


def walk(directory: Path, after: Position, is_live: IsLive | None) -> Iterator[Stretch]:
    """Everything recorded behind a position, oldest first, up to what is written by now.

    `is_live` tells whether somebody may still be writing the newest segment; it is asked only
    when its tail is not a right record. None: nobody can (the caller holds the slot's lock).
    """
    # The list comes first: the owner writes no record into a segment after a higher one exists,
    # so whatever is read from now on in any but the last is all there will ever be.
    numbers = [number for number in segment_numbers(directory) if number >= after[0]]
    for index, number in enumerate(numbers):
        successor = numbers[index + 1] if index + 1 < len(numbers) else None
        start = after[1] if number == after[0] else 0
        try:
            fd = os.open(segment_path(directory, number), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue  # forgotten since the list was made
        try:
            yield from _SegmentWalk(fd, number, successor, is_live).run(start)
        finally:
            os.close(fd)
        if successor is not None:
            yield Stretch(number, 0, b"", [], 0, (successor, 0))


class _SegmentWalk:
    """One segment from an offset on."""

    def __init__(self, fd: int, number: int, successor: int | None, is_live: IsLive | None) -> None:
        self._fd = fd
        self._number = number
        self._is_live = None if successor is not None else is_live
        self._size = os.fstat(fd).st_size
        self._damaged = 0

    def run(self, start: int) -> Iterator[Stretch]:
        at: int | None = start
        while at is not None:
            data = os.pread(self._fd, _CHUNK_BYTES, at)
            frames, used, stop = split(data)
            if frames:
                after = (self._number, at + used)
                yield Stretch(self._number, at, data, frames, self._take_damage(), after)
            at += used
            if stop is Stop.MARK:
                break
            if stop is Stop.MORE and frames and at < self._size:
                continue
            at = self._pass(at, stop)
        if self._damaged:
            after = (self._number, self._size)
            yield Stretch(self._number, self._size, b"", [], self._take_damage(), after)

    def _pass(self, at: int, stop: Stop) -> int | None:
        """Where to go on behind something that is no record; None: here is the end."""
        if at >= self._size:
            return None
        if self._is_live is not None:
            if stop is Stop.EMPTY:
                return None
            if self._is_live():
                return self._pass_live(at)
        tail = os.pread(self._fd, self._size - at, at)
        if _past_zeros(tail, 0) == len(tail):
            return None
        return self._step_over(at, tail)

    def _pass_live(self, at: int) -> int | None:
        tail = os.pread(self._fd, self._size - at, at)
        if find_record(tail, FRAME_BYTES) is None:
            return None
        # A later record is there, so this one was finished before it: look again, and believe
        # what is seen now.
        tail = os.pread(self._fd, self._size - at, at)
        return at if is_record(tail, 0) else self._step_over(at, tail)

    def _step_over(self, at: int, tail: bytes) -> int | None:
        self._damaged += 1
        found = find_record(tail, FRAME_BYTES)
        return None if found is None else at + found

    def _take_damage(self) -> int:
        damaged, self._damaged = self._damaged, 0
        return damaged
