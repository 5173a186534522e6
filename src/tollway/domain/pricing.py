"""What usage costs: rates, and exact sums of them. Which rate is in force is `price_book.py`'s.

Rates are integers, nano-USD for a million tokens, so every published price and every sum is exact;
a cost is rounded once, half up, to a whole nano-USD. No float, no clock.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

from tollway.domain.money import NUSD_PER_USD, usd_text
from tollway.domain.result import Err, Ok, Result
from tollway.domain.usage import USAGE_CLASSES, Usage

_PER = 1_000_000  # tokens that a rate is for
_MAX_TIERS = 8
_MAX_TOKENS = 2**53
_USD = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,9})?")
# What is charged for a class without a rate of its own. Providers that make speech or images have a
# rate for them; where there is none, the audio or image was read, not made.
_INSTEAD = {
    "cached_input": "input",
    "cache_write": "input",
    "reasoning": "output",
    "audio": "input",
    "image": "input",
}


class ClassRates(NamedTuple):
    """Nano-USD for a million tokens of each class of `Usage`; None: the class has no rate."""

    input: int | None = None
    cached_input: int | None = None
    cache_write: int | None = None
    output: int | None = None
    reasoning: int | None = None
    audio: int | None = None
    image: int | None = None


class Tier(NamedTuple):
    """The rates of the whole request once it has more than so many input tokens."""

    above: int
    rates: ClassRates


@dataclass(frozen=True, slots=True)
class Rates:
    """What one model costs: by class, from a size on by other rates (ascending), and for each
    request in nano-USD. Substitutes for missing rates are filled in."""

    base: ClassRates
    tiers: tuple[Tier, ...] = ()
    request_nusd: int = 0


FREE = Rates(ClassRates(*[0] * len(USAGE_CLASSES)))


@dataclass(frozen=True, slots=True)
class Price:
    """One entry of the book, as it is charged. `id` is what receipts name."""

    id: str
    effective_from_s: int
    rates: Rates


def cost_nusd(price: Price, usage: Usage) -> int | None:
    """The cost in nano-USD, rounded half up once. None where usage is not known, or holds tokens of
    a class that has no rate: unknown is not free."""
    if usage.count(None) == len(usage):
        return None
    rates = price.rates
    chosen = rates.base
    if rates.tiers:
        size = _input_tokens(usage)
        for tier in rates.tiers:
            if size > tier.above:
                chosen = tier.rates
    total = 0
    for count, rate in zip(usage, chosen, strict=True):
        if count:
            if rate is None:
                return None
            total += count * rate
    return (total + _PER // 2) // _PER + rates.request_nusd


def text_nusd(price: Price, read: int, written: int) -> int | None:
    """`cost_nusd` of so much text, neither cached nor reasoned."""
    rates = price.rates
    chosen = rates.base
    for tier in rates.tiers:
        if read > tier.above:
            chosen = tier.rates
    if (read and chosen.input is None) or (written and chosen.output is None):
        return None
    total = read * (chosen.input or 0) + written * (chosen.output or 0)
    return (total + _PER // 2) // _PER + rates.request_nusd


def most_nusd(price: Price, read: int, written: int) -> int | None:
    """The most that so many tokens of text can cost, cached or not, reasoned or not. None where the
    price has no rate for them."""
    rates = price.rates
    most = 0
    for classes in (rates.base, *(tier.rates for tier in rates.tiers if read > tier.above)):
        reading = [rate for rate in classes[:3] if rate is not None]
        writing = [rate for rate in classes[3:5] if rate is not None]
        if (read and not reading) or (written and not writing):
            return None
        most = max(most, read * max(reading, default=0) + written * max(writing, default=0))
    return (most + _PER // 2) // _PER + rates.request_nusd


def read_rates(written: Mapping[str, Any]) -> Result[Rates, str]:
    """Rates from their written form: USD for a million tokens as decimal text, by class; `request`:
    USD for each request; `tiers`: objects of the same form with `above_input_tokens` that say only
    what differs. `Err` says what is wrong with which field."""
    known = {*USAGE_CLASSES, "request", "tiers"}
    for name in written:
        if name not in known:
            return Err(f"There is no rate {name!r}; there are {', '.join(sorted(known))}.")
    own = _read_classes(written)
    request = _read_usd(written.get("request", "0"), "request")
    tiers = written.get("tiers", [])
    if isinstance(own, Err):
        return own
    if isinstance(request, Err):
        return request
    if not isinstance(tiers, list) or len(tiers) > _MAX_TIERS:
        return Err(f"tiers is a list of at most {_MAX_TIERS} objects.")
    if not own.value and not request.value:
        return Err("Give a rate: at least one class, or request. Write 0 for what is free.")
    return _read_tiers(own.value, tiers, request.value)


def write_rates(rates: Rates) -> dict[str, Any]:
    """The written form, with every substitute spelled out."""
    written = _write_classes(rates.base)
    if rates.request_nusd:
        written["request"] = usd_text(rates.request_nusd)
    if rates.tiers:
        written["tiers"] = [
            {"above_input_tokens": tier.above, **_write_classes(tier.rates)} for tier in rates.tiers
        ]
    return written


def _input_tokens(usage: Usage) -> int:
    # Audio and images count as input: a model that makes them has no tiers.
    parts = (usage.input, usage.cached_input, usage.cache_write, usage.audio, usage.image)
    return sum(count for count in parts if count is not None)


def _read_tiers(own: dict[str, int], tiers: list[Any], request_nusd: int) -> Result[Rates, str]:
    read: list[Tier] = []
    for tier in tiers:
        if not isinstance(tier, dict):
            return Err("Each tier is an object with above_input_tokens and rates.")
        above = tier.get("above_input_tokens")
        low = read[-1].above if read else 0
        if type(above) is not int or not low < above <= _MAX_TOKENS:
            return Err("above_input_tokens is a whole number of tokens, and larger in each tier.")
        unknown = set(tier) - {*USAGE_CLASSES, "above_input_tokens"}
        if unknown:
            return Err(f"There is no rate {min(unknown)!r} in a tier.")
        changed = _read_classes(tier)
        if isinstance(changed, Err):
            return changed
        read.append(Tier(above, _filled({**own, **changed.value})))
    return Ok(Rates(_filled(own), tuple(read), request_nusd))


def _read_classes(written: Mapping[str, Any]) -> Result[dict[str, int], str]:
    rates: dict[str, int] = {}
    for name in USAGE_CLASSES:
        if name in written:
            read = _read_usd(written[name], name)
            if isinstance(read, Err):
                return read
            rates[name] = read.value
    return Ok(rates)


def _read_usd(written: object, field: str) -> Result[int, str]:
    # A JSON or YAML number with a point would be a float by now, and another number than was meant.
    text = str(written) if type(written) is int else written
    if not isinstance(text, str) or not _USD.fullmatch(text):
        return Err(f'{field} is USD in quotes, up to 999999 with up to 9 decimals, like "0.15".')
    return Ok(int(Decimal(text) * NUSD_PER_USD))


def _write_classes(rates: ClassRates) -> dict[str, Any]:
    return {
        name: usd_text(rate)
        for name, rate in zip(USAGE_CLASSES, rates, strict=True)
        if rate is not None
    }


def _filled(own: Mapping[str, int]) -> ClassRates:
    return ClassRates(*(own.get(name, own.get(_INSTEAD.get(name, ""))) for name in USAGE_CLASSES))
