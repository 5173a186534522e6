"""The load, in a process of its own: reads one order as JSON from stdin, drives it, prints `begin`
and `end` around the measured window and then the outcome, each as one line of JSON.

Open model: requests are due at a constant rate whatever the subject does, and latency counts from
the instant a request was due, not from when a connection was free for it ("coordinated omission").
Closed model: `connections` clients that ask again as soon as they were answered.
"""

import asyncio
import contextlib
import gc
import json
import sys
import time
from collections import Counter, deque
from dataclasses import asdict, dataclass, field
from typing import Any

import httptools
import uvloop

from bench.chat import request_body, request_bytes
from bench.figures import quantile
from bench.machine import pin
from bench.ticker import Ticker

_EVENT = b"data: "
_DONE = b"data: [DONE]"
_TAIL = len(_DONE) - 1  # a marker cut by two reads is whole with so many bytes of the first
_QUEUE = 2000  # requests that may wait for a connection; more are dropped and counted
_LAST_ANSWERS_S = 10.0
_HOLD_S = 2.0


@dataclass(frozen=True, slots=True)
class Order:
    """What to drive. `rate` is requests per second; 0 is the closed model. `chunks` makes streams;
    with `hold` they are opened, kept open and never finished."""

    port: int
    key: str
    rate: float
    warm_s: float
    window_s: float
    connections: int = 32
    chunks: int = 0
    gap_ms: int = 0
    burst: bool = False
    hold: bool = False
    status: int = 200
    core: int | None = None


@dataclass(slots=True)
class Outcome:
    """What came of it, in the window. Times in milliseconds."""

    answered: int = 0
    dropped: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    max_ms: float = 0.0
    first_p50_ms: float = 0.0
    first_p99_ms: float = 0.0
    reads_per_event: float = 0.0
    late_ms: float = 0.0  # how far behind its own schedule the load was, at worst
    window_s: float = 0.0


