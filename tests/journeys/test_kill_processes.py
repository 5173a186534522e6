"""Every process may be killed at any moment: accounts hold, and one worker's death refuses nobody."""

import random
from pathlib import Path

import pytest

from tests.torture.kill_campaign import ALL, SUPERVISOR, WORKER, KillCampaign
from tests.torture.processes import nobody_left


@pytest.mark.parametrize(
    ("workers", "victims"), [(1, (WORKER, ALL)), (2, (WORKER, SUPERVISOR, ALL))]
)
def test_killed_under_load(workers: int, victims: tuple[str, ...], tmp_path: Path) -> None:
    """SIGKILL in the midst of 64 streams and 20 requests/s: delivered <= billed <= emitted for
    each request, one outcome each, and usage equals the ledger."""
    seed = random.randrange(1 << 32)
    with nobody_left(tmp_path), KillCampaign(tmp_path, workers=workers, seed=seed) as campaign:
        figures = campaign.run(victims)
    print(f"\n{workers} workers: {figures}")
