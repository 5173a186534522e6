"""`python -m bench.limits`: what limits cost on the sockets. Three gateways side by side: one
without limits, one that counts in memory, one that shares its counters through a real Valkey.
"""

import argparse
import contextlib
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.figures import spread
from bench.gateway import gateway
from bench.lab import Lab, say
from bench.machine import choose_cores, pin
from bench.subject import Subject, mock_provider
from tests.fakes.valkey import Valkey

_NONE, _MEMORY, _SHARED = "none", "memory", "shared"
_LIMITS = [
    {"tenant": "acme", "metric": "requests", "period": "minute", "limit": 10**12},
    {"tenant": "acme", "metric": "tokens", "period": "day", "limit": 10**12},
    {"tenant": "acme", "per": "key", "metric": "requests", "period": "hour", "limit": 10**12},
    {"tenant": "acme", "per": "key", "metric": "concurrency", "limit": 10**6},
]


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="bench.limits", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--rate", type=int, default=2000, help="requests a second")
    parser.add_argument("--window", type=float, default=4.0, help="seconds")
    given = parser.parse_args()
    lab = Lab(choose_cores())
    pin(lab.cores.load)
    costs: dict[str, list[float]] = {_NONE: [], _MEMORY: [], _SHARED: []}
    waits: dict[str, list[float]] = {_NONE: [], _MEMORY: [], _SHARED: []}
    with mock_provider(lab.cores.load) as provider, _subjects(lab, provider) as subjects:
        for number in range(given.rounds):
            lab.measure_idle(subjects, 1.0)
            shift = number % len(subjects)
            for subject in [*subjects[shift:], *subjects[:shift]]:
                sample = lab.measure(
                    f"rate/{given.rate}",
                    subject,
                    number=number,
                    rate=given.rate,
                    window_s=given.window,
                )
                if sample is not None:
                    costs[subject.name].append(sample.cpu_us["worker"] / sample.outcome.answered)
                    waits[subject.name].append(sample.outcome.p99_ms)
    for name, found in costs.items():
        cost, wait = spread(found), spread(waits[name])
        if cost is not None and wait is not None:
            print(
                f"{name:<8} {cost.median:7.1f} us of the worker ({cost.low:.1f}-{cost.high:.1f})"
                f"   p99 {wait.median:.2f} ms"
            )
    return 0


@contextlib.contextmanager
def _subjects(lab: Lab, provider: int) -> Iterator[list[Subject]]:
    server = Valkey()
    try:
        with contextlib.ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tollway-bench-")))
            subjects = []
            for name in (_NONE, _MEMORY, _SHARED):
                (folder / name).mkdir()
                one = gateway(
                    folder / name,
                    provider=provider,
                    core=lab.cores.subject,
                    name=name,
                    quotas=() if name == _NONE else _LIMITS,
                    redis_url=server.url if name == _SHARED else None,
                )
                subjects.append(stack.enter_context(one))
                say(f"  {name} is up")
            yield subjects
    finally:
        server.stop()


if __name__ == "__main__":
    sys.exit(main())
