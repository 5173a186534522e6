"""What a dead owner's attempts cost, by what its progress file said, and that it is said once."""

import struct
from pathlib import Path

import pytest

from tests.fakes.journals import NOW_NS, TINY, a_journal, begun, finish, slot_lock
from tests.fakes.receipts import an_intent
from tollway.adapters.journal.opening import recover_slot
from tollway.adapters.journal.reader import DiskJournalReader
from tollway.adapters.journal.record import framed
from tollway.adapters.journal.recovery import killed_receipt, survey_slot
from tollway.adapters.journal.segment import segment_numbers, segment_path
from tollway.app.ports import Progress
from tollway.domain.receipt import Payer, Receipt


def _all(journal_dir: Path) -> list[Receipt]:
    reader = DiskJournalReader(journal_dir)
    (source,) = reader.sources()
    return reader.read(source, (0, 0), 999).receipts


@pytest.mark.parametrize(
    ("entry", "billed", "source", "error"),
    [
        (Progress(7, 3, 5, 100), (12, 25), "estimated", None),
        (Progress(7, 3, 50, 100), (12, 50), "estimated", None),
        (Progress(7, 3, 0, 0), (12, 0), "estimated", None),
        (Progress(7, 2, 9, 99), (0, 0), "none", None),
        (Progress(7, 1, 9, 99), (0, 0), "none", None),
        (Progress(7, 0, 9, 99), (0, 0), "none", None),
        (Progress(6, 3, 9, 99), (0, 0), "none", None),
        (Progress(8, 3, 9, 99), (0, 0), "none", "journal:progress_lost"),
        (None, (0, 0), "none", "journal:progress_lost"),
    ],
)
def test_what_a_killed_attempt_costs(
    entry: Progress | None, billed: tuple[int, int], source: str, error: str | None
) -> None:
    """Nothing before the first event; afterwards the input estimate and the larger of events and
    bytes; another attempt's entry says nothing about this one."""
    intent = an_intent(ticket=7, tags=(("a", "b"),), end_user="u", client_request_id="c")
    receipt = killed_receipt(intent, entry, 99)
    assert (receipt.input, receipt.output) == billed
    assert (receipt.usage_source, receipt.error) == (source, error)
    assert (receipt.payer, receipt.outcome, receipt.status) == (Payer.KILLED, "killed", 500)
    assert (receipt.cached_input, receipt.reasoning, receipt.cost_nusd) == (None, None, None)
    assert (receipt.started_ns, receipt.ended_ns) == (intent.started_ns, 99)
    shared = set(Receipt._fields) & set(intent._fields)
    assert all(getattr(receipt, name) == getattr(intent, name) for name in shared)


def test_the_next_owner_closes_what_was_open(tmp_path: Path) -> None:
    """Open attempts become killed receipts before anything is served; settled ones are left."""
    with a_journal(tmp_path) as journal:
        finish(journal, begun(journal, "req_done"))
        begun(journal, "req_intent")
        journal.sent(begun(journal, "req_sent").slot)
        streaming = begun(journal, "req_streaming", attempt=2)
        journal.sent(streaming.slot)
        journal.progress(streaming.slot, 4, 9)
        journal.progress(streaming.slot, 5, 11)
    with a_journal(tmp_path) as journal:
        recovered = {one.request_id: one for one in journal.recovery.receipts}
        assert list(recovered) == ["req_intent", "req_sent", "req_streaming"]
        assert [one.output for one in recovered.values()] == [0, 0, 5]
        assert recovered["req_streaming"].attempt == 2
        assert recovered["req_streaming"].ended_ns == NOW_NS
        assert (journal.recovery.damaged, journal.recovery.progress_lost) == (0, 0)
        assert [one.request_id for one in _all(tmp_path)] == ["req_done", *recovered]
    with a_journal(tmp_path) as journal:
        assert journal.recovery.receipts == []


def test_the_number_of_an_empty_segment_is_taken(tmp_path: Path) -> None:
    """An owner that recorded nothing has used its number all the same: a cursor may stand there."""
    for _ in range(3):
        with a_journal(tmp_path):
            numbers = segment_numbers(tmp_path / "0")
        for path in sorted((tmp_path / "0").glob("*.seg"))[:-1]:
            path.unlink()
    assert numbers == [3, 5]


