"""SIGTERM and restarts under load, again and again: nobody refused, nothing cut, no row lost."""

import os
import signal
import time
from pathlib import Path

from tests.fakes.gateway import get_status, wait_until
from tests.torture.processes import age_s
from tests.torture.stage import Stage, require, unserved

_LOOKS_EVERY_S = 0.25


def run_drains(folder: Path, times: int) -> str:
    """0 refused, 0 cut, 0 rows lost, so many times in a row; the figures as text.

    What that means, exactly: clients send over kept and over new connections without pause until
    they see `readyz` say 503, as a load balancer does that looks four times a second. Whatever
    they have sent by then, also in the quarter of a second after the signal, is served whole, and
    stands in the ledger when the supervisor has ended, with code 0.
    """
    requests, noticed_s = 0, 0.0
    with Stage(folder, workers=2, drain_timeout_s=20) as stage:
        for _ in range(times):
            load = stage.load(close_every=3)
            time.sleep(0.8)
            began = time.monotonic()
            stage.tree.signal(signal.SIGTERM)
            wait_until(lambda: get_status(f"{stage.ops_url}/readyz") == 503, 2)
            noticed_s = max(noticed_s, time.monotonic() - began)
            time.sleep(_LOOKS_EVERY_S)
            log = load.stop(20)
            assert stage.tree.wait(30) == 0
            require(unserved(log), stage.verdict(log))
            assert len(stage.rows()) == len(log) > 64
            requests += len(log)
            stage.tree.start()
    return f"{times} drains, {requests} requests, readyz says 503 within {noticed_s:.3f} s"


def run_restarts(folder: Path, times: int) -> str:
    """Workers are replaced under load, all in turn (SIGHUP to the supervisor) and one alone
    (SIGTERM to it), so many times each; the figures as text.

    Clients send over kept and over new connections throughout: 0 refused, 0 reset, 0 cut, 0 rows
    lost, and the supervisor says ready again within 1.5 s of a worker's start.
    """
    ready_s: list[float] = []
    with Stage(folder, workers=2, drain_timeout_s=20) as stage:
        load = stage.load(close_every=3)
        time.sleep(0.5)
        for _ in range(times):
            replaced = set(stage.tree.worker_pids)
            stage.tree.signal(signal.SIGHUP)
            wait_until(lambda gone=replaced: _all_new(stage, gone))
            ready_s += [age_s(pid) for pid in stage.tree.worker_pids[-1:]]
            (first, *_) = stage.tree.worker_pids
            os.kill(first, signal.SIGTERM)
            wait_until(lambda gone={first}: _all_new(stage, gone))
            time.sleep(0.2)
        log = load.stop(20)
        require(unserved(log), stage.unequal_sums(), stage.verdict(log))
        assert len(stage.rows()) == len(log) > 64
    assert max(ready_s) <= 1.5
    return (
        f"{times} x SIGHUP and SIGTERM to a worker, {len(log)} requests, "
        f"ready {max(ready_s):.2f} s after the worker's start"
    )


def _all_new(stage: Stage, gone: set[int]) -> bool:
    pids = stage.tree.worker_pids
    return len(pids) == 2 and gone.isdisjoint(pids) and stage.tree.is_ready()
