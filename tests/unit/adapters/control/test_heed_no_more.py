"""A process that leaves is not ended by being asked once more."""

import subprocess
import sys

import pytest

SCRIPT = """
import asyncio, os, signal
from tollway.adapters.control.lifeline import FINISH, heed_no_more

async def run():
    loop = asyncio.get_running_loop()
    for number in (FINISH, signal.SIGTERM):
        loop.add_signal_handler(number, lambda: None)
    if {heeding}:
        heed_no_more(loop, FINISH, signal.SIGTERM)

asyncio.run(run())
os.kill(os.getpid(), signal.{name})
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1"])
@pytest.mark.parametrize("heeding", [True, False])
def test_asked_again_after_the_loop(heeding: bool, name: str) -> None:
    """Its handlers end with the loop; without more it would die of the signal."""
    script = SCRIPT.format(heeding=heeding, name=name)
    done = subprocess.run([sys.executable, "-c", script], timeout=60, check=False)
    assert (done.returncode == 0) is heeding
