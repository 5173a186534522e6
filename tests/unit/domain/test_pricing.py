"""Rates and what they come to: exact integers, rounded once."""

from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway.domain.pricing import (
    FREE,
    ClassRates,
    Price,
    Rates,
    Tier,
    cost_nusd,
    most_nusd,
    read_rates,
    text_nusd,
    write_rates,
)
from tollway.domain.result import Err
from tollway.domain.usage import NO_USAGE, USAGE_CLASSES, Usage

COUNTS = st.none() | st.integers(0, 2**53)
USAGES = st.builds(Usage, *[COUNTS] * 7).filter(lambda usage: usage != NO_USAGE)
RATE = st.integers(0, 10**15 - 1)
CLASSES = st.builds(ClassRates, *[RATE] * 7)
RATES = st.builds(
    lambda base, tiers, request: Rates(
        base, tuple(Tier(above, tiers[above]) for above in sorted(tiers)), request
    ),
    CLASSES,
    st.dictionaries(st.integers(1, 10**6), CLASSES, max_size=3),
    st.integers(0, 10**9),
)


def price(rates):
    return Price("prc_1", 0, rates)


def made(**written):
    return read_rates(written).value


def cost(rates, *usage, **classes):
    return cost_nusd(price(rates), Usage(*usage, **classes))


def test_an_ordinary_call():
    """1,000 input tokens at $2.50 and 100 output tokens at $10 for a million: $0.0035."""
    assert cost(made(input="2.5", output="10"), 1000, output=100) == 3_500_000


def test_every_class_has_its_own_rate():
    """No two classes are mixed up."""
    written = {name: str(2**place) for place, name in enumerate(USAGE_CLASSES)}
    for place, name in enumerate(USAGE_CLASSES):
        assert cost(made(**written), **{name: 1}) == 1000 * 2**place


def test_what_stands_in_for_a_missing_rate():
    """Cached, written, heard and seen is input; thought is output."""
    rates = made(input="1", output="3")
    for name in ("input", "cached_input", "cache_write", "audio", "image"):
        assert cost(rates, **{name: 1_000_000}) == 1_000_000_000
    for name in ("output", "reasoning"):
        assert cost(rates, **{name: 1_000_000}) == 3_000_000_000


def test_rounding_is_half_up_and_once():
    """Half a nano-USD from each of two classes is one, not two; a little less than half is none."""
    rates = made(input="0.0005", output="0.0005")
    assert cost(rates, 1) == 1
    assert cost(rates, 1, output=1) == 1
    assert cost(made(input="0.000499999"), 1) == 0
    assert cost(rates, 3) == 2


def test_unknown_usage_has_no_cost():
    """It is not free: nobody knows. That also holds where the model is free of charge."""
    assert cost_nusd(price(made(input="1", request="1")), NO_USAGE) is None
    assert cost_nusd(price(FREE), NO_USAGE) is None
    assert cost_nusd(price(FREE), Usage(0)) == 0


def test_tokens_without_a_rate_have_no_cost():
    """An embedding's price says nothing about output; of zero tokens nothing has to be said."""
    rates = made(input="0.02")
    assert cost(rates, 1_000_000, output=0) == 20_000_000
    assert cost(rates, 1_000_000, output=1) is None
    assert cost(made(request="0.01"), 1) is None
    assert cost(made(request="0.01"), 0) == 10_000_000


def test_the_whole_request_pays_the_tier():
    """Above the threshold, not at it; the cache counts as input, output does not."""
    rates = made(
        input="1", output="2", tiers=[{"above_input_tokens": 200, "input": "10", "output": "20"}]
    )
    assert cost(rates, 200, output=10_000) == 200 * 1000 + 10_000 * 2000
    assert cost(rates, 201) == 201 * 10_000
    assert cost(rates, 100, 100, output=1) == 200 * 1000 + 2000
    assert cost(rates, 100, 101, output=1) == 201 * 10_000 + 20_000
    assert cost(rates, 50, 50, 50, image=51) == 201 * 10_000


