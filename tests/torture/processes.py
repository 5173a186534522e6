"""Processes of a gateway as the kernel sees them: who is left, and how old they are."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.fakes.gateway import wait_until

SIZE = os.environ.get("TOLLWAY_TORTURE", "ci")


def sized(*, ci: int, release: int) -> int:
    """How often a campaign tries, by the size that was asked for."""
    return release if SIZE == "release" else ci


def age_s(pid: int) -> float:
    """Seconds since a process was started; the kernel tells it in hundredths."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    started_s = int(fields[19]) / os.sysconf("SC_CLK_TCK")
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started_s


def processes_of(folder: Path) -> list[int]:
    """Every process whose environment names this folder: a gateway's, whoever its parent is."""
    mark, found = os.fsencode(folder / "data"), []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            ours = mark in (entry / "environ").read_bytes()
        except OSError:  # another user's, or just ended
            continue
        if ours and int(entry.name) != os.getpid():
            found.append(int(entry.name))
    return found


@contextmanager
def nobody_left(folder: Path) -> Iterator[None]:
    """After the block no process of this folder's gateway is left; what is, is ended."""
    try:
        yield
        wait_until(lambda: not processes_of(folder))
    finally:
        for pid in processes_of(folder):
            os.kill(pid, 9)
