"""Rules: what may be written, what they are called, what an outcome counts."""

from dataclasses import replace

import pytest

from tests.fakes.quotas import quota
from tests.fakes.receipts import an_outcome
from tollway.domain.quota import (
    MAX_LIMIT,
    Scope,
    Sizes,
    check_quota,
    counter_name,
    is_nobody,
    limit_at,
    nobody_of,
    place_of,
    scope_place,
    spent,
)
from tollway.domain.result import Err, Ok

GOOD = [
    quota(0),
    quota(MAX_LIMIT, "cost", "month"),
    quota(5, "concurrency", "none"),
    quota(1, scope="key", scope_id="key_1", model_id="mdl_1"),
    quota(1, scope="end_user", scope_id="ann"),
    quota(1, scope="platform", per=Scope.TENANT),
    quota(1, scope="model", scope_id="mdl_1"),
    quota(1, per=Scope.END_USER),
    quota(1, raised_to=2, raised_until_s=5),
    quota(1, alert_at=(50, 100)),
]


@pytest.mark.parametrize("record", GOOD)
def test_good_rules_pass(record):
    """Nothing is wrong with them."""
    assert check_quota(record) == Ok(record)


@pytest.mark.parametrize(
    ("record", "field"),
    [
        (quota(-1), "limit"),
        (quota(MAX_LIMIT + 1), "limit"),
        (quota(1, "concurrency", "day"), "period"),
        (quota(1, "requests", "none"), "period"),
        (quota(1, scope_id="x"), "scope_id"),
        (quota(1, scope="key"), "scope_id"),
        (quota(1, scope="platform", tenant_id="ten_a"), "scope"),
        (quota(1, scope="model", scope_id="mdl_1", model_id="mdl_1"), "model_id"),
        (quota(1, tenant_id=None), "tenant_id"),
        (quota(1, scope="key", scope_id="k", per=Scope.PROJECT), "per"),
        (quota(1, raised_to=1), "raised_to"),
        (quota(1, raised_to=MAX_LIMIT + 1), "raised_to"),
        (quota(1, alert_at=(0,)), "alert_at"),
    ],
)
def test_what_is_wrong_is_named(record, field):
    """The field, and a sentence on what to write."""
    found = check_quota(record)
    assert isinstance(found, Err)
    assert found.error[0] == field
    assert found.error[1].endswith(".")


def test_places_and_counters_have_one_name_each():
    """Two rules count together only if they count the same."""
    records = [
        quota(1),
        quota(1, "tokens"),
        quota(1, period="month"),
        quota(1, model_id="mdl_1"),
        quota(1, per=Scope.KEY),
        quota(1, scope="project", scope_id="prj_1"),
        quota(1, scope="account", scope_id="acc_1"),
        quota(1, scope="end_user", scope_id="acc_1"),
        quota(1, scope="platform"),
    ]
    names = {counter_name(record, "m" if record.per else None) for record in records}
    assert len(names) == len(records)
    assert place_of(records[0]) == "ten_a"
    assert scope_place(Scope.END_USER, "ten_a", "ann") == "ten_a/user:ann"
    assert counter_name(replace(records[0], id="quo_other"), None) == counter_name(records[0], None)


def test_nobody_is_no_end_user():
    """A name with a slash is still somebody."""
    assert is_nobody(nobody_of("ten_a"))
    assert not is_nobody(scope_place(Scope.END_USER, "ten_a", "a/-"))


def test_a_temporary_increase_is_in_force_until_its_end():
    """And not at it."""
    record = quota(1, raised_to=5, raised_until_s=100)
    assert (limit_at(record, 99.9), limit_at(record, 100)) == (5, 1)
    assert limit_at(quota(3), 0) == 3


def test_an_outcome_counts_every_class_once():
    """Input with what was cached, made into images or audio; output with reasoning."""
    row = an_outcome(
        input=1, cached_input=2, cache_write=4, audio=8, image=16, output=32, reasoning=64
    )._replace(cost_nusd=9)
    assert spent(row) == Sizes(1, 127, 31, 96, 9, 0)
    assert spent(row._replace(input=None, output=None, cost_nusd=None)).tokens == 94
