"""All workers that live count again, or it is said again later: one that did not hear of it would
go on with counters that the ledger no longer agrees with."""

import contextlib
import socket
import threading

import pytest

from tollway.adapters.control import standing
from tollway.adapters.control.standing import count_again


@contextlib.contextmanager
def worker(folder, slot, answer):
    """What listens at this slot's socket; `answer` None: it stands still."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / f"{slot}.sock"))
        listening.listen()
        asked = []

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    with connection:
                        asked.append(connection.recv(4096))
                        connection.sendall(answer)

        thread = None
        if answer is not None:
            thread = threading.Thread(target=serve, daemon=True)
            thread.start()
        try:
            yield asked
        finally:
            with contextlib.suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)
            if thread is not None:
                thread.join()


def left_behind(folder, slot):
    """The socket of a worker that is gone."""
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(folder / f"{slot}.sock"))


DONE = b'{"ok": true}\n'


def test_all_that_live_are_told(tmp_path):
    """A socket that nobody listens at is of a worker whose successor counts from the ledger."""
    left_behind(tmp_path, 2)
    with worker(tmp_path, 0, DONE) as one, worker(tmp_path, 1, DONE) as other:
        assert count_again(str(tmp_path))
    assert [len(one), len(other)] == [1, 1]
    assert b"count_again" in one[0]


@pytest.mark.parametrize("answer", [None, b'{"ok": false, "error": "no"}\n'])
def test_one_that_did_not_hear_is_told_later(tmp_path, monkeypatch, answer):
    """Although another one has."""
    monkeypatch.setattr(standing, "_TIMEOUT_S", 0.1)
    with worker(tmp_path, 0, DONE), worker(tmp_path, 1, answer):
        assert not count_again(str(tmp_path))


def test_nobody_there(tmp_path):
    """Before the first worker is there, or between two."""
    assert not count_again(str(tmp_path / "none"))
    left_behind(tmp_path, 0)
    assert not count_again(str(tmp_path))
