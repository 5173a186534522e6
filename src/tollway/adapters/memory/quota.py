"""Counters and holds in this process: all lines of a hold, or none. Rules that make lines come
with the quota tables; a store without rules concerns no request.
"""

from collections.abc import Callable, Sequence

from tollway.app.ports import Line
from tollway.domain.access import Principal
from tollway.domain.model import ModelRecord
from tollway.domain.refusal import QuotaExceeded

Rules = Callable[[Principal, ModelRecord], Sequence[Line]]


class MemoryQuotaStore:
    """The embedded `QuotaStore`. One loop, no await inside: every call is atomic."""

    __slots__ = ("_held", "_holds", "_rules")

    def __init__(self, rules: Rules | None = None) -> None:
        self._rules = rules
        self._held: dict[str, int] = {}
        self._holds: dict[str, Sequence[Line]] = {}

    def lines(self, principal: Principal, model: ModelRecord) -> Sequence[Line]:
        """What the rules say this request concerns."""
        return () if self._rules is None else self._rules(principal, model)

    def reserve(self, hold_id: str, lines: Sequence[Line]) -> QuotaExceeded | None:
        """Hold every line or none. Reserving an id again changes nothing."""
        if hold_id in self._holds:
            return None
        for line in lines:
            # Written so that a counter that is no number refuses instead of admitting.
            if not self.held(line.counter) + line.amount <= line.limit:
                return QuotaExceeded(f"The limit {line.counter} is reached.", exhausted=False)
        for line in lines:
            self._held[line.counter] = self.held(line.counter) + line.amount
        self._holds[hold_id] = lines
        return None

    def resolve(self, hold_id: str) -> None:
        """Free what the hold held, once."""
        for line in self._holds.pop(hold_id, ()):
            left = self._held[line.counter] - line.amount
            if left:
                self._held[line.counter] = left
            else:
                del self._held[line.counter]

    def held(self, counter: str) -> int:
        """What is held on a counter right now."""
        return self._held.get(counter, 0)
