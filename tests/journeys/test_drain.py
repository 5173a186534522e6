"""SIGTERM ends a gateway, and no client notices that looks where clients look: at `readyz`."""

import errno
import os
import signal
import socket
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.conftest import Show
from tests.fakes.gateway import get_status, wait_until
from tests.fakes.load import Delivered, LoadProcess
from tests.torture.drains import run_drains
from tests.torture.processes import processes_of
from tests.torture.stage import Stage, require, unserved

_LONG = {"directives": "tokens=400 gap_ms=50", "streams": 8, "rate": 0}  # 20 s each


def test_sigterm_under_load(tmp_path: Path, show: Show) -> None:
    """Three times: nobody refused, nothing cut, every row in the ledger, exit code 0."""
    show(run_drains(tmp_path, 3))


def test_streams_beyond_the_drain_time_end_with_one_error(tmp_path: Path) -> None:
    """At the end of the drain time a stream gets one error event, no `[DONE]`, and is settled
    with what was delivered; the gateway still ends with 0."""
    with Stage(tmp_path, drain_timeout_s=1) as stage:
        load = stage.load(**_LONG)
        time.sleep(0.7)
        began = time.monotonic()
        code, log = stop_and_read(stage, load)
        took_s = time.monotonic() - began
        assert code == 0
        assert 1 <= took_s < 6
        assert_ended_by_us(stage, log)


def test_a_second_sigterm_hurries(tmp_path: Path) -> None:
    """It ends the drain at once: streams end as at the end of the drain time. Who came before it
    but after the drain delay was refused, not left to wait for nobody."""
    with Stage(tmp_path, drain_timeout_s=60) as stage:
        port = urlsplit(stage.tree.url).port
        load = stage.load(**_LONG)
        time.sleep(0.7)
        stage.tree.signal(signal.SIGTERM)
        time.sleep(0.5)
        wait_until(lambda: _refused(port), 5)
        began = time.monotonic()
        code, log = stop_and_read(stage, load)
        assert code == 0
        assert time.monotonic() - began < 5
        assert_ended_by_us(stage, log)


def test_sigterm_to_every_process_at_once(tmp_path: Path) -> None:
    """An init system may signal all processes of a service, not the first alone: streams end
    within the drain time all the same, and all rows are in the ledger."""
    with Stage(tmp_path, workers=2, drain_timeout_s=20) as stage:
        load = stage.load(rate=0)
        time.sleep(0.7)
        for pid in processes_of(tmp_path):
            os.kill(pid, signal.SIGTERM)
        log = load.stop(15)
        assert stage.tree.wait(20) == 0
        require(unserved({key: one for key, one in log.items() if one.tokens}))
        require(stage.verdict(log))
        assert len(stage.rows()) >= 64


def test_a_worker_that_is_being_replaced_is_not_hurried(tmp_path: Path) -> None:
    """SIGHUP, then SIGTERM while the old worker drains: its streams end in their own time."""
    with Stage(tmp_path, drain_timeout_s=20) as stage:
        load = stage.load("tokens=60 gap_ms=50", rate=0)
        time.sleep(0.5)
        (old,) = stage.tree.worker_pids
        stage.tree.signal(signal.SIGHUP)
        wait_until(lambda: stage.tree.worker_pids not in ([], [old]))
        stage.tree.signal(signal.SIGTERM)
        wait_until(lambda: get_status(f"{stage.ops_url}/readyz") == 503, 2)
        log = load.stop(15)
        assert stage.tree.wait(20) == 0
        require(unserved(log))
        require(stage.verdict(log))


def stop_and_read(stage: Stage, load: LoadProcess) -> tuple[int, dict[str, Delivered]]:
    """SIGTERM; the exit code, and the client's log of what had begun by then."""
    stage.tree.signal(signal.SIGTERM)
    wait_until(lambda: get_status(f"{stage.ops_url}/readyz") != 200, 2)
    log = load.stop(30)
    return stage.tree.wait(30), log


def assert_ended_by_us(stage: Stage, log: dict[str, Delivered]) -> None:
    """One error event, no `[DONE]`, an orderly end, and a settled row for each stream."""
    assert len(log) >= 8
    for one in log.values():
        outcome = one.outcome
        assert outcome is not None
        assert (outcome.errors, outcome.done, outcome.status) == (1, False, 200), one
        assert outcome.tokens > 0, one
    rows: list[dict[str, Any]] = stage.rows()
    require(stage.verdict(log))
    assert {row["client_request_id"] for row in rows} == set(log)
    assert {(row["payer"], row["usage_source"]) for row in rows} == {("cut", "estimated")}


def _refused(port: int) -> bool:
    with socket.socket() as late:
        return late.connect_ex(("127.0.0.1", port)) == errno.ECONNREFUSED
