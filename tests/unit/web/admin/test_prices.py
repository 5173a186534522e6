"""`/prices` on the wire: exact decimal text, never a number with a point."""

import pytest

from tests.fakes.acting import furnish
from tests.fakes.control_plane import ControlPlane
from tests.fakes.database import NOW_S, database
from tollway.app.views import PriceView

NONE = dict.fromkeys(
    ("input", "cached_input", "cache_write", "output", "reasoning", "audio", "image")
)
RATES = {
    "input": "0.15",
    "output": "0.600000001",
    "request": "0.01",
    "tiers": [{"above_input_tokens": 200_000, "input": "0.3"}],
}


@pytest.fixture
def plane(tmp_path):
    engine = database(tmp_path)
    plane = ControlPlane(engine)
    with plane.configuration.begin() as uow:
        furnish(uow)
        uow.commit()
    yield plane
    plane.close()
    engine.dispose()


def test_a_price_is_made_read_listed_and_deleted(plane):
    """What was written comes back to the last digit."""
    body = {"model": "gpt-5-mini", "rates": RATES, "effective_from": "2027-01-31T12:00:00+01:00"}
    answer = plane.ask("POST", "/prices", body=body)
    price = answer.json
    assert answer.status == 201, answer.body
    assert price == {
        "id": price["id"],
        "model": "gpt-5-mini",
        "rates": {**NONE, **RATES, "tiers": [{**NONE, **RATES["tiers"][0]}]},
        "effective_from": "2027-01-31T11:00:00Z",
        "tenant_id": None,
        "provider_kind": None,
        "provider_id": None,
        "source": "admin",
        "created_at": "2023-11-14T22:13:20Z",
    }
    path = f"/prices/{price['id']}"
    assert answer.headers["location"] == f"/api/v1{path}"
    assert plane.ask("GET", path).json == price
    assert plane.ask("GET", "/prices", query={"model": "gpt-5-mini"}).json["data"] == [price]
    assert plane.ask("GET", "/prices", query={"model": "gpt-5"}).json["data"] == []
    again = plane.ask("POST", "/prices", body={"model": "x", "rates": price["rates"]})
    assert again.json["rates"] == price["rates"]
    assert plane.ask("DELETE", f"/prices/{again.json['id']}").status == 409
    assert plane.ask("DELETE", path).status == 204
    assert plane.ask("GET", path).status == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"model": "x", "rates": {"input": 0.15}}, "rates.input"),
        ({"model": "x", "rates": {"input": "0.0000000001"}}, "rates.input"),
        ({"model": "x", "rates": {"input": "-1"}}, "rates.input"),
        ({"model": "x", "rates": {"thinking": "1"}}, "rates.thinking"),
        ({"model": "x", "rates": {}}, "rates"),
        (
            {"model": "x", "rates": {"input": "1", "tiers": [{}]}},
            "rates.tiers.0.above_input_tokens",
        ),
        ({"model": "x", "rates": RATES, "effective_from": "2027-01-31"}, "effective_from"),
        (
            {"model": "x", "rates": RATES, "effective_from": "0001-01-01T00:00:00Z"},
            "effective_from",
        ),
        ({"model": "x", "rates": RATES, "currency": "EUR"}, "currency"),
        ({"model": "x y", "rates": RATES}, "model"),
    ],
)
def test_what_cannot_be_is_named(plane, body, field):
    """400, the field at fault, nothing written."""
    answer = plane.ask("POST", "/prices", body=body)
    assert (answer.status, answer.json["errors"][0]["field"]) == (400, field)
    assert plane.published == []


def test_rates_kept_as_whole_numbers_are_shown_as_text(plane):
    """A file may have written them so."""
    rates = {"input": 2, "tiers": [{"above_input_tokens": 5, "output": 3}]}
    with plane.configuration.begin() as uow:
        uow.prices.add(PriceView("seed_1", "m", NOW_S, rates, source="seed"))
        uow.commit()
    shown = plane.ask("GET", "/prices/seed_1").json["rates"]
    assert shown == {
        **NONE,
        "input": "2",
        "request": None,
        "tiers": [{**NONE, "above_input_tokens": 5, "output": "3"}],
    }
