"""Answers under way as files: one at a time has each, over processes and their deaths."""

import os
import subprocess
import sys

import pytest

from tollway.adapters.disk.notes import DiskNotes
from tollway.app.ports_background import Found, Pending, Unnoted
from tollway.domain.usage import Usage

PENDING = Pending("req_1", 2, "prv_one", "crd_one", "resp_1", 1_795_000_000.5)
USED = Usage(10, 20, None, 7, 5)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "background"


@pytest.fixture
def notes(folder):
    return DiskNotes(folder)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_somebody_has_nobody_takes(notes, folder):
    """Until it is left; then one has it."""
    assert notes.take(5) == []
    note = notes.make(PENDING)
    assert names(folder) == ["req_1-2.run"]
    assert (folder / "req_1-2.run").stat().st_mode & 0o777 == 0o600
    assert notes.take(5) == []
    note.leave()
    (taken,) = notes.take(5)
    assert taken.pending == PENDING
    assert notes.take(5) == []
    taken.drop()
    assert names(folder) == []
    note.drop()
    note.leave()


def test_no_more_are_taken_than_asked_for(notes):
    """The rest is left to others."""
    for number in range(3):
        notes.make(PENDING._replace(attempt=number)).leave()
    assert [len(notes.take(most)) for most in (0, 2, 2, 2)] == [0, 2, 1, 0]


def test_a_process_that_dies_leaves_it(notes, folder):
    """Without a word."""
    script = (
        "import os, sys; from pathlib import Path\n"
        "from tollway.adapters.disk.notes import DiskNotes\n"
        "from tollway.app.ports_background import Pending\n"
        "DiskNotes(Path(sys.argv[1])).make(Pending('req_1', 2, 'p', None, 'resp_1', 1.0))\n"
        "print('made', flush=True); sys.stdin.read()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with process:
        assert process.stdout.readline() == b"made\n"
        assert notes.take(5) == []
        process.kill()
    (taken,) = notes.take(5)
    assert taken.pending == Pending("req_1", 2, "p", None, "resp_1", 1.0)
    taken.drop()


def test_what_was_found_is_the_keepers(notes, folder):
    """Nobody follows it any more; it is told until it is forgotten, and told again of one that was
    followed twice."""
    note = notes.make(PENDING)
    note.found(USED)
    assert notes.take(5) == []
    (found,) = notes.found(5)
    place = folder / "req_1-2.found"
    assert found == Found(str(place), "req_1", 2, USED, place.stat().st_mtime)
    assert notes.found(5) == [found]
    notes.forget(found)
    notes.forget(found)
    assert (notes.found(5), names(folder)) == ([], [])


def test_damage_is_put_aside(notes, folder):
    """It holds up nothing."""
    folder.mkdir()
    (folder / "req_1-1.run").write_bytes(b"")
    (folder / "req_2-1.found").write_bytes(b"\xc1")
    assert (notes.take(5), notes.found(5)) == ([], [])
    assert names(folder) == ["req_1-1.damaged", "req_2-1.damaged"]


def test_a_disk_that_cannot_be_written_costs_no_answer(tmp_path, notes, folder, monkeypatch):
    """What is not noted is followed by nobody; what is found and cannot be written stays."""
    (tmp_path / "file").write_bytes(b"")
    nowhere = DiskNotes(tmp_path / "file")
    assert isinstance(nowhere.make(PENDING), Unnoted)
    assert (nowhere.take(5), nowhere.take(5)) == ([], [])
    note = notes.make(PENDING)

    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", refuse)
    note.found(USED)
    assert names(folder) == ["req_1-2.run"]
    (again,) = notes.take(5)
    again.drop()
    monkeypatch.setattr(os, "write", refuse)
    assert isinstance(notes.make(PENDING), Unnoted)
    assert names(folder) == []
