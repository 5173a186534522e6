"""The ledger's way into the database is cut: requests go on, and every row arrives, once."""

import contextlib
import os
import signal
import sqlite3
import time
from pathlib import Path

from tests.conftest import Show
from tests.fakes.gateway import ended, wait_until
from tests.torture.stage import Stage, require, unserved

_LOCKED_S = 10


def test_the_keeper_is_killed_again_and_again(tmp_path: Path, show: Show) -> None:
    """SIGKILL of the keeper under load, three times: no request notices, no row is lost or
    doubled."""
    with Stage(tmp_path, ship_interval_s=0.05) as stage:
        load = stage.load()
        for _ in range(3):
            time.sleep(0.7)
            keeper = stage.tree.keeper_pid
            os.kill(keeper, signal.SIGKILL)
            assert ended(keeper)
            wait_until(lambda old=keeper: stage.tree.keeper_pid != old)
        log = load.stop()
        require(unserved(log))
        require(stage.unequal_sums())
        require(stage.verdict(log))
        assert len(stage.rows()) == len(log) > 64
    show(f"3 kills of the keeper, {len(log)} requests")


def test_a_locked_database_delays_rows_and_loses_none(tmp_path: Path, show: Show) -> None:
    """Another process holds the database's write lock for 10 s: requests go on, and their rows
    arrive when it lets go."""
    with Stage(tmp_path) as stage:
        with contextlib.closing(sqlite3.connect(stage.tree.data_dir / "tollway.db")) as other:
            other.execute("BEGIN IMMEDIATE")
            load = stage.load("tokens=20 gap_ms=50")
            time.sleep(_LOCKED_S)
            kept = len(stage.rows())
            other.rollback()
        log = load.stop()
        assert kept == 0, "the lock held"
        require(unserved(log))
        began = time.monotonic()
        wait_until(lambda: len(stage.rows()) == len(log))
        took_s = time.monotonic() - began
        require(stage.unequal_sums())
        require(stage.verdict(log))
    show(f"{len(log)} requests while the database was locked; all rows {took_s:.1f} s later")
