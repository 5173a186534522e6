"""What a dead owner left open: each intent without an outcome, joined with the progress file,
becomes a `killed` receipt. Pure but for reading; who appends the receipts is the caller's matter.

Doing it twice changes nothing: an outcome that was appended closes its intent.
"""

from pathlib import Path
from typing import NamedTuple

from tollway.adapters.journal.progress import STREAMING
from tollway.adapters.journal.record import INTENT, INTENTS, OUTCOME, DamagedRecordError
from tollway.adapters.journal.scan import walk
from tollway.adapters.journal.segment import segment_numbers
from tollway.app.ports import Progress
from tollway.domain.estimate import estimated_output
from tollway.domain.receipt import Intent, Payer, Receipt
from tollway.domain.usage import Usage

# Nobody knows what the client got: our process died. It counts as our error.
_KILLED_STATUS = 500
_PROGRESS_LOST = "journal:progress_lost"


class Survey(NamedTuple):
    """What a slot's segments say. `open` holds the bodies of intents without an outcome, by
    ticket; `newest` is the highest segment number (0: none), `tail_damaged` whether damage
    stands in it."""

    open: dict[int, bytes]
    damaged: int
    newest: int
    tail_damaged: bool


class Recovery(NamedTuple):
    """What was found and closed. `damaged` counts records that could not be read; `progress_lost`
    counts attempts whose progress entry was missing or already another's: billed 0, flagged."""

    receipts: list[Receipt]
    damaged: int
    progress_lost: int


def survey_slot(directory: Path) -> Survey:
    """Read all segments of a slot whose lock the caller holds."""
    open_bodies: dict[int, bytes] = {}
    damaged, tail_damaged = 0, False
    # From the names, not from what was read: the newest may be empty, and its number is taken.
    newest = max(segment_numbers(directory), default=0)
    for stretch in walk(directory, (0, 0), None):
        damaged += stretch.damaged
        tail_damaged = tail_damaged or (stretch.damaged > 0 and stretch.number == newest)
        for kind, ticket, start, stop, _ in stretch.frames:
            if kind == INTENT:
                open_bodies[ticket] = stretch.data[start:stop]
            elif kind == OUTCOME:
                open_bodies.pop(ticket, None)
    return Survey(open_bodies, damaged, newest, tail_damaged)


def close_open(
    survey: Survey, entries: list[Progress], now_ns: int
) -> tuple[list[tuple[int, Receipt]], Recovery]:
    """The (ticket, receipt) pairs to append, in order of their intents, and what to report."""
    outcomes: list[tuple[int, Receipt]] = []
    damaged, lost = survey.damaged, 0
    for ticket, body in survey.open.items():
        try:
            intent = INTENTS.decode(body)
        except DamagedRecordError:
            damaged += 1
            continue
        entry = entries[intent.slot] if 0 <= intent.slot < len(entries) else None
        receipt = killed_receipt(intent, entry, now_ns)
        lost += receipt.error is not None
        outcomes.append((ticket, receipt))
    return outcomes, Recovery([receipt for _, receipt in outcomes], damaged, lost)


def killed_receipt(intent: Intent, entry: Progress | None, now_ns: int) -> Receipt:
    """The outcome of an attempt whose process died, from the progress entry of its slot.

    A lower ticket in the slot is an earlier attempt's: we died before ours was opened, so nothing
    was sent. A higher one cannot be: a slot is freed only after the outcome was appended, so that
    outcome was lost to damage.
    """
    usage, source, error = Usage(input=0, output=0), "none", None
    if entry is None or entry.ticket > intent.ticket:
        error = _PROGRESS_LOST
    elif entry.ticket == intent.ticket and entry.state == STREAMING:
        output = estimated_output(entry.events, entry.content_bytes)
        usage, source = Usage(input=intent.input_estimate, output=output), "estimated"
    return Receipt(
        intent.request_id,
        intent.attempt,
        "usage",
        0,
        intent.started_ns,
        now_ns,
        intent.endpoint,
        intent.stream,
        *intent[7:19],
        *usage,
        source,
        Payer.KILLED.value,
        None,
        None,
        _KILLED_STATUS,
        None,
        "killed",
        error,
        None,
    )
