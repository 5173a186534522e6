"""Workers come and go under load, and clients notice nothing; each is ready in no time."""

import os
import signal
from pathlib import Path

from tests.conftest import Show
from tests.fakes.gateway import ended, wait_until
from tests.torture.drains import run_restarts
from tests.torture.processes import age_s, kept_waiting_s
from tests.torture.stage import Stage


def test_replaced_under_load(tmp_path: Path, show: Show) -> None:
    """SIGHUP to the supervisor and SIGTERM to a worker, three times each."""
    show(run_restarts(tmp_path, 3))


def test_ready_soon_after_the_start(tmp_path: Path, show: Show) -> None:
    """From the start of a worker's process to readyz: at most 1.5 s, after SIGKILL and SIGTERM,
    and at the first start. What it waits for a core is the machine's."""
    with Stage(tmp_path) as stage:
        tree, ages = stage.tree, []
        for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL):
            (old,) = tree.worker_pids
            os.kill(old, number)
            assert ended(old)
            wait_until(lambda old=old: tree.worker_pids not in ([], [old]) and tree.is_ready())
            (new,) = tree.worker_pids
            ages.append(age_s(new) - kept_waiting_s(new))
        show(f"ready {', '.join(f'{age:.2f} s' for age in ages)} after the worker's start")
        assert max(ages) <= 1.5
