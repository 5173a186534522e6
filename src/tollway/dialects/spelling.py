"""Names below the top level, where a value passes as it came: the spelling that is judged is the
only one, and it stands once. Servers in Go read names without regard to case, the last one
counting, and merge objects of one name; others take the first of two.
"""

import json
from collections import Counter
from collections.abc import Collection
from typing import Any

import msgspec
from msgspec import Raw

from tollway.domain.refusal import BadRequest

# Whatever is judged or rewritten in blocks, tools, and what those are made of. A name that ends in
# `_url` links, whatever comes before.
JUDGED_NAMES = frozenset(
    {
        "approval_request_id", "cache_control", "container", "container_id", "content",
        "encrypted_content", "environment", "file", "file_id", "file_ids", "id",
        "input_image_mask", "output", "role", "skills", "source", "type", "url",
        "vector_store_ids",
    }
)  # fmt: skip
LINKS = "_url"

_load = msgspec.json.Decoder().decode
_write = msgspec.json.Encoder().encode


class Doubled(dict[str, Any]):
    """An object in which `names` stood more than once; the last value is kept."""

    __slots__ = ("names",)

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        counts = Counter(name for name, _ in pairs)
        self.names = {name for name, count in counts.items() if count > 1}


def read_value(raw: Raw) -> Any:
    """The value, its objects with doubled names told apart. Raises msgspec.ValidationError for a
    number that no type holds."""
    body = bytes(raw)
    value = _load(body)
    # Two names would not come back. What is written otherwise (escapes, odd numbers) is read again.
    written = _write(value)
    if written == body or written == msgspec.json.format(body, indent=-1):
        return value
    return read_slowly(raw)


def read_slowly(raw: Raw) -> Any:
    """The same of any JSON, by a slower reader: numbers are nobody's here, whatever their size."""
    return json.loads(bytes(raw), object_pairs_hook=_object, parse_int=float)


def doubled_problem(
    field: str, block: dict[str, Any], judged: frozenset[str] = JUDGED_NAMES
) -> BadRequest | None:
    """A judged name that stands twice."""
    if type(block) is Doubled:
        for name in block.names:
            if name in judged or name.endswith(LINKS):
                shown = f"{field}.{name}"[:256]
                message = f"'{name[:64]}' stands twice in one object of '{field}'."
                return BadRequest(message, "invalid_parameter_name", shown)
    return None


def misspelt(
    field: str, names: Collection[str], judged: frozenset[str] = JUDGED_NAMES
) -> BadRequest | None:
    """A judged name in another spelling."""
    text = "\n".join(names)
    folded = text.casefold()
    if folded == text:
        return None
    if judged.isdisjoint(folded.split("\n")) and f"{LINKS}\n" not in f"{folded}\n":
        return None  # so far nothing was looked at one by one: there may be 100,000
    for name in names:
        folded = name.casefold()
        if folded != name and (folded in judged or folded.endswith(LINKS)):
            return misspelling(name, f"{field}.{name}")
    return None


def misspelling(name: str, at: str) -> BadRequest:
    """Some servers read names in any case, the last one counting: what was judged would not be
    what they go by."""
    message = f"'{name[:64]}' must be written '{name.casefold()[:64]}'."
    return BadRequest(message, "invalid_parameter_name", at[:256])


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    return found if len(found) == len(pairs) else Doubled(pairs)
