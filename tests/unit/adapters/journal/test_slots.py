"""One owner per slot."""

import os
import threading
from pathlib import Path

from tollway.adapters.journal.slots import (
    acquire_slot,
    holder_pid,
    is_held,
    slot_folders,
    source_of,
    take_slot,
)


def test_the_preferred_slot_or_the_first_free_one(tmp_path: Path) -> None:
    """Held slots are passed over; a released one is given again."""
    first = acquire_slot(tmp_path / "j", 1, wait_s=0)
    second = acquire_slot(tmp_path / "j", 1, wait_s=0)
    third = acquire_slot(tmp_path / "j", 1, wait_s=0)
    assert first is not None and second is not None and third is not None
    assert [first.slot, second.slot, third.slot] == [1, 0, 2]
    second.release()
    again = acquire_slot(tmp_path / "j", 1, wait_s=0)
    assert again is not None
    assert again.slot == 0
    assert acquire_slot(tmp_path / "j", 1, slots=3, wait_s=0) is None
    for lock in (first, third, again):
        lock.release()


def test_a_slot_in_recovery_is_waited_for(tmp_path: Path) -> None:
    """A worker that restarts while the keeper closes its slot gets that slot, not another."""
    keeper = take_slot(tmp_path, 3)
    assert keeper is not None
    releasing = threading.Timer(0.05, keeper.release)
    releasing.start()
    lock = acquire_slot(tmp_path, 3, wait_s=10)
    releasing.join()
    assert lock is not None
    assert lock.slot == 3
    lock.release()


def test_a_held_slot_is_not_taken(tmp_path: Path) -> None:
    """Asking for exactly one slot gives that one or none; the holder is known by its pid."""
    lock = take_slot(tmp_path, 4)
    assert lock is not None
    assert take_slot(tmp_path, 4) is None
    assert is_held(tmp_path / "4")
    assert holder_pid(tmp_path / "4") == os.getpid()
    lock.release()
    assert not is_held(tmp_path / "4")


def test_slots_that_never_were(tmp_path: Path) -> None:
    """Nothing is made by looking."""
    assert not is_held(tmp_path / "7")
    assert holder_pid(tmp_path / "7") is None
    assert source_of(tmp_path / "7") is None
    assert slot_folders(tmp_path / "none") == []
    assert list(tmp_path.iterdir()) == []


def test_slots_are_listed_by_number(tmp_path: Path) -> None:
    """10 comes after 9; other folders are not slots."""
    for name in ("10", "9", "0", "x", "1.old"):
        (tmp_path / name).mkdir()
    assert [folder.name for folder in slot_folders(tmp_path)] == ["0", "9", "10"]


def test_a_probe_does_not_keep_an_owner_out(tmp_path: Path) -> None:
    """Looking whether a slot is held takes the lock for an instant only; an owner asks again."""
    lock = take_slot(tmp_path, 0)
    assert lock is not None
    lock.release()
    for _ in range(50):
        assert not is_held(tmp_path / "0")
        lock = take_slot(tmp_path, 0)
        assert lock is not None
        lock.release()
