"""`python -m bench.profile`: where a gateway worker's time goes under load, by function and by
module, sampled from outside with py-spy (an optional tool: `pip install py-spy`). Sampling slows
the worker: the shares count, not the latencies. Only the loop's thread is shown: py-spy takes the
journal's waiting thread for a busy one, so the threads' true shares come from the kernel.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from bench.cpu import account
from bench.gateway import gateway
from bench.load import Order
from bench.machine import choose_cores, pin, raise_file_limit
from bench.subject import GATEWAY, Subject, mock_provider

_SAMPLES_PER_S = 200
_START_S = 1.0


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="bench.profile", description=__doc__)
    parser.add_argument("--rate", type=float, default=2000, help="requests a second; 0: no pause")
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--chunks", type=int, default=0, help="streams of so many events")
    parser.add_argument("--gap-ms", type=int, default=2)
    parser.add_argument("--top", type=int, default=30)
    parser.add_argument("--lines", action="store_true", help="by line instead of by function")
    parser.add_argument("--native", action="store_true", help="C frames as well")
    given = parser.parse_args()
    program = shutil.which("py-spy") or shutil.which(
        "py-spy", path=str(Path(sys.executable).parent)
    )
    if program is None:
        print("py-spy is not installed: pip install py-spy")
        return 2
    cores = choose_cores()
    pin(cores.load)
    raise_file_limit()
    with (
        tempfile.TemporaryDirectory(prefix="tollway-bench-") as name,
        mock_provider(cores.load) as provider,
        gateway(Path(name), provider=provider, core=cores.subject) as subject,
    ):
        stacks = _record(program, given, subject, Path(name) / "stacks", cores.load)
    _print(stacks, given.top)
    return 0


def _record(
    program: str, given: argparse.Namespace, subject: Subject, path: Path, core: int
) -> list[tuple[list[str], int]]:
    """Stacks, outermost first, with how often each was seen."""
    order = Order(
        port=subject.port,
        key=subject.key,
        rate=given.rate,
        warm_s=_START_S,
        window_s=given.seconds + 2,
        connections=32 if not given.chunks else 512,
        chunks=given.chunks,
        gap_ms=given.gap_ms,
        core=core,
    )
    options = ["--rate", str(_SAMPLES_PER_S), "--duration", str(int(given.seconds))]
    options += ["--format", "raw", "--output", str(path), "--threads"]
    options += [] if given.lines else ["--function"]
    options += ["--native"] if given.native else []
    with subprocess.Popen(
        [sys.executable, "-m", "bench.load"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as load:
        assert load.stdin is not None and load.stdout is not None
        load.stdin.write(json.dumps(asdict(order)).encode() + b"\n")
        load.stdin.flush()
        worker = subject.roles["worker"][0]
        load.stdout.readline()  # begin
        before = account({"worker": [worker]})["worker"]
        subprocess.run([program, "record", "--pid", str(worker), *options], check=True)
        load.stdout.readline()  # end
        after = account({"worker": [worker]})["worker"]
        outcome = json.loads(load.stdout.readline())
    print(f"{GATEWAY}: {outcome}\n")
    spent = {thread: ns - before.get(thread, 0) for thread, ns in after.items()}
    share = spent[worker] / sum(spent.values())
    print(f"CPU of the loop's thread: {share:.1%} of the worker's\n")
    lines = [line.rpartition(" ") for line in path.read_text().splitlines()]
    stacks = [(frames.split(";"), int(count)) for frames, _, count in lines]
    return [(frames[1:], count) for frames, count in stacks if "MainThread" in frames[0]]


def _print(stacks: list[tuple[list[str], int]], top: int) -> None:
    total = sum(count for _, count in stacks)
    own: Counter[str] = Counter()
    within: Counter[str] = Counter()
    modules: Counter[str] = Counter()
    for frames, count in stacks:
        own[frames[-1]] += count
        modules[_module(frames[-1])] += count
        for frame in set(frames):
            within[frame] += count
    _table("own time by module", modules.most_common(top), total)
    _table("own time by function", own.most_common(top), total)
    _table("time in a function and what it calls", within.most_common(top), total)


def _table(title: str, rows: Iterable[tuple[str, int]], total: int) -> None:
    print(f"{title} (of {total} samples)")
    for name, count in rows:
        print(f"  {count / total:6.1%}  {name}")
    print()


def _module(frame: str) -> str:
    """`function (file.py)` or `function (file.py:12)` -> `file.py`."""
    inside = frame.rpartition("(")[2].rstrip(")")
    return inside.partition(":")[0]


if __name__ == "__main__":
    sys.exit(main())
