"""Writer, reader, deletion, crash and recovery together against a plain list (hypothesis)."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.fakes.journals import NOW_NS, TINY, begin, finish, slot_lock
from tollway.adapters.journal.medium import Medium
from tollway.adapters.journal.opening import open_journal, recover_slot
from tollway.adapters.journal.reader import DiskJournalReader
from tollway.adapters.journal.segment import segment_numbers
from tollway.domain.receipt import Intent, Receipt


class _SwitchedMedium(Medium):
    full = False

    def allocate(self, fd: int, size_bytes: int) -> None:
        if self.full:
            raise OSError(28, "No space left on device")
        super().allocate(fd, size_bytes)

    def sync(self, fd: int) -> None:
        """Nothing: the page cache is all a killed process needs."""


class JournalModel(RuleBasedStateMachine):
    """`expected` is every outcome there must be, in order; `shipped` is what the reader gave."""

    @initialize()
    def start(self) -> None:
        self.root = Path(tempfile.mkdtemp())
        self.medium = _SwitchedMedium()
        self.expected: list[Receipt] = []
        self.shipped: list[Receipt] = []
        self.open: dict[str, tuple[Intent, int]] = {}
        self.count = 0
        self.position = (0, 0)
        self.highest = 0
        self._open()
        self.reader = DiskJournalReader(self.root / "j")
        (self.source,) = self.reader.sources()

    def teardown(self) -> None:
        if not hasattr(self, "root"):
            return
        self.medium.full = False
        self.kill_and_restart()
        self.read(10_000)
        assert self.shipped == self.expected
        self._close()
        shutil.rmtree(self.root)

    def _open(self) -> None:
        self.lock = slot_lock(self.root / "j")
        self.journal: Any = open_journal(
            self.lock, TINY, medium=self.medium, now_ns=lambda: NOW_NS, threaded=False
        )

    def _close(self) -> None:
        self.journal.close()
        self.lock.release()

    @rule(text=st.text(max_size=40), size=st.integers(0, 300))
    def begin(self, text: str, size: int) -> None:
        self.count += 1
        intent = begin(
            self.journal, f"req_{self.count}", end_user=text, client_request_id="c" * size
        )
        if intent is not None:
            self.open[intent.request_id] = (intent, 0)

    @precondition(lambda self: self.open)
    @rule(data=st.data(), more=st.integers(1, 9))
    def stream(self, data: st.DataObject, more: int) -> None:
        name = data.draw(st.sampled_from(sorted(self.open)))
        intent, events = self.open[name]
        self.journal.sent(intent.slot) if not events else None
        self.open[name] = (intent, events + more)
        self.journal.progress(intent.slot, events + more, 0)

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def settle(self, data: st.DataObject) -> None:
        intent, events = self.open.pop(data.draw(st.sampled_from(sorted(self.open))))
        self.expected.append(finish(self.journal, intent, output=events))

    @rule(limit=st.integers(1, 12))
    def read(self, limit: int) -> None:
        batch = self.reader.read(self.source, self.position, limit)
        assert batch.damaged == 0
        assert len(batch.receipts) <= limit
        self.shipped += batch.receipts
        self.position = batch.upto

    @rule()
    def read_but_fail_to_ship(self) -> None:
        """The same batch comes again."""
        first = self.reader.read(self.source, self.position, 5)
        assert self.reader.read(self.source, self.position, 5) == first

    @rule()
    def forget(self) -> None:
        self.reader.forget(self.source, self.position)

    @rule()
    def restart_the_reader(self) -> None:
        self.reader = DiskJournalReader(self.root / "j")

    @rule(full=st.booleans())
    def fill_or_free_the_disk(self, full: bool) -> None:
        self.medium.full = full
        self.journal._keeper.wake()

    @precondition(lambda self: not self.medium.full)
    @rule()
    def kill_and_restart(self) -> None:
        self._close()
        self._open()
        self._expect_killed(self.journal.recovery.receipts)

    @precondition(lambda self: not self.medium.full)
    @rule()
    def kill_and_recover_unowned(self) -> None:
        self._close()
        lock = slot_lock(self.root / "j")
        self._expect_killed(recover_slot(lock, TINY, medium=self.medium).receipts)
        lock.release()
        self._open()
        assert self.journal.recovery.receipts == []

    def _expect_killed(self, receipts: list[Receipt]) -> None:
        """One each, in the order the attempts began, with exactly what progress said."""
        began = sorted(self.open.values(), key=lambda one: one[0].ticket)
        assert [one.request_id for one in receipts] == [one[0].request_id for one in began]
        assert [one.output for one in receipts] == [events for _, events in began]
        self.expected += receipts
        self.open.clear()

    @invariant()
    def shipped_is_how_the_expected_begins(self) -> None:
        if hasattr(self, "root"):
            assert self.shipped == self.expected[: len(self.shipped)]

    @invariant()
    def segment_numbers_only_grow(self) -> None:
        if hasattr(self, "root"):
            newest = segment_numbers(self.root / "j" / "0")[-1]
            assert newest >= self.highest
            self.highest = newest


JournalModel.TestCase.settings = settings(
    max_examples=100,
    stateful_step_count=60,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestJournalModel = JournalModel.TestCase
