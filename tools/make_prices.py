"""Writes the seeded price book, src/tollway/data/prices.json, from the pinned package genai-prices
(MIT). Same package, same bytes. What cannot be said in our terms is in docs/prices.md.

Which model a name belongs to is asked of genai-prices itself, so its order of matching is kept for
every name it knows; its patterns become ours (`*` any characters, `#` a digit).
"""

import json
import re
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, time
from decimal import ROUND_HALF_EVEN, Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any

from genai_prices import data, types

OUTPUT = Path(__file__).parent.parent / "src" / "tollway" / "data" / "prices.json"
# Their provider: under which kinds or hosts of ours its prices stand. Left out are those that one
# host name does not tell (routers that name the provider in the path, hosts of each customer), and
# those that no API of ours speaks.
BOOKS: dict[str, tuple[str, ...]] = {
    "anthropic": ("anthropic",),
    "arcee": ("api.arcee.ai",),
    "avian": ("api.avian.io",),
    "aws": ("bedrock",),
    "azure": ("azure_openai",),
    "baseten": ("inference.baseten.co",),
    "cerebras": ("api.cerebras.ai",),
    "cohere": ("api.cohere.ai", "api.cohere.com"),
    "deepseek": ("api.deepseek.com",),
    "doubleword": ("api.doubleword.ai",),
    "fireworks": ("api.fireworks.ai",),
    "google": ("gemini", "vertex", "generativelanguage.googleapis.com"),
    "groq": ("api.groq.com",),
    "meta": ("api.meta.ai",),
    "minimax": ("api.minimax.io", "api.minimaxi.com"),
    "mistral": ("api.mistral.ai",),
    "moonshotai": ("api.moonshot.ai", "api.moonshot.cn"),
    "novita": ("api.novita.ai",),
    "openai": ("openai",),
    "openrouter": ("openrouter.ai",),
    "ovhcloud": ("oai.endpoints.kepler.ai.cloud.ovh.net",),
    "perplexity": ("api.perplexity.ai",),
    "quicksilverpro": ("api.quicksilverpro.io",),
    "together": ("api.together.xyz",),
    "voyageai": ("api.voyageai.com",),
    "x-ai": ("api.x.ai",),
    "zai": ("api.z.ai",),
    "zhipuai": ("open.bigmodel.cn",),
}
_NANO = Decimal("0.000000001")
# Ours: theirs, of which the dearest counts (we do not know which way audio and images went).
_CLASSES = {
    "input": ("input_mtok",),
    "cached_input": ("cache_read_mtok",),
    "cache_write": ("cache_write_mtok",),
    "output": ("output_mtok",),
    "reasoning": ("output_reasoning_mtok",),
    "audio": ("input_audio_mtok", "output_audio_mtok"),
    "image": ("input_image_mtok", "output_image_mtok"),
}
_HALF_HOURS = [time(minute // 60, minute % 60, 15) for minute in range(0, 24 * 60, 30)]


def main() -> int:
    """Write the book; say what it holds."""
    book = make_book()
    text = render(book)
    OUTPUT.write_text(text, encoding="utf-8")
    models = sum(len(entries) for entries in book["books"].values())
    print(f"{OUTPUT.name}: {models} models of {len(book['books'])} providers, {len(text)} bytes")
    return 0


def make_book() -> dict[str, Any]:
    """`books`: by their provider, `at` (our kinds and hosts) and `models`, each a list of names and
    a list of [from (UTC seconds), rates]."""
    books = {}
    for provider in data.providers:
        if provider.id in BOOKS:
            books[provider.id] = list(_entries(provider))
    return {
        "source": f"genai-prices {version('genai-prices')}",
        "at": {name: list(kinds) for name, kinds in BOOKS.items() if name in books},
        "books": books,
    }


def render(book: dict[str, Any]) -> str:
    """A model a line, so that a change of prices reads as one."""
    lines = [f'{{"source": {json.dumps(book["source"])},', f'"at": {json.dumps(book["at"])},']
    lines.append('"books": {')
    parts = []
    for name, entries in sorted(book["books"].items()):
        rows = ",\n".join(json.dumps(entry, separators=(",", ":")) for entry in entries)
        parts.append(f"{json.dumps(name)}: [\n{rows}\n]")
    return "\n".join([*lines, ",\n".join(parts), "}}"]) + "\n"


def _entries(provider: types.Provider) -> Iterator[list[Any]]:
    models = list(models_of(provider))
    known = {id(model): index for index, model in enumerate(models)}
    names: list[set[str]] = [set() for _ in models]
    for index, model in enumerate(models):
        for name in globs(model.match):
            if "*" in name or "#" in name:
                if index < len(provider.models) or not _is_hidden(provider, name):
                    names[index].add(name)
            else:
                found = provider.find_model(name, all_providers=data.providers)
                assert found is not None, f"{provider.id} lists {name} and does not find it"
                names[known[id(found)]].add(name)
    for model, own in zip(models, names, strict=True):
        steps = list(_steps(model))
        if own and steps:
            yield [sorted(own), steps]


def _is_hidden(provider: types.Provider, pattern: str) -> bool:
    """Whether the provider prices itself what this pattern of another's is about."""
    plain = pattern.replace("#", "1").replace("*", "")
    found = provider.find_model(plain, all_providers=data.providers)
    return any(found is model for model in provider.models)


def models_of(provider: types.Provider) -> Iterator[types.ModelInfo]:
    """The provider's, then those of the providers whose models it serves too."""
    yield from provider.models
    for other in provider.fallback_model_providers or ():
        yield from next(found for found in data.providers if found.id == other).models


def _steps(model: types.ModelInfo) -> Iterator[list[Any]]:
    """From when on it has which rates; nothing where it is not charged by tokens or requests."""
    starts = {datetime(1970, 1, 1, tzinfo=UTC)}
    prices = model.prices
    if not isinstance(prices, types.ModelPrice):
        for one in prices:
            if isinstance(one.constraint, types.StartDateConstraint):
                starts.add(datetime.combine(one.constraint.start_date, time(), tzinfo=UTC))
    last: dict[str, Any] | None = None
    for start in sorted(starts):
        rates = rates_of(_dearest(model, start))
        if rates and rates != last:
            yield [int(start.timestamp()), rates]
        last = rates


def _dearest(model: types.ModelInfo, day: datetime) -> types.ModelPrice:
    """Of prices that change with the hour, the highest: a hold must not be too small."""
    hours = [datetime.combine(day.date(), at, tzinfo=UTC) for at in _HALF_HOURS]
    prices = [model.get_prices(hour) for hour in hours]
    return max(prices, key=lambda price: (_base(price, "output_mtok"), _base(price, "input_mtok")))


def _base(price: types.ModelPrice, key: str) -> Decimal:
    value = getattr(price, key)
    if isinstance(value, types.TieredPrices):
        return value.base
    return Decimal(0) if value is None else value


def rates_of(price: types.ModelPrice) -> dict[str, Any]:
    """Our written form of one of their prices; empty when it has neither tokens nor requests."""
    starts = sorted(
        {
            tier.start
            for value in vars(price).values()
            if isinstance(value, types.TieredPrices)
            for tier in value.tiers
        }
    )
    rates: dict[str, Any] = _classes_of(price, None)
    if price.requests_kcount is not None:
        rates["request"] = _text(_at(price.requests_kcount, None) / 1000)
    tiers = []
    before = dict(rates)
    for start in starts:
        now = _classes_of(price, start)
        changed = {name: rate for name, rate in now.items() if before.get(name) != rate}
        if changed:
            # A tier says what differs from the rates without tiers.
            differing = {name: rate for name, rate in now.items() if rates.get(name) != rate}
            tiers.append({"above_input_tokens": start, **differing})
        before = now
    return {**rates, "tiers": tiers} if tiers else rates


def _classes_of(price: types.ModelPrice, size: int | None) -> dict[str, Any]:
    classes: dict[str, Any] = {}
    for ours, theirs in _CLASSES.items():
        found = [_at(value, size) for key in theirs if (value := getattr(price, key)) is not None]
        if found:
            classes[ours] = _text(max(found))
    return classes


def _at(value: Decimal | types.TieredPrices, above: int | None) -> Decimal:
    """The rate once the input is larger than `above`."""
    if isinstance(value, Decimal):
        return value
    begun = [tier.price for tier in value.tiers if above is not None and tier.start <= above]
    return begun[-1] if begun else value.base


def _text(usd: Decimal) -> str:
    """To a nano-USD: what lies beyond it is where somebody divided floats."""
    text = format(usd.quantize(_NANO, ROUND_HALF_EVEN).normalize(), "f")
    return "0" if text in ("-0", "0") else text


def globs(clause: Any) -> list[str]:
    """Their matching as names and patterns, in small letters."""
    match clause:
        case types.ClauseEquals():
            return [clause.equals.lower()]
        case types.ClauseStartsWith():
            return [f"{clause.starts_with.lower()}*"]
        case types.ClauseEndsWith():
            return [f"*{clause.ends_with.lower()}"]
        case types.ClauseContains():
            return [f"*{clause.contains.lower()}*"]
        case types.ClauseOr():
            return [name for part in clause.or_ for name in globs(part)]
        case types.ClauseAnd():
            # Their second part excludes names that end in -tts, which are models of their own here
            # too: a longer pattern or an exact name.
            first, *rest = clause.and_
            for part in rest:
                assert isinstance(part, types.ClauseRegex), "another kind of `and`"
                assert part.regex.startswith("^(?!"), "another kind of `and`"
            return globs(first)
        case types.ClauseRegex():
            return list(_from_regex(clause.regex))
    raise TypeError(f"another clause than ever: {clause!r}")


_PIECE = re.compile(
    r"\\d(?:\{(?P<times>\d)\})?|\[(?P<set>[^\]\\]+)\]|\((?P<group>(?:[^()])*)\)\?"
    r"|\\(?P<escaped>[^\w])|(?P<plain>[\w/:=-])"
)


def _from_regex(regex: str) -> Iterable[str]:
    """The few forms they use: anchors, digits, a choice of characters, an optional group."""
    assert regex.startswith("^"), regex
    body, end = (regex[1:-1], "") if regex.endswith("$") else (regex[1:], "*")
    return [name.lower() + end for name in _expanded(body)]


def _expanded(body: str) -> list[str]:
    found, place = [""], 0
    while place < len(body):
        piece = _PIECE.match(body, place)
        assert piece is not None, f"another form of regular expression: {body[place:]}"
        place = piece.end()
        if piece["set"]:
            choices = list(piece["set"])
        elif piece["group"] is not None:
            choices = ["", *_expanded(piece["group"])]
        elif piece["escaped"] or piece["plain"]:
            choices = [piece["escaped"] or piece["plain"]]
        else:
            choices = ["#" * int(piece["times"] or 1)]
        found = [name + choice for name in found for choice in choices]
    return found


if __name__ == "__main__":
    sys.exit(main())
