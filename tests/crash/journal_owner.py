"""A journal's owner as a process: `FOLDER write COUNT`, `FOLDER hold` or `FOLDER limited`."""

import json
import resource
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tests.fakes.journals import begin, begun, finish, slot_lock
from tollway.adapters.journal.opening import open_journal
from tollway.adapters.journal.options import Fsync, JournalOptions

_OPTIONS = JournalOptions(
    fsync=Fsync.INTERVAL, fsync_interval_s=0.05, segment_bytes=1 << 20, progress_slots=64
)


def write(folder: Path, count: int) -> None:
    """Outcomes as fast as they go, several attempts open at a time."""
    lock = slot_lock(folder)
    journal = open_journal(lock, _OPTIONS)
    print("ready", flush=True)
    waiting = []
    for n in range(count):
        while (intent := begin(journal, f"req_{n}")) is None:
            time.sleep(0.001)  # the spare is not ready yet
        waiting.append((n, intent))
        if len(waiting) == 8:
            for number, one in waiting:
                journal.progress(one.slot, number, number)
                finish(journal, one, output=number)
            waiting.clear()
    for number, one in waiting:
        finish(journal, one, output=number)
    journal.close()
    lock.release()


def hold(folder: Path) -> None:
    """Keep the lock until killed."""
    lock = slot_lock(folder)
    print("ready", flush=True)
    signal.pause()
    lock.release()


def limited(folder: Path) -> None:
    """No file may grow for a while."""
    lock = slot_lock(folder)
    journal = open_journal(lock, replace(_OPTIONS, segment_bytes=1 << 17, retry_s=0.01))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    admitted = settled = 0
    for n in range(3000):
        intent = begin(journal, f"req_{n}")
        if intent is not None:
            admitted += 1
            finish(journal, intent)
            settled += 1
    refused = journal.health().refused
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    _until(lambda: journal.health().room_bytes > 1 << 16)
    finish(journal, begun(journal, "req_after"))
    print(json.dumps({"admitted": admitted, "settled": settled, "refused": refused, "after": 1}))
    journal.close()
    lock.release()


def _until(is_true: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not is_true():
        assert time.monotonic() < end
        time.sleep(0.005)


if __name__ == "__main__":
    _, place, action, *rest = sys.argv
    if action == "write":
        write(Path(place), int(rest[0]))
    else:
        {"hold": hold, "limited": limited}[action](Path(place))
