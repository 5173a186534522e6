"""Answers by key as files: one claim at a time, over processes and their deaths."""

import os
import subprocess
import sys
import time

import pytest

from tollway.adapters.disk.answers import KEPT_S, DiskAnswers, tidy_answers
from tollway.adapters.system.secrets import AesGcmBox
from tollway.app.ports_answers import AnswerScope, StoredAnswer, Taken

SCOPE = AnswerScope("ten_a", "key_1", "order-7")
ASKED, OTHER = b"a" * 32, b"b" * 32
ANSWER = StoredAnswer(200, b'{"text": "plain words"}')


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "answers"


@pytest.fixture
def store(folder):
    return DiskAnswers(folder, AesGcmBox(bytes(32)))


def test_the_first_claims_the_others_wait(store):
    """While one runs: taken, by the same request or by another."""
    claim = store.claim(SCOPE, ASKED)
    assert not isinstance(claim, (Taken, StoredAnswer))
    assert store.claim(SCOPE, ASKED) == Taken(same=True)
    assert store.claim(SCOPE, OTHER) == Taken(same=False)
    claim.release()
    again = store.claim(SCOPE, ASKED)
    assert not isinstance(again, (Taken, StoredAnswer))
    again.release()
    again.release()


def test_what_was_kept_is_told_again(store, folder):
    """To the same request only; sealed on disk, and nothing of the key in its name."""
    store.claim(SCOPE, ASKED).keep(ANSWER)
    assert store.claim(SCOPE, ASKED) == ANSWER
    assert store.claim(SCOPE, OTHER) == Taken(same=False)
    [path] = folder.iterdir()
    assert b"plain words" not in path.read_bytes()
    assert "order" not in path.name
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "other",
    [
        SCOPE._replace(tenant_id="ten_b"),
        SCOPE._replace(asker="key_2"),
        SCOPE._replace(given="order-8"),
        AnswerScope("ten_a", "key_1\x00order-7", ""),
    ],
)
def test_scopes_do_not_meet(store, other):
    """Another tenant, key or name has an answer of its own."""
    store.claim(SCOPE, ASKED).keep(ANSWER)
    found = store.claim(other, ASKED)
    assert not isinstance(found, (Taken, StoredAnswer))
    found.release()


def test_names_are_never_paths(store, folder):
    """Whatever a client sends."""
    claim = store.claim(SCOPE._replace(given="../../etc/passwd\x00\ud800"), ASKED)
    claim.keep(ANSWER)
    assert [path.parent for path in folder.rglob("*")] == [folder]


def test_a_day_later_it_is_forgotten(store, folder):
    """By who asks, and by whoever tidies."""
    store.claim(SCOPE, ASKED).keep(ANSWER)
    [path] = folder.iterdir()
    old = time.time() - KEPT_S - 1
    os.utime(path, (old, old))
    claim = store.claim(SCOPE, OTHER)
    assert not isinstance(claim, (Taken, StoredAnswer))
    claim.release()
    assert tidy_answers(folder, time.time()) == 1
    assert list(folder.iterdir()) == []


def test_beyond_the_bound_the_oldest_go(store, folder):
    """A claim that runs stays."""
    for number in range(4):
        store.claim(SCOPE._replace(given=str(number)), ASKED).keep(StoredAnswer(200, b"x" * 1000))
        for path in folder.iterdir():
            os.utime(path, (path.stat().st_mtime - 1,) * 2)
    running = store.claim(SCOPE, ASKED)
    assert tidy_answers(folder, time.time(), max_bytes=2500) == 2
    assert isinstance(store.claim(SCOPE._replace(given="3"), ASKED), StoredAnswer)
    assert store.claim(SCOPE, ASKED) == Taken(same=True)
    running.release()
    assert tidy_answers(folder / "absent", 0) == 0


def test_a_damaged_answer_is_none(store, folder):
    """It was never kept; the next is the first again."""
    store.claim(SCOPE, ASKED).keep(ANSWER)
    [path] = folder.iterdir()
    path.write_bytes(path.read_bytes()[:-1])
    claim = store.claim(SCOPE, ASKED)
    assert not isinstance(claim, (Taken, StoredAnswer))
    claim.release()


def test_a_store_that_cannot_be_used_serves_without(tmp_path, caplog):
    """No disk, no memory: the request passes, and it is said."""
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    claim = DiskAnswers(blocked, AesGcmBox(bytes(32))).claim(SCOPE, ASKED)
    claim.keep(ANSWER)
    claim.release()
    assert "cannot be kept" in caplog.text


def test_an_answer_that_cannot_be_written_is_not_kept(store, folder, caplog):
    """The request was served all the same; the next is the first again."""
    claim = store.claim(SCOPE, ASKED)
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    claim.keep(ANSWER)
    assert "cannot be kept" in caplog.text
    again = store.claim(SCOPE, ASKED)
    assert not isinstance(again, (Taken, StoredAnswer))


def test_a_dead_owner_blocks_nothing(store, folder):
    """SIGKILL frees the key; another process's claim is seen while it lives."""
    script = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from tollway.adapters.system.secrets import AesGcmBox\n"
        "from tollway.adapters.disk.answers import DiskAnswers\n"
        "from tollway.app.ports_answers import AnswerScope\n"
        f"store = DiskAnswers(Path({str(folder)!r}), AesGcmBox(bytes(32)))\n"
        f"claim = store.claim(AnswerScope(*{tuple(SCOPE)!r}), {ASKED!r})\n"
        "print('claimed', flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=os.getcwd()
    ) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"claimed\n"
        assert store.claim(SCOPE, ASKED) == Taken(same=True)
        owner.kill()
        owner.wait()
    claim = store.claim(SCOPE, ASKED)
    assert not isinstance(claim, (Taken, StoredAnswer))
    claim.release()
