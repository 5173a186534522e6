"""The kill campaign in the sizes of `make torture-ci` and `make torture`."""

import os
import random
from pathlib import Path

import pytest

from tests.torture.kill_campaign import ALL, SUPERVISOR, WORKER, run_campaign
from tests.torture.processes import sized


@pytest.mark.torture
@pytest.mark.parametrize("workers", [1, 2])
def test_killed_again_and_again(workers: int, tmp_path: Path) -> None:
    """40 kills in `torture-ci`, 1,000 in `torture`, half of them with each number of workers."""
    seed = int(os.environ.get("TOLLWAY_SEED", random.randrange(1 << 32)))
    chosen = random.Random(seed)
    victims = [chosen.choice((WORKER, SUPERVISOR, ALL)) for _ in range(sized(ci=20, release=500))]
    figures = run_campaign(tmp_path, victims, workers=workers, seed=seed)
    print(f"\n{workers} workers, seed {seed}: {figures}")
