"""Every act of the journal on its disk as a crash point, with real SIGKILLs (goal G-02).

    python tests/crash/journal_points.py FOLDER serve|recover [STEP]

`serve`: a scripted owner of 30 requests is forked once per point and killed before the n-th act
(and, for record stores, in the middle of it); the parent recovers and compares three witnesses:
what was `delivered` and `emitted` (memory shared with the child) and what is billed.
`recover`: the same for a recovery, killed at each of its own acts, then run again.
Prints one JSON object; exits 1 at the first violation.
"""

import asyncio
import json
import mmap
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

from tests.fakes.journals import NOW_NS, slot_lock
from tests.fakes.receipts import an_intent, an_outcome
from tollway.adapters.journal.medium import Medium
from tollway.adapters.journal.opening import open_journal
from tollway.adapters.journal.options import Fsync, JournalOptions
from tollway.adapters.journal.reader import DiskJournalReader
from tollway.domain.receipt import Receipt

OPTIONS = JournalOptions(
    fsync=Fsync.ALWAYS, segment_bytes=4096, max_record_bytes=1024, progress_slots=4
)
REQUESTS = 30
CHUNKS = 2
CHUNK_EVENTS, CHUNK_BYTES = 3, 10  # 3 events, at most 3 tokens by either count
INPUT = 12


class Ledger:
    """The witnesses: one row of counters per request, in memory that outlives the child."""

    def __init__(self) -> None:
        self._words = memoryview(mmap.mmap(-1, 8 * 4 * (REQUESTS + 1))).cast("Q")

    def reset(self) -> None:
        for index in range(len(self._words)):
            self._words[index] = 0

    def add(self, request: int, column: int, count: int) -> None:
        self._words[4 * request + column] += count

    def get(self, request: int, column: int) -> int:
        return self._words[4 * request + column]


EMITTED, DELIVERED, INTENDED, SETTLED = range(4)


class KillingMedium(Medium):
    """Counts every act and kills the process before the n-th; with `torn`, in its middle."""

    def __init__(self, kill_at: int, *, torn: bool = False) -> None:
        self.count = 0
        self.torn_points: list[int] = []
        self._kill_at = kill_at
        self._torn = torn

    def act(self) -> bool:
        self.count += 1
        if self.count == self._kill_at and not self._torn:
            os.kill(os.getpid(), signal.SIGKILL)
        return self.count == self._kill_at

    def allocate(self, fd: int, size_bytes: int) -> None:
        self.act()
        super().allocate(fd, size_bytes)

    def map_bytes(self, fd: int, size_bytes: int) -> Any:
        return _KillingBytes(self, super().map_bytes(fd, size_bytes))

    def map_words(self, fd: int, size_bytes: int) -> Any:
        return _KillingWords(self, super().map_words(fd, size_bytes))

    def sync(self, fd: int) -> None:
        self.act()  # the page cache outlives a killed process: nothing to wait for

    def rename(self, old: str, new: str) -> None:
        self.act()
        super().rename(old, new)

    def unlink(self, path: str) -> None:
        self.act()
        super().unlink(path)


class _KillingBytes:
    def __init__(self, medium: KillingMedium, store: Any) -> None:
        self._medium = medium
        self._store = store

    def __setitem__(self, key: slice, value: bytes) -> None:
        here = self._medium.act()
        self._medium.torn_points.append(self._medium.count)
        if here:
            half = len(value) // 2
            self._store[key.start : key.start + half] = value[:half]
            os.kill(os.getpid(), signal.SIGKILL)
        self._store[key] = value


class _KillingWords:
    def __init__(self, medium: KillingMedium, words: Any) -> None:
        self._medium = medium
        self._words = words

    def __getitem__(self, index: int) -> int:
        return self._words[index]

    def __setitem__(self, index: int, value: int) -> None:
        self._medium.act()
        self._words[index] = value


