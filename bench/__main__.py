"""`python -m bench`: runs the stages of a plan, prints the tables, keeps the raw samples in .bench,
and after a full run renews docs/benchmarks.md.
"""

import argparse
import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from bench import ladder, stages
from bench.bounds import judge
from bench.gateway import gateway
from bench.lab import Lab, say
from bench.machine import Cores, choose_cores, describe, pin, raise_file_limit, steal_s
from bench.plan import FULL, QUICK, Plan
from bench.proof import prove
from bench.references import envoy, nginx
from bench.report import Run, render, write_page
from bench.subject import DIRECT, AbsentError, Subject, mock_provider
from bench.summary import summarise

_OUTPUT = Path(".bench")
_STAGES = ("memory", "whole", "streams", "refusals", "closed", "ladder")
_SOCKET_STAGES = {
    "whole": stages.whole_answers,
    "streams": stages.streams,
    "refusals": stages.refusals,
    "closed": stages.closed_loop,
}


def main() -> int:
    """The command; 0, or with --check 1 when a bound was missed."""
    given = _arguments()
    if not sys.platform.startswith("linux"):
        print("The benchmark reads /proc and needs Linux.")
        return 2
    plan = QUICK if given.quick else FULL
    if given.rounds:
        plan = replace(plan, rounds=given.rounds, stream_rounds=given.rounds)
    run, lab = _run(plan, given.stage or _STAGES)
    text = render(run)
    print(text)
    print(f"{len(run.notices)} notices; raw samples in {_keep(run, lab)}")
    if given.page or not (given.quick or given.stage or given.rounds):
        write_page(text)
    if given.check:
        for verdict in run.verdicts:
            print(verdict.line())
        return int(any(verdict.held is False for verdict in run.verdicts))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="three minutes instead of twenty")
    parser.add_argument("--check", action="store_true", help="exit 1 when a bound is missed")
    parser.add_argument("--page", action="store_true", help="renew the page after any run")
    parser.add_argument("--rounds", type=int, help="rounds of the rate and stream stages")
    parser.add_argument("--stage", action="append", choices=_STAGES, help="only this one")
    return parser.parse_args()


def _run(plan: Plan, chosen: Sequence[str]) -> tuple[Run, Lab]:
    cores = choose_cores()
    pin(cores.load)
    raise_file_limit()
    lab = Lab(cores)
    if cores.shared:
        lab.note("one core for everything: latencies say nothing")
    load_before, stolen, began = os.getloadavg()[0], steal_s(), time.monotonic()
    with mock_provider(cores.load) as provider:
        found, versions = _stages(lab, plan, provider, chosen)
    elapsed_s = (time.monotonic() - began) * (os.cpu_count() or 1)
    figures = summarise([one for one in lab.samples if one.stage != "warm"], found)
    run = Run(
        plan=plan,
        machine=describe(versions),
        date=time.strftime("%Y-%m-%d", time.gmtime()),
        load_before=load_before,
        load_after=os.getloadavg()[0],
        stolen=(steal_s() - stolen) / elapsed_s,
        figures=figures,
        verdicts=judge(figures),
        notices=lab.notices,
    )
    return run, lab


def _stages(
    lab: Lab, plan: Plan, provider: int, chosen: Sequence[str]
) -> tuple[dict[str, list[float]], dict[str, str]]:
    found: dict[str, list[float]] = {}
    if "ladder" in chosen:
        costs = ladder.features(plan.ladder_calls, plan.ladder_rounds, say)
        found |= {f"ladder/{name}": values for name, values in costs.items()}
    if "memory" in chosen:
        for number in range(plan.memory_rounds):
            with _subjects(lab, provider, quiet=number > 0) as subjects:
                stages.open_streams(lab, plan, subjects, found, number)
    if not _SOCKET_STAGES.keys() & set(chosen):
        return found, {}
    with _subjects(lab, provider, quiet="memory" in chosen) as subjects:
        for subject in subjects:
            prove(subject, lab.note)
        for name, stage in _SOCKET_STAGES.items():
            if name in chosen:
                stage(lab, plan, subjects)
        return found, {one.name: one.version for one in subjects if one.name != DIRECT}


@contextlib.contextmanager
def _subjects(lab: Lab, provider: int, *, quiet: bool) -> Iterator[list[Subject]]:
    """All subjects that are there, freshly started in a folder of their own."""
    cores: Cores = lab.cores
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tollway-bench-")))
        for name in ("gateway", "nginx", "envoy"):
            (folder / name).mkdir()
        ours = stack.enter_context(
            gateway(folder / "gateway", provider=provider, core=cores.subject)
        )
        subjects = [ours]
        for start in (nginx, envoy):
            try:
                reference = start(
                    folder / start.__name__, provider=provider, key=ours.key, core=cores.subject
                )
                subjects.append(stack.enter_context(reference))
            except AbsentError as error:
                if not quiet:
                    lab.note(f"left out: {error}")
        yield [*subjects, Subject(DIRECT, "", provider, provider, ours.key)]


def _keep(run: Run, lab: Lab) -> Path:
    _OUTPUT.mkdir(exist_ok=True)
    path = _OUTPUT / f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{run.plan.name}.json"
    content = {
        "date": run.date,
        "plan": asdict(run.plan),
        "machine": run.machine.as_dict(),
        "load_average": [run.load_before, run.load_after],
        "stolen": run.stolen,
        "notices": list(run.notices),
        "figures": {name: asdict(figure) for name, figure in run.figures.items()},
        "samples": [asdict(sample) for sample in lab.samples],
    }
    path.write_text(json.dumps(content, indent=1))
    return path


if __name__ == "__main__":
    sys.exit(main())
