"""A clock that stands still until it is moved."""


class FixedClock:
    """Implements `app.ports.Clock`."""

    def __init__(self, wall_ns: int = 1_700_000_000_000_000_000) -> None:
        self.now_ns = wall_ns

    def wall_ns(self) -> int:
        return self.now_ns

    def monotonic(self) -> float:
        return self.now_ns / 1e9
