"""What was let in without the shared counters is on record until they know of it."""

from pathlib import Path

from tollway.adapters.journal.slots import SlotLock, take_slot
from tollway.adapters.journal.untold import UntoldFile


def held(folder: Path, slot: int) -> SlotLock:
    lock = take_slot(folder, slot)
    assert lock is not None
    return lock


def test_a_mark_is_inherited_by_who_goes_on(tmp_path: Path) -> None:
    """Until it was settled; what the heir lets in itself stays marked until that was told too."""
    first = held(tmp_path, 0)
    untold = UntoldFile(first)
    assert not untold.inherited
    assert untold.mark()
    assert untold.mark()
    first.release()  # it dies
    second = held(tmp_path, 0)
    heir = UntoldFile(second)
    assert heir.inherited
    heir.clear()  # it has nothing of its own to tell, and that says nothing of the other
    assert UntoldFile(second).inherited
    heir.settle()
    assert not heir.inherited
    assert UntoldFile(second).inherited  # it may have let in more meanwhile
    heir.clear()
    assert not UntoldFile(second).inherited
    assert heir.mark()
    assert UntoldFile(second).inherited
    second.release()


def test_a_slot_that_nobody_goes_on_with_is_everybodys(tmp_path: Path) -> None:
    """Fewer workers than before: whoever starts settles what the others left. What a living one
    has is its own matter."""
    left, alive = held(tmp_path, 1), held(tmp_path, 2)
    assert UntoldFile(left).mark()
    assert UntoldFile(alive).mark()
    left.release()
    own = held(tmp_path, 0)
    untold, also = UntoldFile(own), UntoldFile(own)
    assert untold.inherited
    untold.clear()
    untold.settle()
    also.settle()
    assert not UntoldFile(own).inherited
    assert (tmp_path / "2" / "untold").exists()
    own.release()
    alive.release()


def test_a_slot_that_is_taken_meanwhile_keeps_its_mark(tmp_path: Path) -> None:
    """Its new owner has inherited it as well, and may have marked it again."""
    left = held(tmp_path, 1)
    assert UntoldFile(left).mark()
    left.release()
    own = held(tmp_path, 0)
    untold = UntoldFile(own)
    successor = held(tmp_path, 1)
    untold.settle()
    assert UntoldFile(successor).inherited
    own.release()
    successor.release()


def test_what_cannot_be_noted_is_not_let_in(tmp_path: Path) -> None:
    """No folder, no room: then there is no share either."""
    lock = held(tmp_path, 0)
    untold = UntoldFile(lock)
    for entry in lock.directory.iterdir():
        entry.unlink()
    lock.directory.rmdir()
    assert not untold.mark()
    untold.clear()
    lock.release()
