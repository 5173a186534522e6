"""Comparing an invoice: what the command's own test does not reach."""

from decimal import Decimal

import pytest

from tollway.domain.invoice import Charge, Terms, reconcile, same_model

TERMS = Terms(0, 10 * 86_400)


def figures(output, cost=None):
    return (1, 0, 0, 0, output, cost)


def attempt(number, output, model="m", **fields):
    return Charge(50, "prv", model, figures(output), "req", number, **fields)


def line(output, model="m", number=None):
    asked = (None, None, None, None, output, None)
    return Charge(50, "prv", model, asked, "req", number, line=9)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("gpt-4o", "gpt-4o", True),
        ("gpt-4o", "gpt-4o-2024-08-06", True),
        ("gpt-4o-2024-05-13", "gpt-4o-2024-08-06", False),
        ("gpt-4o", "gpt-4o-mini", False),
        ("Claude Haiku 4.5", "claude-haiku-4-5-20251001", True),
        ("claude-haiku-4-5", "claude-haiku-4-6", False),
        ("*", "anything", True),
    ],
)
def test_names_of_one_model(one, other, same):
    """Writing and one date are no difference; two dates are."""
    assert same_model(one, other) is same
    assert same_model(other, one) is same


def test_a_line_stands_for_all_attempts_of_its_request():
    """Where the invoice numbers none, they are added up."""
    attempts = [attempt(1, 30), attempt(2, 12)]
    assert reconcile([line(42)], attempts, TERMS).rows == []
    (row,) = reconcile([line(41)], attempts, TERMS).rows
    assert (row.what, row.fields) == ("differs", (("output_tokens", 41, 42),))


def test_lines_that_number_attempts_are_compared_with_these():
    """One swapped for the other is two differences."""
    attempts = [attempt(1, 30), attempt(2, 12)]
    assert reconcile([line(30, number=1), line(12, number=2)], attempts, TERMS).equal
    report = reconcile([line(12, number=1), line(30, number=2)], attempts, TERMS)
    assert [(row.attempt, row.what) for row in report.rows] == [(1, "differs"), (2, "differs")]
    assert not any(group.differs for group in report.groups)
    report = reconcile([line(30, number=1), line(12, number=3)], attempts, TERMS)
    assert {(row.attempt, row.what) for row in report.rows} == {
        (2, "not_in_invoice"),
        (3, "not_in_ledger"),
    }


def test_what_was_not_expected_may_be_absent_and_may_not_be_charged():
    """An attempt without usage is not missed; charged for, it is a difference."""
    failed = Charge(50, "prv", "m", (0, 0, 0, 0, 0, 0), "req", 1, expected=False)
    other = Charge(60, "prv", "m", figures(5), "req_2", 1)
    known = line(5)._replace(request_id="req_2")
    assert reconcile([known], [failed, other], TERMS).equal
    report = reconcile([known, line(3)], [failed, other], TERMS)
    assert [(row.request_id, row.what) for row in report.rows] == [("req", "differs")]
    assert [group.differs for group in report.groups] == [("output_tokens",)]


def test_tolerance_is_a_share_of_the_invoices_figure():
    """To the last unit."""
    terms = Terms(0, 86_400, tolerance=Decimal("0.5"))
    for charged, equal in ((1000, True), (1005, True), (1006, False), (995, False)):
        assert reconcile([line(charged)], [attempt(1, 1000)], terms).equal is equal


def test_a_figure_of_some_lines_counts_for_all():
    """A group of which the invoice charges nothing is not passed over."""
    other = Charge(86_400, "prv", "m", figures(7), "req_2", 1)
    unnamed = line(5)._replace(request_id=None)
    report = reconcile([unnamed], [attempt(1, 5), other], TERMS)
    assert [(group.bucket, group.differs) for group in report.groups] == [
        ("1970-01-01", ()),
        ("1970-01-02", ("output_tokens",)),
    ]


def test_attempts_outside_the_time_count_only_where_they_are_named():
    """The day before is looked at for a request that the invoice has moved."""
    early = attempt(1, 5)._replace(at_s=86_399)
    terms = Terms(86_400, 2 * 86_400)
    assert reconcile([line(7)._replace(at_s=90_000, request_id="x")], [early], terms).rows[0][
        :2
    ] == (
        "not_in_ledger",
        "x",
    )
    (row,) = reconcile([line(5)._replace(at_s=90_000)], [early], terms).rows
    assert row.fields == (("day", "1970-01-02", "1970-01-01"),)
