"""Making a journal ready: first everything a dead owner left open gets its outcome, then a new
segment and a clean progress file. The order is what makes a crash in here harmless.
"""

import time
from collections.abc import Callable

from tollway.adapters.journal.chain import SegmentChain
from tollway.adapters.journal.keeper import Keeper
from tollway.adapters.journal.medium import DISK, Medium
from tollway.adapters.journal.options import JournalOptions
from tollway.adapters.journal.progress import open_progress, read_progress
from tollway.adapters.journal.record import outcome_record
from tollway.adapters.journal.recovery import Recovery, Survey, close_open, survey_slot
from tollway.adapters.journal.slots import SlotLock
from tollway.adapters.journal.startup import unusable
from tollway.adapters.journal.writer import DiskJournal


def open_journal(
    lock: SlotLock,
    options: JournalOptions,
    *,
    medium: Medium = DISK,
    now_ns: Callable[[], int] = time.time_ns,
    threaded: bool = True,
) -> DiskJournal:
    """Recover what the slot's last owner left open, then start a new segment's worth of work.

    `recovery` of the result says what was found. Raises JournalUnusableError.
    """
    survey = survey_slot(lock.directory)
    try:
        chain, keeper, recovery = _recover(lock, survey, options, medium, now_ns)
        progress = open_progress(lock.directory, options.progress_slots, medium)
    except OSError as error:
        raise unusable(lock.directory, error, options.segment_bytes) from error
    keeper.progress_fd = progress.fd
    if threaded:
        keeper.start()
    return DiskJournal(chain, keeper, progress, options, recovery)


def recover_slot(
    lock: SlotLock,
    options: JournalOptions,
    *,
    medium: Medium = DISK,
    now_ns: Callable[[], int] = time.time_ns,
) -> Recovery:
    """Close what a dead owner left open in a slot that nobody will serve from now.

    Raises JournalUnusableError; trying again later is safe.
    """
    survey = survey_slot(lock.directory)
    if not survey.open and not survey.tail_damaged:
        return Recovery([], survey.damaged, 0)
    try:
        chain, keeper, recovery = _recover(lock, survey, options, medium, now_ns)
    except OSError as error:
        raise unusable(lock.directory, error, options.segment_bytes) from error
    keeper.stop()
    chain.close()
    return recovery


def _recover(
    lock: SlotLock,
    survey: Survey,
    options: JournalOptions,
    medium: Medium,
    now_ns: Callable[[], int],
) -> tuple[SegmentChain, Keeper, Recovery]:
    """A new segment with the outcomes of all open intents, on the disk whatever the policy: the
    progress entries they were made from are wiped next."""
    # One number is skipped: power loss may have undone the last rename while a cursor stands in
    # that segment already.
    first = survey.newest + 2 if survey.newest else 1
    chain = SegmentChain(lock.directory, first, options, medium)
    keeper = Keeper(lock.directory, chain, options, medium)
    outcomes, recovery = close_open(survey, read_progress(lock.directory), now_ns())
    if outcomes:
        keeper.wake()
    for ticket, receipt in outcomes:
        chain.append(outcome_record(receipt, ticket, options.max_record_bytes))
    failures: list[OSError | None] = []
    keeper.commit(failures.append)
    if failures[0] is not None:
        raise failures[0]
    return chain, keeper, recovery
