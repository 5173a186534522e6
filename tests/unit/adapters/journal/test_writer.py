"""The owner's side: what it refuses, what it always has room for, and when `durable` returns."""

import asyncio
import errno
import itertools
import os
from pathlib import Path

import pytest

from tests.fakes.journals import TINY, a_journal, begin, begun, finish, slot_lock
from tests.fakes.receipts import an_outcome
from tollway.adapters.journal.medium import Medium
from tollway.adapters.journal.opening import open_journal
from tollway.adapters.journal.options import Fsync, JournalOptions, JournalUnusableError
from tollway.adapters.journal.reader import DiskJournalReader
from tollway.adapters.journal.segment import segment_numbers

ALWAYS = JournalOptions(
    fsync=Fsync.ALWAYS, segment_bytes=4096, max_record_bytes=1024, progress_slots=64
)


class FaultyMedium(Medium):
    """A disk that is full, or whose syncs fail, on demand; syncs are counted, not made."""

    def __init__(self) -> None:
        self.full = False
        self.sync_error = 0
        self.rename_error = 0
        self.syncs = 0

    def allocate(self, fd: int, size_bytes: int) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        super().allocate(fd, size_bytes)

    def rename(self, old: str, new: str) -> None:
        if self.rename_error:
            raise OSError(self.rename_error, os.strerror(self.rename_error))
        super().rename(old, new)

    def sync(self, fd: int) -> None:
        self.syncs += 1
        if self.sync_error:
            raise OSError(self.sync_error, os.strerror(self.sync_error))


def _receipts(journal_dir: Path) -> list[str]:
    reader = DiskJournalReader(journal_dir)
    (source,) = reader.sources()
    batch = reader.read(source, (0, 0), 10_000)
    assert batch.damaged == 0
    return [receipt.request_id for receipt in batch.receipts]


def test_it_rolls_over_many_segments(tmp_path: Path) -> None:
    """Nothing is lost where one segment ends and the next begins."""
    with a_journal(tmp_path / "j") as journal:
        for n in range(100):
            finish(journal, begun(journal, f"req_{n}"))
        assert _receipts(tmp_path / "j") == [f"req_{n}" for n in range(100)]
    assert len(segment_numbers(tmp_path / "j" / "0")) > 5


def test_settling_twice_is_a_bug(tmp_path: Path) -> None:
    """An attempt has one outcome; the second is not recorded."""
    with a_journal(tmp_path / "j") as journal:
        intent = begun(journal, "req_1")
        finish(journal, intent)
        with pytest.raises(AssertionError):
            finish(journal, intent)
        assert _receipts(tmp_path / "j") == ["req_1"]


def test_a_full_disk_refuses_new_work_but_settles_all_that_is_open(tmp_path: Path) -> None:
    """From the first refusal on every open attempt still finds room for the longest outcome it
    was promised, and when space returns work goes on without a restart (G-12)."""
    medium = FaultyMedium()
    with a_journal(tmp_path / "j", TINY, medium=medium) as journal:
        medium.full = True
        names, settled, done = itertools.count(), -1, 0
        while settled:
            opened = []
            while (intent := begin(journal, f"req_{next(names)}")) is not None:
                opened.append(intent)
            settled = len(opened)
            done += settled
            for intent in opened:
                finish(journal, intent, error="e" * 5000)
        refused = journal.health().refused
        assert begin(journal, "req_more") is None
        assert journal.health().refused == refused + 1
        assert journal.health().open == 0
        medium.full = False
        journal._keeper.wake()  # what the thread does every `retry_s`
        finish(journal, begun(journal, "req_after"))
        recorded = _receipts(tmp_path / "j")
    assert recorded[-1] == "req_after"
    assert len(recorded) == len(set(recorded)) == done + 1


