"""Folders that cannot hold a journal, in words that say what to do."""

import errno
import os
from pathlib import Path

import pytest

from tollway.adapters.journal.options import JournalUnusableError
from tollway.adapters.journal.slots import take_slot
from tollway.adapters.journal.startup import checked_folder, unusable


def test_a_missing_folder_is_made_for_us_alone(tmp_path: Path) -> None:
    """Nobody else may read who asked what."""
    folder = checked_folder(tmp_path / "journal")
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_missing_parent_is_a_typing_error(tmp_path: Path) -> None:
    """A wrong path must not grow a tree somewhere."""
    with pytest.raises(JournalUnusableError, match=r"does not exist.*TOLLWAY_DATA_DIR"):
        take_slot(tmp_path / "no" / "journal", 0)


def test_a_file_in_the_way(tmp_path: Path) -> None:
    """Said by name."""
    (tmp_path / "journal").write_text("")
    with pytest.raises(JournalUnusableError, match="in the way"):
        take_slot(tmp_path / "journal", 0)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_somebody_else(tmp_path: Path) -> None:
    """Even root does not write into another user's journal: its owner could not read it."""
    folder = checked_folder(tmp_path / "journal")
    os.chown(folder, 12345, -1)
    with pytest.raises(JournalUnusableError, match=r"belongs to user id 12345.*chown"):
        take_slot(folder, 0)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_write_permission(tmp_path: Path) -> None:
    """Refused at the start, not at the first request."""
    folder = checked_folder(tmp_path / "journal")
    folder.chmod(0o500)
    with pytest.raises(JournalUnusableError, match="not writable"):
        take_slot(folder, 0)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, r"No room .* 17 MiB are needed, \d+ MiB are free.*Free some space"),
        (errno.EDQUOT, "No room"),
        (errno.EROFS, "read-only file system.*writable disk"),
        (errno.EACCES, "not writable.*permission"),
        (errno.ENOENT, "does not exist"),
        (errno.ENOTDIR, "in the way"),
        (errno.EIO, "cannot be used: Input/output error.*Check the disk"),
    ],
)
def test_each_error_has_its_words(tmp_path: Path, number: int, words: str) -> None:
    """What happened, and what to do about it."""
    error = unusable(tmp_path / "journal", OSError(number, os.strerror(number)), 16 << 20)
    assert error.problem
    assert error.remedy
    with pytest.raises(JournalUnusableError, match=words):
        raise error
