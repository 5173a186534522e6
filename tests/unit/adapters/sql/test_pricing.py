"""The price book as the shipper reads it."""

from tollway.adapters.sql.pricing import SqlPriceSource
from tollway.app.pricing import PriceList
from tollway.app.views import PriceView, ProviderView
from tollway.domain.price_book import Entry
from tollway.domain.provider import ProviderKind

ENTRY = Entry("prc_1", "small-1", 5, {"input": "1"}, provider_kind="api.groq.com")


def test_entries_and_what_prices_may_stand_under(engine, configuration):
    """The mark moves with every change of either, and with nothing else."""
    source = SqlPriceSource(engine)
    marks = [source.mark()]
    assert source.read() == PriceList([], {})
    with configuration.begin() as uow:
        uow.prices.add_seed([PriceView(*ENTRY)])
        uow.commit()
    marks.append(source.mark())
    with configuration.begin() as uow:
        uow.providers.add(
            ProviderView(
                "prv_1", "groq", ProviderKind.OPENAI_COMPATIBLE, "https://api.groq.com/openai/v1"
            )
        )
        uow.commit()
    marks.append(source.mark())
    assert len(set(marks)) == 3
    assert source.mark() == marks[-1]
    found = source.read()
    assert [entry._replace(created_s=0) for entry in found.entries] == [ENTRY]
    assert found.kinds == {"prv_1": ("openai_compatible", "api.groq.com")}
