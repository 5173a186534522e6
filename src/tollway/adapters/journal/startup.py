"""Whether a folder can hold a journal, said in words that tell what to do. Nothing here repairs."""

import errno
import os
from pathlib import Path

from tollway.adapters.journal.options import JournalUnusableError
from tollway.domain.brand import ENV_PREFIX

_FOLDER_MODE = 0o700
_MIB = 1024 * 1024
_SETTING = f"{ENV_PREFIX}DATA_DIR"
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def checked_folder(path: Path) -> Path:
    """The folder, made if its parent exists. Raises JournalUnusableError."""
    try:
        path.mkdir(mode=_FOLDER_MODE, exist_ok=True)
        owner = path.stat().st_uid
        if owner != os.geteuid():
            raise JournalUnusableError(
                f"The journal folder {path} belongs to user id {owner}.",
                f"Run as that user, or: chown -R {os.geteuid()} {path}",
            )
        if not os.access(path, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, "not writable")
    except OSError as error:
        raise unusable(path, error) from error
    return path


def unusable(path: Path, error: OSError, needed_bytes: int = 0) -> JournalUnusableError:
    """The error in words."""
    if error.errno in _FULL:
        return _no_room(path, needed_bytes)
    if error.errno == errno.EROFS:
        return JournalUnusableError(
            f"The journal folder {path} is on a read-only file system.",
            f"Point {_SETTING} at a writable disk.",
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return JournalUnusableError(
            f"The journal folder {path} is not writable.",
            f"Give the user this process runs as write permission, or set {_SETTING}.",
        )
    if error.errno == errno.ENOENT:
        return JournalUnusableError(
            f"The folder {path.parent} does not exist.", f"Create it, or set {_SETTING}."
        )
    if error.errno in (errno.EEXIST, errno.ENOTDIR):
        return JournalUnusableError(
            f"{path} is in the way: the journal needs a folder of that name.",
            f"Move the file away, or set {_SETTING}.",
        )
    return JournalUnusableError(
        f"The journal folder {path} cannot be used: {error.strerror or error}.",
        f"Check the disk, or set {_SETTING}.",
    )


def _no_room(path: Path, needed_bytes: int) -> JournalUnusableError:
    disk = os.statvfs(path if path.exists() else path.parent)
    free_mib = disk.f_bavail * disk.f_frsize // _MIB
    want = f"{needed_bytes // _MIB + 1} MiB are needed, " if needed_bytes else ""
    return JournalUnusableError(
        f"No room for the journal in {path}: {want}{free_mib} MiB are free.",
        f"Free some space (or raise the quota), or set {_SETTING} to another disk.",
    )
