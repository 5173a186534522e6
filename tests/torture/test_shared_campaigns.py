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
SERVER, OLD_DATA, EVERYTHING = "server", "server, back with old data", "everything"
_DEATHS = {SERVER: (10, 300), OLD_DATA: (5, 150), EVERYTHING: (5, 100)}  # in CI, for a release


@pytest.mark.parametrize("victim", _DEATHS)
def test_killed_again_and_again(victim: str, tmp_path: Path, show: Show) -> None:
    """G-04: it comes back empty, or, like a replica that takes over, as it was two seconds before.
    10 and 5 such deaths in `torture-ci`, 300 and 150 in `torture`; 5 and 100 of everything."""
    seed = int(os.environ.get("TOLLWAY_SEED", random.randrange(1 << 32)))
    chance, figures, longest_s = random.Random(seed), Figures(), 0.0
    server = Valkey()
    try:
        with Stage(tmp_path, workers=2, redis_url=server.url) as stage:
            limits = limits_of(stage)
            set_quotas(str(stage.tree.data_dir / "tollway.db"), *limits)
            time.sleep(1)  # published within a second, as journeys prove
            in_ci, for_release = _DEATHS[victim]
            for trial in range(sized(ci=in_ci, release=for_release)):
                load = stage.load()
                try:
                    time.sleep(chance.uniform(0.6, 1.6))
                    if victim == OLD_DATA:
                        assert server.run("SAVE") == b"+OK\r\n"
                        time.sleep(2)
                    server.kill()
                    if victim == EVERYTHING:
                        stage.tree.kill_all()
                    time.sleep(chance.uniform(0.0, 0.8))
                    server.start()
                    if victim == EVERYTHING:
                        stage.tree.start()
                    time.sleep(0.5)
                    wait_until(stage.tree.is_ready)
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
