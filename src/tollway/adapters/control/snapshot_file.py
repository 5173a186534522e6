"""The configuration as a file: the keeper writes it whole and renames it into place, every worker
reads it. Workers need no SQL, start in the time of one read, and keep the last good configuration
when the database is gone.
"""

import os
from pathlib import Path

import msgspec

from tollway.app.ports import SecretBox
from tollway.domain.snapshot import EMPTY, Snapshot, SnapshotRows, index

_FORMAT = b"tollway-snapshot-1\n"
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(SnapshotRows).decode

FILE_NAME = "snapshot.bin"


def write_snapshot(run_dir: str, rows: SnapshotRows) -> None:
    """Replace the machine's snapshot; a crash leaves the old one or the new one, never a part."""
    path = Path(run_dir) / FILE_NAME
    fresh = path.with_suffix(".new")
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(_FORMAT + _encode(rows))
        file.flush()
        os.fsync(file.fileno())
    os.replace(fresh, path)


def read_snapshot(run_dir: str) -> SnapshotRows | None:
    """The machine's snapshot; None when none was ever written or it is of another format."""
    try:
        data = (Path(run_dir) / FILE_NAME).read_bytes()
    except FileNotFoundError:
        return None
    if not data.startswith(_FORMAT):
        return None
    try:
        return _decode(memoryview(data)[len(_FORMAT) :])
    except msgspec.DecodeError:
        return None


class FileSnapshotSource:
    """`SnapshotSource` over the file. An older version never replaces a newer one."""

    __slots__ = ("_box", "_peppers", "_run_dir", "_stamp", "current")

    def __init__(self, run_dir: str, box: SecretBox) -> None:
        self._run_dir = run_dir
        self._box = box
        self._stamp: tuple[int, int, int] | None = None
        self._peppers: dict[bytes, bytes] = {}
        self.current: Snapshot = EMPTY

    def changed(self) -> bool:
        """Whether the file is another one than the one last read. One `stat`, no read."""
        return self._look() != self._stamp

    def refresh(self) -> Snapshot:
        """Read the file if it changed. Raises `SecretError` when a pepper cannot be opened; the
        last good configuration then stays."""
        stamp = self._look()
        if stamp == self._stamp:
            return self.current
        rows = read_snapshot(self._run_dir)
        if rows is not None and rows.version >= self.current.version:
            peppers = {version: self._open(version, wrapped) for version, wrapped in rows.peppers}
            self.current = index(rows, peppers)
        self._stamp = stamp
        return self.current

    def _open(self, version: int, wrapped: bytes) -> bytes:
        pepper = self._peppers.get(wrapped)
        if pepper is None:
            pepper = self._peppers[wrapped] = self._box.open(wrapped, f"pepper|{version}")
        return pepper

    def _look(self) -> tuple[int, int, int] | None:
        try:
            stat = os.stat(os.path.join(self._run_dir, FILE_NAME))
        except FileNotFoundError:
            return None
        return stat.st_ino, stat.st_mtime_ns, stat.st_size
