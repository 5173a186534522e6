"""The blocks that messages and items are made of, in dialects that nest them: addresses that a
provider would open, and names of what providers keep (files, stored items). The first are judged as
in `links.py`; the second are refused, since an account is shared by tenants and its objects would
be too.
"""

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Raw

from tollway.dialects.links import SCHEMES
from tollway.domain.refusal import BadRequest

Block = dict[str, Any]

# Every name that is judged here, as bytes that stand in a body which has it unescaped.
_SUSPECT = (b'_url"', b'"url"', b'"file_id"', b'"id"')
_NESTING = ("content", "output", "source")
_FILES = ("file", "container_upload", "input_file", "input_image", "computer_screenshot")
_load = msgspec.json.Decoder().decode


def blocks_problem(name: str, raw: Raw, *, stored_items: bool = False) -> BadRequest | None:
    """The first block that may not be sent on. `stored_items`: blocks of this dialect can stand for
    items that a provider stored, by their id alone."""
    body = bytes(raw)
    suspects = _SUSPECT if stored_items else _SUSPECT[:-1]
    if not any(mark in body for mark in suspects) and b"\\u00" not in body:
        return None
    try:
        value = _load(body)
    except msgspec.ValidationError:
        return BadRequest(f"'{name}' holds a number that is out of range.", "invalid_value", name)
    for block in blocks_of(value):
        for address in _addresses(block):
            if not address.lstrip().lower().startswith(SCHEMES):
                schemes = "http, https and data"
                return BadRequest(
                    f"Only {schemes} URLs can be sent.", "unsupported_url_scheme", name
                )
        if block.get("file_id") is not None and block.get("type") in _FILES:
            return refused(name, "A file kept at a provider", "Send its content or a URL.")
        if stored_items and _is_reference(block):
            return refused(name, "An item stored at a provider", "Send the item itself.")
    return None


def blocks_of(value: object) -> Iterator[Block]:
    """Every object of a list of messages or items: these, their parts, and the parts of those.
    Arguments of tools are the model's own and no blocks."""
    rest = [value]
    while rest:
        item = rest.pop()
        if isinstance(item, list):
            rest.extend(item)
        elif isinstance(item, dict):
            yield item
            rest.extend(item[key] for key in _NESTING if key in item)


def load_value(raw: Raw) -> object:
    """The value, decoded. One that holds a number which no type does is a list of one strange
    block: nothing can be said of it."""
    try:
        return _load(raw)
    except msgspec.ValidationError:
        return [{"type": "unreadable"}]


def refused(name: str, what: str, instead: str) -> BadRequest:
    """What belongs to a provider's account cannot be named by a tenant."""
    message = f"{what} cannot be referred to through the gateway. {instead}"
    return BadRequest(message, "unsupported_parameter", name)


def _addresses(block: Block) -> Iterator[str]:
    for name, value in block.items():
        if name.endswith("_url") or (name == "url" and block.get("type") == "url"):
            address = value.get("url") if isinstance(value, dict) else value
            if isinstance(address, str):
                yield address


def _is_reference(block: Block) -> bool:
    kind = block.get("type")
    return kind == "item_reference" or (kind is None and "id" in block and "role" not in block)
