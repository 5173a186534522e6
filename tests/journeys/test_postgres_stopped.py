"""PostgreSQL goes away while requests run: who is known goes on being served, every row arrives
when it is back, and no write is confirmed that did not happen.
"""

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.conftest import Show
from tests.fakes.gateway import a_manifest, ended, wait_until
from tests.fakes.load import Delivered, LoadPlan, LoadProcess
from tests.fakes.machines import Machine, seconds_until
from tests.fakes.postgres import Postgres
from tests.fakes.provider import ProviderProcess
from tests.torture.stage import require, unserved
from tollway.domain.key import make_key

pytestmark = pytest.mark.slow

_AWAY_S = 4.0


@dataclass
class Scene:
    """A machine on a PostgreSQL of its own, that may be stopped."""

    folder: Path
    server: Postgres
    machine: Machine
    provider: ProviderProcess
    tenant: str = ""
    loads: int = 0

    def load(self) -> LoadProcess:
        """Streams and short requests, until stopped."""
        self.loads += 1
        plan = LoadPlan(
            self.machine.url,
            self.machine.key,
            "small",
            streams=8,
            rate=20,
            directives="tokens=20 gap_ms=20",
            nonce_prefix=f"s{self.loads}-",
        )
        return LoadProcess(plan, self.folder / f"load-{self.loads}")

    def billed(self, nonces: Iterable[str]) -> dict[str, int]:
        """How many rows each of these requests has."""
        rows = self.machine.sql(
            "SELECT client_request_id AS nonce, count(*) AS n FROM ledger_entries "
            "WHERE client_request_id = ANY(?) GROUP BY 1",
            [list(nonces)],
        )
        return {row["nonce"]: row["n"] for row in rows}

    def every_row_once(self, log: dict[str, Delivered]) -> float:
        """Wait until each request has its row, and one only; how long it took."""
        began = time.monotonic()
        wait_until(lambda: len(self.billed(log)) == len(log))
        took_s = time.monotonic() - began
        assert self.billed(log) == dict.fromkeys(log, 1)
        return took_s


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    provider = ProviderProcess(tmp_path / "truth")
    server = Postgres(durable=True)
    # A busy machine's provider may take its time to accept: not what is looked at here.
    machine = Machine(
        tmp_path / "machine",
        server.make("shared"),
        ship_interval_s=0.2,
        upstream_connect_timeout_s=20,
    )
    try:
        machine.apply(a_manifest(provider.base_url))
        machine.start()
        _, found = machine.admin("GET", "/tenants?slug=acme")
        yield Scene(tmp_path, server, machine, provider, found["data"][0]["id"])
    finally:
        machine.close()
        server.stop()
        provider.stop()


@dataclass
class Writer:
    """Makes projects one after the other, and keeps what it was told."""

    machine: Machine
    tenant: str
    statuses: Counter[int] = field(default_factory=Counter)
    confirmed: set[str] = field(default_factory=set)
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        number = 0
        while not self.stop.is_set():
            number += 1
            name = f"p-{number}"
            path = f"/tenants/{self.tenant}/projects"
            try:
                status, _ = self.machine.admin("POST", path, {"name": name})
            except OSError:  # the admin process was replaced as well, and hung up
                status = 0
            self.statuses[status] += 1
            if status == 201:
                self.confirmed.add(name)
            else:
                self.stop.wait(0.05)


def test_stopped_under_traffic(scene: Scene, show: Show) -> None:
    """Killed and started again with requests and admin writes under way, a keeper killed and the
    workers replaced meanwhile: no request is refused, every one has its row once, a write is
    confirmed or 503, and what was confirmed is there."""
    machine = scene.machine
    load = scene.load()
    writer = Writer(machine, scene.tenant)
    writing = threading.Thread(target=writer.run)
    writing.start()
    wait_until(lambda: writer.statuses[201] > 10)
    scene.server.halt()
    wait_until(lambda: writer.statuses[503] > 3)
    assert machine.is_ready()
    assert machine.admin("GET", "/tenants")[0] == 503
    keeper = machine.keeper_pid
    os.kill(keeper, signal.SIGKILL)
    assert ended(keeper)
    before = set(machine.worker_pids)
    machine.signal(signal.SIGHUP)
    wait_until(lambda: len(set(machine.worker_pids) - before) == 2)
    wait_until(lambda: machine.keeper_pid != keeper)
    time.sleep(_AWAY_S)
    with machine.asker() as asker:  # of the new workers
        assert asker.models(machine.key) == 200
    scene.server.resume()
    confirmed = len(writer.confirmed)
    wait_until(lambda: len(writer.confirmed) > confirmed)
    writer.stop.set()
    writing.join()
    log = load.stop()
    require(unserved(log))
    took_s = scene.every_row_once(log)
    assert writer.statuses.pop(0, 0) <= 1
    assert set(writer.statuses) == {201, 503}
    there = {row["name"] for row in machine.sql("SELECT name FROM projects")}
    assert writer.confirmed <= there
    made = machine.made(f"/tenants/{scene.tenant}/keys", {"name": "after"})
    with machine.asker() as asker:
        assert asker.models(made["key"]) == 200
        status, _ = machine.admin("POST", f"/tenants/{scene.tenant}/keys/{made['id']}/revoke")
        assert status == 200
        assert seconds_until(asker, made["key"], 401) <= 1.0
    show(f"{len(log)} requests, admin {dict(writer.statuses)}, rows {took_s:.1f} s after the end")


def test_a_machine_that_starts_without_its_database(scene: Scene, show: Show) -> None:
    """It serves the configuration it had: a known key works, an unknown one is refused, the admin
    API says 503, and its rows arrive when the database is back. Without a configuration it says
    that the database is away, and ends."""
    machine = scene.machine
    made = machine.made(f"/tenants/{scene.tenant}/keys", {"name": "known"})
    assert machine.stop() == 0
    scene.server.halt("fast")
    machine.start()
    with machine.asker() as asker:
        assert asker.chat(made["key"], "away-1") == 200
        assert asker.models(make_key("test", os.urandom(41))[1]) == 401
    assert machine.admin("POST", "/tenants", {"slug": "x", "name": "x"})[0] == 503
    assert machine.is_ready()
    fresh = Machine(scene.folder / "fresh", scene.server.url("shared"))
    with pytest.raises(AssertionError, match="The database cannot be used right now"):
        fresh.start()
    scene.server.resume()
    wait_until(lambda: scene.billed(["away-1"]) == {"away-1": 1})
    wait_until(lambda: machine.admin("POST", "/tenants", {"slug": "x", "name": "x"})[0] == 201)
    machine.made(f"/tenants/{scene.tenant}/keys", {"name": "new"})


def test_frozen_under_traffic(scene: Scene, show: Show) -> None:
    """A server that takes what is sent and says nothing: requests go on, an admin write is 503 in
    bounded time, and every row has arrived, once, when it runs again."""
    machine = scene.machine
    load = scene.load()
    with machine.asker() as asker, scene.server.frozen():
        began = time.monotonic()
        status, _ = machine.admin("POST", "/tenants", {"slug": "late", "name": "late"})
        took_s = time.monotonic() - began
        assert status == 503
        assert took_s < 20
        assert asker.models(machine.key) == 200
        assert machine.is_ready()
    log = load.stop()
    require(unserved(log))
    scene.every_row_once(log)
    wait_until(lambda: machine.admin("GET", "/tenants")[0] == 200)
    assert machine.admin("POST", "/tenants", {"slug": "y", "name": "y"})[0] == 201
    show(f"{len(log)} requests; 503 after {took_s:.1f} s")
