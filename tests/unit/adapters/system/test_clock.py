"""The machine's clock and randomness."""

import time

from tollway.adapters.system.clock import SystemClock
from tollway.adapters.system.entropy import system_entropy


def test_the_clock_is_the_machines():
    """UTC nanoseconds, and seconds that go forward."""
    clock = SystemClock()
    assert abs(clock.wall_ns() - time.time_ns()) < 1_000_000_000
    assert clock.monotonic() <= clock.monotonic()


def test_entropy_has_the_size_asked_for():
    """And is not the same twice."""
    assert len(system_entropy(41)) == 41
    assert system_entropy(16) != system_entropy(16)
