"""The promises of `LedgerStore`, kept on each database and by the twin in memory."""

import pytest

from tests.fakes.receipts import an_outcome
from tests.fakes.stores import STORES, store
from tollway.adapters.memory.ledger import MemoryLedger
from tollway.adapters.sql.ledger import SqlLedger

STARTED_NS = 1_795_000_000_000_000_000


def receipt(number=1, attempt=1, **fields):
    request_id = f"req_20261118abcdefabcdef{number:08x}"
    return an_outcome(request_id, attempt, started_ns=STARTED_NS, **fields)


def total(rows, name):
    return sum(getattr(row, name) or 0 for row in rows)


@pytest.fixture(params=["memory", *STORES])
def ledger(request, tmp_path):
    if request.param == "memory":
        yield MemoryLedger()
        return
    with store(request.param, tmp_path) as engine:
        yield SqlLedger(engine)


def test_a_new_source_begins_at_zero(ledger):
    """A journal nobody shipped stands at (0, 0)."""
    assert ledger.cursor("0") == (0, 0)


def test_a_receipt_comes_back_whole(ledger):
    """Every field of a receipt is kept, tags and NULLs included."""
    given = receipt(tags=(("team", "search"), ("env", "prod")), end_user="émile", cost_nusd=7)
    assert ledger.append("0", [given], (1, 10)) == 1
    assert ledger.rows(given.request_id) == [given]
    assert ledger.cursor("0") == (1, 10)


def test_the_cursor_moves_without_receipts(ledger):
    """A batch of damaged records or bare intents still moves the cursor."""
    assert ledger.append("0", [], (3, 40)) == 0
    assert ledger.cursor("0") == (3, 40)


def test_the_cursor_never_goes_back(ledger):
    """A slower shipper cannot make the next one start over."""
    ledger.append("0", [], (2, 5))
    ledger.append("0", [], (1, 900))
    ledger.append("0", [], (2, 4))
    assert ledger.cursor("0") == (2, 5)


def test_a_batch_again_changes_nothing(ledger):
    """Shipping is idempotent: nothing is new the second time."""
    batch = [receipt(number) for number in range(5)]
    assert ledger.append("0", batch, (1, 5)) == 5
    assert ledger.append("1", batch, (1, 5)) == 0
    assert ledger.rows(batch[2].request_id) == [batch[2]]


def test_only_the_new_rows_of_a_batch_are_booked(ledger):
    """A batch that overlaps an earlier one adds what is new in it."""
    ledger.append("0", [receipt(1), receipt(2)], (1, 2))
    assert ledger.append("0", [receipt(2), receipt(3)], (1, 3)) == 1


def test_a_differing_outcome_becomes_a_correction(ledger):
    """The first row stands; a second row makes the sum the later truth."""
    first = receipt(usage_source="estimated", payer="killed", outcome="killed", output=30)
    later = receipt(output=34)
    ledger.append("0", [first], (1, 1))
    assert ledger.append("0", [later], (1, 2)) == 1
    rows = ledger.rows(first.request_id)
    assert rows[0] == first
    assert (rows[1].kind, rows[1].seq, rows[1].output, rows[1].input) == ("correction", 1, 4, 0)
    assert (rows[1].payer, rows[1].outcome) == ("reported", "finished")
    assert total(rows, "output") == 34


def test_a_correction_may_be_negative(ledger):
    """Less than was booked is posted as a negative difference."""
    ledger.append("0", [receipt(output=30)], (1, 1))
    ledger.append("0", [receipt(output=10)], (1, 2))
    assert [row.output for row in ledger.rows(receipt().request_id)] == [30, -20]


def test_every_outcome_seen_before_is_known(ledger):
    """Re-delivery of any earlier outcome, in any order, adds no row."""
    outcomes = [receipt(output=tokens) for tokens in (10, 20, 5)]
    assert ledger.append("0", outcomes, (1, 3)) == 3
    for again in (outcomes, outcomes[::-1], outcomes[:1], outcomes[1:2]):
        assert ledger.append("0", again, (1, 3)) == 0
    assert total(ledger.rows(receipt().request_id), "output") == 5


def test_attempts_are_separate(ledger):
    """Two attempts of a request are two outcomes."""
    ledger.append("0", [receipt(attempt=1, payer="failed_over"), receipt(attempt=2)], (1, 2))
    assert [row.attempt for row in ledger.rows(receipt().request_id)] == [1, 2]


def test_unstorable_text_is_cleaned(ledger):
    """NUL, lone surrogates and endless text cannot keep a row out."""
    bad = receipt(
        end_user="a\x00b",
        client_request_id="\ud800x",
        error="e" * 5000,
        model="m" * 999,
        tags=(("t\x00", "\udfff"),),
    )
    assert ledger.append("0", [receipt(2), bad], (1, 2)) == 2
    row = ledger.rows(bad.request_id)[0]
    assert row.end_user == "a\ufffdb"
    assert row.client_request_id == "\ufffdx"
    assert (len(row.error), len(row.model)) == (1000, 256)
    assert row.tags == (("t\ufffd", "\ufffd"),)
    assert ledger.append("0", [bad], (1, 3)) == 0
    assert ledger.quarantined() == 0


@pytest.mark.parametrize(
    "fields",
    [
        {"request_id": "req_1"},
        {"request_id": "other"},
        {"kind": "correction", "seq": 1},
        {"seq": 3},
        {"attempt": -1},
        {"input": -1},
        {"output": 2**63},
        {"output": 10**12 + 1},
        {"cost_nusd": 10**15 + 1},
        {"started_ns": 2**64},
        {"input": 1.5},
        {"endpoint": None},
        {"stream": None},
        {"tags": (("a",),)},
        {"tags": ((1, "b"),)},
        {"tags": "ab"},
    ],
    ids=str,
)
def test_nonsense_is_set_aside_and_holds_up_nothing(ledger, fields):
    """A receipt that cannot be a row is kept aside once; its neighbours are booked."""
    bad = receipt(9)._replace(**fields)
    assert ledger.append("0", [receipt(1), bad, receipt(2)], (1, 3)) == 2
    assert ledger.append("0", [bad], (1, 3)) == 0
    assert ledger.quarantined() == 1
    assert ledger.cursor("0") == (1, 3)


@pytest.mark.parametrize(
    "fields",
    [{"tenant_id": "ten_2"}, {"key_id": None}, {"provider_id": "prv_2"}, {"payer": "failed_over"}],
    ids=str,
)
def test_an_outcome_of_someone_else_is_set_aside(ledger, fields):
    """A second outcome under the same key that would bill another owner is not booked."""
    ledger.append("0", [receipt()], (1, 1))
    assert ledger.append("0", [receipt(output=99, **fields)], (1, 2)) == 0
    assert ledger.quarantined() == 1
    assert ledger.rows(receipt().request_id) == [receipt()]