async def serve(journal_dir: Path, medium: Medium, ledger: Ledger) -> None:
    """Three requests at a time, interleaved, settled out of order; every third is cut before its
    first event; the reader ships and forgets on the way."""
    lock = slot_lock(journal_dir)
    journal = open_journal(lock, OPTIONS, medium=medium, now_ns=lambda: NOW_NS, threaded=False)
    reader = DiskJournalReader(journal_dir, medium=medium)
    for first in range(0, REQUESTS, 3):
        trio = []
        for request in range(first, first + 3):
            slot, ticket = journal.claim()
            intent = an_intent(f"req_{request}", slot=slot, ticket=ticket, input_estimate=INPUT)
            ledger.add(request, INTENDED, 1)
            assert journal.intend(intent)
            ledger.add(request, INTENDED, 1)
            trio.append((request, slot))
        await journal.durable()
        for _, slot in trio:
            journal.sent(slot)
        for chunk in range(1, CHUNKS + 1):
            for request, slot in trio[:2]:
                ledger.add(request, EMITTED, CHUNK_EVENTS)
                journal.progress(slot, chunk * CHUNK_EVENTS, chunk * CHUNK_BYTES)
                ledger.add(request, DELIVERED, CHUNK_EVENTS)
        for request, slot in reversed(trio):
            output = ledger.get(request, EMITTED)
            journal.settle(slot, an_outcome(f"req_{request}", input=INPUT, output=output))
            ledger.add(request, SETTLED, 1)
        if first % 9 == 6:
            (source,) = reader.sources()
            reader.forget(source, (first // 9, 0))
    journal.close()
    lock.release()


def recover(journal_dir: Path, medium: Medium) -> None:
    lock = slot_lock(journal_dir)
    options = OPTIONS
    open_journal(lock, options, medium=medium, now_ns=lambda: NOW_NS, threaded=False).close()
    lock.release()


def receipts(journal_dir: Path) -> tuple[dict[str, list[Receipt]], int]:
    found: dict[str, list[Receipt]] = {}
    reader = DiskJournalReader(journal_dir)
    damaged = 0
    for source in reader.sources():
        batch = reader.read(source, (0, 0), 10_000)
        damaged += batch.damaged
        for receipt in batch.receipts:
            found.setdefault(receipt.request_id, []).append(receipt)
    return found, damaged


def check(journal_dir: Path, ledger: Ledger, *, torn: bool) -> None:
    found, damaged = receipts(journal_dir)
    assert damaged <= (1 if torn else 0), f"{damaged} damaged"
    for request in range(REQUESTS):
        emitted, delivered, intended, settled = (ledger.get(request, c) for c in range(4))
        outcomes = found.get(f"req_{request}", [])
        assert len(outcomes) <= 1, f"req_{request} has {len(outcomes)} outcomes"
        if not outcomes:
            # Killed before its intent was whole, or settled and forgotten since.
            assert intended < 2 or settled, f"req_{request} has no outcome"
            assert settled or not delivered
            continue
        assert intended
        (outcome,) = outcomes
        assert outcome.output is not None
        assert delivered <= outcome.output <= emitted, (request, delivered, outcome, emitted)
        # An attempt is billed its input only when its first event was counted.
        assert outcome.output > 0 or outcome.usage_source != "estimated"
        assert outcome.input == (0 if outcome.usage_source == "none" else INPUT)
        if settled:
            assert outcome.outcome == "finished"
    assert set(found) <= {f"req_{request}" for request in range(REQUESTS)}


def killed(body: Any) -> bool:
    """Fork, run, and say whether the child was killed; a child that fails ends us."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            body()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.waitstatus_to_exitcode(status) == 0, "the child failed"
    return False


def serve_points(root: Path, step: int) -> dict[str, int]:
    ledger = Ledger()
    dry = KillingMedium(0)
    asyncio.run(serve(root / "dry", dry, ledger))
    check(root / "dry", ledger, torn=False)
    points = [(n, False) for n in range(1, dry.count + 1)] + [(n, True) for n in dry.torn_points]
    recovered = 0
    for n, torn in points[::step]:
        ledger.reset()
        folder = root / "run"
        shutil.rmtree(folder, ignore_errors=True)
        medium = KillingMedium(n, torn=torn)
        assert killed(lambda m=medium, f=folder: asyncio.run(serve(f, m, ledger))), n
        recover(folder, Medium())
        check(folder, ledger, torn=torn)
        recovered += sum(
            one.outcome == "killed" for rows in receipts(folder)[0].values() for one in rows
        )
    return {"points": len(points[::step]), "recovered": recovered}


def recover_points(root: Path, step: int) -> dict[str, int]:
    """Journals killed at each record store of the last two rounds, each recovery of theirs killed
    at each of its own acts and then run again."""
    ledger = Ledger()
    dry = KillingMedium(0)
    asyncio.run(serve(root / "probe", dry, ledger))
    total = rows = 0
    for crash in dry.torn_points[-12:]:
        ledger.reset()
        crashed, whole = root / f"crashed{crash}", root / f"whole{crash}"
        assert killed(lambda n=crash, f=crashed: asyncio.run(serve(f, KillingMedium(n), ledger)))
        shutil.copytree(crashed, whole)
        dry = KillingMedium(0)
        recover(whole, dry)
        expected, _ = receipts(whole)
        rows += sum(one.outcome == "killed" for found in expected.values() for one in found)
        points = [(n, False) for n in range(1, dry.count + 1)]
        points += [(n, True) for n in dry.torn_points]
        for n, torn in points[::step]:
            folder = root / "run"
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(crashed, folder)
            medium = KillingMedium(n, torn=torn)
            assert killed(lambda m=medium, f=folder: recover(f, m)), n
            recover(folder, Medium())
            assert receipts(folder)[0] == expected, n
            check(folder, ledger, torn=torn)
            total += 1
    return {"points": total, "recovered": rows}


def main() -> None:
    root = Path(sys.argv[1])
    step = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    run = {"serve": serve_points, "recover": recover_points}[sys.argv[2]]
    print(json.dumps(run(root, step)))


if __name__ == "__main__":
    main()
