"""Limits over several workers that share their counters: exactly as many as allowed."""

import json
import re
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.limits import crowd, crowd_again
from tests.fakes.quotas import quota
from tests.fakes.stage import Stage
from tests.fakes.valkey import Valkey
from tests.journeys.test_alerts import _admin
from tests.journeys.test_quotas import _tenant, admitted, hit_worker, ids, limit, metrics, used_up


@pytest.fixture
def valkey() -> Iterator[Valkey]:
    """A server of its own for each test."""
    server = Valkey()
    yield server
    server.stop()


@pytest.fixture
def role() -> str:
    """Without an admin API, but where a test says otherwise."""
    return "gateway"


@pytest.fixture
def stage(tmp_path: Path, valkey: Valkey, role: str) -> Iterator[Stage]:
    """A gateway of four workers."""
    settings = {"redis_url": valkey.url, "redis_lease_s": 6, "role": role}
    made = Stage(tmp_path, workers=4, drain_timeout_s=5, **settings)
    made.begin()
    try:
        yield made
        assert "agrees with itself" in made.tree.command("ledger", "verify")
    finally:
        made.close()


@pytest.mark.parametrize("role", ["all"])
@pytest.mark.parametrize("level", ["tenant", "key", "end_user", "platform"])
def test_exactly_a_hundred_of_two_thousand_over_four_workers(stage: Stage, level: str) -> None:
    """G-20: as many pass as are allowed, whichever worker they meet."""
    known = ids(stage)
    changes = {
        "tenant": {"tenant_id": known["tenant_id"]},
        "key": {"tenant_id": known["tenant_id"], "scope_id": known["key_id"]},
        "end_user": {"tenant_id": known["tenant_id"], "scope_id": "ann"},
        "platform": {},
    }[level]
    limit(stage, quota(100, scope=level, **changes))
    statuses, _ = crowd_again(
        stage.tree.url, stage.tree.key, requests=2000, at_once=200, user="ann"
    )
    assert statuses == {200: 100, 429: 1900}
    stage.tree.wait_for_entries(100)
    assert admitted(stage) == 100
    quota_id = stage.tree.sql("SELECT id FROM quotas")[0]["id"]
    api = ("--url", stage.tree.state["admin_url"], "--token")
    api = (*api, f"file:{stage.tree.data_dir / 'admin.token'}", "-o", "json")
    shown = json.loads(stage.tree.command("quotas", "usage", quota_id, *api))
    assert (shown["source"], shown["used"], shown["held"]) == ("counter", 100, 0)


def test_requests_at_a_time_over_four_workers(stage: Stage) -> None:
    """Twelve at a time, whichever worker they meet: never more at the provider, never fewer slots
    in the end."""
    known = ids(stage)
    limit(stage, quota(12, "concurrency", "none", **_tenant(known)))
    statuses = crowd(
        stage.tree.url,
        stage.tree.key,
        requests=3000,
        at_once=60,
        directives="tokens=10 gap_ms=10",
        stream=True,
    )
    # On a busy machine the server may be late: whoever is told so is not let in.
    assert set(statuses) <= {200, 429, 503}
    assert statuses[200] > 12, "no slot was used again"
    facts = [json.loads(line) for line in stage.provider.log.read_text().splitlines()]
    changes = {"request": 1, "answered": -1}
    steps = sorted((fact["t"], changes[fact["ev"]]) for fact in facts if fact["ev"] in changes)
    running = list(accumulate(change for _, change in steps))
    assert (max(running), running[-1]) == (12, 0)
    again = crowd(
        stage.tree.url,
        stage.tree.key,
        requests=12,
        at_once=12,
        directives="tokens=10 gap_ms=20",
        stream=True,
    )
    assert again == {200: 12}


@pytest.mark.parametrize("role", ["all"])
def test_a_strict_budget_over_four_workers(stage: Stage) -> None:
    """G-22 over processes: a hundred streams at once on one budget; whenever the counter is looked
    at, what is used and what is held do not exceed it, and in the end nothing is held."""
    budget = quota(20_000, "output_tokens", precision="strict", **_tenant(ids(stage)))
    limit(stage, budget)
    statuses: list[Any] = []

    def ask() -> None:
        statuses.append(
            crowd(
                stage.tree.url,
                stage.tree.key,
                requests=2000,
                at_once=100,
                directives="tokens=30 gap_ms=2",
                stream=True,
                max_tokens=60,
            )
        )

    asking = threading.Thread(target=ask)
    asking.start()
    seen = []
    while asking.is_alive():
        shown = _admin(stage, "GET", f"/quotas/{budget.id}/usage")
        if shown["source"] == "counter":
            seen.append(shown["used"] + shown["held"])
    assert len(seen) > 10
    assert 0 < max(seen) <= 20_000
    assert {200, 429} <= set(statuses[0]) <= {200, 429, 503}
    time.sleep(1.5)
    spent = sum(row["output"] or 0 for row in stage.tree.ledger())
    assert 20_000 - 100 * 60 < spent <= 20_000
    shown = _admin(stage, "GET", f"/quotas/{budget.id}/usage")
    assert (shown["used"], shown["held"]) == (spent, 0)


