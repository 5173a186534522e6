"""The prices that come with the package (docs/prices.md), as entries of the book. Read when asked
for, never at import: workers have no use for them. Never fetched from anywhere.
"""

from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any

import msgspec

from tollway.domain.ids import make_id
from tollway.domain.price_book import SEED, Entry

_Step = tuple[int, dict[str, Any]]


class _Book(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    source: str
    at: dict[str, tuple[str, ...]]
    books: dict[str, list[tuple[tuple[str, ...], tuple[_Step, ...]]]]


def read_seed() -> list[Entry]:
    """Every seeded entry. The id of one follows from what it says: the same entry has the same id
    in every version of the package, and a corrected one is another."""
    book = _load()
    entries = []
    for name, kinds in sorted(book.at.items()):
        for models, steps in book.books[name]:
            for effective_from_s, rates in steps:
                said = msgspec.json.encode(rates, order="deterministic")
                for kind in kinds:
                    for model in models:
                        id_ = _id(kind, model, effective_from_s, said)
                        entries.append(
                            Entry(id_, model, effective_from_s, rates, None, kind, None, SEED)
                        )
    return entries


def seed_source() -> str:
    """Where the prices are from, with its version."""
    return _load().source


@cache
def _load() -> _Book:
    data = files("tollway").joinpath("data/prices.json").read_bytes()
    return msgspec.json.decode(data, type=_Book)


def _id(kind: str, model: str, effective_from_s: int, rates: bytes) -> str:
    said = f"{kind}|{model}|{effective_from_s}|".encode() + rates
    return make_id("prc", sha256(said).digest()[:10])
