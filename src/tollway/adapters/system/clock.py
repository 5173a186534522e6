"""The machine's clocks."""

import time


class SystemClock:
    """Implements `app.ports.Clock`."""

    def wall_ns(self) -> int:
        return time.time_ns()

    def monotonic(self) -> float:
        return time.monotonic()