class Drive:
    """The run: who is free, who waits, what was seen."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.loop = asyncio.get_running_loop()
        body = request_body(order.chunks, order.gap_ms, hold=order.hold, burst=order.burst)
        self.request = request_bytes(body, order.key)
        self.events = order.chunks + 2 if order.chunks else 0  # usage and [DONE] come after
        self.free: deque[Connection] = deque()
        self.waiting: deque[float] = deque()
        self.begin = self.end = float("inf")
        self.closed_model = order.rate == 0 and not order.hold
        self.answered = self.dropped = self.outstanding = self.reads = self.seen = 0
        self.latencies: list[float] = []
        self.firsts: list[float] = []
        self.errors: Counter[str] = Counter()
        self.opened = 0
        self.late_s = 0.0
        self.all_open = asyncio.Event()

    def dispatch(self, due: float) -> None:
        """Send the request that is due at this time, now or when a connection is free."""
        if self.free:
            self.free.popleft().ask(due)
        elif len(self.waiting) < _QUEUE:
            self.waiting.append(due)
        else:
            self.dropped += self.begin <= due < self.end

    def completed(self, connection: "Connection", problem: str | None) -> None:
        """An answer is complete, and a connection free."""
        now, due = time.monotonic(), connection.due
        if problem is not None:
            self.errors[problem] += 1
        elif self.begin <= now < self.end:
            self.answered += 1
            self.reads += connection.reads
            self.seen += connection.events
        if self.begin <= due < self.end:
            self.outstanding += 1
            if problem is None:
                self.latencies.append(now - due)
                self.firsts.append(connection.first - due)
        if self.closed_model and now < self.end:
            connection.ask(now)
        elif self.waiting:
            connection.ask(self.waiting.popleft())
        else:
            self.free.append(connection)

    def outcome(self, window_s: float) -> Outcome:
        """The figures of the window."""
        latencies, firsts = sorted(self.latencies), sorted(self.firsts)
        return Outcome(
            answered=self.answered,
            dropped=self.dropped,
            errors=dict(self.errors),
            p50_ms=quantile(latencies, 0.5) * 1000,
            p99_ms=quantile(latencies, 0.99) * 1000,
            max_ms=latencies[-1] * 1000 if latencies else 0.0,
            first_p50_ms=quantile(firsts, 0.5) * 1000,
            first_p99_ms=quantile(firsts, 0.99) * 1000,
            reads_per_event=self.reads / self.seen if self.seen else 0.0,
            late_ms=self.late_s * 1000,
            window_s=window_s,
        )


class Connection(asyncio.Protocol):
    """One keep-alive connection: sends the one request, checks every answer."""

    def __init__(self, drive: Drive) -> None:
        self._drive = drive
        self._busy = False
        self.due = self.first = 0.0
        self.reads = self.events = 0
        self._text = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]  # a TCP one
        self._parser = httptools.HttpResponseParser(self)

    def ask(self, due: float) -> None:
        """Send a request that was due at this time."""
        self.due, self.first = due, 0.0
        self.reads = self.events = 0
        self._text = b""
        self._busy = True
        self._transport.write(self._drive.request)

    def data_received(self, data: bytes) -> None:
        self.reads += 1
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(f"not HTTP: {error!r}")

    def on_body(self, piece: bytes) -> None:
        if self.first == 0.0:
            self.first = time.monotonic()
        if self._drive.events:
            tail = self._text[-_TAIL:]
            self._text = text = tail + piece
            self.events += text.count(_EVENT) - tail.count(_EVENT)
            if self._drive.order.hold:
                self._held()
        else:
            self._text += piece

    def on_message_complete(self) -> None:
        self._busy = False
        self._drive.completed(self, self._problem())

    def connection_lost(self, error: Exception | None) -> None:
        if self._busy:
            self._fail(f"closed amid an answer: {error!r}")
        elif self in self._drive.free:
            self._drive.free.remove(self)
            self._drive.errors["idle connection closed"] += 1

    def close(self) -> None:
        """Without a word: streams that are held end so."""
        self._busy = False
        self._transport.abort()

    def _problem(self) -> str | None:
        drive, status = self._drive, self._parser.get_status_code()
        if status != drive.order.status:
            return f"status {status}: {self._text[:160].decode(errors='replace')}"
        if drive.order.status != 200:
            return None
        if drive.events:
            whole = self.events == drive.events and _DONE in self._text
            return None if whole else f"{self.events} events instead of {drive.events}"
        return None if b'"usage"' in self._text else "an answer without usage"

    def _held(self) -> None:
        drive = self._drive
        if self.events == drive.order.chunks:
            drive.opened += 1
            if drive.opened == drive.order.connections:
                drive.all_open.set()

    def _fail(self, problem: str) -> None:
        self._drive.errors[problem] += 1
        self._drive.all_open.set()
        self._busy = False


async def run(order: Order) -> None:
    """Drive one order from the first connection to the printed outcome."""
    drive = Drive(order)
    if order.hold:
        await _hold(drive)
        return
    for _ in range(order.connections):
        drive.free.append(await _connect(drive))
    start = time.monotonic() + 0.01
    drive.begin = start + order.warm_s
    drive.end = drive.begin + order.window_s
    stop = _keep_rate(drive, start) if order.rate else _keep_asking(drive)
    await asyncio.sleep(drive.begin - time.monotonic())
    drive.begin = _say("begin")
    await asyncio.sleep(drive.end - time.monotonic())
    drive.end = _say("end")
    stop()
    await _last_answers(drive, start)
    _report(drive, drive.end - drive.begin)


def _keep_rate(drive: Drive, start: float) -> Any:
    interval = 1.0 / drive.order.rate
    ticker = Ticker(start, interval)
    count = 0

    def fire() -> None:
        nonlocal count
        fired = ticker.due()
        if fired > 1 and start + count * interval >= drive.begin:
            drive.late_s = max(drive.late_s, (fired - 1) * interval)
        for _ in range(fired):
            drive.dispatch(start + count * interval)
            count += 1

    def stop() -> None:
        drive.loop.remove_reader(ticker.fd)
        ticker.close()

    drive.loop.add_reader(ticker.fd, fire)
    return stop


def _keep_asking(drive: Drive) -> Any:
    now = time.monotonic()
    while drive.free:
        drive.free.popleft().ask(now)
    return lambda: None


async def _last_answers(drive: Drive, start: float) -> None:
    """Requests that were due in the window count, however long they take."""
    limit = time.monotonic() + _LAST_ANSWERS_S
    while len(drive.free) < drive.order.connections and time.monotonic() < limit:
        await asyncio.sleep(0.01)
    missing = drive.order.connections - len(drive.free)
    if missing and not drive.errors:
        drive.errors[f"no answer within {_LAST_ANSWERS_S:.0f} s"] = missing


async def _hold(drive: Drive) -> None:
    opened = []
    for _ in range(drive.order.connections):
        connection = await _connect(drive)
        connection.ask(time.monotonic())
        opened.append(connection)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(drive.all_open.wait(), _LAST_ANSWERS_S)
    if drive.opened < drive.order.connections:
        drive.errors[f"{drive.opened} of {drive.order.connections} streams opened"] += 1
    _say("begin")
    await asyncio.sleep(_HOLD_S)
    _say("end")
    drive.answered = drive.opened
    for connection in opened:
        connection.close()
    await asyncio.sleep(0.1)
    _report(drive, _HOLD_S)


async def _connect(drive: Drive) -> Connection:
    _, connection = await drive.loop.create_connection(
        lambda: Connection(drive), "127.0.0.1", drive.order.port
    )
    return connection


def _say(event: str) -> float:
    print(json.dumps({"event": event}), flush=True)
    return time.monotonic()


def _report(drive: Drive, window_s: float) -> None:
    print(json.dumps({"event": "outcome", **asdict(drive.outcome(window_s))}), flush=True)


def main() -> None:
    """The process."""
    order = Order(**json.loads(sys.stdin.readline()))
    if order.core is not None:
        pin(order.core)
    gc.freeze()
    gc.disable()  # a pause of the load would look like a pause of the subject
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(order))


if __name__ == "__main__":
    main()
