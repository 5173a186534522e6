"""Limits on a whole gateway: exactly as many as allowed, whatever dies meanwhile."""

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from tests.fakes.gateway import wait_until
from tests.fakes.limits import crowd, set_quotas
from tests.fakes.quotas import quota
from tests.fakes.stage import Stage
from tollway.domain.quota import QuotaRecord


@pytest.fixture
def role() -> str:
    """Without an admin API, but where a test says otherwise."""
    return "gateway"


@pytest.fixture
def stage(tmp_path: Path, role: str) -> Iterator[Stage]:
    """A gateway of its own: each test changes its limits."""
    made = Stage(tmp_path, workers=1, drain_timeout_s=5, role=role)
    made.begin()
    try:
        yield made
        if made.tree.state.get("pid"):
            assert "agrees with itself" in made.tree.command("ledger", "verify")
    finally:
        made.close()


def ids(stage: Stage) -> dict[str, Any]:
    """The ids of tenant and key."""
    [row] = stage.tree.sql("SELECT id, tenant_id FROM api_keys")
    return {"tenant_id": row["tenant_id"], "key_id": row["id"]}


def limit(stage: Stage, *quotas: QuotaRecord) -> None:
    """These quotas are in force, on every worker."""
    set_quotas(str(stage.tree.data_dir / "tollway.db"), *quotas)
    version = stage.tree.sql("SELECT version FROM snapshot_version")[0]["version"]
    assert version
    time.sleep(1.0)  # published within a second, as the other journeys prove


def admitted(stage: Stage) -> int:
    """Requests that reached the provider and stand in the ledger."""
    return len({row["request_id"] for row in stage.tree.ledger()})


def used_up(stage: Stage, allowed: int, within_s: float = 60) -> None:
    """Whatever is left is given out, and then nothing more; the ledger has just that many."""
    end = time.monotonic() + within_s
    statuses = crowd(stage.tree.url, stage.tree.key, requests=50, at_once=10)
    while statuses != {429: 50} or admitted(stage) < allowed:
        assert time.monotonic() < end, f"{admitted(stage)} of {allowed} admitted, now {statuses}"
        statuses = crowd(stage.tree.url, stage.tree.key, requests=50, at_once=10)
        time.sleep(0.2)
    time.sleep(1)
    assert admitted(stage) == allowed


def metrics(stage: Stage) -> str:
    """The metrics page."""
    with urlopen(f"{stage.tree.state['ops_url']}/metrics", timeout=5) as answer:
        text: str = answer.read().decode()
    return text


def hit_worker(stage: Stage, number: signal.Signals) -> None:
    """A signal to the worker that serves, whichever that is by now."""
    for _ in range(600):
        try:
            os.kill(stage.tree.worker_pids[0], number)
        except (IndexError, ProcessLookupError):
            time.sleep(0.05)
        else:
            return
    raise AssertionError("there is no worker")


@pytest.mark.parametrize("level", ["tenant", "key", "end_user", "platform"])
def test_exactly_a_hundred_of_two_thousand(stage: Stage, level: str) -> None:
    """G-20 in one process: as many pass as are allowed, the others are told, nothing else."""
    known = ids(stage)
    changes = {
        "tenant": {"tenant_id": known["tenant_id"]},
        "key": {"tenant_id": known["tenant_id"], "scope_id": known["key_id"]},
        "end_user": {"tenant_id": known["tenant_id"], "scope_id": "ann"},
        "platform": {},
    }[level]
    limit(stage, quota(100, scope=level, **changes))
    statuses = crowd(stage.tree.url, stage.tree.key, requests=2000, at_once=200, user="ann")
    assert statuses == {200: 100, 429: 1900}
    stage.tree.wait_for_entries(100)
    assert admitted(stage) == 100


