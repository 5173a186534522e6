"""G-04 and G-06: the server of shared counters dies with all it had, alone or with the whole
gateway, under load. The three witnesses agree, and the counters are the ledger, with nothing held.
"""

import os
import random
import time
from pathlib import Path

import pytest

from tests.conftest import Show
from tests.fakes.gateway import wait_until
from tests.fakes.limits import crowd, set_quotas
from tests.fakes.valkey import Valkey
from tests.torture.counters import RIGHT_S, limits_of, unequal_counters
from tests.torture.kill_campaign import Figures
from tests.torture.processes import sized
from tests.torture.stage import Stage, require

pytestmark = pytest.mark.torture
SERVER, EVERYTHING = "server", "everything"


@pytest.mark.parametrize("victim", [SERVER, EVERYTHING])
def test_killed_again_and_again(victim: str, tmp_path: Path, show: Show) -> None:
    """G-04, 10 deaths of the server in `torture-ci`, 300 in `torture`; 5 and 100 of everything."""
    seed = int(os.environ.get("TOLLWAY_SEED", random.randrange(1 << 32)))
    chance, figures, longest_s = random.Random(seed), Figures(), 0.0
    server = Valkey()
    try:
        with Stage(tmp_path, workers=2, redis_url=server.url) as stage:
            limits = limits_of(stage)
            set_quotas(str(stage.tree.data_dir / "tollway.db"), *limits)
            time.sleep(1)  # published within a second, as journeys prove
            deaths = sized(ci=10, release=300) if victim == SERVER else sized(ci=5, release=100)
            for trial in range(deaths):
                load = stage.load()
                try:
                    time.sleep(chance.uniform(0.6, 1.6))
                    server.kill()
                    if victim == EVERYTHING:
                        stage.tree.kill_all()
                    time.sleep(chance.uniform(0.0, 0.8))
                    server.start()
                    if victim == EVERYTHING:
                        stage.tree.start()
                    time.sleep(0.5)
                    wait_until(stage.tree.is_ready, 20)
                finally:
                    log = load.stop()
                    load.log.unlink()
                ended_s = time.monotonic()
                found = stage.unequal_sums() + stage.verdict(log)
                # Counters that nobody asked for since are none: one request asks for all.
                assert crowd(stage.tree.url, stage.tree.key, requests=1, at_once=1) == {200: 1}
                stage.emitted()
                wrong = unequal_counters(stage, limits)
                while wrong and time.monotonic() - ended_s < RIGHT_S:
                    time.sleep(0.5)
                    wrong = unequal_counters(stage, limits)
                longest_s = max(longest_s, time.monotonic() - ended_s)
                if found or wrong:
                    found.insert(0, f"seed {seed}, trial {trial}, killed: {victim}")
                require(found, wrong)
                figures.kills += 1
                figures.requests += len(log)
            show(
                f"{victim}: {figures.kills} deaths, {figures.requests} requests, "
                f"counters right after {longest_s:.1f} s at most, seed {seed}"
            )
    finally:
        server.stop()
