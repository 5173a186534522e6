"""Two machines on one PostgreSQL: what is written on one is served by the other, and what both
used stands in one ledger.
"""

import json
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.conftest import Show
from tests.fakes.acting import PLATFORM_ADMIN
from tests.fakes.gateway import a_manifest, wait_until
from tests.fakes.load import LoadPlan, LoadProcess
from tests.fakes.machines import RAW_MASTER_KEY, Machine, seconds_until
from tests.fakes.postgres import postgres_database
from tests.fakes.provider import ProviderProcess
from tests.torture.stage import require, unserved
from tollway.adapters.sql import directory
from tollway.adapters.sql.engine import SqlOptions, open_engine
from tollway.adapters.system.clock import SystemClock
from tollway.adapters.system.entropy import system_entropy
from tollway.adapters.system.secrets import AesGcmBox
from tollway.app.admin.commands.keys import KeySpec, create_key, revoke_key
from tollway.app.admin.work import Work
from tollway.domain.ids import TenantId
from tollway.domain.result import Ok, Result

pytestmark = pytest.mark.slow


@dataclass
class Pair:
    """Both, one tenant's id on them, and a client of each that keeps its connection."""

    a: Machine
    b: Machine
    tenant: str
    url: str  # of the database


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("machines")
    provider = ProviderProcess(folder / "truth")
    with postgres_database() as url:
        a, b = (
            Machine(folder / name, url, ship_interval_s=0.2, upstream_connect_timeout_s=20)
            for name in "ab"
        )
        try:
            a.apply(a_manifest(provider.base_url))
            for machine in (a, b):
                machine.start()
            status, found = a.admin("GET", "/tenants?slug=acme")
            assert status == 200
            yield Pair(a, b, found["data"][0]["id"], url)
        finally:
            a.close()
            b.close()
            provider.stop()


def new_key(machine: Machine, tenant: str, name: str) -> tuple[str, str]:
    """Id and text of a key that a machine's admin API made."""
    made = machine.made(f"/tenants/{tenant}/keys", {"name": name})
    return made["id"], made["key"]


def test_the_first_request_after_a_201_succeeds_on_every_machine(pair: Pair, show: Show) -> None:
    """Keys made on A: the first request with each, on B, is answered. 100 of 100, each on a new
    connection, so that either worker of B may get it."""
    refused = []
    for number in range(100):
        _, key = new_key(pair.a, pair.tenant, f"first-{number}")
        with pair.b.asker() as asker:
            if asker.models(key) != 200:
                refused.append(number)
    assert refused == []


def test_the_first_request_for_a_new_model_succeeds_on_every_machine(pair: Pair) -> None:
    """A model made on A, named on B at once with a key that B knows: 100 of 100."""
    _, providers = pair.a.admin("GET", "/providers")
    target = {"provider_id": providers["data"][0]["id"], "model": "small"}
    refused = []
    with pair.b.asker() as asker:
        for number in range(100):
            pair.a.made("/models", {"name": f"new-{number}", "targets": [target]})
            if asker.chat(pair.a.key, model=f"new-{number}") != 200:
                refused.append(number)
    assert refused == []


def test_a_key_revoked_here_is_refused_there_within_a_second(pair: Pair, show: Show) -> None:
    """Told through the database; asked without a pause from the answer on."""
    took: list[float] = []
    with pair.b.asker() as asker:
        for number in range(20):
            key_id, key = new_key(pair.a, pair.tenant, f"revoked-{number}")
            assert asker.models(key) == 200
            status, _ = pair.a.admin("POST", f"/tenants/{pair.tenant}/keys/{key_id}/revoke")
            assert status == 200
            took.append(seconds_until(asker, key, 401))
    show(f"20 revocations: median {statistics.median(took):.3f} s, max {max(took):.3f} s")
    assert max(took) <= 1.0


