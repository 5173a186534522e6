"""Every process may be killed at any moment: accounts hold; one worker's death refuses nobody."""

import random
from pathlib import Path

import pytest

from tests.conftest import Show
from tests.torture.kill_campaign import ALL, SUPERVISOR, WORKER, run_campaign


@pytest.mark.parametrize(
    ("workers", "victims"), [(1, (WORKER, ALL)), (2, (WORKER, SUPERVISOR, ALL))]
)
def test_killed_under_load(
    workers: int, victims: tuple[str, ...], tmp_path: Path, show: Show
) -> None:
    """SIGKILL in the midst of 64 streams and 20 requests/s: delivered <= billed <= emitted for
    each request, one outcome each, and usage equals the ledger."""
    seed = random.randrange(1 << 32)
    figures = run_campaign(tmp_path, victims, workers=workers, seed=seed)
    show(f"{workers} workers: {figures}")
