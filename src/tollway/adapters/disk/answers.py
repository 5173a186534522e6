"""Answers by `Idempotency-Key` as files: shared by all workers of a machine, kept over restarts.

A claim is a file that its owner has locked; the kernel frees the lock with the process, so a worker
that died leaves no key blocked. The answer, sealed with the master key, takes its place by one
rename. Names are digests: whatever a client sends, no path is made of it.
"""

import fcntl
import hashlib
import logging
import os
import time
from contextlib import suppress
from pathlib import Path

import msgspec

from tollway.app.ports import SecretBox, SecretError
from tollway.app.ports_answers import AnswerScope, Claim, StoredAnswer, Taken

_log = logging.getLogger(__name__)
KEPT_S = 86_400
MAX_BYTES = 1024 * 1024 * 1024  # of all that is kept; beyond, the oldest go
_TRIES = 5
_RUNNING, _ANSWER = ".run", ".answer"


class _Record(msgspec.Struct, array_like=True, frozen=True):
    digest: bytes
    status: int
    body: bytes | None


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Record).decode


class DiskAnswers:
    """Implements `app.ports_answers.AnswerStore` in one folder."""

    def __init__(self, folder: Path, box: SecretBox) -> None:
        self._folder = folder
        self._box = box

    def claim(self, scope: AnswerScope, digest: bytes) -> Claim | StoredAnswer | Taken:
        """See the port. A few system calls; more only when two ask at the same instant."""
        name = hashlib.sha256("\x00".join(scope).encode("utf-8", "surrogatepass")).hexdigest()
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for _ in range(_TRIES):
                found = self._try(name, digest)
                if found is not None:
                    return found
        except OSError as error:
            _log.error("idempotency keys cannot be kept", extra={"error": str(error)})
            return _NoClaim()
        return Taken(same=True)

    def read(self, name: str) -> _Record | None:
        """The answer under this name, if there is one that still counts."""
        path = self._folder / (name + _ANSWER)
        try:
            if time.time() - path.stat().st_mtime >= KEPT_S:
                return None
            return _decode(self._box.open(path.read_bytes(), _purpose(name)))
        except (FileNotFoundError, SecretError, msgspec.DecodeError):
            return None  # one that cannot be read is one that was never kept

    def write(self, name: str, record: _Record) -> None:
        """Put the answer in its place. Raises OSError."""
        path = self._folder / (name + _ANSWER)
        fresh = path.with_suffix(f".{os.getpid()}.new")
        try:
            fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(fd, "wb") as file:
                file.write(self._box.seal(_encode(record), _purpose(name)))
            fresh.replace(path)
        except OSError:
            with suppress(OSError):
                fresh.unlink()
            raise

    def drop(self, name: str) -> None:
        """Nobody claims this any more. Raises OSError."""
        os.unlink(self._folder / (name + _RUNNING))

    def _try(self, name: str, digest: bytes) -> Claim | StoredAnswer | Taken | None:
        """None: somebody was faster, look again."""
        stored = self.read(name)
        if stored is not None:
            return _told(stored, digest)
        path = self._folder / (name + _RUNNING)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            theirs = os.pread(fd, len(digest), 0)
            os.close(fd)
            return Taken(same=theirs in (digest, b""))
        if not _is_at(fd, path) or self.read(name) is not None:
            os.close(fd)  # it ended between our two looks
            return None
        os.pwrite(fd, digest, 0)
        return _DiskClaim(self, name, fd, digest)


class _DiskClaim:
    """A locked file until it is kept or released."""

    __slots__ = ("_digest", "_fd", "_name", "_store")

    def __init__(self, store: DiskAnswers, name: str, fd: int, digest: bytes) -> None:
        self._store = store
        self._name = name
        self._fd = fd
        self._digest = digest

    def keep(self, answer: StoredAnswer) -> None:
        """Remember the answer; then nobody may claim the key any more."""
        try:
            self._store.write(self._name, _Record(self._digest, answer.status, answer.body))
        except OSError as error:
            _log.error("an answer cannot be kept", extra={"error": str(error)})
        self.release()

    def release(self) -> None:
        """Let go of the key."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            with suppress(OSError):
                self._store.drop(self._name)
            os.close(fd)


class _NoClaim:
    """The store cannot be used: the request is served, and not remembered."""

    def keep(self, answer: StoredAnswer) -> None: ...

    def release(self) -> None: ...


def tidy_answers(folder: Path, now_s: float, *, max_bytes: int = MAX_BYTES) -> int:
    """Delete what counts no more, and of the rest the oldest beyond the bound; how many."""
    found = []
    with suppress(FileNotFoundError):
        for entry in os.scandir(folder):
            with suppress(FileNotFoundError):
                facts = entry.stat()
                found.append((facts.st_mtime, facts.st_size, entry.path))
    found.sort(reverse=True)
    kept_bytes = gone = 0
    for changed_s, size_bytes, path in found:
        kept_bytes += size_bytes
        fresh = now_s - changed_s < KEPT_S
        if path.endswith(_RUNNING) or (fresh and kept_bytes <= max_bytes):
            continue
        with suppress(FileNotFoundError):
            os.unlink(path)
            gone += 1
    return gone


def _told(stored: _Record, digest: bytes) -> StoredAnswer | Taken:
    if stored.digest != digest:
        return Taken(same=False)
    return StoredAnswer(stored.status, stored.body)


def _is_at(fd: int, path: Path) -> bool:
    try:
        return os.fstat(fd).st_ino == path.stat().st_ino
    except FileNotFoundError:
        return False


def _purpose(name: str) -> str:
    return f"answer|{name}"