@contextmanager
def unannounced(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """A way to write of which nobody hears: what is there when a notification got lost."""
    monkeypatch.setattr(directory, "announce", lambda *_: None)
    engine = open_engine(SqlOptions(pair.url))
    units = directory.SqlConfiguration(engine, SystemClock())

    def write(act: Callable[[Work], Result[Any, Any]]) -> Any:
        with units.begin() as uow:
            done = act(Work(uow, PLATFORM_ADMIN, system_entropy, AesGcmBox(RAW_MASTER_KEY)))
            assert isinstance(done, Ok), done
            uow.commit()
        return done.value

    try:
        yield write
    finally:
        engine.dispose()


def test_what_nobody_told_of(pair: Pair, monkeypatch: pytest.MonkeyPatch, show: Show) -> None:
    """Without a word from the database: a new key's first request is answered all the same, since
    its worker has the keeper look; a revoked one is refused within a second, since keepers look
    anyway."""
    took: list[float] = []
    with unannounced(pair, monkeypatch) as write, pair.b.asker() as asker:
        for number in range(30):
            spec = KeySpec(name=f"untold-{number}")
            made = write(lambda work, spec=spec: create_key(work, TenantId(pair.tenant), spec))
            assert asker.models(made.text) == 200, number
            key_id = made.view.id
            write(lambda work, key_id=key_id: revoke_key(work, TenantId(pair.tenant), key_id))
            took.append(seconds_until(asker, made.text, 401))
    show(f"30 untold revocations: median {statistics.median(took):.3f} s, max {max(took):.3f} s")
    assert max(took) <= 1.0


def test_one_ledger(pair: Pair, show: Show) -> None:
    """Both machines serve at once: each request has its row in the shared ledger, once, and the
    usage either of them shows is the sum of all."""
    logs = {}
    loads = {
        name: LoadProcess(
            LoadPlan(
                machine.url,
                pair.a.key,
                "small",
                streams=4,
                rate=30,
                directives="tokens=5 gap_ms=5",
                nonce_prefix=f"{name}-",
            ),
            machine.folder / "load",
        )
        for name, machine in (("a", pair.a), ("b", pair.b))
    }
    time.sleep(3)
    for name, load in loads.items():
        logs[name] = load.stop()
        require(unserved(logs[name]))
    asked = {nonce for log in logs.values() for nonce in log}

    def billed() -> dict[str, int]:
        rows = pair.a.sql(
            "SELECT client_request_id AS nonce, count(*) AS n FROM ledger_entries "
            "WHERE client_request_id = ANY(?) GROUP BY 1",
            [list(asked)],
        )
        return {row["nonce"]: row["n"] for row in rows}

    wait_until(lambda: len(billed()) == len(asked))
    assert billed() == dict.fromkeys(asked, 1)
    (sums,) = pair.a.sql("SELECT count(*) AS n, sum(output) AS output FROM ledger_entries")
    for machine in (pair.a, pair.b):
        lines = json.loads(machine.run("usage", "-o", "json"))
        assert sum(line["requests"] for line in lines) == sums["n"]
        assert sum(line["output"] or 0 for line in lines) == sums["output"]
    show(f"{len(logs['a'])} requests on one, {len(logs['b'])} on the other, {sums['n']} rows")


def test_an_admin_api_without_workers(pair: Pair, tmp_path: Path) -> None:
    """A machine that runs the admin API alone has nothing to publish to: what it makes is served by
    the others from the first request on."""
    alone = Machine(tmp_path / "admin", pair.url, role="admin")
    try:
        alone.start()
        with pair.a.asker() as asker:
            for number in range(20):
                _, key = new_key(alone, pair.tenant, f"alone-{number}")
                assert asker.models(key) == 200, number
    finally:
        alone.close()


def test_the_doctor_speaks_of_roles(pair: Pair) -> None:
    """A login with all rights is a warning; a role that row-level security does not hold must be
    mended."""
    code, said = pair.a.attempt("doctor")
    assert "warn  The gateway logs in as a superuser of the database" in said, code
    with psycopg.connect(pair.url, autocommit=True) as connection:
        connection.execute("ALTER ROLE tollway_app BYPASSRLS")
        try:
            code, said = pair.a.attempt("doctor")
        finally:
            connection.execute("ALTER ROLE tollway_app NOBYPASSRLS")
    assert code == 1
    assert "fail  The role tollway_app has BYPASSRLS" in said


def test_a_wrong_schema(tmp_path: Path) -> None:
    """An empty database and one of a newer version: neither is served from nor touched; `serve` and
    `migrate --check` say what to do, in the same words. After `migrate` it serves."""
    with postgres_database(migrated=False) as url:
        machine = Machine(tmp_path / "m", url, workers=1)
        empty = "The database is empty. Run `tollway migrate`."
        assert machine.attempt("migrate", "--check") == (1, f"tollway: {empty}\n")
        code, said = machine.attempt("serve")
        assert code == 1
        assert f"tollway: {empty}" in said.splitlines()
        assert machine.attempt("migrate") == (0, "The database is up to date.\n")
        assert machine.attempt("migrate", "--check") == (0, "The database is up to date.\n")
        machine.start()
        assert machine.stop() == 0
        with psycopg.connect(url) as connection:
            connection.execute("UPDATE alembic_version SET version_num = 'r9999'")
        for command in (("migrate", "--check"), ("migrate",), ("serve",)):
            code, said = machine.attempt(*command)
            assert code == 1
            assert "schema r9999, which this Tollway does not know" in said
            assert "Traceback" not in said
