"""A kernel timer that fires at exact, evenly spaced instants. The event loop's own timers count in
milliseconds, which would send a load of 2000 a second in pairs. Python has it from 3.13 on; until
then through ctypes.
"""

import ctypes
import os

_TFD_NONBLOCK = os.O_NONBLOCK
_TFD_CLOEXEC = os.O_CLOEXEC
_TFD_TIMER_ABSTIME = 1
_CLOCK_MONOTONIC = 1


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Itimerspec(ctypes.Structure):
    _fields_ = (("interval", _Timespec), ("first", _Timespec))


class Ticker:
    """Readable at `first_s` (of time.monotonic) and every `interval_s` after it."""

    def __init__(self, first_s: float, interval_s: float) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self.fd: int = libc.timerfd_create(_CLOCK_MONOTONIC, _TFD_NONBLOCK | _TFD_CLOEXEC)
        times = _Itimerspec(_timespec(interval_s), _timespec(first_s))
        if self.fd < 0 or libc.timerfd_settime(
            self.fd, _TFD_TIMER_ABSTIME, ctypes.byref(times), None
        ):
            raise OSError(ctypes.get_errno(), "no kernel timer")

    def due(self) -> int:
        """How often it fired since it was last asked."""
        try:
            return int.from_bytes(os.read(self.fd, 8), "little")
        except BlockingIOError:
            return 0

    def close(self) -> None:
        os.close(self.fd)


def _timespec(time_s: float) -> _Timespec:
    seconds, fraction = divmod(time_s, 1)
    return _Timespec(int(seconds), int(fraction * 1e9))
