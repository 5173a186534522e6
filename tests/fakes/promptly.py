"""Time bounds that hold the code to account and not the machine."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_BEAT_S = 0.002
# Others' turns at the interpreter, 5 ms each, are the code's own doing.
_OWN_S = 0.015


@contextmanager
def within(limit_s: float, *, least_s: float = 0.0) -> Iterator[None]:
    """The block takes less than `limit_s` and not less than `least_s`, in seconds. What the
    machine kept from this process meanwhile does not count: a thread that only sleeps sees it."""
    done, stalls = threading.Event(), [0.0]

    def watch() -> None:
        while not done.is_set():
            began = time.monotonic()
            time.sleep(_BEAT_S)
            late_s = time.monotonic() - began - _BEAT_S
            if late_s > _OWN_S:
                stalls[0] += late_s

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    began = time.monotonic()
    try:
        yield
        took_s = time.monotonic() - began
    finally:
        done.set()
        watcher.join()
    assert took_s >= least_s, f"{took_s:.3f} s, before {least_s} s"
    assert took_s - stalls[0] < limit_s, f"{took_s:.3f} s, {stalls[0]:.3f} s of them stalled"


@contextmanager
def uncounted() -> Iterator[None]:
    """No line of the block counts for coverage."""
    tracer = sys.gettrace()
    sys.settrace(None)
    try:
        yield
    finally:
        sys.settrace(tracer)


@contextmanager
def within_cpu(limit_s: float) -> Iterator[None]:
    """The block takes less CPU than that. What counts its lines for coverage is left out: it takes
    as long again, and is not the code's."""
    with uncounted():
        began_s = time.process_time()
        yield
        took_s = time.process_time() - began_s
    assert took_s < limit_s, f"{took_s:.3f} s of CPU"