def test_a_new_limit_begins_where_the_ledger_stands(stage: Stage) -> None:
    """Thirty were served before there was a limit of fifty: twenty are left. A second one beside it
    that refuses takes nothing from the first."""
    known = ids(stage)
    assert crowd(stage.tree.url, stage.tree.key, requests=30, at_once=10) == {200: 30}
    day = quota(50, tenant_id=known["tenant_id"])
    limit(stage, day, quota(0, scope="key", **_key(known)))
    assert crowd(stage.tree.url, stage.tree.key, requests=30, at_once=10) == {429: 30}
    limit(stage, day)
    assert crowd(stage.tree.url, stage.tree.key, requests=100, at_once=50) == {200: 20, 429: 80}


def test_a_killed_worker_takes_no_more_and_no_less_than_was_allowed(stage: Stage) -> None:
    """kill -9 under load, three times: all that reached the provider is counted, once."""
    known = ids(stage)
    limit(stage, quota(1000, tenant_id=known["tenant_id"]))
    results: list[Any] = []

    def ask() -> None:
        results.append(
            crowd(
                stage.tree.url,
                stage.tree.key,
                requests=6000,
                at_once=40,
                directives="tokens=5 gap_ms=3",
                stream=True,
            )
        )

    asking = threading.Thread(target=ask)
    asking.start()
    for _ in range(3):
        time.sleep(0.6)
        hit_worker(stage, signal.SIGKILL)
    asking.join()
    used_up(stage, 1000)


def test_a_worker_s_successor_counts_on(stage: Stage) -> None:
    """Replaced under load, five times, while the old ones still stream: exactly the limit."""
    known = ids(stage)
    limit(stage, quota(600, tenant_id=known["tenant_id"]), quota(10**9, "tokens", **_tenant(known)))
    results: list[Any] = []

    def ask() -> None:
        results.append(
            crowd(
                stage.tree.url,
                stage.tree.key,
                requests=4000,
                at_once=30,
                directives="tokens=20 gap_ms=10",
                stream=True,
            )
        )

    asking = threading.Thread(target=ask)
    asking.start()
    for _ in range(5):
        time.sleep(0.5)
        hit_worker(stage, signal.SIGTERM)
    asking.join()
    assert results[0][200] <= 600
    used_up(stage, 600)


def test_a_rate_holds_over_a_restart(stage: Stage) -> None:
    """Ten a minute were used: after a restart of the whole gateway it is still full."""
    known = ids(stage)
    limit(stage, quota(10, period="minute", tenant_id=known["tenant_id"]))
    assert crowd(stage.tree.url, stage.tree.key, requests=10, at_once=5) == {200: 10}
    assert stage.tree.stop() == 0
    stage.tree.start()
    reply = stage.chat()
    assert reply.status == 429
    assert reply.error["code"] == "rate_limit_exceeded"
    assert "10 requests per minute for your organisation" in reply.error["message"]
    assert 0 < int(reply.headers["retry-after"]) <= 70
    assert reply.headers["x-ratelimit-remaining-requests"] == "0"


def test_a_strict_budget_is_never_overspent(stage: Stage) -> None:
    """G-22 in one process: 40 streams at once under a limit on tokens; what is used and what is
    held never exceed it together, and in the end nothing is held."""
    known = ids(stage)
    limit(stage, quota(20_000, "output_tokens", precision="strict", **_tenant(known)))
    statuses = crowd(
        stage.tree.url,
        stage.tree.key,
        requests=1000,
        at_once=40,
        directives="tokens=30",
        stream=True,
        max_tokens=60,
    )
    assert statuses[200] > 300
    time.sleep(1.5)
    rows = stage.tree.ledger()
    spent = sum(row["output"] or 0 for row in rows)
    assert spent <= 20_000
    # Nothing stays held: whatever is left can still be used, to the last that fits.
    left = 20_000 - spent
    if left >= 60:
        assert stage.chat("tokens=1", max_tokens=60).status == 200


def _tenant(known: dict[str, Any]) -> dict[str, Any]:
    return {"tenant_id": known["tenant_id"]}


def _key(known: dict[str, Any]) -> dict[str, Any]:
    return {"tenant_id": known["tenant_id"], "scope_id": known["key_id"]}


