"""Prices: made by the platform, in force from their time on, never taken from under a receipt."""

from dataclasses import replace

import pytest

from tests.fakes import database
from tests.fakes.acting import PLATFORM_ADMIN, acting, actor, done, facts, furnish, refused, work_of
from tests.fakes.database import NOW_S
from tollway.app.admin.commands.prices import PriceSpec, create_price, delete_price
from tollway.app.admin.queries.routing import list_prices, read_price
from tollway.app.ports_directory import Page

ADMIN = actor(ten_open="tenant_admin")
STRANGER = actor("eve", ten_listed="user")
RATES = {"input": "0.15", "output": "0.6"}


@pytest.fixture
def work(tmp_path):
    engine = database.database(tmp_path)
    with database.configuration(engine).begin() as uow:
        furnish(uow)
        yield work_of(uow, PLATFORM_ADMIN)
    engine.dispose()


def spec(model="gpt-5-mini", **fields):
    return PriceSpec(model, fields.pop("rates", RATES), **fields)


def test_a_price_begins_now_or_when_it_is_said(work):
    """Its rates are kept as they were written: exact."""
    price = done(create_price(work, spec()))
    assert (price.effective_from_s, price.rates, price.source) == (NOW_S, RATES, "admin")
    assert done(read_price(work, price.id)) == price
    assert done(create_price(work, spec(effective_from_s=5))).effective_from_s == 5
    assert facts(work.uow)[0] == (
        "price.created",
        price.id,
        {"model": "gpt-5-mini", "effective_from_s": NOW_S, "rates": RATES},
    )


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (spec("two words"), "model"),
        (spec("a**"), "model"),
        (spec(rates={}), "rates"),
        (spec(rates={"input": 0.15}), "rates"),
        (spec(rates={"input": "1e3"}), "rates"),
        (spec(rates={"thinking": "1"}), "rates"),
        (spec(effective_from_s=-1), "effective_from"),
        (spec(effective_from_s=2**60), "effective_from"),
        (spec(provider_kind="Open AI"), "provider_kind"),
        (spec(provider_kind="openai", provider_id="prv_platform"), "provider_kind"),
        (spec(provider_id="prv_none"), "provider_id"),
        (spec(provider_id="prv_open"), "provider_id"),
        (spec(provider_id="prv_listed", tenant_id="ten_open"), "provider_id"),
    ],
)
def test_what_is_refused_by_its_field(work, wrong, field):
    """And nothing is written."""
    assert refused(create_price(work, wrong)) == ("invalid", field)
    assert work.uow.prices.page(Page()) == []
    assert facts(work.uow) == []


def test_a_price_may_hold_for_one_tenant_and_place(work):
    """At the platform's provider or its own."""
    for provider_id in ("prv_open", "prv_platform", None):
        made = create_price(work, spec(tenant_id="ten_open", provider_id=provider_id))
        assert done(made).provider_id == provider_id
    assert done(create_price(work, spec(provider_kind="api.example.com")))
    assert refused(create_price(work, spec(tenant_id="ten_none"))) == ("not_found", "")


def test_only_the_platform_makes_prices(work):
    """A tenant's people read; another's tenant does not exist for them."""
    price = done(create_price(work, spec(effective_from_s=NOW_S + 60)))
    theirs = acting(work, ADMIN)
    assert refused(create_price(theirs, spec()))[0] == "forbidden"
    assert refused(create_price(theirs, spec(tenant_id="ten_open")))[0] == "forbidden"
    assert refused(create_price(theirs, spec(tenant_id="ten_listed"))) == ("not_found", "")
    assert refused(delete_price(theirs, price.id))[0] == "forbidden"
    assert refused(delete_price(theirs, "prc_none"))[0] == "forbidden"


def test_what_was_agreed_with_a_tenant_is_theirs_to_read(work):
    """Everybody's price is everybody's; another tenant's does not exist."""
    shared = done(create_price(work, spec())).id
    own = done(create_price(work, spec(tenant_id="ten_open"))).id
    other = done(create_price(work, spec("gpt-5", tenant_id="ten_listed"))).id

    def seen(who, **given):
        return {price.id for price in done(list_prices(acting(work, who), Page(), **given))}

    assert seen(PLATFORM_ADMIN) == {shared, own, other}
    assert seen(ADMIN) == {shared, own}
    assert seen(STRANGER) == {shared, other}
    assert seen(STRANGER, model="gpt-5") == {other}
    assert done(read_price(acting(work, ADMIN), own))
    assert refused(read_price(acting(work, STRANGER), own)) == ("not_found", "")
    assert refused(read_price(acting(work, STRANGER), "prc_none")) == ("not_found", "")


def test_only_a_price_that_has_not_begun_can_be_taken_out(work):
    """One in force has billed requests."""
    begun = done(create_price(work, spec()))
    future = done(create_price(work, spec(effective_from_s=NOW_S + 1)))
    stale = acting(work, PLATFORM_ADMIN, request=replace(work.request, if_match=-1))
    assert refused(delete_price(stale, future.id))[0] == "precondition"
    assert refused(delete_price(work, begun.id)) == ("conflict", "")
    done(delete_price(work, future.id))
    assert refused(delete_price(work, future.id)) == ("not_found", "")
    assert [fact[0] for fact in facts(work.uow)] == ["price.created"] * 2 + ["price.deleted"]
