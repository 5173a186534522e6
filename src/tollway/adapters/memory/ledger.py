"""A ledger in memory: what the SQL one does, by the same rules, for tests and the in-process
ladder. Nothing survives the process.
"""

from collections.abc import Sequence

from tollway.domain.entry import Flaw, cleaned
from tollway.domain.ids import day_of
from tollway.domain.ledger import ForeignOutcome, amendment
from tollway.domain.receipt import Receipt
from tollway.domain.rollup import Group, Sums, fold


class MemoryLedger:
    """Implements `app.ports.LedgerStore`. `set_aside` holds (source, receipt, reason)."""

    def __init__(self) -> None:
        self.set_aside: list[tuple[str, Receipt, str]] = []
        self._attempts: dict[tuple[str, int], list[Receipt]] = {}
        self._cursors: dict[str, tuple[int, int]] = {}

    def cursor(self, source: str) -> tuple[int, int]:
        """How far a journal was shipped; (0, 0) when never."""
        return self._cursors.get(source, (0, 0))

    def quarantined(self) -> int:
        """How many receipts were set aside."""
        return len(self.set_aside)

    def append(self, source: str, receipts: Sequence[Receipt], upto: tuple[int, int]) -> int:
        """Book a batch. Returns how many rows were new, corrections included."""
        new = sum([self._book(source, receipt) for receipt in receipts])
        self._cursors[source] = max(self.cursor(source), upto)
        return new

    def rows(self, request_id: str) -> list[Receipt]:
        """A request's entries: attempts in order, each usage row before its corrections."""
        attempts = sorted(key for key in self._attempts if key[0] == request_id)
        return [row for key in attempts for row in self._attempts[key]]

    def rollups(self) -> dict[Group, Sums]:
        """All rows, added up."""
        return fold(
            (day_of(row.request_id), row) for rows in self._attempts.values() for row in rows
        )

    def _book(self, source: str, receipt: Receipt) -> bool:
        clean = cleaned(receipt)
        if isinstance(clean, Flaw):
            return self._quarantine(source, receipt, clean.reason)
        rows = self._attempts.setdefault((clean.request_id, clean.attempt), [])
        row = amendment(rows, clean) if rows else clean
        if isinstance(row, ForeignOutcome):
            return self._quarantine(
                source, receipt, f"another outcome stands here, with another {row.field}"
            )
        if row is None:
            return False
        rows.append(row)
        return True

    def _quarantine(self, source: str, receipt: Receipt, reason: str) -> bool:
        if all(receipt != known for _, known, _ in self.set_aside):
            self.set_aside.append((source, receipt, reason))
        return False