def test_limits_need_one_place_to_count(stage: Stage) -> None:
    """With a limit, a gateway of two workers does not start, and says why."""
    limit(stage, quota(5, **_tenant(ids(stage))))
    assert stage.tree.stop() == 0
    stage.tree.setting("workers", 2)
    with pytest.raises(AssertionError):
        stage.tree.start()
    assert "TOLLWAY_WORKERS=1" in stage.tree.log.read_text()
    stage.tree.setting("workers", 1)
    stage.tree.start()
    assert stage.chat().status == 200


@pytest.mark.parametrize("role", ["all"])
def test_set_by_command_and_seen_by_the_caller(stage: Stage) -> None:
    """Two a day for each key: the third is told so; raised for a while, it passes; what `/v1/me`
    shows is what counts."""
    tree = stage.tree
    api = ("--url", tree.state["admin_url"], "--token", f"file:{tree.data_dir / 'admin.token'}")
    made = tree.run(
        *("quotas", "create", "--tenant", "acme", "--scope", "tenant", "--per", "key"),
        *("--metric", "requests", "--period", "day", "--limit", "2", "--name", "trial"),
        *("-o", "json", *api),
    )
    quota_id = json.loads(made)["id"]
    assert [stage.chat("tokens=1").status for _ in range(2)] == [200, 200]
    refused = stage.chat("tokens=1")
    assert refused.status == 429
    assert refused.error["code"] == "insufficient_quota"
    assert "2 requests per day for this API key ('trial')" in refused.error["message"]
    assert refused.headers["x-should-retry"] == "false"
    [use] = json.loads(stage.get("/v1/me/usage").body)["data"]
    assert (use["id"], use["used"], use["remaining"]) == (quota_id, 2, 0)
    shown = tree.run(
        "quotas", "usage", quota_id, "--member", ids(stage)["key_id"], "-o", "json", *api
    )
    assert json.loads(shown)["source"] == "counter"
    assert json.loads(shown)["used"] == 2
    nobody = tree.run(
        "quotas", "usage", quota_id, "--member", "key_nobody00000", "-o", "json", *api
    )
    assert (json.loads(nobody)["source"], json.loads(nobody)["used"]) == ("ledger", 0)
    refused = f'tollway_limit_refusals_total{{quota="{quota_id}",why="reached"}} 1.0'
    assert refused in metrics(stage)
    assert "tollway_workers_counting 1.0" in metrics(stage)
    tree.run(
        *("quotas", "update", quota_id, "--raised-to", "3"),
        *("--raised-until", "2099-01-01T00:00:00Z", *api),
    )
    wait_until(lambda: stage.chat("tokens=1").status == 200, 5)
    assert stage.chat("tokens=1").status == 429
    tree.run("quotas", "delete", quota_id, *api)
    wait_until(lambda: stage.chat("tokens=1").status == 200, 5)
    audit = json.loads(tree.run("audit", "list", "--object", quota_id, "-o", "json", *api))
    assert [row["action"] for row in audit] == ["quota.deleted", "quota.changed", "quota.created"]


def test_a_request_sent_again_is_billed_once(stage: Stage) -> None:
    """Under an `Idempotency-Key`: the same answer, one row, also after the worker was killed."""
    body = {"model": "small", "messages": [{"role": "user", "content": "hi [[tokens=3]]"}]}
    first = stage.post("/v1/chat/completions", body, idempotency_key="order-7")
    assert first.status == 200
    hit_worker(stage, signal.SIGKILL)
    wait_until(lambda: _status(stage) == 200)
    again = stage.post("/v1/chat/completions", body, idempotency_key="order-7")
    assert (again.status, again.body) == (200, first.body)
    assert again.headers["idempotent-replayed"] == "true"
    other = stage.post("/v1/chat/completions", {**body, "n": 1}, idempotency_key="order-7")
    assert other.error["code"] == "idempotency_key_reused"
    stage.tree.wait_for_entries(1)
    time.sleep(0.5)
    assert admitted(stage) == 1


def _status(stage: Stage) -> int:
    try:
        return stage.get("/v1/models").status
    except OSError:
        return 0
