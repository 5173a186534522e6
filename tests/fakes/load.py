"""The client's witness: open-loop load over raw sockets, and a log of what was really received.

`streams` are kept running at once; `rate` and `stream_rate` are requests a second that start on
schedule however slow the answers are. Every request has its own nonce (`[[id=...]]`), a line when
it begins and a line when it ends. A server that dies is part of the experiment: what breaks is
logged, and the next request connects anew. Also a process: `python -m tests.fakes.load --help`.
"""

import argparse
import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Coroutine
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.fakes.load_wire import Address, Outcome, ask

ROOT = Path(__file__).resolve().parents[2]
_PAUSE_S = 0.02  # before the next of the kept streams, when one was not answered


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """What to send where. Each prompt is `go on [[id=NONCE directives]]`."""

    url: str
    key: str
    model: str
    streams: int = 0
    stream_rate: float = 0
    rate: float = 0
    directives: str = "tokens=20 gap_ms=5"
    in_turn: tuple[str, ...] = ()  # more directives: each request has the next of these
    include_usage: bool = False
    nonce_prefix: str = "n"
    path: str = "/v1/chat/completions"
    patient: bool = False  # the kept streams wait as `retry-after` says
    close_every: int = 0  # each so manyth request asks to close its connection; 0: none
    ca_file: str | None = None


@dataclass(slots=True)
class Delivered:
    """One request as the client saw it. `outcome` is None while it runs, or if we were killed."""

    nonce: str
    stream: bool
    began_s: float
    outcome: Outcome | None = None
    ended_s: float | None = None

    @property
    def tokens(self) -> int:
        """Output tokens that certainly arrived."""
        return 0 if self.outcome is None else self.outcome.tokens


class Load:
    """Drives a plan until it is stopped."""

    def __init__(self, plan: LoadPlan, log: Path) -> None:
        self.plan = plan
        self.ended: list[Outcome] = []
        self._address = Address.of(plan.url, plan.ca_file)
        self._fd = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._number = 0
        self._running: set[asyncio.Task[None]] = set()
        self._drivers: list[asyncio.Task[None]] = []
        self._stopping = False

    def start(self) -> None:
        """Begin; call in a running loop."""
        plan = self.plan
        self._drivers = [self._task(self._keep_streaming()) for _ in range(plan.streams)]
        for rate, stream in ((plan.rate, False), (plan.stream_rate, True)):
            if rate:
                self._drivers.append(self._task(self._on_schedule(rate, stream=stream)))

    async def stop(self, grace_s: float = 10.0) -> None:
        """Start nothing new, let what runs end, cut it off after the grace; log everything."""
        self._stopping = True
        waiting = {*self._drivers, *self._running}
        if waiting:
            _, late = await asyncio.wait(waiting, timeout=grace_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*waiting, *self._running, return_exceptions=True)
        self._address.close()
        os.close(self._fd)

    async def once(self, *, stream: bool, directives: str | None = None) -> Outcome:
        """One request, logged."""
        self._number += 1
        nonce = f"{self.plan.nonce_prefix}{self._number}"
        self._note({"ev": "begin", "id": nonce, "stream": stream, "t": time.time()})
        outcome = Outcome()
        try:
            await ask(self._address, self._request(nonce, stream, directives), outcome)
        except asyncio.CancelledError:
            outcome.broken = "stopped"
            raise
        finally:
            self._note({"ev": "end", "id": nonce, "t": time.time(), **asdict(outcome)})
            self.ended.append(outcome)
        return outcome

    async def _keep_streaming(self) -> None:
        while not self._stopping:
            outcome = await self.once(stream=True)
            if outcome.broken or outcome.status != 200:
                told_s = outcome.retry_after_s if self.plan.patient else None
                await asyncio.sleep(_PAUSE_S if told_s is None else told_s)

    async def _on_schedule(self, rate: float, *, stream: bool) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while not self._stopping:
            self._task(self._one(stream))
            due += 1 / rate
            await asyncio.sleep(max(0.0, due - loop.time()))

    async def _one(self, stream: bool) -> None:
        await self.once(stream=stream)

    def _task(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.ensure_future(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    def _request(self, nonce: str, stream: bool, directives: str | None) -> bytes:
        plan = self.plan
        # Short words: echo repeats them, and an estimate from bytes must not exceed their count.
        words = directives or plan.directives
        if plan.in_turn:
            words = f"{words} {plan.in_turn[self._number % len(plan.in_turn)]}"
        prompt = f"go on [[id={nonce} {words}]]"
        fields: dict[str, Any] = {"model": plan.model}
        fields["messages"] = [{"role": "user", "content": prompt}]
        if stream:
            fields["stream"] = True
            if plan.include_usage:
                fields["stream_options"] = {"include_usage": True}
        body = json.dumps(fields).encode()
        return (
            f"POST {plan.path} HTTP/1.1\r\nhost: {self._address.host}\r\n"
            f"authorization: Bearer {plan.key}\r\ncontent-type: application/json\r\n"
            f"x-request-id: {nonce}\r\ncontent-length: {len(body)}\r\n{self._closing()}\r\n"
        ).encode() + body

    def _closing(self) -> str:
        every = self.plan.close_every
        return "connection: close\r\n" if every and self._number % every == 0 else ""

    def _note(self, fact: dict[str, Any]) -> None:
        os.write(self._fd, json.dumps(fact).encode() + b"\n")


def read_load(path: Path) -> dict[str, Delivered]:
    """What a load log says, by nonce; a half-written last line is left out."""
    whole, _, _ = path.read_bytes().rpartition(b"\n")
    found: dict[str, Delivered] = {}
    for line in whole.splitlines():
        fact = json.loads(line)
        event, nonce, at = fact.pop("ev"), fact.pop("id"), fact.pop("t")
        if event == "begin":
            found[nonce] = Delivered(nonce, fact["stream"], at)
        else:
            found[nonce].outcome, found[nonce].ended_s = Outcome(**fact), at
    return found


class LoadProcess:
    """The load as a child process; it stops when told or when this process ends."""

    def __init__(self, plan: LoadPlan, log: Path) -> None:
        self.log = log
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.fakes.load", str(log), json.dumps(asdict(plan))],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"started\n"

    def stop(self, grace_s: float = 10.0) -> dict[str, Delivered]:
        """Let running requests end, then read the log."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(b"%f\n" % grace_s)
            self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(grace_s + 10)
        return read_load(self.log)


async def _run(plan: LoadPlan, log: Path) -> None:
    load = Load(plan, log)
    load.start()
    print("started", flush=True)
    line = await asyncio.get_running_loop().run_in_executor(None, sys.stdin.buffer.readline)
    await load.stop(float(line or 0))


def main() -> None:
    """The process: the log's path and a plan as JSON; a line on stdin ends it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("log", type=Path)
    parser.add_argument("plan", type=json.loads)
    chosen = parser.parse_args()
    asyncio.run(_run(LoadPlan(**chosen.plan), chosen.log))


if __name__ == "__main__":
    main()
