"""One measurement: an order given to the load process, and what the subject's processes spent in
its window. A sample that is not clean (an error, a dropped request, a dead process, a rate that was
not kept) is set aside with its reason and never averaged away.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from bench.cpu import Account, Memory, ProcessGoneError, account, memory, spent_us
from bench.load import Order, Outcome
from bench.machine import Cores
from bench.subject import Subject

_KEPT_RATE = 0.97  # share of the ordered rate that must have been answered
_LATE_MS = 200.0  # a load that was held up so long measures the machine, not the subject
_SETTLE_S = 1.0  # before an idle window: what the last load left behind gets done


@dataclass(frozen=True, slots=True)
class Sample:
    """One clean measurement. `cpu_us` is by role, idle cost subtracted, for the whole window."""

    stage: str  # `rate/2000`, `stream/64/2`, ...
    subject: str
    round: int
    cpu_us: dict[str, float]
    outcome: Outcome
    rss_kib: int

    def each_us(self, *without: str) -> float:
        """CPU per answer, without some roles."""
        total = sum(cost for role, cost in self.cpu_us.items() if role not in without)
        return total / self.outcome.answered


@dataclass(slots=True)
class Lab:
    """The bench of one run. `idle` is what each subject's roles cost per second without load."""

    cores: Cores
    samples: list[Sample] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    idle: dict[str, dict[str, float]] = field(default_factory=dict)

    def note(self, text: str) -> None:
        """Something the reader of the figures must know; printed at once, counted at the end."""
        self.notices.append(text)
        say(f"  note: {text}")

    def measure_idle(self, subjects: Sequence[Subject], window_s: float) -> None:
        """What all subjects cost while nothing is asked, at the same time."""
        time.sleep(_SETTLE_S)
        began = time.monotonic()
        before = {subject.name: account(subject.roles) for subject in subjects}
        time.sleep(window_s)
        after = {subject.name: account(subject.roles) for subject in subjects}
        elapsed_s = time.monotonic() - began
        self.idle = {
            name: {role: us / elapsed_s for role, us in spent_us(before[name], after[name]).items()}
            for name in before
        }

    def measure(self, stage: str, subject: Subject, *, number: int, **order: Any) -> Sample | None:
        """One order against one subject; None when the sample is not clean."""
        port = subject.stream_port if order.get("chunks") else subject.port
        full = Order(
            **{"port": port, "key": subject.key, "core": self.cores.load, "warm_s": 0.7, **order}
        )
        try:
            accounts, outcome = _drive(full, subject)
            rss_kib = memory(subject.pids).rss_kib
        except ProcessGoneError as error:
            self.note(f"{stage} {subject.name} round {number + 1}: {error}")
            return None
        problem = _problem(full, outcome)
        if problem is not None:
            self.note(f"{stage} {subject.name} round {number + 1} set aside: {problem}")
            return None
        idle = self.idle.get(subject.name, {})
        spent = spent_us(*accounts)
        cpu_us = {role: us - idle.get(role, 0.0) * outcome.window_s for role, us in spent.items()}
        sample = Sample(stage, subject.name, number, cpu_us, outcome, rss_kib)
        self.samples.append(sample)
        _show(sample)
        return sample

    def hold(self, subject: Subject, *, streams: int, chunks: int) -> tuple[Memory, Memory] | None:
        """Memory before and while so many streams are open."""
        before = memory(subject.pids)
        order = Order(
            port=subject.stream_port,
            key=subject.key,
            core=self.cores.load,
            rate=0,
            warm_s=0,
            window_s=0,
            connections=streams,
            chunks=chunks,
            hold=True,
        )
        while_open = before
        for event in _events(order):
            if event["event"] == "end":
                while_open = memory(subject.pids)
            elif event["event"] == "outcome" and event["errors"]:
                self.note(f"open streams {subject.name} set aside: {event['errors']}")
                return None
        return before, while_open


def _drive(order: Order, subject: Subject) -> tuple[tuple[Account, Account], Outcome]:
    accounts: list[Account] = []
    for event in _events(order):
        if event.pop("event") == "outcome":
            return (accounts[0], accounts[1]), Outcome(**event)
        accounts.append(account(subject.roles))
    raise AssertionError("the load process ended without an outcome")


def _events(order: Order) -> Iterator[dict[str, Any]]:
    """What the load process says, as it says it."""
    with subprocess.Popen(
        [sys.executable, "-m", "bench.load"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(json.dumps(asdict(order)).encode() + b"\n")
        process.stdin.flush()
        for line in process.stdout:
            yield json.loads(line)


def _problem(order: Order, outcome: Outcome) -> str | None:
    if outcome.errors:
        reason, count = max(outcome.errors.items(), key=lambda item: item[1])
        return f"{sum(outcome.errors.values())} errors, {count} of them: {reason}"
    if outcome.late_ms > _LATE_MS:
        return f"the load itself was {outcome.late_ms:.0f} ms late: the machine is busy elsewhere"
    if outcome.dropped:
        return f"{outcome.dropped} requests dropped"
    due = order.rate * outcome.window_s
    if outcome.answered < _KEPT_RATE * due - 1:
        return f"{outcome.answered} of {due:.0f} requests answered in the window"
    return None if outcome.answered else "nothing answered"


def _show(sample: Sample) -> None:
    outcome = sample.outcome
    cost = f"{sample.each_us():8.1f} us" if sample.cpu_us else " " * 11
    say(
        f"  {sample.round + 1:>2} {sample.stage:<16} {sample.subject:<8} {cost}"
        f"  p50 {outcome.p50_ms:7.2f}  p99 {outcome.p99_ms:7.2f} ms"
    )


def say(line: str) -> None:
    """Progress: to stderr, so that stdout is the report alone."""
    print(line, file=sys.stderr, flush=True)
