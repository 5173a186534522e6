"""Torn tails and flipped bits, exhaustively (reliability goal G-03): every complete record is
recovered, damage is reported, and no amount is ever wrong.
"""

from pathlib import Path

import pytest

from tests.fakes.journals import TINY, a_journal, begun, finish
from tollway.adapters.journal.reader import DiskJournalReader
from tollway.adapters.journal.recovery import survey_slot
from tollway.adapters.journal.scan import find_record, split, walk
from tollway.adapters.journal.segment import segment_path
from tollway.domain.receipt import Receipt

_BEFORE = 4
_LAST = 3


class _Tail:
    """A dead slot's only segment: outcomes with different amounts, and where each record ends."""

    def __init__(self, journal_dir: Path) -> None:
        self.receipts: list[Receipt] = []
        with a_journal(journal_dir) as journal:
            intents = [begun(journal, f"req_{n}") for n in range(_BEFORE + _LAST)]
            for n, intent in enumerate(intents):
                self.receipts.append(finish(journal, intent, output=1000 + n, error=None))
        self.directory = journal_dir / "0"
        self.path = Path(segment_path(self.directory, 1))
        self.whole = self.path.read_bytes()
        frames, self.end, _ = split(self.whole)
        self.ends = [frame[4] for frame in frames]
        self.first = self.ends[-_LAST - 1]  # where the last three records begin
        self.reader = DiskJournalReader(journal_dir)
        (self.source,) = self.reader.sources()

    def read(self, data: bytes) -> tuple[list[Receipt], int]:
        self.path.write_bytes(data)
        batch = self.reader.read(self.source, (0, 0), 100)
        again = self.reader.read(self.source, batch.upto, 100)
        assert (again.receipts, again.damaged) == ([], 0)
        return batch.receipts, batch.damaged

    def complete(self, used: int) -> list[Receipt]:
        return self.receipts[: sum(end <= used for end in self.ends[-len(self.receipts) :])]


@pytest.fixture
def tail(tmp_path: Path) -> _Tail:
    return _Tail(tmp_path / "journal")


def test_zeroed_from_any_byte_on(tail: _Tail) -> None:
    """A tail that was never written: the records before it are there, a torn one is counted."""
    for cut in range(tail.first, tail.end):
        data = tail.whole[:cut] + bytes(len(tail.whole) - cut)
        receipts, damaged = tail.read(data)
        # Zeroing what is zero (padding, high bytes) changes nothing.
        kept = max(end for end in tail.ends if data[:end] == tail.whole[:end])
        assert receipts == tail.complete(kept), cut
        assert damaged == (1 if any(data[kept:]) else 0), cut
        assert survey_slot(tail.directory).damaged == damaged


def test_shortened_at_any_byte(tail: _Tail) -> None:
    """A file cut short, as a broken file system may leave it, reads the same way."""
    for cut in range(tail.first, tail.end):
        receipts, damaged = tail.read(tail.whole[:cut])
        assert receipts == tail.complete(cut), cut
        assert damaged == (0 if cut in tail.ends else 1), cut


def test_any_bit_flipped(tail: _Tail) -> None:
    """Exactly the record with the flipped bit is missing, and it is counted."""
    for bit in range(tail.first * 8, tail.end * 8):
        data = bytearray(tail.whole)
        data[bit // 8] ^= 1 << bit % 8
        receipts, damaged = tail.read(bytes(data))
        hit = sum(end <= bit // 8 for end in tail.ends) - len(tail.receipts)
        assert receipts == tail.receipts[:hit] + tail.receipts[hit + 1 :], bit
        assert damaged == 1, bit


def test_a_hole_in_a_final_segment_is_damage(tail: _Tail) -> None:
    """Zeroed pages in the middle hide nothing behind them once nobody can write there."""
    start, stop = tail.ends[8], tail.ends[10]
    data = tail.whole[:start] + bytes(stop - start) + tail.whole[stop:]
    tail.path.write_bytes(data)
    seen = survey_slot(tail.directory)
    assert (seen.damaged, seen.tail_damaged) == (1, True)
    assert len(seen.open) == 2
    stretches = list(walk(tail.directory, (0, 0), None))
    assert sum(len(stretch.frames) for stretch in stretches) == len(tail.ends) - 2


def test_every_record_of_a_rolled_segment_may_be_hit(tmp_path: Path) -> None:
    """One flipped bit per record over several closed segments: all others are read, across the
    segment's end as well."""
    journal_dir = tmp_path / "journal"
    with a_journal(journal_dir) as journal:
        receipts = [finish(journal, begun(journal, f"req_{n}"), output=n) for n in range(40)]
    reader = DiskJournalReader(journal_dir)
    (source,) = reader.sources()
    assert reader.read(source, (0, 0), 100).receipts == receipts
    for number in (1, 2):
        path = Path(segment_path(journal_dir / "0", number))
        whole = path.read_bytes()
        frames, end, _ = split(whole)
        for at in [frame[2] for frame in frames] + [end]:
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 64]) + whole[at + 1 :])
            batch = reader.read(source, (0, 0), 100)
            assert batch.damaged == 1
            assert len(batch.receipts) >= len(receipts) - 1
            assert set(batch.receipts) <= set(receipts)
        path.write_bytes(whole)


def test_client_text_never_passes_for_a_record(tmp_path: Path) -> None:
    """A forged record in a client's label is not found behind damage: NUL cannot be written."""
    journal_dir = tmp_path / "journal"
    with a_journal(journal_dir) as journal:
        victim = finish(journal, begun(journal, "req_1"), output=5)
        data = Path(segment_path(journal_dir / "0", 1)).read_bytes()
        ((_, *_), (_, _, start, _, end)) = split(data)[0]
        forged = data[start - 16 : end].decode("latin-1")
        for pad in range(8):
            intent = begun(journal, f"req_f{pad}", end_user="x" * pad + forged[:200])
            finish(journal, intent, end_user=intent.end_user)
    path = Path(segment_path(journal_dir / "0", 1))
    data = path.read_bytes()
    frames, used, _ = split(data)
    for frame in frames[2:]:
        begin = frame[2] - 16
        assert find_record(data[:used], begin + 8) in ({one[2] - 16 for one in frames} | {None})
    assert (
        victim
        in DiskJournalReader(journal_dir)
        .read(DiskJournalReader(journal_dir).sources()[0], (0, 0), 99)
        .receipts
    )
    assert TINY.max_record_bytes > 256