def test_an_unowned_slot_is_recovered_once(tmp_path: Path) -> None:
    """The shipper closes a slot that nobody serves; doing it again costs nothing, not even a
    segment."""
    with a_journal(tmp_path) as journal:
        streaming = begun(journal, "req_1")
        journal.progress(streaming.slot, 1, 40)
    lock = slot_lock(tmp_path)
    first = recover_slot(lock, TINY)
    assert [one.output for one in first.receipts] == [10]
    segments = segment_numbers(tmp_path / "0")
    assert recover_slot(lock, TINY) == ([], 0, 0)
    lock.release()
    assert segment_numbers(tmp_path / "0") == segments
    assert [one.request_id for one in _all(tmp_path)] == ["req_1"]


def test_a_damaged_tail_is_sealed_once(tmp_path: Path) -> None:
    """Recovery of an unowned slot puts a segment after damage, so that it is final for readers."""
    with a_journal(tmp_path) as journal:
        receipts = [finish(journal, begun(journal, f"req_{n}")) for n in range(3)]
    path = Path(segment_path(tmp_path / "0", 1))
    data = bytearray(path.read_bytes())
    data[0:32] = bytes(32)
    path.write_bytes(data)
    reader = DiskJournalReader(tmp_path)
    (source,) = reader.sources()
    assert reader.read(source, (0, 0), 9).receipts == []
    lock = slot_lock(tmp_path)
    assert recover_slot(lock, TINY).damaged == 1
    assert recover_slot(lock, TINY).damaged == 1
    lock.release()
    assert len(segment_numbers(tmp_path / "0")) == 2
    batch = reader.read(source, (0, 0), 9)
    assert (batch.receipts, batch.damaged) == (receipts, 1)


def test_more_open_attempts_than_a_segment_holds(tmp_path: Path) -> None:
    """Recovery rolls like an owner does."""
    many = TINY.__class__(segment_bytes=65536, max_record_bytes=1024, progress_slots=99)
    with a_journal(tmp_path, many) as journal:
        for n in range(60):
            journal.progress(begun(journal, f"req_{n}").slot, n + 1, 0)
    with a_journal(tmp_path) as journal:
        assert len(segment_numbers(tmp_path / "0")) > 3
        assert [one.output for one in journal.recovery.receipts] == list(range(1, 61))
        assert [one.output for one in _all(tmp_path)] == list(range(1, 61))


@pytest.mark.parametrize("harm", ["gone", "foreign", "short"])
def test_a_lost_progress_file_is_reported(tmp_path: Path, harm: str) -> None:
    """Without its entry an attempt is billed nothing, and the receipt says why."""
    with a_journal(tmp_path) as journal:
        journal.progress(begun(journal, "req_1").slot, 3, 9)
    path = tmp_path / "0" / "progress"
    if harm == "gone":
        path.unlink()
    else:
        path.write_bytes(b"\1" * 640 if harm == "foreign" else path.read_bytes()[:100])
    with a_journal(tmp_path) as journal:
        (receipt,) = journal.recovery.receipts
        assert (receipt.output, receipt.error) == (0, "journal:progress_lost")
        assert journal.recovery.progress_lost == 1


def test_a_slot_that_moved_on_means_a_lost_outcome(tmp_path: Path) -> None:
    """A slot is freed only after the outcome was recorded: an intent whose slot has a later
    ticket lost its outcome to damage, and both are reported."""
    with a_journal(tmp_path) as journal:
        first = begun(journal, "req_1")
        finish(journal, first, output=5)
        second = begun(journal, "req_2")
        assert second.slot == first.slot
    path = Path(segment_path(tmp_path / "0", 1))
    data = bytearray(path.read_bytes())
    length = struct.unpack_from("<I", data)[0] & 0xFFFF
    data[8 + (length + 7 & -8) + 40] ^= 1  # in the outcome of the first
    path.write_bytes(data)
    with a_journal(tmp_path) as journal:
        errors = {one.request_id: one.error for one in journal.recovery.receipts}
        assert errors == {"req_1": "journal:progress_lost", "req_2": None}
        assert (journal.recovery.damaged, journal.recovery.progress_lost) == (1, 1)


def test_an_intent_that_is_no_intent_is_damage(tmp_path: Path) -> None:
    """A right checksum over the wrong content bills nobody."""
    with a_journal(tmp_path) as journal:
        journal._chain.append(framed(1, 5, b"\x93\x01\x02\x03"))
    with a_journal(tmp_path) as journal:
        assert journal.recovery == ([], 1, 0)
    assert len(survey_slot(tmp_path / "0").open) == 1
