"""A journal in this process's memory, for tests and tools: same port and same rules as the one on
disk, but it dies with the process. Nothing that bills anyone may run on it.
"""

from tollway.app.ports import Progress
from tollway.domain.receipt import Intent, Receipt

NO_SLOT = -1
_FREE = Progress(0, 0, 0, 0)


class MemoryJournal:
    """Keeps everything it is told: `intents` and `receipts` in order, `progressed` as (slot, what
    was stored). Set `full` to make it refuse new attempts, `needs_wait` to be awaited.
    """

    def __init__(self, slots: int = 16384, *, needs_wait: bool = False) -> None:
        self.needs_wait = needs_wait
        self.full = False
        self.waits = 0
        self.intents: list[Intent] = []
        self.receipts: list[Receipt] = []
        self.progressed: list[tuple[int, Progress]] = []
        self._free = list(range(slots - 1, -1, -1))
        self._entries = [_FREE] * slots
        self._ticket = 0

    def claim(self) -> tuple[int, int]:
        """A free slot and its ticket; slot `NO_SLOT` when none is left: then `intend` refuses."""
        self._ticket += 1
        return (self._free.pop() if self._free else NO_SLOT), self._ticket

    def intend(self, intent: Intent) -> bool:
        """Keep the intent and open its slot; a refused one gives its slot back."""
        if intent.slot == NO_SLOT:
            return False
        if self.full:
            self._free.append(intent.slot)
            return False
        self.intents.append(intent)
        self._store(intent.slot, Progress(intent.ticket, 1, 0, 0))
        return True

    async def durable(self) -> None:
        """Nothing to wait for; counted."""
        self.waits += 1

    def sent(self, slot: int) -> None:
        """The request is on its way."""
        self._store(slot, self._entries[slot]._replace(state=2))

    def progress(self, slot: int, events: int, content_bytes: int) -> None:
        """Running totals of what is about to be written to the client."""
        self._store(slot, Progress(self._entries[slot].ticket, 3, events, content_bytes))

    def settle(self, slot: int, receipt: Receipt) -> None:
        """Keep the outcome and free the slot."""
        self.receipts.append(receipt)
        self._entries[slot] = _FREE
        self._free.append(slot)

    def progress_at(self, slot: int) -> Progress:
        """What the slot says now."""
        return self._entries[slot]

    def open_intents(self) -> list[Intent]:
        """Intents without an outcome, oldest first: empty once everything was settled."""
        settled = {(receipt.request_id, receipt.attempt) for receipt in self.receipts}
        return [one for one in self.intents if (one.request_id, one.attempt) not in settled]

    def _store(self, slot: int, entry: Progress) -> None:
        self._entries[slot] = entry
        self.progressed.append((slot, entry))