@pytest.mark.parametrize("url", ["http://elsewhere", "nonsense", "redis://host:port/0"])
def test_an_address_that_is_none(tmp_path: Path, url: str) -> None:
    """`serve` ends, and says which setting is wrong and what to write."""
    made = Stage(tmp_path, redis_url=url)
    try:
        with pytest.raises(AssertionError):
            made.begin()
        text = made.tree.log.read_text()
        assert "TOLLWAY_REDIS_URL is no address of a server: write redis://" in text
        assert "Traceback" not in text
    finally:
        made.tree.close()
        made.provider.stop()


def test_a_server_that_may_evict(tmp_path: Path) -> None:
    """`serve` ends, and says what to set there."""
    own = Valkey("--maxmemory-policy", "allkeys-lru")
    made = Stage(tmp_path, redis_url=own.url, redis_lease_s=6)
    try:
        with pytest.raises(AssertionError):
            made.begin()
        text = made.tree.log.read_text()
        assert "noeviction" in text
        assert "Traceback" not in text
    finally:
        made.tree.close()
        made.provider.stop()
        own.stop()


def test_a_new_limit_begins_where_the_ledger_stands(stage: Stage) -> None:
    """Thirty were served before there was a limit of fifty: twenty are left, over all workers."""
    known = ids(stage)
    assert crowd(stage.tree.url, stage.tree.key, requests=30, at_once=10) == {200: 30}
    limit(stage, quota(50, **_tenant(known)))
    assert crowd(stage.tree.url, stage.tree.key, requests=100, at_once=50) == {200: 20, 429: 80}


def test_workers_die_and_the_limit_holds(stage: Stage) -> None:
    """kill -9 of workers under load: all that reached the provider is counted, once; what the dead
    held is free again after a lease."""
    known = ids(stage)
    limit(stage, quota(800, **_tenant(known)))
    results: list[Any] = []

    def ask() -> None:
        results.append(
            crowd(
                stage.tree.url,
                stage.tree.key,
                requests=4000,
                at_once=40,
                directives="tokens=5 gap_ms=3",
                stream=True,
            )
        )

    asking = threading.Thread(target=ask)
    asking.start()
    for _ in range(3):
        time.sleep(0.4)
        hit_worker(stage, signal.SIGKILL)
    asking.join()
    used_up(stage, 800, within_s=60)


def test_all_die_and_fewer_come_back(stage: Stage) -> None:
    """What two of four workers left is in the ledger, though nobody goes on with their journals."""
    known = ids(stage)
    limit(stage, quota(300, **_tenant(known)))
    results: list[Any] = []

    def ask() -> None:
        with suppress(OSError):
            results.append(
                crowd(
                    stage.tree.url,
                    stage.tree.key,
                    requests=200,
                    at_once=40,
                    directives="tokens=20 gap_ms=10",
                    stream=True,
                )
            )

    asking = threading.Thread(target=ask)
    asking.start()
    time.sleep(0.5)
    stage.tree.kill_all()
    asking.join()
    stage.tree.setting("workers", 2)
    stage.tree.start()
    used_up(stage, 300, within_s=60)


def test_a_server_that_loses_everything(stage: Stage, valkey: Valkey) -> None:
    """Killed and back empty: the counters begin again from the ledger, not from nothing."""
    known = ids(stage)
    limit(stage, quota(100, **_tenant(known)))
    assert crowd(stage.tree.url, stage.tree.key, requests=60, at_once=20) == {200: 60}
    valkey.kill()
    away = crowd(stage.tree.url, stage.tree.key, requests=20, at_once=10)
    assert away == {503: 20}
    assert "tollway_workers_counting 0.0" in metrics(stage)
    assert sum(map(float, re.findall(r'why="unavailable"} (.*)', metrics(stage)))) == 20
    valkey.start()
    used_up(stage, 100, within_s=60)
