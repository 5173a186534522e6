"""The journals of this machine as the shipper reads them, while their owners write: outcomes in
order, and the deletion of segments that nobody needs any more.

It remembers, per journal, which intents are open and where, so that no segment goes whose intents
a recovery would still need. It keeps no file open and takes no lock but to ask whether an owner
lives.
"""

from functools import partial
from pathlib import Path

from tollway.adapters.journal.medium import DISK, Medium
from tollway.adapters.journal.record import INTENT, OUTCOME, OUTCOMES, DamagedRecordError
from tollway.adapters.journal.scan import Position, Stretch, walk
from tollway.adapters.journal.segment import segment_numbers, segment_path
from tollway.adapters.journal.slots import is_held, slot_folders, source_of
from tollway.app.ports import JournalBatch
from tollway.domain.receipt import Receipt


class _Followed:
    """One journal as far as it was read: `open` maps an open intent's ticket to its segment."""

    __slots__ = ("directory", "open", "position")

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.position: Position = (0, 0)
        self.open: dict[int, int] = {}

    def track(self, stretch: Stretch) -> None:
        for kind, ticket, _, _, _ in stretch.frames:
            if kind == INTENT:
                self.open[ticket] = stretch.number
            elif kind == OUTCOME:
                self.open.pop(ticket, None)
        self.position = max(self.position, stretch.after)


class DiskJournalReader:
    """The `JournalReader` over `DATA_DIR/journal`. Unknown sources raise KeyError."""

    def __init__(self, journal_dir: Path, *, medium: Medium = DISK) -> None:
        self._journal_dir = journal_dir
        self._medium = medium
        self._followed: dict[str, _Followed] = {}

    def sources(self) -> list[str]:
        """The journals that have segments, by slot."""
        found = []
        for directory in slot_folders(self._journal_dir):
            source = source_of(directory)
            if source is not None and segment_numbers(directory):
                self._followed.setdefault(source, _Followed(directory))
                found.append(source)
        return found

    def read(self, source: str, after: Position, limit: int) -> JournalBatch:
        """Up to `limit` outcomes behind a position. The position moves on even if there are none;
        damage is counted by whichever read steps over it."""
        followed = self._follow(source)
        self._catch_up(followed, after)
        receipts: list[Receipt] = []
        damaged, upto = 0, after
        for stretch in walk(followed.directory, after, partial(is_held, followed.directory)):
            damaged += stretch.damaged
            used, unreadable = _outcomes(stretch, limit - len(receipts), receipts)
            damaged += unreadable
            followed.track(used)
            upto = used.after
            if len(receipts) >= limit:
                break
        return JournalBatch(receipts, upto, damaged)

    def forget(self, source: str, upto: Position) -> None:
        """Delete segments wholly before the position, oldest first, up to the first that has an
        open intent: an outcome is never deleted before its intent, or recovery would bill the
        attempt again. The newest segment always stays, so that numbers go on from it."""
        followed = self._follow(source)
        self._catch_up(followed, upto)
        pinned = min(followed.open.values(), default=upto[0])
        for number in segment_numbers(followed.directory)[:-1]:
            if number >= min(pinned, upto[0]):
                break
            try:
                self._medium.unlink(segment_path(followed.directory, number))
            except FileNotFoundError:
                continue  # another shipper was faster

    def _follow(self, source: str) -> _Followed:
        if source not in self._followed:
            self.sources()
        return self._followed[source]

    def _catch_up(self, followed: _Followed, upto: Position) -> None:
        """Learn which intents are open at a position that an earlier process had reached."""
        if followed.position >= upto:
            return
        held = partial(is_held, followed.directory)
        for stretch in walk(followed.directory, followed.position, held):
            if stretch.after > upto:
                ends = upto[1] - stretch.base if stretch.number == upto[0] else 0
                frames = [frame for frame in stretch.frames if frame[4] <= ends]
                followed.track(stretch._replace(frames=frames, after=upto))
                break
            followed.track(stretch)


def _outcomes(stretch: Stretch, limit: int, receipts: list[Receipt]) -> tuple[Stretch, int]:
    """Append up to `limit` receipts; the part of the stretch that was used, and how many of its
    records could not be understood."""
    unreadable = taken = 0
    data, decode = memoryview(stretch.data), OUTCOMES.decode
    for index, (kind, _, start, stop, _) in enumerate(stretch.frames):
        if kind != OUTCOME:
            continue
        try:
            receipts.append(decode(data[start:stop]))
        except DamagedRecordError:
            unreadable += 1
            continue
        taken += 1
        if taken == limit:
            return _cut(stretch, index + 1), unreadable
    return stretch, unreadable


def _cut(stretch: Stretch, count: int) -> Stretch:
    if count == len(stretch.frames):
        return stretch
    frames = stretch.frames[:count]
    return stretch._replace(frames=frames, after=(stretch.number, stretch.base + frames[-1][4]))
