"""Kills, drains, restarts, leaving clients: in the sizes of `make torture-ci` and `make torture`.

A seed that failed is tried again with TOLLWAY_SEED.
"""

import os
import random
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.conftest import Show
from tests.fakes.valkey import Valkey
from tests.torture.drains import run_drains, run_restarts
from tests.torture.kill_campaign import ALL, SUPERVISOR, WORKER, run_campaign
from tests.torture.leavers import run_leavers
from tests.torture.processes import sized

pytestmark = pytest.mark.torture


@pytest.fixture
def seed() -> int:
    """Chance, printed by whatever fails."""
    return int(os.environ.get("TOLLWAY_SEED", random.randrange(1 << 32)))


@pytest.mark.parametrize(("workers", "fsync"), [(1, "interval"), (2, "always")])
def test_killed_again_and_again(
    workers: int, fsync: str, seed: int, tmp_path: Path, show: Show
) -> None:
    """G-01: 40 kills in `torture-ci`, 1,000 in `torture`, half of them with each number of workers:
    one counts its limits in memory, two share them."""
    chance = random.Random(seed)
    victims = [chance.choice((WORKER, SUPERVISOR, ALL)) for _ in range(sized(ci=20, release=500))]
    settings: dict[str, object] = {"journal_fsync": fsync, "counted_every": 1}
    with ExitStack() as stack:
        if workers > 1:
            server = Valkey()
            stack.callback(server.stop)
            # Whoever is killed holds for a lease.
            settings |= {"redis_url": server.url, "redis_lease_s": 6, "counted_every": 5}
        figures = run_campaign(tmp_path, victims, workers=workers, seed=seed, **settings)
    show(f"{workers} workers, fsync {fsync}, seed {seed}: {figures}")


def test_drained_again_and_again(tmp_path: Path, show: Show) -> None:
    """0 refused, 0 cut, 0 rows lost."""
    show(run_drains(tmp_path, sized(ci=10, release=50)))


def test_replaced_again_and_again(tmp_path: Path, show: Show) -> None:
    """0 refused, 0 reset, 0 cut, 0 rows lost."""
    show(run_restarts(tmp_path, sized(ci=10, release=50)))


def test_left_again_and_again(seed: int, tmp_path: Path, show: Show) -> None:
    """What leaving clients had received is billed, and the provider's socket closed within 1 s."""
    show(run_leavers(tmp_path, sized(ci=300, release=10_000), seed))
