"""The seeded book is what the pinned genai-prices says, in our terms, but for named differences."""

import re
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal

import pytest
from genai_prices import Usage as Theirs
from genai_prices import data, types

from tollway.adapters.system.price_seed import read_seed, seed_source
from tollway.domain.price_book import Place, PriceBook, find_price
from tollway.domain.pricing import cost_nusd, read_rates
from tollway.domain.usage import Usage
from tools.make_prices import BOOKS, OUTPUT, globs, make_book, models_of, rates_of, render

# In the dearest hour of providers whose prices change with the hour.
NOON = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
BEFORE = datetime(2025, 1, 10, 3, 0, tzinfo=UTC)
PROVIDERS = [provider for provider in data.providers if provider.id in BOOKS]
USAGES = [
    Usage(1000, output=200),
    Usage(10, 5, 3, 7, 2),
    Usage(90_000, 10_000, 1000, 1234, 567),
    Usage(200_000, output=1),
    Usage(150_000, 50_000, 1, 999, 1),
    Usage(999_999, 1, 0, 65_536, 4096),
    Usage(0, output=1),
]


@pytest.fixture(scope="module")
def book():
    return PriceBook(read_seed())


def names_of(model):
    """Names that the model's matching is about: its own, and its patterns filled with something."""
    for name in globs(model.match):
        if "*" in name or "#" in name:
            for filling in ("", "-x", "-preview", "-20250101", "@001", "zz-"):
                filled = name.replace("#", "1").replace("*", filling)
                if filled:
                    yield filled
        else:
            yield name


def told(usage):
    """The same usage in their terms: totals, and parts of them."""
    return Theirs(
        input_tokens=usage.input + (usage.cached_input or 0) + (usage.cache_write or 0),
        cache_read_tokens=usage.cached_input,
        cache_write_tokens=usage.cache_write,
        output_tokens=usage.output + (usage.reasoning or 0),
        output_reasoning_tokens=usage.reasoning,
    )


def theirs(model, provider, usage, at):
    """Their price in nano-USD, before rounding."""
    priced = model.calc_price(told(usage), provider, genai_request_timestamp=at)
    return priced.total_price * 10**9


def test_the_book_is_what_the_tool_makes():
    """Nobody edited it, and it is of the installed version: otherwise run `make prices`."""
    assert OUTPUT.read_text() == render(make_book())


def test_the_book_is_small():
    """It is in every wheel, and every entry is a row."""
    assert OUTPUT.stat().st_size < 500_000
    assert len(read_seed()) < 6000


def test_every_entry_can_be_read(book):
    """And stands once."""
    assert book.skipped == []
    ids = [entry.id for entry in read_seed()]
    assert len(set(ids)) == len(ids) > 3000
    assert seed_source().startswith("genai-prices 0.")


def test_hosts_are_those_of_the_provider():
    """Where our kind is a host, their pattern knows it."""
    for provider in PROVIDERS:
        for place in BOOKS[provider.id]:
            if "." in place and place != "api.minimaxi.com":
                assert re.match(provider.api_pattern, f"https://{place}/v1"), place


@pytest.mark.parametrize("at", [NOON, BEFORE], ids=["now", "then"])
def test_the_same_price_for_every_name(book, at):
    """Each name leads to the same rates as theirs, at each of our places. More than 6,000 names."""
    compared = 0
    for provider in PROVIDERS:
        names = {name for model in models_of(provider) for name in names_of(model)}
        for name in names:
            model = provider.find_model(name, all_providers=data.providers)
            written = rates_of(model.get_prices(at))
            expected = read_rates(written).value if written else None
            for kind in BOOKS[provider.id]:
                found = find_price(book, Place((kind,)), name, at_s=int(at.timestamp()))
                assert (found and found.rates) == expected, (provider.id, name)
            compared += 1
    assert compared > 5000


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda provider: provider.id)
@pytest.mark.parametrize("at", [NOON, BEFORE], ids=["now", "then"])
def test_the_same_cost(book, provider, at):
    """Of text, cached, written and thought, to the last nano-USD, below, at and above each tier."""
    for model in provider.models:
        name = next(names_of(model))
        found = provider.find_model(name, all_providers=data.providers)
        price = find_price(book, Place((BOOKS[provider.id][0],)), name, at_s=int(at.timestamp()))
        if price is None:
            continue
        for usage in USAGES:
            ours = cost_nusd(price, usage)
            if ours is None:  # output of a model that has none: they count it as free
                assert price.rates.base.output is None
                continue
            exact = theirs(found, provider, usage, at)
            # Rates that somebody divided as floats are rounded to a nano-USD for a million tokens.
            slack = 1 if _has_floats(found, at) else 0
            assert abs(ours - exact.quantize(Decimal(1), ROUND_HALF_UP)) <= slack, (name, usage)


