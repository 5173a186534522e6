"""The shipper's side: order, positions, damage at a live tail, and what may be deleted."""

from pathlib import Path

import pytest

from tests.fakes.journals import TINY, a_journal, begun, finish
from tollway.adapters.journal.reader import DiskJournalReader
from tollway.adapters.journal.scan import split
from tollway.adapters.journal.segment import segment_numbers, segment_path


def _names(receipts: list[object]) -> list[str]:
    return [receipt.request_id for receipt in receipts]  # type: ignore[attr-defined]


def _source(reader: DiskJournalReader) -> str:
    (source,) = reader.sources()
    return source


@pytest.fixture
def journal_dir(tmp_path: Path) -> Path:
    return tmp_path / "journal"


def test_no_journal_no_sources(journal_dir: Path) -> None:
    """A machine that never served has nothing to ship; an unknown source is a mistake."""
    reader = DiskJournalReader(journal_dir)
    assert reader.sources() == []
    with pytest.raises(KeyError):
        reader.read("nobody-0", (0, 0), 10)


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 1000])
def test_batches_of_any_size_give_the_same_rows(journal_dir: Path, limit: int) -> None:
    """Cut anywhere, across segments, nothing is lost, doubled or moved."""
    with a_journal(journal_dir) as journal:
        for n in range(0, 40, 2):
            first, second = begun(journal, f"req_{n}"), begun(journal, f"req_{n + 1}")
            finish(journal, first)
            finish(journal, second)
        reader = DiskJournalReader(journal_dir)
        source, after, seen = _source(reader), (0, 0), []
        while batch := reader.read(source, after, limit):
            assert len(batch.receipts) <= limit
            assert batch.upto >= after
            if not batch.receipts:
                break
            seen += _names(batch.receipts)
            after = batch.upto
    assert seen == [f"req_{n}" for n in range(40)]


def test_it_reads_only_what_is_new(journal_dir: Path) -> None:
    """A position is the place behind the last outcome given; intents move it on as well."""
    with a_journal(journal_dir) as journal:
        reader = DiskJournalReader(journal_dir)
        source = _source(reader)
        assert reader.read(source, (0, 0), 9) == ([], (0, 0), 0)
        intent = begun(journal, "req_1")
        empty = reader.read(source, (0, 0), 9)
        assert empty.receipts == []
        assert empty.upto > (1, 0)
        finish(journal, intent)
        batch = reader.read(source, empty.upto, 9)
        assert _names(batch.receipts) == ["req_1"]
        assert reader.read(source, batch.upto, 9) == ([], batch.upto, 0)


def test_a_torn_record_at_a_live_tail_is_not_there_yet(journal_dir: Path) -> None:
    """While its owner lives, a record in the middle of being stored is left for the next read;
    when the owner is gone the same bytes are damage."""
    with a_journal(journal_dir) as journal:
        receipts = [finish(journal, begun(journal, f"req_{n}")) for n in range(2)]
        path = Path(segment_path(journal_dir / "0", 1))
        whole = path.read_bytes()
        last = split(whole)[0][-1]
        reader = DiskJournalReader(journal_dir)
        source = _source(reader)
        for cut in range(last[2] - 16 + 1, last[4]):
            if not any(whole[cut : last[4]]):
                continue
            _patch(path, cut, bytes(last[4] - cut))
            torn = reader.read(source, (0, 0), 9)
            assert (torn.receipts, torn.damaged) == (receipts[:1], 0), cut
            _patch(path, cut, whole[cut : last[4]])
            rest = reader.read(source, torn.upto, 9)
            assert (rest.receipts, rest.damaged) == (receipts[1:], 0), cut
        _patch(path, last[4] - 24, bytes(24))
    assert reader.read(source, (0, 0), 9).damaged == 1


def test_damage_before_later_records_of_a_live_journal_is_stepped_over(journal_dir: Path) -> None:
    """A wrong record that good ones follow was finished long ago: it is damage, and what follows
    is read."""
    with a_journal(journal_dir) as journal:
        receipts = [finish(journal, begun(journal, f"req_{n}")) for n in range(4)]
        path = Path(segment_path(journal_dir / "0", 1))
        third = split(path.read_bytes())[0][5]
        _patch(path, third[2] + 30, b"\xff\x00\xff")
        reader = DiskJournalReader(journal_dir)
        batch = reader.read(_source(reader), (0, 0), 9)
        assert batch.damaged == 1
        assert batch.receipts == [receipts[0], receipts[1], receipts[3]]
        assert reader.read(_source(reader), batch.upto, 9) == ([], batch.upto, 0)


