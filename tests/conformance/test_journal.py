"""Every `Journal` keeps the same promises; each implementation is listed in `_MAKERS`."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.receipts import an_intent, an_outcome
from tollway.adapters.journal.opening import open_journal
from tollway.adapters.journal.options import Fsync, JournalOptions
from tollway.adapters.journal.slots import take_slot
from tollway.adapters.memory.journal import MemoryJournal
from tollway.app.ports import Journal, Progress


def _memory(tmp_path: Path, slots: int) -> Iterator[Any]:
    yield MemoryJournal(slots)


def _disk(policy: Fsync) -> Callable[[Path, int], Iterator[Any]]:
    def make(tmp_path: Path, slots: int) -> Iterator[Any]:
        lock = take_slot(tmp_path / "journal", 0)
        assert lock is not None
        options = JournalOptions(fsync=policy, segment_bytes=65536, progress_slots=slots)
        journal = open_journal(lock, options)
        yield journal
        journal.close()
        lock.release()

    return make


_MAKERS = {
    "memory": _memory,
    "disk-off": _disk(Fsync.OFF),
    "disk-interval": _disk(Fsync.INTERVAL),
    "disk-always": _disk(Fsync.ALWAYS),
}


@pytest.fixture(params=sorted(_MAKERS))
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    yield from _MAKERS[request.param](tmp_path, 4)


def test_an_attempt_walks_from_intent_to_outcome(journal: Any) -> None:
    """Each step is visible in the slot, and the settled slot is free again."""
    port: Journal = journal
    slot, ticket = port.claim()
    assert port.intend(an_intent(slot=slot, ticket=ticket))
    assert journal.progress_at(slot) == Progress(ticket, 1, 0, 0)
    port.sent(slot)
    assert journal.progress_at(slot) == Progress(ticket, 2, 0, 0)
    port.progress(slot, 3, 41)
    assert journal.progress_at(slot) == Progress(ticket, 3, 3, 41)
    port.progress(slot, 4, 57)
    assert journal.progress_at(slot) == Progress(ticket, 3, 4, 57)
    port.settle(slot, an_outcome())
    assert journal.progress_at(slot).state == 0


def test_slots_and_tickets_of_open_attempts_differ(journal: Any) -> None:
    """No two open attempts share a slot, and a ticket is never used twice."""
    taken = [journal.claim() for _ in range(4)]
    for slot, ticket in taken:
        assert journal.intend(an_intent(f"req_{ticket}", slot=slot, ticket=ticket))
    assert len({slot for slot, _ in taken}) == 4
    journal.settle(taken[0][0], an_outcome(f"req_{taken[0][1]}"))
    slot, ticket = journal.claim()
    assert slot == taken[0][0]
    assert ticket not in {one for _, one in taken}


def test_without_a_free_slot_an_attempt_is_refused(journal: Any) -> None:
    """Exhausted slots refuse the next intent; a settled attempt makes room for one."""
    taken = [journal.claim() for _ in range(4)]
    for slot, ticket in taken:
        assert journal.intend(an_intent(f"req_{ticket}", slot=slot, ticket=ticket))
    slot, ticket = journal.claim()
    assert not journal.intend(an_intent("req_more", slot=slot, ticket=ticket))
    journal.settle(taken[2][0], an_outcome(f"req_{taken[2][1]}"))
    slot, ticket = journal.claim()
    assert journal.intend(an_intent("req_more", slot=slot, ticket=ticket))


async def test_durable_returns(journal: Any) -> None:
    """`durable` may be awaited whatever the policy is."""
    slot, ticket = journal.claim()
    assert journal.intend(an_intent(slot=slot, ticket=ticket))
    await journal.durable()
