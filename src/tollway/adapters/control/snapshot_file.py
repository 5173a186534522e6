"""The configuration as files that the keeper writes and every worker reads: a base that is mapped
and a delta that grows. Workers need no SQL, start without loading anything, and keep the last good
configuration when the database is gone or a file is not what it should be.
"""

import logging
import os
from collections.abc import Iterator

from tollway.adapters.control.snapshot_base import Base, BaseError, Peppers
from tollway.adapters.control.snapshot_delta import DeltaError, DeltaReader
from tollway.adapters.control.snapshot_view import Draft
from tollway.app.ports import SecretBox
from tollway.domain.snapshot import EMPTY, Snapshot

_log = logging.getLogger(__name__)

FILE_NAME = "snapshot.bin"

_Stamp = tuple[int, int, int]  # of a file: inode, time of the last change, size


def base_path(run_dir: str) -> str:
    """Where the base stands."""
    return os.path.join(run_dir, FILE_NAME)


class SnapshotFiles:
    """One base, and what its delta makes of it so far."""

    __slots__ = ("base", "draft", "reader", "stamp", "unserved")

    def __init__(self, run_dir: str, stamp: _Stamp | None) -> None:
        """Raises BaseError, OSError."""
        self.base = Base(base_path(run_dir))
        self.stamp = stamp
        self.draft = Draft(self.base)
        self.reader = DeltaReader(run_dir, self.base.header.id)
        self.unserved = True  # the draft is a whole version that no snapshot was made of yet

    def steps(self) -> Iterator[None]:
        """Read the delta on. Raises DeltaError, OSError."""
        draft = self.draft
        for part in self.reader.parts():
            if part.since > draft.version:
                raise DeltaError(f"versions after {draft.version} are missing from the delta")
            if part.version > draft.version:
                draft.apply(part)
                self.unserved = part.last
            yield


class FileSnapshotSource:
    """`SnapshotSource` over the files. An older version never replaces a newer one."""

    __slots__ = ("_box", "_files", "_opened", "_reader", "_run_dir", "_seen", "current")

    def __init__(self, run_dir: str, box: SecretBox) -> None:
        self._run_dir = run_dir
        self._box = box
        self._files: SnapshotFiles | None = None
        self._reader: DeltaReader | None = None
        self._seen: tuple[_Stamp | None, int] = None, 0
        self._opened: dict[bytes, bytes] = {}
        self.current: Snapshot = EMPTY

    def changed(self) -> bool:
        """Whether the files are others than those last read. Two `stat`, no read."""
        return (self._look(), self._delta_size()) != self._seen

    def refresh(self) -> Snapshot:
        """Take over what is new, at once. Raises `SecretError` when a pepper cannot be opened; the
        last good configuration then stays."""
        for _ in self.steps():
            pass
        return self.current

    def steps(self) -> Iterator[None]:
        """The same in steps of at most 500 rows, so that a loop can serve in between. To be run to
        its end before the next; the new snapshot is served as a whole, when all of it was read."""
        if not self.changed():
            return
        stamp = self._look()
        try:
            if stamp is not None:
                yield from self._take(stamp)
            self._seen = stamp, 0 if self._reader is None else self._reader.whole
        except (BaseError, DeltaError, OSError) as error:
            _log.error(
                "the snapshot cannot be read: the last good one stays",
                extra={"error": str(error), "version": self.current.version},
            )
            self._files = None
            self._seen = stamp, self._delta_size()

    def _take(self, stamp: _Stamp) -> Iterator[None]:
        files = self._files
        if files is None or files.stamp != stamp:
            files = SnapshotFiles(self._run_dir, stamp)
            self._reader = files.reader
            yield
        yield from files.steps()
        self._files = files
        if files.unserved and files.draft.version >= self.current.version:
            self.current = files.draft.snapshot(self._open(files.draft.peppers))
            files.unserved = False

    def _open(self, peppers: Peppers) -> dict[int, bytes]:
        for version, wrapped in peppers:
            if wrapped not in self._opened:
                self._opened[wrapped] = self._box.open(wrapped, f"pepper|{version}")
        return {version: self._opened[wrapped] for version, wrapped in peppers}

    def _look(self) -> _Stamp | None:
        try:
            stat = os.stat(base_path(self._run_dir))
        except FileNotFoundError:
            return None
        return stat.st_ino, stat.st_mtime_ns, stat.st_size

    def _delta_size(self) -> int:
        return 0 if self._reader is None else self._reader.size
