"""The rule of amendment."""

from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.receipts import an_outcome
from tollway.domain.ledger import ForeignOutcome, amendment, numbers_of


def booked(outcomes):
    rows = []
    for outcome in outcomes:
        row = amendment(rows, outcome) if rows else outcome
        if row is not None:
            rows.append(row)
    return rows


def test_none_and_zero_bill_the_same():
    """A class that was not reported and one reported as 0 make no correction."""
    assert amendment([an_outcome(reasoning=None)], an_outcome(reasoning=0)) is None


def test_times_and_messages_make_no_correction():
    """Recovery may run twice and see other clocks: that is the same outcome."""
    again = an_outcome(ended_ns=5, error="other words", first_byte_ns=None)
    assert amendment([an_outcome()], again) is None


def test_another_ending_without_other_tokens_is_a_correction_of_zero():
    """A changed status stands in the ledger, and moves no tokens."""
    row = amendment([an_outcome(status=200)], an_outcome(status=499, outcome="client_gone"))
    assert row.kind == "correction"
    assert set(numbers_of(row)) == {0, None}


def test_a_price_found_later_is_posted():
    """A cost where there was none is the whole difference; none at all stays None."""
    priced = amendment([an_outcome()], an_outcome(cost_nusd=9, price_version="v1"))
    assert priced.cost_nusd == 9
    assert amendment([an_outcome()], an_outcome(output=1)).cost_nusd is None
    withdrawn = amendment([an_outcome(cost_nusd=9)], an_outcome(output=1))
    assert withdrawn.cost_nusd == -9


def test_a_correction_keeps_the_time_of_the_first_row():
    """Else it would fall into another quarter of an hour."""
    row = amendment([an_outcome(started_ns=1)], an_outcome(started_ns=2, output=1))
    assert row.started_ns == 1


def test_another_owner_is_refused_by_name():
    """The field that differs is said."""
    assert amendment([an_outcome()], an_outcome(tenant_id="ten_2")) == ForeignOutcome("tenant_id")
    assert amendment([an_outcome()], an_outcome(payer="failed_over")) == ForeignOutcome("payer")


OUTCOMES = st.lists(
    st.builds(
        an_outcome,
        input=st.none() | st.integers(0, 3),
        output=st.none() | st.integers(0, 3),
        cost_nusd=st.none() | st.integers(0, 2),
        outcome=st.sampled_from(["finished", "killed"]),
    ),
    min_size=1,
    max_size=6,
)


@given(OUTCOMES)
def test_the_rows_add_up_to_the_latest_new_outcome(outcomes):
    """The sum over an attempt is an outcome it had, and re-delivery of all of them adds nothing."""
    rows = booked(outcomes)
    columns = zip(*map(numbers_of, rows), strict=True)
    totals = [sum(number or 0 for number in column) for column in columns]
    states = [[number or 0 for number in numbers_of(outcome)] for outcome in outcomes]
    assert totals in states
    assert booked(outcomes + outcomes[::-1]) == rows
    assert [row.seq for row in rows] == list(range(len(rows)))
