"""What lies in the journals, for `tollway doctor` and `ledger verify`. Reads only: no lock is kept,
nothing is repaired or counted as shipped.
"""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from tollway.adapters.journal.progress import read_progress
from tollway.adapters.journal.record import (
    INTENT,
    INTENTS,
    OUTCOME,
    OUTCOMES,
    DamagedRecordError,
)
from tollway.adapters.journal.scan import Position, walk
from tollway.adapters.journal.segment import segment_numbers
from tollway.adapters.journal.slots import holder_pid, is_held, slot_folders, source_of
from tollway.app.ports import Progress
from tollway.domain.receipt import Intent, Receipt


class Entry(NamedTuple):
    """One record and the position behind it; `record` is None for damage."""

    record: Intent | Receipt | None
    ticket: int
    after: Position


class OpenAttempt(NamedTuple):
    """An intent without an outcome, and what its progress slot says if it is still its own."""

    intent: Intent
    progress: Progress | None


class SlotReport(NamedTuple):
    """One slot's journal at a glance. `pid` is who took the lock last; `held` whether it lives."""

    slot: int
    source: str | None
    held: bool
    pid: int | None
    segments: list[int]
    size_bytes: int
    intents: int
    outcomes: int
    open: list[OpenAttempt]
    damaged: int


def inspect_journals(journal_dir: Path) -> list[SlotReport]:
    """All slots of this machine, by number. An owner may write meanwhile: attempts that began
    after the look are not in it."""
    return [inspect_slot(directory) for directory in slot_folders(journal_dir)]


def inspect_slot(directory: Path) -> SlotReport:
    """One slot, from its folder."""
    intents = outcomes = damaged = 0
    pending: dict[int, Intent] = {}
    for entry in entries(directory):
        if isinstance(entry.record, Intent):
            intents += 1
            pending[entry.ticket] = entry.record
        elif entry.record is not None:
            outcomes += 1
            pending.pop(entry.ticket, None)
        else:
            damaged += 1
    slots = read_progress(directory)
    return SlotReport(
        int(directory.name),
        source_of(directory),
        is_held(directory),
        holder_pid(directory),
        segment_numbers(directory),
        sum(entry.stat().st_size for entry in os.scandir(directory)),
        intents,
        outcomes,
        [OpenAttempt(intent, _own(intent, slots)) for intent in pending.values()],
        damaged,
    )


def entries(directory: Path, after: Position = (0, 0)) -> Iterator[Entry]:
    """Every record of a slot behind a position, oldest first; damage in its place."""
    for stretch in walk(directory, after, partial(is_held, directory)):
        for _ in range(stretch.damaged):
            yield Entry(None, 0, (stretch.number, stretch.base))
        for kind, ticket, start, stop, end in stretch.frames:
            record = _decoded(kind, stretch.data[start:stop])
            yield Entry(record, ticket, (stretch.number, stretch.base + end))


def _decoded(kind: int, body: bytes) -> Intent | Receipt | None:
    try:
        if kind == INTENT:
            return INTENTS.decode(body)
        return OUTCOMES.decode(body) if kind == OUTCOME else None
    except DamagedRecordError:
        return None


def _own(intent: Intent, slots: list[Progress]) -> Progress | None:
    entry = slots[intent.slot] if 0 <= intent.slot < len(slots) else None
    return entry if entry is not None and entry.ticket == intent.ticket else None
