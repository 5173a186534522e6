"""`python -m bench.ladder`: what each part of the pipeline costs, and with `--base COMMIT` what a
change costs: the same calls on both trees in interleaved rounds, each in a fresh process, and the
upper 95 % bound of the ratio. Sockets are left out, so that one percent can be seen.
"""

import argparse
import asyncio
import gc
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench.figures import ratio_bound, spread
from bench.machine import choose_cores, pin

Costs = dict[str, list[float]]  # rung or tree -> CPU us per call, round by round


TITLES = {  # of bench.rungs, which imports the application and is loaded only to be measured
    "relay": "key, parse, plan, relay, settle",
    "journal": "+ journal on disk",
    "metrics": "+ metrics: all of a worker but its sockets",
    "limits": "+ eight limits: requests, tokens, cost, concurrency",
    "stream": "the same for a stream of 64 chunks",
}


class LadderError(Exception):
    """A rung could not be measured; the message holds what its process said."""


def climb(
    contenders: Mapping[str, Callable[[], float]], rounds: int, told: Callable[[str], None]
) -> Costs:
    """Measure all contenders in every round, in turns that rotate."""
    names = list(contenders)
    costs: Costs = {name: [] for name in names}
    for number in range(rounds):
        shift = number % len(names)
        for name in [*names[shift:], *names[:shift]]:
            costs[name].append(contenders[name]())
            told(f"  {number + 1:>2} {name:<24} {costs[name][-1]:8.2f} us")
    return costs


def rung(name: str, calls: int, source: Path | None = None) -> Callable[[], float]:
    """A contender: one rung in a process of its own, over another source tree if one is given."""

    def cost_us() -> float:
        env = dict(os.environ)
        if source is not None:
            env["PYTHONPATH"] = os.pathsep.join([str(source), env.get("PYTHONPATH", "")])
        core = choose_cores().subject
        done = subprocess.run(
            [sys.executable, "-m", "bench.ladder", "--one", name, "--calls", str(calls)],
            env=env,
            capture_output=True,
            text=True,
            check=False,
            preexec_fn=lambda: pin(core),
        )
        if done.returncode:
            raise LadderError(f"{name}: {done.stderr.strip()[-800:]}")
        return float(done.stdout)

    return cost_us


def features(calls: int, rounds: int, told: Callable[[str], None]) -> Costs:
    """Every rung of the checked out tree; `calls` in all, spread over the rounds."""
    return climb({name: rung(name, _share(name, calls, rounds)) for name in TITLES}, rounds, told)


def against(base: str, name: str, calls: int, rounds: int, told: Callable[[str], None]) -> Costs:
    """One rung on the tree of another commit (`base`) and on the checked out one (`here`)."""
    with tempfile.TemporaryDirectory(prefix="tollway-bench-") as folder:
        archive = subprocess.run(["git", "archive", base, "src"], capture_output=True, check=False)
        if archive.returncode:
            raise LadderError(archive.stderr.decode().strip())
        subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
        share = _share(name, calls, rounds)
        contenders = {"base": rung(name, share, Path(folder) / "src"), "here": rung(name, share)}
        return climb(contenders, rounds, told)


def _share(name: str, calls: int, rounds: int) -> int:
    """A round's part of the calls; a stream is as much work as several whole answers."""
    return max(500, calls // rounds // (4 if name == "stream" else 1))


def main() -> int:
    """The command; with --base and --limit, 1 when the bound is over the limit."""
    parser = argparse.ArgumentParser(prog="bench.ladder", description=__doc__)
    parser.add_argument("--base", help="a commit to compare with")
    parser.add_argument("--rung", action="append", help="with --base: only this rung")
    parser.add_argument("--calls", type=int, default=200_000, help="in all, not per round")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--limit", type=float, help="with --base: the highest bound of the ratio")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        return _measure_one(given.one, given.calls)
    if given.base:
        return _compare(given, given.rung or ["metrics", "stream"])
    _print(features(given.calls, given.rounds, _say))
    return 0


def _measure_one(name: str, calls: int) -> int:
    import uvloop

    from bench.rungs import RUNGS, measure

    gc.collect()
    gc.freeze()  # as a worker does after its start
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(runner.run(measure(RUNGS[name], calls)))
    return 0


def _compare(given: argparse.Namespace, names: Sequence[str]) -> int:
    missed = False
    for name in names:
        costs = against(given.base, name, given.calls, given.rounds, _say)
        pairs = zip(costs["base"], costs["here"], strict=True)
        mean, bound = ratio_bound([here / base for base, here in pairs])
        _print(costs)
        print(f"{name}: {mean:.4f} x the base, at most {bound:.4f} x with 95 % confidence")
        missed = missed or (given.limit is not None and bound > given.limit)
    return int(missed)


def _print(costs: Costs) -> None:
    for name, values in costs.items():
        found = spread(values)
        assert found is not None
        print(f"{name:<24} {found.median:8.2f} us  ({found.low:.2f}-{found.high:.2f})")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
