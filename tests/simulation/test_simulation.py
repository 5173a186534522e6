"""Every seed is a history of three gateways that must keep the invariants, and one history only. A
defect made on purpose breaks one of them within the seeds of every run.
"""

import logging
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from time import perf_counter

import pytest

from tests.conftest import Show
from tests.simulation.faults import KINDS
from tests.simulation.mutants import NAMES, mutant
from tests.simulation.world import World
from tests.torture.processes import sized

pytestmark = pytest.mark.slow

CI_SEEDS = 80


@pytest.fixture(autouse=True)
def _silent():
    """Gateways tell their log of every fault."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def play(seeds, show=None):
    """All of them; every kind of fault must have happened."""
    faults, steps, scripts, requests, began = Counter(), 0, 0, 0, perf_counter()
    for seed in seeds:
        world = World(seed)
        try:
            world.play()
        except Exception as error:
            raise AssertionError(f"seed {seed}: {error}") from error
        faults += world.faults
        steps += world.steps
        scripts += world.checks.scripts
        requests += len(world.requests)
    missing = set(KINDS) - set(faults)
    assert not missing, f"never happened: {missing}"
    if show is not None:
        show(
            f"{len(seeds)} seeds, {steps} steps, {requests} requests, {scripts} scripts, "
            f"{perf_counter() - began:.0f} s; "
            + ", ".join(f"{kind} {count}" for kind, count in sorted(faults.items()))
        )


def test_a_seed_is_a_history():
    """Two runs of one seed are the same to the last byte; another seed is another history."""
    traces = [World(seed).play().trace.hexdigest() for seed in (1, 1, 2)]
    assert traces[0] == traces[1] != traces[2]


def test_a_seed_is_the_same_history_in_another_process():
    """Whatever order its sets have: who is told of a seed sees what the teller saw."""
    told = "from tests.simulation.world import World; print(World(1).play().trace.hexdigest())"
    root = Path(__file__).parents[2]
    env = {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{root / 'src'}"}
    traces = {
        subprocess.run(
            [sys.executable, "-c", told],
            env={**env, "PYTHONHASHSEED": order},
            cwd=root,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            check=True,
        ).stdout
        for order in "12"
    }
    assert traces == {f"{World(1).play().trace.hexdigest()}\n".encode()}


def test_a_seed_that_fails_fails_again():
    """Ten of ten times, with the same words."""

    def said(seed):
        try:
            World(seed).play()
        except AssertionError as error:
            return str(error)
        return None

    with mutant("a limit is passed by one"):
        seed, words = next((seed, said(seed)) for seed in range(CI_SEEDS) if said(seed))
        assert {said(seed) for _ in range(10)} == {words} != {None}


def test_a_fault_that_never_happens_fails():
    """What was not injected was not tested."""
    with pytest.raises(AssertionError, match=r"never happened: .*'failover'"):
        play([1])


def test_histories(show: Show) -> None:
    """Seeds of 200 steps, with every kind of fault, keep I1 to I8."""
    play(range(CI_SEEDS), show)


@pytest.mark.torture
@pytest.mark.parametrize("half", [0, 1])
def test_many_histories(half: int, show: Show) -> None:
    """2 x 2,500 seeds in `torture-ci`, a half for each core; ten times as many in `torture`."""
    count = sized(ci=2500, release=25_000)
    play(range(1000 + half * count, 1000 + (half + 1) * count), show)


@pytest.mark.parametrize("name", NAMES)
def test_a_defect_is_found(name: str) -> None:
    """Within the first seeds of those that every run plays."""
    with mutant(name):
        for seed in range(CI_SEEDS):
            try:
                World(seed).play()
            except AssertionError:
                return
    raise AssertionError(f"nobody noticed that {name}")
