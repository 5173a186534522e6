"""Small journals on disk for tests: tiny segments, no thread of their own unless asked for."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.fakes.receipts import an_intent, an_outcome
from tollway.adapters.journal.medium import DISK, Medium
from tollway.adapters.journal.opening import open_journal
from tollway.adapters.journal.options import Fsync, JournalOptions
from tollway.adapters.journal.slots import SlotLock, take_slot
from tollway.adapters.journal.writer import DiskJournal
from tollway.domain.receipt import Intent, Receipt

TINY = JournalOptions(fsync=Fsync.OFF, segment_bytes=4096, max_record_bytes=1024, progress_slots=8)
NOW_NS = 1_700_000_009_000_000_000


def slot_lock(journal_dir: Path, slot: int = 0) -> SlotLock:
    """The lock of a slot that must be free."""
    lock = take_slot(journal_dir, slot)
    assert lock is not None
    return lock


@contextmanager
def a_journal(
    journal_dir: Path,
    options: JournalOptions = TINY,
    *,
    medium: Medium = DISK,
    threaded: bool = False,
) -> Iterator[DiskJournal]:
    """An open journal of slot 0. Leaving it closes the files; open attempts stay open, as after
    a kill."""
    lock = slot_lock(journal_dir)
    try:
        journal = open_journal(
            lock, options, medium=medium, now_ns=lambda: NOW_NS, threaded=threaded
        )
        try:
            yield journal
        finally:
            journal.close()
    finally:
        lock.release()


def begin(journal: Any, request_id: str, **fields: Any) -> Intent | None:
    """Claim and intend; None when refused."""
    slot, ticket = journal.claim()
    intent = an_intent(request_id, slot=slot, ticket=ticket, **fields)
    return intent if journal.intend(intent) else None


def begun(journal: Any, request_id: str, **fields: Any) -> Intent:
    """Claim and intend; must not be refused."""
    intent = begin(journal, request_id, **fields)
    assert intent is not None
    return intent


def finish(journal: Any, intent: Intent, **fields: Any) -> Receipt:
    """Settle an attempt as finished."""
    receipt = an_outcome(intent.request_id, intent.attempt, **fields)
    journal.settle(intent.slot, receipt)
    return receipt
