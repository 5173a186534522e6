"""Answers under way in the background as files: shared by all workers of a machine, kept over
crashes and restarts.

A note is a file that whoever has it has locked; the kernel frees the lock with the process. What
was found out takes its place by one rename, and is the keeper's from then on. Nothing in it is
secret: a provider's id is of no use without the credential.
"""

import fcntl
import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from tollway.app.ports_background import Found, Note, Pending, Unnoted
from tollway.domain.usage import Usage

_log = logging.getLogger(__name__)
_RUNNING, _FOUND = ".run", ".found"
_encode = msgspec.msgpack.Encoder().encode
_decode_pending = msgspec.msgpack.Decoder(Pending).decode
_decode_found = msgspec.msgpack.Decoder(tuple[str, int, Usage]).decode


class DiskNotes:
    """Implements `app.ports_background.Notes` and `FoundNotes` in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._failing = False  # said in the log once

    def make(self, pending: Pending) -> Note:
        """See the port. A few system calls."""
        path = self._folder / f"{pending.request_id}-{pending.attempt}{_RUNNING}"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Locked before it has its name: nobody can take it in between.
            fresh = path.with_suffix(f".{os.getpid()}.new")
            fd = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.write(fd, _encode(pending))
                fresh.rename(path)
            except OSError:
                os.close(fd)
                with suppress(OSError):
                    fresh.unlink()
                raise
        except OSError as error:
            _log.error("an answer in the background cannot be noted", extra={"error": str(error)})
            return Unnoted(pending)
        return _DiskNote(path, fd, pending)

    def take(self, most: int) -> Sequence[Note]:
        """See the port."""
        taken: list[Note] = []
        try:
            for path in self._named(_RUNNING):
                if len(taken) >= most:
                    break
                note = _taken(path)
                if note is not None:
                    taken.append(note)
        except OSError as error:
            if not self._failing:
                _log.error("notes cannot be looked at", extra={"error": str(error)})
            self._failing = True
        else:
            self._failing = False
        return taken

    def found(self, most: int) -> Sequence[Found]:
        """See the port."""
        found = []
        for path in self._named(_FOUND)[:most]:
            try:
                said = _decode_found(path.read_bytes())
                found.append(Found(str(path), *said, path.stat().st_mtime))
            except FileNotFoundError:
                continue
            except msgspec.DecodeError as error:
                _log.error("a note cannot be read", extra={"file": path.name, "error": str(error)})
                path.rename(path.with_suffix(".damaged"))
        return found

    def forget(self, found: Found) -> None:
        """See the port."""
        with suppress(FileNotFoundError):
            os.unlink(found.place)

    def _named(self, suffix: str) -> list[Path]:
        try:
            names = sorted(entry.name for entry in os.scandir(self._folder))
        except FileNotFoundError:
            return []
        return [self._folder / name for name in names if name.endswith(suffix)]


class _DiskNote:
    """A locked file until it ends."""

    __slots__ = ("_fd", "_path", "pending")

    def __init__(self, path: Path, fd: int, pending: Pending) -> None:
        self._path = path
        self._fd = fd
        self.pending = pending

    def drop(self) -> None:
        """Nothing is left to be done."""
        with suppress(OSError):
            os.unlink(self._path)
        self.leave()

    def leave(self) -> None:
        """The file stays, and is anybody's."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def found(self, usage: Usage) -> None:
        """Written beside it, then in its place. What cannot be written stays to be found again."""
        pending, path = self.pending, self._path
        fresh = path.with_suffix(f".{os.getpid()}.new")
        try:
            fresh.write_bytes(_encode((pending.request_id, pending.attempt, usage)))
            fresh.rename(path.with_suffix(_FOUND))
        except OSError as error:
            _log.error("what was found cannot be written", extra={"error": str(error)})
            with suppress(OSError):
                fresh.unlink()
            self.leave()
        else:
            self.drop()


def _taken(path: Path) -> Note | None:
    """None: somebody has it, or had it until now."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(fd).st_nlink:  # it ended between our two looks, else
            return _DiskNote(path, fd, _decode_pending(os.pread(fd, 1 << 16, 0)))
    except BlockingIOError:
        pass
    except msgspec.DecodeError as error:  # lost power: its attempt is booked by what was counted
        _log.error("a note cannot be read", extra={"file": path.name, "error": str(error)})
        with suppress(OSError):
            path.rename(path.with_suffix(".damaged"))
    os.close(fd)
    return None
