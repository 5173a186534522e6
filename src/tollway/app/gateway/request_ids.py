"""Our request ids: the UTC admission day is part of the id, so a ledger row's partition never
depends on when it is written.
"""

from collections.abc import Callable

from tollway.domain.ids import request_id_prefix

_DAY_NS = 86_400 * 1_000_000_000


class RequestIds:
    """Draws entropy once per process and day, then counts."""

    __slots__ = ("_count", "_day", "_day_text", "_entropy", "_prefix")

    def __init__(self, entropy: Callable[[int], bytes], day_text: Callable[[int], str]) -> None:
        """`entropy(n)` gives n random bytes; `day_text(days since 1970)` gives YYYYMMDD."""
        self._entropy = entropy
        self._day_text = day_text
        self._day = -1
        self._count = 0
        self._prefix = ""

    def make(self, now_ns: int) -> str:
        """An id never given before, carrying the UTC day of `now_ns`."""
        day = now_ns // _DAY_NS
        if day != self._day or self._count >= 0xFFFFFFFF:
            self._day, self._count = day, 0
            self._prefix = request_id_prefix(self._day_text(day), self._entropy(6))
        self._count += 1
        return f"{self._prefix}{self._count:08x}"
