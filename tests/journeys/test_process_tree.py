"""The process tree comes up, survives its own deaths and goes down in order."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.gateway import GatewayTree, a_manifest, ended, wait_until
from tests.fakes.load import Load, LoadPlan
from tests.fakes.load_wire import Outcome


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[GatewayTree]:
    gateway = GatewayTree(tmp_path)
    manifest = a_manifest("")
    manifest["providers"] = [{"name": "simulated", "kind": "echo"}]
    gateway.apply(manifest)
    gateway.start()
    yield gateway
    gateway.close()


def ask(gateway: GatewayTree, log: Path, prefix: str) -> Outcome:
    async def once() -> Outcome:
        load = Load(LoadPlan(gateway.url, gateway.key, "small", nonce_prefix=prefix), log)
        outcome = await load.once(stream=True)
        await load.stop()
        return outcome

    return asyncio.run(once())


def test_every_process_may_die_and_the_gateway_answers_again(
    tree: GatewayTree, tmp_path: Path
) -> None:
    """A killed worker is replaced on the same port; a killed tree starts again on the same data;
    SIGTERM ends it with code 0 and every answer in the ledger."""
    url, (first,) = tree.url, tree.worker_pids
    assert ask(tree, tmp_path / "load", "a").done
    assert tree.kill_worker() == first
    assert ask(tree, tmp_path / "load", "b").done, "the socket's queue keeps who comes meanwhile"
    wait_until(lambda: tree.worker_pids not in ([], [first]))
    tree.kill_all()
    assert ended(tree.supervisor_pid)
    tree.start()
    assert tree.url == url
    assert ask(tree, tmp_path / "load", "c").done
    keeper = tree.keeper_pid
    tree.kill_supervisor()
    assert ended(keeper, 0)
    tree.start()
    assert ask(tree, tmp_path / "load", "d").done
    pids = [*tree.worker_pids, tree.keeper_pid]
    assert tree.stop() == 0
    assert tree.state == {}
    assert all(ended(pid, 0) for pid in pids)
    rows = tree.ledger()
    assert [row["client_request_id"] for row in rows] == ["a1", "b1", "c1", "d1"]
    assert {row["output"] for row in rows} == {20}
