"""Who may do something slow right now: so many at once in all, and fewer of one owner, so that
nobody's slow far end takes every thread.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock


class Turns:
    """Thread-safe. Nobody waits: there is a turn, or there is none."""

    def __init__(self, at_once: int = 8, per_owner: int = 2) -> None:
        self._at_once = at_once
        self._per_owner = per_owner
        self._running: Counter[str | None] = Counter()
        self._lock = Lock()

    @contextmanager
    def turn(self, owner: str | None) -> Iterator[bool]:
        """Whether the owner (None: the platform) has a turn, which lasts as long as the block."""
        with self._lock:
            mine = self._running.total() < self._at_once and self._running[owner] < self._per_owner
            if mine:
                self._running[owner] += 1
        try:
            yield mine
        finally:
            if mine:
                with self._lock:
                    self._running[owner] -= 1
                    if not self._running[owner]:
                        del self._running[owner]
