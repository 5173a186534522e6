"""Which price is in force: whose, where, for which name, since when."""

import pytest

from tollway.domain.price_book import (
    Entry,
    Place,
    PriceBook,
    check_pattern,
    find_price,
    price_kinds,
)

NOW = 1_000
PLACE = Place(("openai_compatible", "api.groq.com"), "prv_1", "ten_1")


def entry(id_, model="m", effective_from_s=0, **fields):
    return Entry(id_, model, effective_from_s, {"input": "1"}, **fields)


def found(entries, model="m", at_s=NOW, place=PLACE):
    price = find_price(PriceBook(entries), place, model, at_s=at_s)
    return None if price is None else price.id


# From the weakest claim to the strongest.
CLAIMS = [
    entry("seed any", source="seed"),
    entry("seed host", source="seed", provider_kind="api.groq.com"),
    entry("seed kind", source="seed", provider_kind="openai_compatible"),
    entry("any"),
    entry("host", provider_kind="api.groq.com"),
    entry("kind", provider_kind="openai_compatible"),
    entry("provider", provider_id="prv_1"),
    entry("tenant", tenant_id="ten_1"),
    entry("tenant, kind", tenant_id="ten_1", provider_kind="openai_compatible"),
    entry("tenant, provider", tenant_id="ten_1", provider_id="prv_1"),
]
STRANGERS = [
    entry("other tenant", tenant_id="ten_2"),
    entry("other tenant here", tenant_id="ten_2", provider_id="prv_1"),
    entry("other kind", provider_kind="openai"),
    entry("other provider", provider_id="prv_2", provider_kind="openai_compatible"),
    entry("other name", model="mm"),
]


@pytest.mark.parametrize("count", range(1, len(CLAIMS) + 1))
@pytest.mark.parametrize("backwards", [False, True])
def test_the_closest_claim_wins(count, backwards):
    """In whatever order the entries come, and whatever else is in the book."""
    entries = [*STRANGERS, *CLAIMS[:count]]
    assert found(entries[::-1] if backwards else entries) == CLAIMS[count - 1].id


def test_what_is_not_ours_is_not_found():
    """Another tenant's agreement, another provider's price."""
    assert found(STRANGERS) is None
    assert found(CLAIMS, model="other") is None
    assert found([], model="m") is None


def test_without_tenant_or_provider_only_everybodys_prices_count():
    """The platform asks for its own models."""
    assert found(CLAIMS, place=Place(("openai_compatible",))) == "kind"


def test_the_last_that_has_begun_is_in_force():
    """From its second on; before the first there is none."""
    entries = [entry(str(at), effective_from_s=at) for at in (300, 100, 200)]
    ids = [found(entries, at_s=at) for at in (99, 100, 199, 200, 299, 300, 10**12)]
    assert ids == [None, "100", "100", "200", "200", "300", "300"]


def test_of_two_that_begin_at_once_the_later_made_one_counts():
    """And of two made at once the greater id, so that all processes charge the same."""
    entries = [entry("b", created_s=1), entry("a", created_s=2), entry("c", created_s=1)]
    assert found(entries) == found(entries[::-1]) == "a"
    assert found([entries[0], entries[2]]) == found([entries[2], entries[0]]) == "c"


def test_a_closer_price_that_has_not_begun_hides_nothing():
    """Until then the other one is in force."""
    entries = [entry("seed", source="seed"), entry("own", effective_from_s=NOW + 1)]
    assert found(entries) == "seed"
    assert found(entries, at_s=NOW + 1) == "own"
    entries = [entry("name", effective_from_s=NOW + 1), entry("pattern", model="m*")]
    assert found(entries) == "pattern"


