"""G-04 and G-06: the server of shared counters dies with all it had, alone or with the whole
gateway, under load. The three witnesses agree, and the counters are the ledger, with nothing held.
"""

import json
import os
import random
import time
from pathlib import Path

import pytest

from tests.conftest import Show
from tests.fakes.gateway import wait_until
from tests.fakes.limits import crowd, set_quotas
from tests.fakes.quotas import quota
from tests.fakes.valkey import Valkey
from tests.torture.kill_campaign import Figures
from tests.torture.processes import sized
from tests.torture.stage import Stage, require
from tollway.domain.quota import OnOutage, QuotaRecord

pytestmark = pytest.mark.torture
SERVER, EVERYTHING = "server", "everything"
_RIGHT_S = 60.0  # with a gateway dead a lease of 30 s, then the ledger's last word


def limits_of(stage: Stage) -> list[QuotaRecord]:
    """On requests, tokens and requests at a time; none of them near, and none that refuses."""
    [key] = stage.tree.sql("SELECT tenant_id FROM api_keys")
    asked = [("requests", "day"), ("tokens", "day"), ("concurrency", "none")]
    return [
        quota(
            10**9,
            metric,
            period,
            tenant_id=key["tenant_id"],
            on_outage=OnOutage.LOCAL_SHARE,
        )
        for metric, period in asked
    ]


def unequal_counters(stage: Stage, limits: list[QuotaRecord]) -> list[str]:
    """What the counters have that the ledger has not, or the other way round."""
    (sums,) = stage.tree.sql(
        "SELECT count(*) AS requests, sum(coalesce(input, 0) + coalesce(cached_input, 0) + "
        "coalesce(output, 0) + coalesce(reasoning, 0)) AS tokens FROM ledger_entries "
        "WHERE kind = 'usage' AND payer != 'failed_over'"
    )
    wanted = {**sums, "concurrency": 0}
    api = ("--url", stage.tree.state["admin_url"], "--token")
    api = (*api, f"file:{stage.tree.data_dir / 'admin.token'}", "-o", "json")
    found = []
    for one in limits:
        shown = json.loads(stage.tree.run("quotas", "usage", one.id, *api))
        stand = (shown["source"], shown["used"], shown["held"])
        if stand != ("counter", wanted[one.metric], 0):
            found.append(f"{one.metric}: counter {stand}, ledger {wanted[one.metric]}")
    return found


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
                while wrong and time.monotonic() - ended_s < _RIGHT_S:
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
