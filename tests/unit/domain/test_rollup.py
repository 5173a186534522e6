"""Sums over ledger rows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.receipts import an_outcome
from tollway.domain.ledger import NUMBERS
from tollway.domain.rollup import COUNTS, RollupKey, fold, merge

DAY = "2023-11-14"
QUARTER_NS = 900 * 1_000_000_000


def one_group(rows):
    ((key, sums),) = fold((DAY, row) for row in rows).items()
    return RollupKey(*key), dict(zip(COUNTS + NUMBERS, sums.counts + sums.numbers, strict=True))


def test_a_group_is_named_by_what_the_row_says():
    """Absent owners are the empty string; the time is the start of its quarter of an hour."""
    key, _ = one_group([an_outcome(started_ns=3 * QUARTER_NS + 5)])
    assert key == RollupKey(
        DAY, 2700, "ten_1", "", "acc_1", "key_1", "small", "prv_1", "chat", "reported", ""
    )


def test_unknown_is_not_zero():
    """A class nobody reported stays None; one that somebody reported sums what is known."""
    _, sums = one_group([an_outcome(cached_input=None), an_outcome(cached_input=0, reasoning=None)])
    assert sums["cached_input"] == 0
    assert sums["reasoning"] is None
    assert sums["input"] == 24


def test_counts_come_from_usage_rows():
    """A correction moves tokens, never the number of requests."""
    _, sums = one_group([an_outcome(), an_outcome(kind="correction", seq=1, output=-4)])
    assert (sums["requests"], sums["attempts"], sums["output"]) == (1, 1, 30)


def test_an_attempt_that_lost_is_no_request():
    """A request that failed over counts once, and its lost attempt is a group of its own."""
    rows = [an_outcome(attempt=1, payer="failed_over", outcome="failed"), an_outcome(attempt=2)]
    groups = fold((DAY, row) for row in rows)
    assert {RollupKey(*key).payer: sums.counts[:3] for key, sums in groups.items()} == {
        "failed_over": [0, 1, 0],
        "reported": [1, 1, 0],
    }


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"payer": "failed", "outcome": "failed"}, "errors"),
        ({"payer": "cut", "outcome": "broken"}, "errors"),
        ({"payer": "estimated", "usage_source": "estimated"}, "estimated"),
        ({}, "unpriced"),
    ],
)
def test_what_is_counted(fields, name):
    """Errors, estimates and billed attempts without a price each have their count."""
    _, sums = one_group([an_outcome(**fields)])
    assert sums[name] == 1


def test_a_priced_attempt_is_not_unpriced():
    """Cost adds up where it is known."""
    _, sums = one_group([an_outcome(cost_nusd=5), an_outcome(cost_nusd=None)])
    assert (sums["cost_nusd"], sums["unpriced"]) == (5, 1)


@pytest.mark.parametrize(
    "fields", [{"input": -1}, {"output": 10**12 + 1}, {"cost_nusd": -1}, {"cost_nusd": 10**16}]
)
def test_an_impossible_number_is_refused(fields):
    """Damage must not reach a sum."""
    with pytest.raises(ValueError, match="cannot be"):
        one_group([an_outcome(**fields)])


@pytest.mark.parametrize("value", ["5", 1.5])
def test_what_is_no_integer_is_refused(value):
    """Sums stay integers."""
    with pytest.raises(TypeError):
        one_group([an_outcome(input=value)])


ROWS = st.lists(
    st.builds(
        an_outcome,
        attempt=st.integers(1, 3),
        started_ns=st.integers(0, 5 * QUARTER_NS),
        tenant_id=st.sampled_from(["ten_1", "ten_2", None, ""]),
        end_user=st.sampled_from([None, "a", "b"]),
        payer=st.sampled_from(["reported", "cut", "failed_over", "failed"]),
        outcome=st.sampled_from(["finished", "broken", "failed"]),
        input=st.none() | st.integers(0, 100),
        output=st.none() | st.integers(0, 100),
        cost_nusd=st.none() | st.integers(0, 10**6),
    ),
    max_size=12,
)


def naive(rows, name):
    known = [getattr(row, name) for row in rows if getattr(row, name) is not None]
    return sum(known) if known else None


@given(ROWS)
def test_folding_adds_up_and_coarser_groups_agree(rows):
    """Whatever the grouping, the totals are those of the rows."""
    fine = fold((DAY, row) for row in rows)
    coarse = merge(fine, (0, 2))
    assert sum(sums.counts[1] for sums in fine.values()) == len(rows)
    for (_, tenant_id), sums in coarse.items():
        mine = [row for row in rows if (row.tenant_id or "") == tenant_id]
        assert sums.counts[0] == sum(row.payer != "failed_over" for row in mine)
        for place, name in enumerate(NUMBERS):
            assert sums.numbers[place] == naive(mine, name)
