"""G-07 over sockets: the server of shared counters goes away in each way it can. Limits that may go
on do, limits that may not refuse, nobody waits, and all is right when it is back.
"""

import json
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.fakes.bad_way import BadWay
from tests.fakes.gateway import wait_until
from tests.fakes.limits import crowd
from tests.fakes.quotas import quota
from tests.fakes.stage import Stage
from tests.fakes.valkey import Valkey
from tests.journeys.test_quotas import ids, limit
from tollway.domain.quota import OnOutage

HARD, SOFT = "small", "soft"
RIGHT_S, RIGHT_AFTER_A_LOSS_S = 5.0, 45.0


class World:
    """A gateway of two workers, the server of its counters, and the way between them."""

    def __init__(self, folder: Path, limit_of_each: int = 10_000) -> None:
        self.valkey = Valkey()
        self.way = BadWay(self.valkey.url.removeprefix("unix://"))
        url = f"redis://127.0.0.1:{self.way.port}/0"
        self.stage = Stage(folder, workers=2, redis_url=url, role="all")
        self.stage.manifest["models"].append({**self.stage.manifest["models"][0], "name": SOFT})
        self.stage.begin()
        models = self.stage.tree.sql("SELECT id, name FROM models")
        self.model_ids = {row["name"]: row["id"] for row in models}
        tenant_id = ids(self.stage)["tenant_id"]
        share = OnOutage.LOCAL_SHARE
        self.limits = {
            HARD: quota(limit_of_each, tenant_id=tenant_id, model_id=self.model_ids[HARD]),
            SOFT: quota(
                limit_of_each, tenant_id=tenant_id, model_id=self.model_ids[SOFT], on_outage=share
            ),
        }
        limit(self.stage, *self.limits.values())
        for model in self.limits:  # counted for the first time; on a busy machine that takes long
            wait_until(lambda model=model: self.ask(model) == {200: 1})

    def ask(self, model: str, requests: int = 1, at_once: int = 1) -> dict[int, int]:
        """So many requests; how many of each status."""
        tree = self.stage.tree
        return dict(crowd(tree.url, tree.key, requests=requests, at_once=at_once, model=model))

    def used(self, model: str) -> int:
        """By the counter that enforces."""
        tree = self.stage.tree
        api = ("--url", tree.state["admin_url"], "--token", f"file:{tree.data_dir / 'admin.token'}")
        usage = ("quotas", "usage", self.limits[model].id, "-o", "json")
        shown = json.loads(tree.command(*usage, *api))
        return int(shown["used"]) if shown["source"] == "counter" and not shown["held"] else -1

    def right_within(self, limit_s: float, since: float) -> None:
        """Both counters are what the ledger has, so soon. A look takes its own time."""
        for model in (HARD, SOFT):
            began = time.monotonic()
            while self.used(model) != self.rows(model):
                assert began - since < limit_s, (model, self.used(model), self.rows(model))
                time.sleep(0.2)
                began = time.monotonic()

    def rows(self, model: str) -> int:
        """By the ledger."""
        return sum(row["model"] == model for row in self.stage.tree.ledger())

    def close(self) -> None:
        """It ends cleanly."""
        self.stage.close()
        self.way.stop()
        self.valkey.stop()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One for all ways."""
    made = World(tmp_path_factory.mktemp("outage"))
    try:
        yield made
        assert "agrees with itself" in made.stage.tree.command("ledger", "verify")
    finally:
        made.close()


@contextmanager
def _bad_way(world: World, how: str) -> Iterator[None]:
    world.way.become(how)
    yield
    world.way.become("open")


@contextmanager
def _read_only(world: World) -> Iterator[None]:
    """Demoted in the middle of it: a replica of nobody."""
    world.valkey.run("REPLICAOF", "127.0.0.1", "1")
    yield
    world.valkey.run("REPLICAOF", "NO", "ONE")


@contextmanager
def _full(world: World) -> Iterator[None]:
    world.valkey.run("CONFIG", "SET", "maxmemory", "1")
    yield
    world.valkey.run("CONFIG", "SET", "maxmemory", "0")


@contextmanager
def _locked(world: World) -> Iterator[None]:
    """Another password than the gateways have."""
    world.valkey.run("ACL", "SETUSER", "default", "on", ">other", "~*", "+@all", "resetpass", ">x")
    _run_as(world, "CLIENT", "KILL", "TYPE", "normal")
    yield
    _run_as(world, "ACL", "SETUSER", "default", "nopass")


def _run_as(world: World, *words: str) -> None:
    world.valkey.run_all(["AUTH", "x"], list(words))


WAYS: dict[str, Callable[[World], AbstractContextManager[None]]] = {
    "refused": lambda world: _bad_way(world, "refused"),
    "silent": lambda world: _bad_way(world, "silent"),
    "slow": lambda world: _bad_way(world, "slow"),
    "loading": lambda world: _bad_way(world, "loading"),
    "frozen": lambda world: world.valkey.frozen(),
    "read only": _read_only,
    "full": _full,
    "locked": _locked,
}


@pytest.mark.parametrize("way", WAYS)
def test_the_counters_go_away(world: World, way: str) -> None:
    """Soft limits serve, hard ones say 503, quickly; then both count on, by the ledger."""
    assert world.ask(HARD, 5, 5) == {200: 5}
    assert world.ask(SOFT, 5, 5) == {200: 5}
    with WAYS[way](world):
        assert world.ask(SOFT, 30, 10) == {200: 30}
        refused = world.ask(HARD, 30, 10)
        assert refused == {503: 30}
        answer = world.stage.chat(model=HARD)
        assert answer.status == 503
        assert float(answer.headers["retry-after"]) >= 1
        assert answer.error["code"] == "limits_unavailable"
        waits = []
        for _ in range(20):
            began = time.monotonic()
            assert world.stage.chat(model=SOFT).status == 200
            waits.append(time.monotonic() - began)
        assert statistics.median(waits) < 0.1, waits
        assert max(waits) < 0.5, waits
    back = time.monotonic()
    while world.ask(HARD, 4, 4) != {200: 4}:
        assert time.monotonic() - back < RIGHT_S
    world.right_within(RIGHT_S, back)


def test_all_they_had_is_flushed_under_load(world: World) -> None:
    """Three times: nobody gets another answer than yes or not now; then the ledger's figures."""
    results: list[dict[int, int]] = []
    asking = threading.Thread(target=lambda: results.append(world.ask(HARD, 600, 10)))
    asking.start()
    for _ in range(3):
        time.sleep(0.2)
        world.valkey.run("FLUSHALL")
    asking.join()
    back = time.monotonic()
    assert set(results[0]) <= {200, 503}
    for model in (HARD, SOFT):
        while world.ask(model, 4, 4) != {200: 4}:
            assert time.monotonic() - back < RIGHT_AFTER_A_LOSS_S
    world.right_within(RIGHT_AFTER_A_LOSS_S, back)
