"""Which price is in force: of the entries that fit, the one closest to the asker, then the one that
names the model best, then the newest that has begun.

Names are compared without regard to case. In a pattern `*` stands for any characters and `#` for
one digit. There are no regular expressions in the book: a pattern cannot be made to take long.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from tollway.domain.ids import ProviderId, TenantId
from tollway.domain.origin import parse_base_url
from tollway.domain.pricing import Price, Rates, read_rates
from tollway.domain.provider import DEFAULT_BASE_URLS, ProviderKind
from tollway.domain.result import Err
from tollway.domain.vertex import bare_name

SEED = "seed"
MAX_MODEL_CHARS = 200
_MAX_STARS = 2  # each doubles the exponent of the time a match can take
_MODEL = re.compile(r"[!-~]{1,200}")
# `gpt-5.2-20251211`, as some gateways write `gpt-5.2-2025-12-11`.
_COMPACT_DATE = re.compile(r"-(20[0-9]{2})(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])(?=-|:|$)")


class Entry(NamedTuple):
    """One row of the book. Whose: a tenant's, or everybody's (None). Where: at one provider, or at
    a kind of provider (or the host of an OpenAI-compatible API), or wherever (both None)."""

    id: str
    model: str
    effective_from_s: int
    rates: Mapping[str, Any]
    tenant_id: TenantId | None = None
    provider_kind: str | None = None
    provider_id: ProviderId | None = None
    source: str = "admin"
    created_s: int = 0


class Place(NamedTuple):
    """Whose price at which provider. `kinds` is what `price_kinds` gives."""

    kinds: tuple[str, ...]
    provider_id: ProviderId | None = None
    tenant_id: TenantId | None = None


_Where = tuple[bool, TenantId | None, ProviderId | None, str | None]


class _Shelf:
    """The entries of one asker and place, by model."""

    __slots__ = ("_named", "_patterns")

    def __init__(self, entries: Iterable[tuple[Entry, Rates]]) -> None:
        self._named: dict[str, list[Price]] = {}
        # Of two that begin at once, the later made one is behind the other.
        ordered = sorted(
            entries, key=lambda one: (one[0].effective_from_s, one[0].created_s, one[0].id)
        )
        for entry, rates in ordered:
            price = Price(entry.id, entry.effective_from_s, rates)
            self._named.setdefault(entry.model.lower(), []).append(price)
        patterns = [name for name in self._named if is_pattern(name)]
        patterns.sort(key=lambda name: (-len(name.replace("*", "")), name.count("*"), name))
        self._patterns = [(compile_pattern(name), self._named.pop(name)) for name in patterns]

    def find(self, model: str, at_s: int) -> Price | None:
        named = self._named.get(model)
        found = None if named is None else _newest(named, at_s)
        if found is not None:
            return found
        for pattern, prices in self._patterns:
            if pattern.fullmatch(model):
                found = _newest(prices, at_s)
                if found is not None:
                    return found
        return None


class PriceBook:
    """Entries, sorted for looking up. Those that cannot be read are left out: ids in `skipped`."""

    __slots__ = ("_shelves", "skipped")

    def __init__(self, entries: Iterable[Entry]) -> None:
        self.skipped: list[str] = []
        grouped: dict[_Where, list[tuple[Entry, Rates]]] = {}
        for entry in entries:
            rates = self._read(entry)
            if rates is not None:
                kind = entry.provider_kind if entry.provider_id is None else None
                where = (entry.source == SEED, entry.tenant_id, entry.provider_id, kind)
                grouped.setdefault(where, []).append((entry, rates))
        self._shelves = {where: _Shelf(found) for where, found in grouped.items()}

    def find(self, place: Place, model: str, *, at_s: int) -> Price | None:
        """See `find_price`."""
        shelves = [shelf for where in _ranked(place) if (shelf := self._shelves.get(where))]
        model = model.lower()
        names = [model, _COMPACT_DATE.sub(r"-\1-\2-\3", model)]
        if ProviderKind.VERTEX in place.kinds:
            names.append(bare_name(model))
        for shelf in shelves:
            for name in dict.fromkeys(names):
                found = shelf.find(name, at_s)
                if found is not None:
                    return found
        return None

    def _read(self, entry: Entry) -> Rates | None:
        read = read_rates(entry.rates)
        if isinstance(read, Err) or check_pattern(entry.model) is not None:
            self.skipped.append(entry.id)
            return None
        return read.value


def find_price(book: PriceBook, place: Place, model: str, *, at_s: int) -> Price | None:
    """The price of an upstream model at a second (UTC), or None. The tenant's before everybody's,
    the provider's before its kind's before any; all own entries before all seeded ones; an exact
    name before the longest pattern; of those, the last that has begun."""
    return book.find(place, model, at_s=at_s)


def price_kinds(kind: str, base_url: str) -> tuple[str, ...]:
    """What a provider's prices may stand under: its kind; an OpenAI-compatible one's host; and the
    kind that is at home at that host."""
    if kind != ProviderKind.OPENAI_COMPATIBLE:
        return (kind,)
    host = _host(base_url)
    homes = [str(other) for other, url in DEFAULT_BASE_URLS.items() if _host(url) == host]
    return (kind, *([host] if host else []), *homes)


def check_pattern(model: str) -> str | None:
    """None, or what is wrong with an entry's model."""
    if not _MODEL.fullmatch(model):
        return f"The model is 1 to {MAX_MODEL_CHARS} printable characters without spaces."
    if model.count("*") > _MAX_STARS or "**" in model:
        return f"A model has at most {_MAX_STARS} stars, not side by side."
    return None


def is_pattern(model: str) -> bool:
    """Whether it stands for many names."""
    return "*" in model or "#" in model


def compile_pattern(model: str) -> re.Pattern[str]:
    """A checked pattern, to be matched against a whole name in small letters."""
    text = re.escape(model.lower()).replace(r"\*", ".*").replace(r"\#", "[0-9]")
    return re.compile(text)


def _ranked(place: Place) -> Iterator[_Where]:
    kinds, provider_id, tenant_id = place
    owners = (None,) if tenant_id is None else (tenant_id, None)
    for seeded in (False, True):
        for owner in owners:
            if provider_id is not None:
                yield seeded, owner, provider_id, None
            for kind in kinds:
                yield seeded, owner, None, kind
            yield seeded, owner, None, None


def _newest(prices: list[Price], at_s: int) -> Price | None:
    begun = bisect_right(prices, at_s, key=lambda price: price.effective_from_s)
    return prices[begun - 1] if begun else None


def _host(base_url: str) -> str | None:
    parsed = parse_base_url(base_url, tenant_owned=False)
    return None if isinstance(parsed, Err) else parsed.value.host