def test_segments_go_when_nobody_needs_them(journal_dir: Path) -> None:
    """Those wholly before the position are deleted; the newest stays, and numbers go on."""
    with a_journal(journal_dir) as journal:
        for n in range(40):
            finish(journal, begun(journal, f"req_{n}"))
        reader = DiskJournalReader(journal_dir)
        source = _source(reader)
        before = segment_numbers(journal_dir / "0")
        half = reader.read(source, (0, 0), 20).upto
        reader.forget(source, half)
        assert segment_numbers(journal_dir / "0") == [n for n in before if n >= half[0]]
        end = reader.read(source, half, 99)
        assert _names(end.receipts) == [f"req_{n}" for n in range(20, 40)]
        reader.forget(source, end.upto)
        reader.forget(source, (99, 0))
        assert segment_numbers(journal_dir / "0") == before[-1:]
        finish(journal, begun(journal, "req_more"))
        assert _names(reader.read(source, end.upto, 9).receipts) == ["req_more"]
    with a_journal(journal_dir):
        assert segment_numbers(journal_dir / "0")[-1] > before[-1]


@pytest.mark.parametrize("fresh", [False, True])
def test_an_open_intent_holds_its_segment_and_all_after_it(journal_dir: Path, fresh: bool) -> None:
    """Also for a reader that was started later: deleting an outcome before its intent would bill
    the attempt again after a crash."""
    with a_journal(journal_dir) as journal:
        for n in range(8):
            finish(journal, begun(journal, f"req_{n}"))
        held = begun(journal, "req_open")
        at = segment_numbers(journal_dir / "0")[-1]
        for n in range(8, 30):
            finish(journal, begun(journal, f"req_{n}"))
        reader = DiskJournalReader(journal_dir)
        source = _source(reader)
        upto = reader.read(source, (0, 0), 99).upto
        if fresh:
            reader = DiskJournalReader(journal_dir)
        reader.forget(source, upto)
        newest = segment_numbers(journal_dir / "0")[-1]
        assert segment_numbers(journal_dir / "0") == list(range(at, newest + 1))
        finish(journal, held)
        end = reader.read(source, upto, 99)
        assert _names(end.receipts) == ["req_open"]
        reader.forget(source, end.upto)
        assert segment_numbers(journal_dir / "0") == [newest]


def test_an_outcome_not_shipped_yet_is_kept(journal_dir: Path) -> None:
    """Only what lies before the given position goes, however far was read."""
    with a_journal(journal_dir) as journal:
        for n in range(40):
            finish(journal, begun(journal, f"req_{n}"))
        reader = DiskJournalReader(journal_dir)
        source = _source(reader)
        shipped = reader.read(source, (0, 0), 5).upto
        reader.read(source, shipped, 99)
        reader.forget(source, shipped)
        assert _names(reader.read(source, shipped, 99).receipts) == [
            f"req_{n}" for n in range(5, 40)
        ]


def test_a_new_journal_in_an_old_place_has_a_new_name(journal_dir: Path) -> None:
    """Cursors kept in the ledger for a folder that was lost must not skip rows of the next."""
    with a_journal(journal_dir):
        first = _source(DiskJournalReader(journal_dir))
    with a_journal(journal_dir):
        assert _source(DiskJournalReader(journal_dir)) == first
    journal_dir.rename(journal_dir.with_name("lost"))
    with a_journal(journal_dir):
        second = _source(DiskJournalReader(journal_dir))
    assert first != second
    assert first.endswith("-0")


def test_two_shippers_may_forget_at_once(journal_dir: Path) -> None:
    """A segment that another process deleted meanwhile is no error."""
    with a_journal(journal_dir, TINY) as journal:
        for n in range(20):
            finish(journal, begun(journal, f"req_{n}"))
        readers = [DiskJournalReader(journal_dir) for _ in range(2)]
        source = _source(readers[0])
        upto = readers[0].read(source, (0, 0), 99).upto
        for reader in readers:
            reader.forget(source, upto)
        assert reader.read(source, (0, 0), 99).damaged == 0


def _patch(path: Path, at: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)
