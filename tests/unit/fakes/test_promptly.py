"""A bound in time is broken by slow code and not by a slow machine."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.fakes.promptly import within

STALLED = """
import time
from tests.fakes.promptly import within
with within(0.2):
    print("in", flush=True)
    time.sleep(0.1)
"""


def test_slow_code() -> None:
    """Waiting and working both count."""
    with within(0.2, least_s=0.01):
        time.sleep(0.02)
    with pytest.raises(AssertionError, match="stalled"), within(0.05):
        time.sleep(0.1)
    with pytest.raises(AssertionError, match="stalled"), within(0.05):
        end = time.process_time() + 0.2
        while time.process_time() < end:
            sum(range(1000))
    with pytest.raises(AssertionError, match="before"), within(1, least_s=0.5):
        pass


def test_a_stalled_process() -> None:
    """Stopped by others for longer than it had, it was in time."""
    with subprocess.Popen(
        [sys.executable, "-c", STALLED], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "in\n"
        os.kill(process.pid, signal.SIGSTOP)
        time.sleep(0.5)
        os.kill(process.pid, signal.SIGCONT)
        assert process.wait(10) == 0