@pytest.mark.parametrize(
    ("pattern", "names", "others"),
    [
        ("gpt-4o*", ["gpt-4o", "GPT-4o-mini", "gpt-4o\\d"], ["xgpt-4o", "gpt-4"]),
        ("*claude", ["claude", "eu/claude"], ["claude-2"]),
        ("*claude*", ["claude", "eu/claude", "claude-2", "a-claude-b"], ["claud"]),
        ("a*b", ["ab", "axb", "abab"], ["a", "abc"]),
        ("gpt-5-####-##-##", ["gpt-5-2026-01-02"], ["gpt-5-2026-01-2", "gpt-5-2026-01-02-x"]),
        ("gpt-5-#*", ["gpt-5-1", "gpt-5-1x"], ["gpt-5-", "gpt-5-x"]),
        ("c++.[x]|(y)", ["c++.[x]|(y)", "C++.[X]|(Y)"], ["c+", "c++x[x]|(y)"]),
        ("#", ["7"], ["77", "x", "²", "٣"]),
    ],
)
def test_patterns(pattern, names, others):
    """`*` any characters, `#` one digit, all else itself, in small and large letters."""
    assert [found([entry("p", pattern)], model=name) for name in names] == ["p"] * len(names)
    assert [found([entry("p", pattern)], model=name) for name in others] == [None] * len(others)


def test_the_name_beats_the_pattern_and_the_longer_pattern_the_shorter():
    """In whatever order they come."""
    names = ["*", "gpt*", "gpt-4*", "gpt-4o*", "gpt-4o-####", "gpt-4o-2024"]
    entries = [entry(name, model=name) for name in names]
    for count in range(1, len(names) + 1):
        assert found(entries[:count], model="gpt-4o-2024") == names[count - 1]
        assert found(entries[:count][::-1], model="gpt-4o-2024") == names[count - 1]


def test_a_date_without_hyphens_is_the_same_date():
    """As some gateways write it; a name that is in the book as it stands comes first."""
    dashed = entry("dashed", "gpt-5-2025-12-11")
    assert found([dashed], model="GPT-5-20251211") == "dashed"
    assert found([dashed], model="gpt-5-20251311") is None
    assert found([dashed, entry("plain", "gpt-5-20251211")], model="gpt-5-20251211") == "plain"


def test_at_vertex_a_publisher_may_stand_before_the_name():
    """An entry that has it goes first; elsewhere a name with a slash is another."""
    bare, whole = entry("bare", "claude-x@1"), entry("whole", "anthropic/claude-x@1")
    vertex = Place(("vertex",))
    for model in ("anthropic/claude-x@1", "publishers/anthropic/models/claude-x@1"):
        assert found([bare], model=model, place=vertex) == "bare"
        assert found([bare], model=model) is None
    assert found([bare, whole], model="anthropic/claude-x@1", place=vertex) == "whole"


def test_what_cannot_be_read_is_left_out_and_named():
    """A row that somebody edited does not take the book away."""
    bad = [
        Entry("rates", "m", 0, {"input": 0.5}),
        entry("stars", "a*b*c*"),
        entry("empty", ""),
        entry("spaces", "a b"),
    ]
    book = PriceBook([*bad, entry("good")])
    assert book.skipped == ["rates", "stars", "empty", "spaces"]
    assert find_price(book, PLACE, "m", at_s=NOW).id == "good"


@pytest.mark.parametrize("model", ["", "a b", "a\n", "é", "x" * 201, "*a*b*", "**", "a**"])
def test_what_is_no_model(model):
    """Short, plain, and at most two stars: matching never takes long."""
    assert check_pattern(model) is not None


@pytest.mark.parametrize("model", ["m", "x" * 200, "*", "*a*", "a*b*", "~org/m:free", "m[x=1]"])
def test_what_is_a_model(model):
    """What providers call theirs."""
    assert check_pattern(model) is None


@pytest.mark.parametrize(
    ("kind", "base_url", "kinds"),
    [
        ("openai", "https://api.openai.com/v1", ("openai",)),
        ("openai", "https://proxy.corp/v1", ("openai",)),
        ("anthropic", "", ("anthropic",)),
        (
            "openai_compatible",
            "https://API.groq.com:443/openai/v1",
            ("openai_compatible", "api.groq.com"),
        ),
        ("openai_compatible", "http://[::1]:8000", ("openai_compatible", "::1")),
        (
            "openai_compatible",
            "https://api.openai.com/v1",
            ("openai_compatible", "api.openai.com", "openai"),
        ),
        ("openai_compatible", "", ("openai_compatible",)),
        ("openai_compatible", "http://[", ("openai_compatible",)),
    ],
)
def test_where_a_providers_prices_stand(kind, base_url, kinds):
    """A compatible API is known by its host; OpenAI's host is OpenAI, whatever it is called."""
    assert price_kinds(kind, base_url) == kinds
