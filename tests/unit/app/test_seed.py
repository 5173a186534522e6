"""The package's prices are put into the book once."""

from tests.fakes.acting import facts
from tests.fakes.database import configuration, database
from tollway.app.jobs.seed import seed_prices
from tollway.domain.price_book import Entry


def entry(number, *, rate="0.15"):
    return Entry(f"prc_{number}", f"m{number}", 0, {"input": rate}, source="seed")


def test_seeding_again_adds_nothing(tmp_path):
    """One row in the audit for all that was added, none for nothing; what is there stays."""
    engine = database(tmp_path)
    units = configuration(engine)
    assert seed_prices(units, [entry(1), entry(2)]) == 2
    assert seed_prices(units, [entry(1, rate="9"), entry(2)]) == 0
    assert seed_prices(units, []) == 0
    assert seed_prices(units, [entry(2), entry(3)]) == 1
    with units.read() as uow:
        assert [fact[2] for fact in facts(uow)] == [{"added": 2}, {"added": 1}]
        stored = uow.prices.get("prc_1")
        assert (stored.rates, stored.source) == ({"input": "0.15"}, "seed")
    engine.dispose()
