"""Usage reports from the roll-ups."""

import pytest

from tests.fakes.receipts import an_outcome
from tollway.adapters.sql.ledger import SqlLedger
from tollway.adapters.sql.usage import SqlUsageReader
from tollway.app.ports_admin import UsageQuery
from tollway.app.views import TenantView

DAY_S = 1_794_960_000  # 2026-11-18 00:00 UTC
END_S = DAY_S + 86_400


def receipt(number, *, at_s=0, **fields):
    request_id = f"req_20261118abcdefabcdef{number:08x}"
    return an_outcome(request_id, started_ns=(DAY_S + at_s) * 1_000_000_000, **fields)


@pytest.fixture
def reader(engine, configuration):
    with configuration.begin() as uow:
        uow.tenants.add(TenantView("ten_1", "acme", "Acme"), b"s")
        uow.commit()
    SqlLedger(engine).append(
        "0",
        [
            receipt(1, model="small", end_user="anna"),
            receipt(2, model="small", end_user="ben", at_s=1000, cost_nusd=5),
            receipt(3, model="large", tenant_id="ten_2", at_s=2000, output=None),
            receipt(4, model="small", payer="failed_over", outcome="failed", at_s=2000),
        ],
        (1, 1),
    )
    return SqlUsageReader(engine)


def ask(reader, *group_by, since_s=DAY_S, until_s=END_S, tenant_id=None):
    return reader.usage(UsageQuery(since_s, until_s, group_by, tenant_id))


def test_groups_carry_ids_and_names(reader):
    """A tenant is shown by its slug; one nobody knows any more by its id."""
    rows = ask(reader, "tenant")
    assert [(row.group, row.labels, row.requests) for row in rows] == [
        (("ten_1",), ("acme",), 2),
        (("ten_2",), ("ten_2",), 1),
    ]


def test_unknown_stays_unknown(reader):
    """No reported output is None, and a cost that leaves attempts out says how many."""
    acme, other = ask(reader, "tenant")
    assert (acme.output, acme.cost_nusd, acme.unpriced) == (68, 5, 1)
    assert (other.output, other.cost_nusd, other.unpriced) == (None, None, 1)


def test_what_lost_to_another_target_is_nobodys(reader):
    """Its tokens are left out, unless payers are asked for."""
    assert ask(reader, "tenant")[0].input == 24
    by_payer = {row.group: row.input for row in ask(reader, "payer")}
    assert by_payer == {("reported",): 36, ("failed_over",): 12}


@pytest.mark.parametrize(
    "group",
    [
        "tenant",
        "project",
        "account",
        "key",
        "model",
        "provider",
        "endpoint",
        "payer",
        "end_user",
        "day",
    ],
)
def test_every_group_sums_to_the_same(reader, group):
    """However it is cut, it is the same usage."""
    assert sum(row.requests for row in ask(reader, group)) == 3


def test_no_group_is_one_row(reader):
    """The whole."""
    (row,) = ask(reader)
    assert (row.group, row.labels, row.requests, row.attempts) == ((), (), 3, 4)


def test_end_users_by_day(reader):
    """Each end user has a line; requests without one have the empty name."""
    rows = ask(reader, "end_user", tenant_id="ten_1")
    assert {row.group[0]: row.requests for row in rows} == {"anna": 1, "ben": 1, "": 0}


def test_bounds_are_quarters_of_an_hour(reader):
    """A span within the day counts the quarters it touches."""
    assert ask(reader, since_s=DAY_S + 950, until_s=DAY_S + 1801)[0].requests == 2
    assert ask(reader, since_s=DAY_S + 950, until_s=DAY_S + 1800)[0].requests == 1


def test_end_users_widen_the_bounds_to_days(reader):
    """They are kept per day only."""
    rows = ask(reader, "end_user", since_s=DAY_S + 950, until_s=DAY_S + 951)
    assert sum(row.requests for row in rows) == 3


def test_an_empty_span_has_no_rows(reader):
    """Nothing, rather than a row of nothing."""
    assert ask(reader, since_s=0, until_s=86_400) == []
    assert ask(reader, "tenant", since_s=0, until_s=86_400) == []


def test_another_tenants_usage_is_not_there(reader):
    """A report for one tenant holds nothing of another."""
    assert {row.group for row in ask(reader, "tenant", tenant_id="ten_2")} == {("ten_2",)}
