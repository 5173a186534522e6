"""G-05 and G-06 under limits: the database dies, alone or with the server of shared counters and
every process of the gateway. The three witnesses agree, and the counters are the ledger.
"""

import os
import random
import time
from pathlib import Path

import pytest

from tests.conftest import Show
from tests.fakes.gateway import wait_until
from tests.fakes.machines import Machine
from tests.fakes.postgres import Postgres
from tests.fakes.valkey import Valkey
from tests.torture.kill_campaign import Figures
from tests.torture.processes import sized
from tests.torture.stage import Stage, require

pytestmark = pytest.mark.torture
DATABASE, EVERYTHING = "database", "everything"
_RIGHT_S = 60.0


def set_limits(machine: Machine) -> dict[str, str]:
    """None of them near, and none that refuses for want of a counter: metric by id."""
    [key] = machine.sql("SELECT tenant_id FROM api_keys")
    found = {}
    for metric, period in (("requests", "day"), ("tokens", "day"), ("concurrency", None)):
        body = {
            "tenant_id": key["tenant_id"],
            "scope": "tenant",
            "metric": metric,
            "limit": 10**9,
            "on_outage": "local_share",
        }
        if period is not None:
            body["period"] = period
        found[machine.made("/quotas", body)["id"]] = metric
    return found


def unequal_counters(machine: Machine, limits: dict[str, str]) -> list[str]:
    """What the counters have that the ledger has not, or the other way round."""
    (sums,) = machine.sql(
        "SELECT count(*) AS requests, sum(coalesce(input, 0) + coalesce(cached_input, 0) + "
        "coalesce(output, 0) + coalesce(reasoning, 0)) AS tokens FROM ledger_entries "
        "WHERE kind = 'usage' AND payer != 'failed_over'"
    )
    wanted = {**sums, "concurrency": 0}
    found = []
    for quota_id, metric in limits.items():
        status, shown = machine.admin("GET", f"/quotas/{quota_id}/usage")
        stand = (status, shown.get("source"), shown.get("used"), shown.get("held"))
        if stand != (200, "counter", wanted[metric], 0):
            found.append(f"{metric}: counter {stand}, ledger {wanted[metric]}")
    return found


@pytest.mark.parametrize("victim", [DATABASE, EVERYTHING])
def test_killed_again_and_again(victim: str, tmp_path: Path, show: Show) -> None:
    """G-05, 10 deaths of the database in `torture-ci`, 300 in `torture`; G-06, 5 and 100 of all."""
    seed = int(os.environ.get("TOLLWAY_SEED", random.randrange(1 << 32)))
    chance, figures, longest_s = random.Random(seed), Figures(), 0.0
    counters, database = Valkey(), Postgres(durable=True)
    try:
        with Stage(
            tmp_path, workers=2, redis_url=counters.url, database=database.make("shared")
        ) as stage:
            machine = stage.tree
            assert isinstance(machine, Machine)
            limits = set_limits(machine)
            deaths = sized(ci=10, release=300) if victim == DATABASE else sized(ci=5, release=100)
            for trial in range(deaths):
                load = stage.load(streams=24)
                try:
                    time.sleep(chance.uniform(0.6, 1.6))
                    database.halt("immediate")
                    if victim == EVERYTHING:
                        counters.kill()
                        machine.kill_all()
                    time.sleep(chance.uniform(0.0, 2.0))
                    database.resume()
                    if victim == EVERYTHING:
                        counters.start()
                        machine.start()
                    time.sleep(0.5)
                    wait_until(machine.is_ready)
                finally:
                    log = load.stop()
                    load.log.unlink()
                ended_s = time.monotonic()
                found = stage.unequal_sums() + stage.verdict(log)
                # Counters that nobody asked for since are none: one request asks for all.
                with machine.asker() as asker:
                    assert asker.chat(machine.key, f"{stage.prefix}last") == 200
                stage.emitted()
                wrong = unequal_counters(machine, limits)
                while wrong and time.monotonic() - ended_s < _RIGHT_S:
                    time.sleep(0.5)
                    wrong = unequal_counters(machine, limits)
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
        counters.stop()
        database.stop()