def test_the_highest_tier_that_is_reached_counts():
    """Three tiers, each from where it begins."""
    tiers = [{"above_input_tokens": 10**n, "input": str(n)} for n in (1, 2, 3)]
    rates = made(input="0", tiers=tiers)
    assert [cost(rates, 10**n + 1) // (10**n + 1) for n in range(4)] == [0, 1000, 2000, 3000]


def test_a_tier_says_only_what_differs():
    """The rest stays, and substitutes follow what they stand for."""
    rates = made(input="1", output="3", tiers=[{"above_input_tokens": 5, "input": "2"}])
    assert rates.tiers[0].rates.output == 3_000_000_000
    assert rates.tiers[0].rates.cached_input == 2_000_000_000


@given(RATES, USAGES)
def test_the_cost_is_the_exact_sum_rounded_half_up(rates, usage):
    """Whatever the numbers: the same as with unlimited decimals."""
    size = sum(usage[place] or 0 for place in (0, 1, 2, 5, 6))
    chosen = [rates.base] + [tier.rates for tier in rates.tiers if size > tier.above]
    exact = sum(Decimal(count or 0) * rate for count, rate in zip(usage, chosen[-1], strict=True))
    expected = (exact / 1_000_000).quantize(Decimal(1), ROUND_HALF_UP) + rates.request_nusd
    found = cost_nusd(price(rates), usage)
    assert type(found) is int
    assert found == expected


@given(RATES, USAGES, st.sampled_from(range(7)), st.integers(0, 10**9))
def test_more_tokens_never_cost_less(rates, usage, place, more):
    """Without tiers: a cheaper tier may make the whole request cheaper."""
    rates = Rates(rates.base, (), rates.request_nusd)
    larger = usage._replace(**{USAGE_CLASSES[place]: (usage[place] or 0) + more})
    assert cost_nusd(price(rates), larger) >= cost_nusd(price(rates), usage)


@given(CLASSES, USAGES, USAGES)
def test_costs_add_up(classes, first, second):
    """Two calls cost what one of both sizes costs, but for one rounding more."""
    rates = price(Rates(classes))
    both = Usage(*[(a or 0) + (b or 0) for a, b in zip(first, second, strict=True)])
    apart = cost_nusd(rates, first) + cost_nusd(rates, second)
    assert abs(cost_nusd(rates, both) - apart) <= 1


@given(RATES)
def test_written_rates_read_back(rates):
    """What is shown is what is charged."""
    assert read_rates(write_rates(rates)).value == rates


@pytest.mark.parametrize(
    "written",
    [
        {},
        {"tiers": []},
        {"request": "0"},
        {"input": 0.15},
        {"input": True},
        {"input": None},
        {"input": ""},
        {"input": "-1"},
        {"input": "+1"},
        {"input": "1e3"},
        {"input": "1_000"},
        {"input": "NaN"},
        {"input": "1."},
        {"input": ".5"},
        {"input": " 1"},
        {"input": "1\n"},
        {"input": "\u0661"},
        {"input": "1000000"},
        {"input": "0.0000000001"},
        {"input": -1},
        {"input": 1_000_000},
        {"inputs": "1"},
        {"input": "1", "request": 0.5},
        {"input": "1", "tiers": {}},
        {"input": "1", "tiers": ["x"]},
        {"input": "1", "tiers": [{"input": "2"}]},
        {"input": "1", "tiers": [{"above_input_tokens": 0, "input": "2"}]},
        {"input": "1", "tiers": [{"above_input_tokens": "9", "input": "2"}]},
        {"input": "1", "tiers": [{"above_input_tokens": 1.5, "input": "2"}]},
        {"input": "1", "tiers": [{"above_input_tokens": True, "input": "2"}]},
        {"input": "1", "tiers": [{"above_input_tokens": 2**60, "input": "2"}]},
        {"input": "1", "tiers": [{"above_input_tokens": 9, "inputs": "2"}]},
        {"input": "1", "tiers": [{"above_input_tokens": 9, "input": 0.5}]},
        {"input": "1", "tiers": [{"above_input_tokens": 9}, {"above_input_tokens": 9}]},
        {"input": "1", "tiers": [{"above_input_tokens": n} for n in range(1, 10)]},
    ],
)
def test_what_are_no_rates(written):
    """Nothing is guessed: a float is already another number than was meant."""
    assert isinstance(read_rates(written), Err)


def test_whole_numbers_need_no_quotes():
    """They are exact as they are."""
    assert made(input=3) == made(input="3") == made(input="3.000000000")


def test_the_most_that_text_can_cost():
    """The dearest class it may turn out to be, the dearest tier it may reach, and the request."""
    rates = read_rates(
        {
            "input": "1",
            "cache_write": "1.25",
            "output": "2",
            "reasoning": "3",
            "image": "100",
            "request": "0.5",
            "tiers": [{"above_input_tokens": 1000, "input": "2", "cache_write": "2"}],
        }
    ).value
    price = Price("prc_1", 0, rates)
    assert most_nusd(price, 1000, 10) == 1000 * 1250 + 10 * 3000 + 500_000_000
    assert most_nusd(price, 1001, 0) == 1001 * 2000 + 500_000_000
    only_input = Price("prc_2", 0, read_rates({"input": "1"}).value)
    assert most_nusd(only_input, 1, 0) == 1000
    assert most_nusd(only_input, 1, 1) is None
    assert most_nusd(Price("prc_3", 0, read_rates({"output": "1"}).value), 1, 1) is None


@given(RATES, st.integers(0, 10**7), st.integers(0, 10**7))
def test_text_costs_what_such_usage_costs(rates, read, written):
    """The short way and the long way agree."""
    assert text_nusd(price(rates), read, written) == cost_nusd(
        price(rates), Usage(input=read, output=written)
    )


@pytest.mark.parametrize("written", [{"input": "1"}, {"output": "1"}])
@pytest.mark.parametrize(("read", "wrote"), [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_text_of_a_class_without_a_rate_has_no_cost(written, read, wrote):
    """As with such usage."""
    one = Price("prc_1", 0, read_rates(written).value)
    usage = Usage(input=read, output=wrote)
    assert text_nusd(one, read, wrote) == cost_nusd(one, usage)
