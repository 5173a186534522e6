"""The price book as rows."""

from dataclasses import replace

import pytest

from tollway.app.ports_directory import ConflictError, Page
from tollway.app.views import PriceView, TenantView

RATES = {"input": "2.50", "output": "10", "unit": 1_000_000}
SEED = PriceView("prc_1", "gpt-5", 0, RATES, provider_kind="openai", source="seed")
OWN = PriceView("prc_2", "gpt-5", 100, RATES, tenant_id="ten_1", provider_id="prv_1")


@pytest.fixture
def uow(configuration):
    with configuration.begin() as uow:
        for number in (1, 2):
            uow.tenants.add(TenantView(f"ten_{number}", f"t{number}", f"T{number}"), b"salt")
        yield uow


def ids(uow, **given):
    return [price.id for price in uow.prices.page(Page(), **given)]


def test_a_price_comes_back_as_it_was_given(uow):
    """Every field; the same id only once."""
    for price in (SEED, OWN):
        uow.prices.add(price)
        kept = replace(price, created_s=uow.now_s, version=uow.version)
        assert uow.prices.get(price.id) == kept
    assert uow.prices.get("prc_9") is None
    with pytest.raises(ConflictError):
        uow.prices.add(SEED)


def test_lists_narrow_by_owner_and_model(uow):
    """Everybody's price has no owner."""
    for price in (SEED, OWN, replace(SEED, id="prc_3", model="gpt-4o")):
        uow.prices.add(price)
    assert ids(uow) == ["prc_1", "prc_2", "prc_3"]
    assert ids(uow, model="gpt-5") == ["prc_1", "prc_2"]
    assert ids(uow, owners=[None, "ten_2"]) == ["prc_1", "prc_3"]
    assert ids(uow, owners=["ten_1"], model="gpt-5") == ["prc_2"]


def test_seeding_adds_what_is_not_there(uow):
    """A thousand entries at once, and none of them a second time."""
    entries = [replace(SEED, id=f"prc_{number:04}") for number in range(1201)]
    assert uow.prices.add_seed(entries[:700]) == 700
    assert uow.prices.add_seed(entries) == 501
    assert uow.prices.add_seed(entries) == 0
    assert len(uow.prices.page(Page(5000))) == 1201


def test_a_mistake_can_be_removed(uow):
    """Removing what is not there changes nothing."""
    uow.prices.add(SEED)
    uow.prices.remove("prc_9")
    uow.prices.remove("prc_1")
    assert ids(uow) == []
