"""What `doctor` and `ledger verify` see, without changing anything."""

from pathlib import Path

from tests.fakes.journals import a_journal, begun, finish
from tollway.adapters.journal.inspection import entries, inspect_journals
from tollway.adapters.journal.segment import segment_path
from tollway.domain.receipt import Intent


def test_a_slot_at_a_glance(tmp_path: Path) -> None:
    """Counts, open attempts with their progress, size, and whether the owner lives."""
    with a_journal(tmp_path) as journal:
        receipt = finish(journal, begun(journal, "req_1"))
        intent = begun(journal, "req_2")
        journal.progress(intent.slot, 2, 30)
        (report,) = inspect_journals(tmp_path)
        assert (report.slot, report.held, report.segments) == (0, True, [1])
        assert (report.intents, report.outcomes, report.damaged) == (2, 1, 0)
        ((open_intent, progress),) = report.open
        assert open_intent == intent
        assert progress == (intent.ticket, 3, 2, 30)
        assert report.size_bytes >= 2 * 4096
        records = [entry.record for entry in entries(tmp_path / "0")]
        assert [type(record) is Intent for record in records] == [True, False, True]
        assert receipt in records
    (report,) = inspect_journals(tmp_path)
    assert not report.held
    assert len(report.open) == 1


def test_damage_is_shown_in_its_place(tmp_path: Path) -> None:
    """A record that cannot be read is an entry without a record."""
    with a_journal(tmp_path) as journal:
        for n in range(3):
            finish(journal, begun(journal, f"req_{n}"))
    path = Path(segment_path(tmp_path / "0", 1))
    data = bytearray(path.read_bytes())
    data[30] ^= 1
    path.write_bytes(data)
    assert [entry.record is None for entry in entries(tmp_path / "0")] == [True] + [False] * 5
    (report,) = inspect_journals(tmp_path)
    assert report.damaged == 1


def test_no_journal_at_all(tmp_path: Path) -> None:
    """Nothing is made by looking."""
    assert inspect_journals(tmp_path / "none") == []
    assert list(tmp_path.iterdir()) == []
