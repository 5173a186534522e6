"""The master key that `serve` made for itself, changed in its data directory while all runs. Each
step leaves files that open everything, so that whatever stops it, running it again goes on.
"""

import base64
import contextlib
import os
import secrets
import signal
import time
from pathlib import Path

from tollway.cli.data_dir import MASTER_KEY_FILE, MASTER_KEY_PREVIOUS_FILE
from tollway.cli.outcomes import UNAVAILABLE, CommandError
from tollway.cli.session import Running, find_running
from tollway.config import Settings

_RENEW_S = 60.0


def begin_change(folder: Path) -> None:
    """The key becomes the previous one, beside a new key. Goes on where an earlier run stopped."""
    current, previous = folder / MASTER_KEY_FILE, folder / MASTER_KEY_PREVIOUS_FILE
    if not previous.exists():
        _write(previous, current.read_text(encoding="ascii").strip())
    if previous.read_text(encoding="ascii") == current.read_text(encoding="ascii"):
        fresh = base64.urlsafe_b64encode(secrets.token_bytes(32)).rstrip(b"=").decode()
        _write(current, fresh)


def end_change(folder: Path) -> None:
    """Nothing is sealed with the previous key any more: it goes."""
    with contextlib.suppress(FileNotFoundError):
        (folder / MASTER_KEY_PREVIOUS_FILE).unlink()


def _write(path: Path, text: str) -> None:
    """All of it or nothing, and on disk before anything is sealed with it."""
    fresh = path.with_name(f"{path.name}.new")
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "w", encoding="ascii") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def renew_running(settings: Settings) -> bool:
    """Have every process of the running gateway start anew with the keys that are there now, one
    after the other. False: none runs."""
    before = find_running(settings)
    if before is None:
        return False
    os.kill(before.pid, signal.SIGHUP)
    until = time.monotonic() + _RENEW_S
    while time.monotonic() < until:
        now = find_running(settings)
        if now is None:
            return False
        if _all_new(before, now):
            return True
        time.sleep(0.05)
    raise CommandError(
        "The running gateway did not take the new key over within a minute. Nothing is lost: see "
        "its log, and run this again.",
        UNAVAILABLE,
    )


def _all_new(before: Running, now: Running) -> bool:
    old = {*before.worker_pids, before.admin_pid} - {0}
    return len(now.worker_pids) >= len(before.worker_pids) and old.isdisjoint(
        {*now.worker_pids, now.admin_pid}
    )
