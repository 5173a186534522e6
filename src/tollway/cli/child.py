"""A child process as the supervisor sees it: started with a lifeline, watched, restarted by the
supervisor when it ends unasked.
"""

import asyncio
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from tollway.adapters.control.lifeline import ParentLifeline
from tollway.config import Settings, as_values

Report = dict[str, Any]


class Child:
    """One run of one process. `ready` holds its first facts; `ended` is set when it is gone."""

    def __init__(
        self, name: str, module: str, on_report: Callable[["Child", Report], None]
    ) -> None:
        self.name = name
        self.facts: Report = {}
        self.reason = ""  # why it would not start, in its own words
        self.ready = asyncio.Event()
        self.ended = asyncio.Event()
        self.returncode: int | None = None
        self._module = module
        self._on_report = on_report
        self._process: asyncio.subprocess.Process | None = None
        self._started = 0.0
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def pid(self) -> int:
        """The process id; 0 before the start."""
        return 0 if self._process is None else self._process.pid

    async def start(self, settings: Settings, fds: Sequence[int], **extra: Any) -> None:
        """Start the process; its settings travel on the lifeline, never in its command line."""
        self._started = time.monotonic()
        lifeline = ParentLifeline()
        end = lifeline.child_end.fileno()
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            self._module,
            str(end),
            pass_fds=[end, *fds],
            stdin=asyncio.subprocess.DEVNULL,
        )
        with suppress(OSError):  # it died at once: `ended` will say so
            await lifeline.begin({"settings": as_values(settings), **extra})
        self._tasks = [
            asyncio.create_task(lifeline.reports(self._take)),
            asyncio.create_task(self._watch(lifeline)),
        ]

    @property
    def serving(self) -> bool:
        """Whether it became ready and still lives."""
        return self.ready.is_set() and not self.ended.is_set()

    @property
    def ended_well(self) -> bool:
        """Whether it ended as it was asked to. One that had not begun may die of the signal."""
        early = not self.ready.is_set() and self.returncode == -signal.SIGTERM
        return self.returncode == 0 or early

    def age_s(self) -> float:
        """How long ago it was started."""
        return time.monotonic() - self._started

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if it still runs."""
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def wait_ready(self, timeout_s: float) -> bool:
        """Whether it became ready before it ended or the time was over."""
        waits = [asyncio.create_task(self.ready.wait()), asyncio.create_task(self.ended.wait())]
        await asyncio.wait(waits, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        return self.serving

    def _take(self, report: Report) -> None:
        event = report.get("event")
        if event == "ready":
            self.facts = report
            self.ready.set()
        elif event == "refused":
            self.reason = report["reason"]
        self._on_report(self, report)

    async def _watch(self, lifeline: ParentLifeline) -> None:
        assert self._process is not None
        self.returncode = await self._process.wait()
        # Its last report may still be in the socket.
        await asyncio.wait([self._tasks[0]], timeout=1.0)
        lifeline.close()
        self.ended.set()
        self._on_report(self, {"event": "ended", "returncode": self.returncode})
