"""What is measured, whatever it is: where it listens, which processes it is, how it ends. Each one
has its module; this one knows how to start and stop programs on a core.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.machine import pin

DIRECT = "direct"
GATEWAY = "tollway"
NGINX = "nginx"
ENVOY = "envoy"


class AbsentError(Exception):
    """A subject that is not installed here; the message says what to install."""


class StartError(Exception):
    """A subject did not come up; the message holds the end of its log."""


@dataclass(frozen=True, slots=True)
class Subject:
    """One thing under load. `roles` names its processes by what they do; empty for the mock itself,
    which is measured only for its latency."""

    name: str
    version: str
    port: int
    stream_port: int
    key: str
    roles: Mapping[str, Sequence[int]] = field(default_factory=dict)

    @property
    def pids(self) -> list[int]:
        return [pid for pids in self.roles.values() for pid in pids]


@contextlib.contextmanager
def running(
    command: Sequence[str],
    *,
    core: int,
    log: Path,
    env: Mapping[str, str] | None = None,
    stop_s: float = 20,
) -> Iterator[subprocess.Popen[bytes]]:
    """A program on one core, ended with SIGTERM (and by force after `stop_s`)."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=None if env is None else dict(env),
            preexec_fn=lambda: pin(core),
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(stop_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def mock_provider(core: int) -> Iterator[int]:
    """The mock on its core; yields its port."""
    with subprocess.Popen(
        [sys.executable, "-m", "bench.mock", "--core", str(core)], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.terminate()


def free_port() -> int:
    """A port nobody listens on right now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def wait_for(
    check: Callable[[], bool], process: subprocess.Popen[bytes], log: Path, timeout_s: float = 30
) -> None:
    """Until it is so. Raises StartError when the process ends or the time does."""
    end = time.monotonic() + timeout_s
    while not check():
        if process.poll() is not None or time.monotonic() > end:
            text = log.read_text(errors="replace")[-1500:] if log.exists() else ""
            raise StartError(f"{os.path.basename(str(process.args[0]))} did not start:\n{text}")  # type: ignore[index]  # always a sequence here
        time.sleep(0.02)


def accepts(port: int) -> bool:
    """Whether somebody listens."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