def test_what_is_admitted_fits(tmp_path: Path) -> None:
    """However full the segment is when the disk fills up, no outcome is ever without room."""
    for filled in range(40):
        medium = FaultyMedium()
        folder = tmp_path / f"j{filled}"
        with a_journal(folder, ALWAYS, medium=medium) as journal:
            medium.full = True
            for n in range(filled):
                if (one := begin(journal, f"req_f{n}", end_user="u" * (37 * n % 300))) is not None:
                    finish(journal, one)
            opened = []
            while (one := begin(journal, f"req_{len(opened)}", end_user="u" * 99)) is not None:
                opened.append(one)
            for one in opened:
                # Close to all that is kept for an outcome, so that the space between the last
                # record and the segment's end is lost.
                finish(journal, one, error="e" * 444, end_user=one.end_user)
            assert journal.health().owed_bytes == 0


def test_a_roll_that_fails_loses_nothing(tmp_path: Path) -> None:
    """When the next segment cannot be named, work is refused and the current one stays whole."""
    medium = FaultyMedium()
    with a_journal(tmp_path / "j", TINY, medium=medium) as journal:
        journal._keeper.wake()
        medium.rename_error = errno.EIO
        done = 0
        while (intent := begin(journal, f"req_{done}", end_user="u" * 300)) is not None:
            finish(journal, intent)
            done += 1
        # A smaller one may still fit in front of the end.
        if (intent := begin(journal, f"req_{done}")) is not None:
            finish(journal, intent)
            done += 1
        medium.rename_error = 0
        finish(journal, begun(journal, f"req_{done}", end_user="u" * 300))
        assert _receipts(tmp_path / "j") == [f"req_{n}" for n in range(done + 1)]


async def test_the_thread_finds_space_again(tmp_path: Path) -> None:
    """The keeper's own thread asks the disk again; new work is admitted soon after."""
    medium = FaultyMedium()
    options = JournalOptions(
        fsync=Fsync.INTERVAL,
        fsync_interval_s=0.01,
        segment_bytes=4096,
        max_record_bytes=1024,
        progress_slots=8,
        retry_s=0.01,
    )
    medium_full_from = 3
    with a_journal(tmp_path / "j", options, medium=medium, threaded=True) as journal:
        done = 0
        while True:
            medium.full = done >= medium_full_from
            intent = begin(journal, f"req_{done}")
            if intent is None:
                break
            finish(journal, intent)
            done += 1
        medium.full = False
        async with asyncio.timeout(5):
            while (intent := begin(journal, "req_after")) is None:
                await asyncio.sleep(0.005)
        finish(journal, intent)
    assert _receipts(tmp_path / "j")[-1] == "req_after"


async def test_one_tick_shares_one_sync(tmp_path: Path) -> None:
    """Everything recorded in the same loop tick waits for the same group commit."""
    medium = FaultyMedium()
    options = JournalOptions(
        fsync=Fsync.ALWAYS, fsync_interval_s=3600, segment_bytes=65536, max_record_bytes=1024
    )
    with a_journal(tmp_path / "j", options, medium=medium, threaded=True) as journal:
        assert journal.needs_wait

        async def attempt(n: int) -> None:
            begun(journal, f"req_{n}")
            await journal.durable()

        await attempt(99)
        before = medium.syncs
        await asyncio.gather(*(attempt(n) for n in range(20)))
        assert medium.syncs - before <= 2 * 2  # segment and progress, at most two commits


async def test_a_failed_sync_is_final(tmp_path: Path) -> None:
    """`durable` raises, and no attempt is recorded any more: what the kernel dropped is gone."""
    medium = FaultyMedium()
    with a_journal(tmp_path / "j", ALWAYS, medium=medium) as journal:
        intent = begun(journal, "req_1")
        medium.sync_error = errno.EIO
        with pytest.raises(OSError, match="Input/output"):
            await journal.durable()
        finish(journal, intent)
        medium.sync_error = 0
        assert begin(journal, "req_2") is None
        assert "Input/output" in str(journal.health().failure)


