"""The supervisor is killed: its workers stop accepting and finish; a new one needs no waiting."""

import time
from pathlib import Path

import pytest

from tests.conftest import Show
from tests.fakes.gateway import ended, wait_until
from tests.torture.stage import Stage, require, unserved


@pytest.mark.parametrize("workers", [1, 2])
def test_a_new_gateway_starts_beside_orphans(workers: int, tmp_path: Path, show: Show) -> None:
    """While orphans finish long streams, `serve` comes up on the same data and ports, serves from
    another journal slot, and ships the orphans' rows as well."""
    with Stage(tmp_path, workers=workers) as stage:
        tree = stage.tree
        long = stage.load("tokens=120 gap_ms=50", streams=16, rate=0)
        wait_until(lambda: (tmp_path / "load-1").read_text().count("begin") == 16)
        time.sleep(0.5)
        *orphans, keeper = tree.orphan()
        began = time.monotonic()
        tree.start()
        took_s = time.monotonic() - began
        assert not all(ended(pid, 0) for pid in orphans), "orphans finish their streams"
        slots = {worker["slot"] for worker in tree.state["workers"]}
        assert max(slots) >= workers, "a slot of their own"
        assert ended(keeper, 10)
        log = long.stop(30)
        first = {key: one for key, one in log.items() if int(key.partition("-")[2]) <= 16}
        require(unserved(first))
        assert all(ended(pid, 10) for pid in orphans), "and then they leave"
        require(stage.unequal_sums())
        require(stage.verdict(log))
        assert {row["output"] for row in stage.rows() if row["client_request_id"] in first} == {120}
        assert tree.is_ready()
        assert (tree.data_dir / "run" / "keeper.sock").exists(), "commands find the new keeper"
    show(f"a new gateway beside 16 orphaned streams after {took_s:.2f} s")
