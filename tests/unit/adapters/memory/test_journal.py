"""What the memory journal shows beyond the port."""

from tests.fakes.receipts import an_intent, an_outcome
from tollway.adapters.memory.journal import MemoryJournal


def test_it_keeps_what_it_was_told() -> None:
    """Intents and receipts stand in order, and an attempt without an outcome is open."""
    journal = MemoryJournal()
    for name in ("req_1", "req_2"):
        slot, ticket = journal.claim()
        assert journal.intend(an_intent(name, slot=slot, ticket=ticket))
    journal.settle(journal.intents[1].slot, an_outcome("req_2"))
    assert [one.request_id for one in journal.receipts] == ["req_2"]
    assert [one.request_id for one in journal.open_intents()] == ["req_1"]


def test_a_refused_intent_gives_its_slot_back() -> None:
    """A full journal leaks no slots."""
    journal = MemoryJournal(1)
    journal.full = True
    for _ in range(3):
        slot, ticket = journal.claim()
        assert slot == 0
        assert not journal.intend(an_intent(slot=slot, ticket=ticket))
    journal.full = False
    slot, ticket = journal.claim()
    assert journal.intend(an_intent(slot=slot, ticket=ticket))
