"""Limits where several gateways serve one database: refused where each would count for itself; with
shared counters, closed while one that may hold something is away, until an operator gives it up.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from tests.fakes.gateway import a_manifest, wait_until
from tests.fakes.machines import ADMIN_TOKEN, Machine
from tests.fakes.postgres import postgres_database
from tests.fakes.provider import ProviderProcess
from tests.fakes.valkey import Valkey

pytestmark = pytest.mark.slow


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[ProviderProcess]:
    """Whom they all ask."""
    made = ProviderProcess(tmp_path / "truth")
    yield made
    made.stop()


@pytest.fixture
def url() -> Iterator[str]:
    """The database."""
    with postgres_database() as made:
        yield made


def limit(machine: Machine, amount: int, **fields: Any) -> str:
    """Ten requests a day for the tenant, or so; its id."""
    _, found = machine.admin("GET", "/tenants?slug=acme")
    body = {"tenant_id": found["data"][0]["id"], "scope": "tenant", "metric": "requests"}
    made = machine.made("/quotas", {**body, "period": "day", "limit": amount, **fields})
    return str(made["id"])


def asked(machine: Machine, key: str) -> int:
    """The status of one request."""
    with machine.asker() as asker:
        return asker.chat(key)


def test_a_second_gateway_is_refused_where_each_would_count_for_itself(
    tmp_path: Path, provider: ProviderProcess, url: str
) -> None:
    """It says why and what to do, and the first one serves on; nor can a limit be made where two
    serve already."""
    a, b = (Machine(tmp_path / name, url, workers=1) for name in "ab")
    try:
        a.apply(a_manifest(provider.base_url))
        a.start()
        quota_id = limit(a, 10)
        with pytest.raises(AssertionError):
            b.start()
        said = b.log.read_text()
        assert "2 gateways serve from this database" in said
        assert "TOLLWAY_REDIS_URL" in said
        assert "Traceback" not in said
        assert asked(a, a.key) == 200
        status, _ = a.admin("DELETE", f"/quotas/{quota_id}")
        assert status == 204
        b.start()
        body = {"scope": "platform", "metric": "requests", "period": "day", "limit": 1}
        status, problem = a.admin("POST", "/quotas", body)
        assert status == 409
        assert "2 gateways serve from this database" in str(problem)
        assert [asked(a, a.key), asked(b, a.key)] == [200, 200]
    finally:
        a.close()
        b.close()


def waiting(machine: Machine) -> bool:
    """Whether its strict limits wait for a gateway."""
    with urlopen(f"{machine.ops_url}/metrics", timeout=5) as answer:
        return "tollway_workers_waiting_for_gateways 1.0" in answer.read().decode()


def rows(machine: Machine) -> int:
    """Requests in the ledger."""
    (found,) = machine.sql("SELECT count(*) AS n FROM ledger_entries")
    return int(found["n"])


def test_an_operator_gives_up_a_gateway_that_will_not_come_back(
    tmp_path: Path, provider: ProviderProcess, url: str
) -> None:
    """The counters' data is lost, and a machine with it: a strict limit is closed, however long,
    and a bounded one not; `tollway quotas reopen` opens it, on record, where the ledger stands."""
    server = Valkey()
    settings = {"workers": 1, "redis_url": server.url, "redis_lease_s": 3, "ship_interval_s": 0.1}
    a, b = (Machine(tmp_path / name, url, **settings) for name in "ab")
    token = tmp_path / "token"
    token.write_text(ADMIN_TOKEN)
    try:
        a.apply(a_manifest(provider.base_url))
        a.start()
        b.start()
        limit(a, 10, precision="strict")
        limit(a, 10**6, period="month")
        wait_until(lambda: [asked(a, a.key), asked(b, a.key)] == [200, 200])
        wait_until(lambda: rows(a) >= 2)
        time.sleep(2)  # they have heard of each other
        b.kill_all()
        server.kill()
        server.start()
        wait_until(lambda: waiting(a))
        time.sleep(4)  # longer than a lease
        assert asked(a, a.key) == 503
        code, said = a.attempt("quotas", "reopen", "--url", a.admin_url, "--token", f"file:{token}")
        assert code == 0, said
        statuses: list[int] = []

        def used_up() -> bool:
            statuses.append(asked(a, a.key))
            return statuses[-1] == 429

        wait_until(used_up)
        assert not waiting(a)
        _, audit = a.admin("GET", "/audit?limit=1")
        assert audit["data"][0]["action"] == "quota.reopened"
        wait_until(lambda: rows(a) >= 10)
        assert rows(a) == 10, statuses
    finally:
        a.close()
        b.close()
        server.stop()