async def test_a_cancelled_waiter_disturbs_nobody(tmp_path: Path) -> None:
    """One task that stops waiting does not end the wait of others."""
    with a_journal(tmp_path / "j", ALWAYS, medium=FaultyMedium()) as journal:
        begun(journal, "req_1")
        waits = [asyncio.create_task(journal.durable()) for _ in range(3)]
        await asyncio.sleep(0)
        waits[1].cancel()
        results = await asyncio.gather(*waits, return_exceptions=True)
        assert results[0] is results[2] is None
        assert isinstance(results[1], asyncio.CancelledError)


async def test_only_always_waits(tmp_path: Path) -> None:
    """With `off` nothing is ever synced but what a restart needs; `durable` returns at once."""
    medium = FaultyMedium()
    with a_journal(tmp_path / "j", TINY, medium=medium) as journal:
        before = medium.syncs
        begun(journal, "req_1")
        await journal.durable()
        assert not journal.needs_wait
        assert medium.syncs == before


def test_tickets_go_on_after_a_restart(tmp_path: Path) -> None:
    """A ticket is never given twice in a slot's life."""
    tickets = set()
    for _ in range(4):
        with a_journal(tmp_path / "j") as journal:
            for _ in range(3):
                intent = begun(journal, "req_1", attempt=len(tickets))
                assert intent.ticket not in tickets
                tickets.add(intent.ticket)
                finish(journal, intent)


def test_no_room_at_the_start_says_what_to_do(tmp_path: Path) -> None:
    """A journal that cannot have its first segment says how much is missing and leaves nothing
    half made."""
    medium = FaultyMedium()
    medium.full = True
    lock = slot_lock(tmp_path / "j")
    with pytest.raises(JournalUnusableError, match=r"No room .* MiB are needed.*TOLLWAY_DATA_DIR"):
        open_journal(lock, TINY, medium=medium)
    lock.release()
    assert segment_numbers(tmp_path / "j" / "0") == []
    assert not (tmp_path / "j" / "0" / "spare").exists()


def test_a_restart_needs_no_room_but_a_segment(tmp_path: Path) -> None:
    """The progress file is used again when it has the right size, and made anew when not."""
    with a_journal(tmp_path / "j") as journal:
        begun(journal, "req_1")
    inode = (tmp_path / "j" / "0" / "progress").stat().st_ino
    with a_journal(tmp_path / "j") as journal:
        assert journal.progress_at(0).state == 0
    assert (tmp_path / "j" / "0" / "progress").stat().st_ino == inode
    more = JournalOptions(segment_bytes=4096, max_record_bytes=1024, progress_slots=99)
    with a_journal(tmp_path / "j", more) as journal:
        finish(journal, begun(journal, "req_2"))
    assert (tmp_path / "j" / "0" / "progress").stat().st_size == 100 * 64


def test_an_outcome_that_grew_is_cut(tmp_path: Path) -> None:
    """Room is kept for an outcome of about its intent's size: longer texts are cut."""
    with a_journal(tmp_path / "j") as journal:
        intent = begun(journal, "req_1")
        journal.settle(intent.slot, an_outcome("req_1", error="x" * 3000, end_user="y" * 3000))
        reader = DiskJournalReader(tmp_path / "j")
        (receipt,) = reader.read(reader.sources()[0], (0, 0), 5).receipts
    assert receipt.error == "x" * 64
    assert receipt.output == 34


@pytest.mark.parametrize(
    "sizes",
    [
        {"max_record_bytes": 100},
        {"max_record_bytes": 1 << 20, "segment_bytes": 1 << 24},
        {"segment_bytes": 4096},
        {"segment_bytes": (1 << 20) + 4},
        {"progress_slots": 0},
    ],
)
def test_sizes_that_cannot_work_are_refused(sizes: dict[str, int]) -> None:
    """Options that would break a promise do not exist."""
    with pytest.raises(ValueError, match="must be"):
        JournalOptions(**sizes)
