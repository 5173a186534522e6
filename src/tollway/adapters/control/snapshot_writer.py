"""How the keeper writes the snapshot's files: a new base beside the old one, renamed into place
when it is whole and on disk, and deltas in between. A crash leaves the old files or the new ones.
"""

import os
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass

from tollway.adapters.control.snapshot_base import BaseError, BaseWriter, Header, Peppers
from tollway.adapters.control.snapshot_delta import (
    DeltaError,
    delta_path,
    head_of,
    parts_of,
)
from tollway.adapters.control.snapshot_file import SnapshotFiles, base_path
from tollway.adapters.control.snapshot_rows import (
    Section,
    encode,
    owner_key,
    place_key,
    rows_of,
)
from tollway.domain.ids import TenantId
from tollway.domain.snapshot import SnapshotChanges, SnapshotRows

_FILE_MODE = 0o600
_ROWS_A_PACE = 500


@dataclass(frozen=True, slots=True)
class Staged:
    """A whole base that is not in its place yet."""

    path: str
    header: Header


class SnapshotWriter:
    """Writes one machine's snapshot. One thread at a time, but for `stage`."""

    def __init__(self, run_dir: str) -> None:
        self._run_dir = run_dir
        self._header: Header | None = None
        self._inode = 0
        self.version = -1  # of what workers find; -1: nothing of ours stands there
        self.changed_rows = 0  # over the base

    @property
    def base_rows(self) -> int:
        """How many rows the base has."""
        return 0 if self._header is None else self._header.rows

    def adopt(self) -> bool:
        """Go on with the files a predecessor left; whether they were good. A delta's torn end is
        cut off."""
        try:
            files = SnapshotFiles(self._run_dir, None)
            for _ in files.steps():
                pass
            with suppress(FileNotFoundError):
                os.truncate(delta_path(self._run_dir, files.base.header.id), files.reader.whole)
        except (BaseError, DeltaError, OSError):
            return False
        self._settle(files.base.header, files.draft.version, files.draft.changed_rows)
        return True

    def stage(
        self, pieces: Iterable[SnapshotRows], *, pace: Callable[[], None] = lambda: None
    ) -> Staged:
        """Write a base from rows that all have one version, in bounded memory. `pace` is called
        after every few hundred rows; it may wait, or raise to give up. Raises OSError."""
        base_id = os.urandom(8).hex()
        path = os.path.join(self._run_dir, f"snapshot-{base_id}.new")
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _FILE_MODE)
        with ExitStack() as undo:
            undo.callback(os.unlink, path)
            with os.fdopen(fd, "wb", buffering=1 << 20) as file:
                header = _write(BaseWriter(file, base_id, pace=pace), pieces, pace)
                os.fsync(file.fileno())
            undo.pop_all()
        return Staged(path, header)

    def install(self, staged: Staged, changes: SnapshotChanges | None = None) -> None:
        """Put a staged base in its place, with what has become of it since. Raises OSError."""
        header = staged.header
        # The delta first: whoever sees the base must find it.
        version = self._append(header.id, changes) if changes is not None else header.version
        os.replace(staged.path, base_path(self._run_dir))
        self._settle(header, version, 0 if changes is None else _count(changes))
        self._clear_away(header.id)

    def discard(self, staged: Staged) -> None:
        """The staged base is not wanted."""
        with suppress(FileNotFoundError):
            os.unlink(staged.path)

    def append(self, changes: SnapshotChanges) -> None:
        """Add what has become of `version`. Raises OSError."""
        assert self._header is not None, "there is no base to add to"
        self.version = self._append(self._header.id, changes)
        self.changed_rows += _count(changes)

    def stands(self) -> bool:
        """Whether the base in place is the one we wrote or adopted: two keepers overlap when one
        lost its supervisor."""
        try:
            return os.stat(base_path(self._run_dir)).st_ino == self._inode
        except FileNotFoundError:
            return False

    def _append(self, base_id: str, changes: SnapshotChanges) -> int:
        data = b"".join(parts_of(changes))
        path = delta_path(self._run_dir, base_id)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, _FILE_MODE)
        try:
            whole = os.fstat(fd).st_size
            head = b"" if whole else head_of(base_id)
            try:
                _write_all(fd, head + data)
            except OSError:
                os.ftruncate(fd, whole)  # a torn record would end every reading
                raise
        finally:
            os.close(fd)
        return changes.rows.version

    def _settle(self, header: Header, version: int, changed_rows: int) -> None:
        self._header = header
        self._inode = os.stat(base_path(self._run_dir)).st_ino
        self.version, self.changed_rows = version, changed_rows

    def _clear_away(self, base_id: str) -> None:
        """Remove what belongs to no base any more. Who still reads it keeps it open."""
        kept = os.path.basename(delta_path(self._run_dir, base_id))
        for name in os.listdir(self._run_dir):
            if name.startswith("snapshot-") and name != kept:
                with suppress(FileNotFoundError):
                    os.unlink(os.path.join(self._run_dir, name))


def write_snapshot(run_dir: str, rows: SnapshotRows) -> None:
    """All of a configuration that is at hand, as a new base."""
    writer = SnapshotWriter(run_dir)
    writer.install(writer.stage([rows]))


def _write(writer: BaseWriter, pieces: Iterable[SnapshotRows], pace: Callable[[], None]) -> Header:
    names: dict[TenantId | None, list[str]] = defaultdict(list)
    version, count = -1, 0
    peppers: Peppers = ()
    for piece in pieces:
        version, peppers = piece.version, piece.peppers
        for row in rows_of(piece):
            writer.add(*row)
            count += 1
            if count % _ROWS_A_PACE == 0:
                pace()
        for model in piece.models:
            names[model.tenant_id].append(model.name)
            writer.add(Section.PLACES, place_key(model.tenant_id, model.name), encode(model.id))
    for owner, given in names.items():
        writer.add(Section.NAMES, owner_key(owner), encode(given))
    return writer.finish(version, peppers)


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _count(changes: SnapshotChanges) -> int:
    rows = changes.rows
    kinds = (
        rows.tenants,
        rows.keys,
        rows.providers,
        rows.models,
        rows.projects,
        rows.members,
        rows.grants,
        rows.quotas,
    )
    return len(changes.removed) + sum(len(kind) for kind in kinds)