def _has_floats(model, at):
    values = [value for value in vars(model.get_prices(at)).values() if value is not None]
    flat = [value.base if isinstance(value, types.TieredPrices) else value for value in values]
    return any(-value.normalize().as_tuple().exponent > 9 for value in flat)


def test_enough_was_compared(book):
    """Pairs of model and usage that both price."""
    models = sum(len(provider.models) for provider in PROVIDERS)
    assert models * len(USAGES) > 300


def test_audio_is_never_cheaper_than_theirs(book):
    """Ours does not say which way it went, so the dearer way counts; where one way has a rate, it
    is the same."""
    compared = 0
    for provider in PROVIDERS:
        for model in provider.models:
            prices = model.get_prices(NOON)
            if prices.input_audio_mtok is None or prices.input_mtok is None:
                continue
            name = next(names_of(model))
            price = find_price(
                book, Place((BOOKS[provider.id][0],)), name, at_s=int(NOON.timestamp())
            )
            usage = Theirs(input_tokens=1000, input_audio_tokens=1000, output_tokens=0)
            exact = prices.calc_price(usage)["total_price"] * 10**9 - _request(prices)
            ours = cost_nusd(price, Usage(0, output=0, audio=1000)) - price.rates.request_nusd
            assert ours >= exact
            if prices.output_audio_mtok is None:
                assert ours == exact
            compared += 1
    assert compared > 5


def _request(prices):
    return 0 if prices.requests_kcount is None else prices.requests_kcount * 10**6


def test_the_dearest_hour_counts(book):
    """DeepSeek is cheaper by night: ours is the price by day, at any hour."""
    provider = next(one for one in PROVIDERS if one.id == "deepseek")
    night = NOON.replace(hour=20)
    usage = Usage(1_000_000, output=0)
    price = find_price(
        book, Place(("api.deepseek.com",)), "deepseek-flash", at_s=int(night.timestamp())
    )
    model = provider.find_model("deepseek-flash")
    assert cost_nusd(price, usage) == theirs(model, provider, usage, NOON)
    assert cost_nusd(price, usage) > theirs(model, provider, usage, night)


def test_the_price_of_a_name_changes_with_its_day(book):
    """A price is in force from midnight UTC of its first day."""
    changes = [entry for entry in read_seed() if entry.effective_from_s]
    assert len(changes) > 50
    for entry in changes[:50]:
        place = Place((entry.provider_kind,))
        at = entry.effective_from_s
        assert at % 86_400 == 0
        assert find_price(book, place, _filled(entry.model), at_s=at).effective_from_s == at
        before = find_price(book, place, _filled(entry.model), at_s=at - 1)
        assert before is None or before.effective_from_s < at


def _filled(model):
    return model.replace("#", "1").replace("*", "")


@pytest.mark.parametrize(
    ("clause", "names"),
    [
        (types.ClauseRegex(r"^a\.b-\d{4}-\d{2}$"), ["a.b-####-##"]),
        (types.ClauseRegex(r"^a-\d"), ["a-#*"]),
        (types.ClauseRegex(r"^a[-@]\d{2}$"), ["a-##", "a@##"]),
        (types.ClauseRegex(r"^(x/)?a(-\d{2})?$"), ["a", "a-##", "x/a", "x/a-##"]),
        (types.ClauseRegex(r"^a\[fast=true\]$"), ["a[fast=true]"]),
        (types.ClauseContains("Claude"), ["*claude*"]),
    ],
)
def test_patterns_in_our_terms(clause, names):
    """Regular expressions become plain names, stars and digits."""
    assert globs(clause) == names


def test_another_form_of_pattern_is_refused():
    """A new version of the package may bring what cannot be said: the tool stops."""
    for regex in (r"a", r"^a+$", r"^(a|b)$", r"^a.*b$", r"^a{2}$"):
        with pytest.raises(AssertionError):
            globs(types.ClauseRegex(regex))
