"""What processes cost: CPU time in nanoseconds from the scheduler's own account, and memory.

/proc/PID/stat counts in ticks of 10 ms; /proc/PID/task/*/schedstat in nanoseconds. A thread that
ended takes its time with it: subjects keep theirs.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")

Account = dict[str, dict[int, int]]  # role -> thread -> CPU nanoseconds since it began


class ProcessGoneError(Exception):
    """A measured process ended while it was measured: the round is worth nothing."""


def tree(pid: int) -> list[int]:
    """A process and all its descendants."""
    children: dict[int, list[int]] = {}
    for folder in _PROC.iterdir():
        if folder.name.isdigit():
            try:
                stat = (folder / "stat").read_text()
            except OSError:
                continue  # it ended between the listing and the reading
            parent = int(stat.rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(folder.name))
    found, queue = [], [pid]
    while queue:
        one = queue.pop()
        found.append(one)
        queue += children.get(one, [])
    return found


def account(roles: Mapping[str, Iterable[int]]) -> Account:
    """CPU time so far of each role's threads. Raises ProcessGoneError."""
    return {role: _threads(pids) for role, pids in roles.items()}


def spent_us(before: Account, after: Account) -> dict[str, float]:
    """CPU microseconds of each role between two accounts; threads begun in between count fully."""
    return {
        role: sum(ns - before[role].get(thread, 0) for thread, ns in threads.items()) / 1000
        for role, threads in after.items()
    }


def _threads(pids: Iterable[int]) -> dict[int, int]:
    times: dict[int, int] = {}
    for pid in pids:
        try:
            tasks = list((_PROC / str(pid) / "task").iterdir())
        except OSError as error:
            raise ProcessGoneError(f"process {pid} is gone") from error
        for task in tasks:
            try:
                times[int(task.name)] = int((task / "schedstat").read_text().split()[0])
            except OSError:
                continue  # a thread that just ended
    return times


@dataclass(frozen=True, slots=True)
class Memory:
    """KiB of a set of processes. `pss` shares out pages that several of them map."""

    rss_kib: int
    pss_kib: int


def memory(pids: Iterable[int]) -> Memory:
    """Memory of these processes now. Raises ProcessGoneError."""
    rss = pss = 0
    for pid in pids:
        try:
            text = (_PROC / str(pid) / "smaps_rollup").read_text()
        except OSError as error:
            raise ProcessGoneError(f"process {pid} is gone or not ours") from error
        fields = dict(line.split(":", 1) for line in text.splitlines()[1:])
        rss += int(fields["Rss"].split()[0])
        pss += int(fields["Pss"].split()[0])
    return Memory(rss, pss)
