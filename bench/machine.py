"""What the figures were measured on: processor, kernel, load, versions. No names and no paths: the
page this ends up on is public.
"""

import importlib.metadata
import os
import platform
import re
import resource
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Cores:
    """Where processes run: the measured one alone on `subject`, all others on `load`."""

    subject: int
    load: int

    @property
    def shared(self) -> bool:
        """One core for all: figures of CPU time still count, latencies do not."""
        return self.subject == self.load


def choose_cores() -> Cores:
    """The first two cores this process may use."""
    allowed = sorted(os.sched_getaffinity(0))
    return Cores(allowed[0], allowed[-1] if len(allowed) < 2 else allowed[1])


def pin(core: int) -> None:
    """Keep this process, and what it will start, on one core."""
    os.sched_setaffinity(0, {core})


def raise_file_limit() -> int:
    """As many open files as are allowed; inherited by what is started. Returns the number."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


@dataclass(frozen=True, slots=True)
class Machine:
    """One run's surroundings. Load averages are those of one minute."""

    processor: str
    cores: int
    memory_mib: int
    kernel: str
    python: str
    commit: str
    versions: dict[str, str]

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


def describe(versions: dict[str, str]) -> Machine:
    """This machine, with the versions of the subjects that were found."""
    return Machine(
        processor=_processor(),
        cores=os.cpu_count() or 1,
        memory_mib=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20,
        kernel=f"{platform.system()} {platform.release().split('-')[0]} {platform.machine()}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
        commit=commit(),
        versions=versions | {name: _installed(name) for name in ("uvloop", "httptools", "msgspec")},
    )


def steal_s() -> float:
    """Seconds that the hypervisor gave to others since boot, over all cores."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()
    return int(fields[8]) / os.sysconf("SC_CLK_TCK")


def commit() -> str:
    """The commit that is checked out, marked when files differ from it."""
    name = _output("git", "rev-parse", "--short=10", "HEAD")
    changed = _output("git", "status", "--porcelain", "--untracked-files=no", "--", "src")
    return name + (" with changes" if changed else "") if name else "unknown"


def _installed(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "absent"


def _processor() -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.M)
    return found[1] if found else platform.machine()


def _output(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except OSError:
        return ""
    return done.stdout.strip()
