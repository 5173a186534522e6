"""The slow side: what a commit covers, in which order, and what is given back."""

import os
from pathlib import Path

import pytest

from tollway.adapters.journal.chain import SegmentChain
from tollway.adapters.journal.keeper import Keeper
from tollway.adapters.journal.medium import Medium
from tollway.adapters.journal.options import Fsync, JournalOptions
from tollway.adapters.journal.record import OUTCOME, framed
from tollway.adapters.journal.segment import segment_path


class _Recorder(Medium):
    def __init__(self) -> None:
        self.synced: list[int] = []

    def sync(self, fd: int) -> None:
        self.synced.append(os.fstat(fd).st_ino)


def _options(policy: Fsync) -> JournalOptions:
    return JournalOptions(
        fsync=policy, fsync_interval_s=3600, segment_bytes=4096, max_record_bytes=1024
    )


def _two_segments(tmp_path: Path, policy: Fsync) -> tuple[_Recorder, SegmentChain, Keeper]:
    """A chain that has rolled once, with a keeper that has not looked since."""
    medium = _Recorder()
    chain = SegmentChain(tmp_path, 1, _options(policy), medium)
    chain.provide_spare()
    keeper = Keeper(tmp_path, chain, _options(policy), medium)
    chain.on_roll = lambda: None
    while chain.number == 1:
        chain.append(framed(OUTCOME, 1, b"x" * 500))
    medium.synced.clear()
    return medium, chain, keeper


def test_a_commit_covers_rolled_segments_and_their_names(tmp_path: Path) -> None:
    """Records that were appended before a roll are on the disk before `done` is called."""
    medium, chain, keeper = _two_segments(tmp_path, Fsync.ALWAYS)
    seen: list[set[int]] = []
    keeper.commit(lambda failure: seen.append(set(medium.synced)))
    paths = [segment_path(tmp_path, 1), segment_path(tmp_path, 2), str(tmp_path)]
    assert seen == [{os.stat(path).st_ino for path in paths}]
    assert not chain.rolled
    assert chain.spare is not None
    keeper.stop()
    chain.close()


@pytest.mark.parametrize(("policy", "data"), [(Fsync.OFF, False), (Fsync.INTERVAL, True)])
def test_a_rolled_segment_is_closed(tmp_path: Path, policy: Fsync, data: bool) -> None:
    """Its data is forced to the disk if the policy says so; the new name always is, since a
    cursor may stand in the new segment."""
    medium, chain, keeper = _two_segments(tmp_path, policy)
    fd = chain.rolled[0].fd
    keeper.wake()
    first = os.stat(segment_path(tmp_path, 1)).st_ino
    assert os.fstat(fd).st_ino != first  # closed, and its number taken by the new spare
    assert (first in medium.synced) is data
    assert tmp_path.stat().st_ino in medium.synced
    keeper.stop()
    chain.close()


def test_the_thread_ends_with_the_journal(tmp_path: Path) -> None:
    """Stopping waits for the thread; twenty journals leave no descriptor behind."""
    before = len(os.listdir("/proc/self/fd")) if Path("/proc").exists() else 0
    for number in range(1, 21):
        chain = SegmentChain(tmp_path, number, _options(Fsync.ALWAYS), _Recorder())
        keeper = Keeper(tmp_path, chain, _options(Fsync.ALWAYS), _Recorder())
        keeper.start()
        keeper.stop()
        chain.close()
        del chain, keeper
    after = len(os.listdir("/proc/self/fd")) if Path("/proc").exists() else 0
    assert after <= before
