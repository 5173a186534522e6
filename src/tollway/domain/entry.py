"""What may enter the ledger. Text that a database refuses is cleaned; an outcome that makes no
sense is a `Flaw`, to be set aside with its reason. Neither may ever hold up the rows beside it.
"""

from dataclasses import dataclass
from typing import Any

from tollway.domain.ids import day_of
from tollway.domain.ledger import NUMBERS, USAGE, numbers_of
from tollway.domain.receipt import Receipt
from tollway.domain.rollup import MAX_COST_NUSD, MAX_TOKENS

MAX_TEXT_CHARS = 256
MAX_ERROR_CHARS = 1000
MAX_TAGS = 16
_MAX_INT = 2**63 - 1
# PostgreSQL refuses NUL in text, and UTF-8 has no lone surrogates.
_UNSTORABLE = {0: "\ufffd"} | dict.fromkeys(range(0xD800, 0xE000), "\ufffd")
_TYPES: dict[str, Any] = {name: Receipt.__annotations__[name] for name in Receipt._fields}
_TEXTS = tuple(name for name, kind in _TYPES.items() if kind in (str, str | None))
_INTS = tuple(name for name, kind in _TYPES.items() if kind in (int, int | None))


@dataclass(frozen=True, slots=True)
class Flaw:
    """Why an outcome cannot be an entry."""

    reason: str


def is_plain(receipt: Receipt) -> bool:
    """Whether the receipt surely needs no cleaning: the quick answer for nearly all of them.

    Looks only at what callers and providers wrote: the types were checked when the journal was
    read, and numbers are looked at when they are added up.
    """
    if receipt.kind != USAGE or receipt.seq != 0 or receipt.attempt < 0:
        return False
    text = f"{receipt.model}{receipt.client_request_id}{receipt.end_user}{receipt.error}"
    if len(text) > MAX_TEXT_CHARS or not text.isprintable():
        return False
    return not receipt.tags or (len(receipt.tags) <= MAX_TAGS and _printable(receipt.tags))


def cleaned(receipt: Receipt) -> Receipt | Flaw:
    """The receipt with storable text, or what is wrong with it. Equal receipts clean equally."""
    changed: dict[str, Any] = {}
    for name in _TEXTS:
        value = getattr(receipt, name)
        if isinstance(value, str):
            changed[name] = _text(value, MAX_ERROR_CHARS if name == "error" else MAX_TEXT_CHARS)
        elif value is not None or _TYPES[name] is str:
            return Flaw(f"{name} is no text")
    for name in _INTS:
        value = getattr(receipt, name)
        if value is None and _TYPES[name] is not int:
            continue
        if type(value) is not int or abs(value) > _MAX_INT:
            return Flaw(f"{name} is no integer of 64 bits")
    if type(receipt.stream) is not bool:
        return Flaw("stream is no truth value")
    tags = _tags(receipt.tags)
    if tags is None:
        return Flaw("tags are no pairs of text")
    clean = receipt._replace(tags=tags, **changed)
    return _nonsense(clean) or clean


def _nonsense(receipt: Receipt) -> Flaw | None:
    if receipt.kind != USAGE or receipt.seq != 0 or receipt.attempt < 0:
        return Flaw("only first outcomes come from a journal: kind usage, seq 0, attempt >= 0")
    try:
        day_of(receipt.request_id)
    except ValueError as error:
        return Flaw(str(error))
    for name, number in zip(NUMBERS, numbers_of(receipt), strict=True):
        limit = MAX_COST_NUSD if name == "cost_nusd" else MAX_TOKENS
        if number is not None and not 0 <= number <= limit:
            return Flaw(f"{name} cannot be {number}")
    return None


def _text(value: str, limit: int) -> str:
    return str(value)[:limit].translate(_UNSTORABLE)


def _tags(tags: object) -> tuple[tuple[str, str], ...] | None:
    if not isinstance(tags, (tuple, list)):
        return None
    pairs: dict[str, str] = {}
    for pair in tags[:MAX_TAGS]:
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            return None
        name, value = pair
        if not isinstance(name, str) or not isinstance(value, str):
            return None
        pairs[_text(name, MAX_TEXT_CHARS)] = _text(value, MAX_TEXT_CHARS)
    return tuple(pairs.items())


def _printable(tags: tuple[tuple[str, str], ...]) -> bool:
    try:
        text = "".join([part for pair in tags for part in pair])
    except TypeError:
        return False
    return len(text) <= MAX_TAGS * MAX_TEXT_CHARS and text.isprintable()
