"""What an attempt has used, known after it was booked: put right once, and counters hear of it."""

import pytest

from tests.fakes.receipts import an_outcome
from tests.fakes.stores import STORES, store
from tollway.adapters.sql.ledger import SqlLedger
from tollway.app.jobs.amend import Amending
from tollway.app.ports_background import Found
from tollway.app.pricing import PriceList, Pricing
from tollway.domain.ids import day_of
from tollway.domain.ledger_check import check_attempts
from tollway.domain.usage import Usage

STARTED_NS = 1_795_000_000_000_000_000
REQUEST = "req_20261118abcdefabcdef00000001"
SINCE_S = 1_795_000_000.0
USED = Usage(10, 20, None, 7, 5)


class Prices:
    def mark(self):
        return 1

    def read(self):
        return PriceList((), {})


class KnownNotes:
    def __init__(self, *found):
        self.left = list(found)

    def found(self, most):
        return self.left[:most]

    def forget(self, found):
        self.left.remove(found)


def killed(attempt=1, **fields):
    given = {"payer": "killed", "outcome": "killed", "usage_source": "estimated", "status": 500}
    return an_outcome(
        REQUEST, attempt, started_ns=STARTED_NS, **{**given, "input": 3, "output": 2, **fields}
    )


def found(attempt=1, usage=USED):
    return Found(f"place{attempt}", REQUEST, attempt, usage, SINCE_S)


@pytest.fixture(params=STORES)
def ledger(request, tmp_path):
    with store(request.param, tmp_path) as engine:
        yield SqlLedger(engine)


def run(notes, ledger, *, told=True, after_s=0.0):
    amending = Amending(
        notes, ledger, Pricing(Prices()), lambda: told, now_s=lambda: SINCE_S + after_s
    )
    return amending.tell(amending.book())


def total(rows):
    return [sum(getattr(row, name) or 0 for row in rows) for name in Usage._fields]


def test_the_true_usage_is_booked_once(ledger):
    """However often it is told, before and after its first outcome comes again."""
    ledger.append("0", [killed()], (1, 10))
    for _ in range(3):
        assert run(KnownNotes(found()), ledger)
        ledger.append("0", [killed()], (1, 10))
    rows = ledger.rows(REQUEST)
    assert [(row.kind, row.seq) for row in rows] == [("usage", 0), ("correction", 1)]
    assert total(rows) == [10, 20, 0, 7, 5, 0, 0]
    assert (rows[1].usage_source, rows[1].payer) == ("provider", "killed")
    assert not list(check_attempts(day_of(REQUEST), rows, lambda _: None))


def test_a_first_outcome_is_waited_for(ledger):
    """It may still stand in a journal: of another attempt's there is no use."""
    notes = KnownNotes(found(2))
    ledger.append("0", [killed(1)], (1, 10))
    assert not run(notes, ledger)
    assert not ledger.amend(killed(2))
    assert len(ledger.rows(REQUEST)) == 1
    ledger.append("0", [killed(2)], (1, 20))
    assert run(notes, ledger)
    assert total(ledger.rows(REQUEST)[1:]) == [10, 20, 0, 7, 5, 0, 0]
    assert not notes.left


def test_a_first_outcome_that_never_comes_is_given_up(ledger):
    """It was set aside, and is for a person to book."""
    notes = KnownNotes(found())
    for after_s, left in ((86_400.0, [found()]), (8 * 86_400.0, [])):
        assert not run(notes, ledger, after_s=after_s)
        assert notes.left == left


def test_it_is_not_forgotten_before_counters_know(ledger):
    """Whoever dies in between: it is told again, and changes nothing."""
    ledger.append("0", [killed()], (1, 10))
    notes = KnownNotes(found())
    assert not run(notes, ledger, told=False)
    assert notes.left == [found()]
    assert run(notes, ledger)
    assert not notes.left
    assert len(ledger.rows(REQUEST)) == 2


def test_less_than_was_thought_is_given_back(ledger):
    """A correction may be negative."""
    ledger.append("0", [killed(output=500)], (1, 10))
    run(KnownNotes(found()), ledger)
    assert ledger.rows(REQUEST)[1].output == -493


def test_nobody_is_told_of_nothing(ledger):
    """Counting again costs something."""
    amending = Amending(KnownNotes(), ledger, Pricing(Prices()), pytest.fail)
    assert not amending.tell(amending.book())
