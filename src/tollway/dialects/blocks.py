"""The blocks that messages and items are made of: addresses that a provider would open, of which
`http`, `https` and `data` pass (which hosts a provider may reach is not decided here), and names of
what providers keep (files, stored items). These are refused, since an account is shared by tenants
and its objects would be too.
"""

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Raw

from tollway.dialects.rules import scheme_problem
from tollway.dialects.spelling import LINKS, Doubled, doubled_problem, misspelt, read_value
from tollway.domain.refusal import BadRequest

Block = dict[str, Any]

# Of what a number is in that no type holds, and no walk can be made: what must not stand beside it.
_SUSPECT = (b"url", b"id", b"\\u")
_NESTING = frozenset(
    {"content", "output", "source", "file", "container", "environment", "input_image_mask"}
)
_TELLING = frozenset({"url", "file_id", "id"})  # and links: what a judged block has one of
_FILES = ("file", "container_upload", "input_file", "input_image", "computer_screenshot")
_load = msgspec.json.Decoder().decode


def blocks_problem(name: str, raw: Raw, *, stored_items: bool = False) -> BadRequest | None:
    """The first block that may not be sent on. `stored_items`: blocks of this dialect can stand for
    items that a provider stored, by their id alone."""
    try:
        value = read_value(raw)
    except msgspec.ValidationError:
        body = bytes(raw).lower()
        if not any(mark in body for mark in _SUSPECT):
            return None
        return BadRequest(f"'{name}' holds a number that is out of range.", "invalid_value", name)
    return value_problem(name, value, stored_items=stored_items)


def value_problem(name: str, value: object, *, stored_items: bool = False) -> BadRequest | None:
    """The same of a value that `read_value` gave."""
    names, doubled = set[str](), False
    for block in blocks_of(value):
        names.update(block)
        doubled = doubled or type(block) is Doubled
    # Most blocks hold text alone, and are not looked at one by one.
    if doubled or _TELLING & names or any(key.endswith(LINKS) for key in names):
        for block in blocks_of(value):
            problem = (
                doubled_problem(name, block)
                or _link_problem(name, block, names)
                or _kept_problem(name, block, stored_items=stored_items)
            )
            if problem is not None:
                return misspelt(name, names) or problem
    return misspelt(name, names)


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
            rest.extend([item[key] for key in _NESTING.intersection(item)])


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


def _link_problem(name: str, block: Block, names: set[str]) -> BadRequest | None:
    """Of the addresses in a block; what else stands beside them is added to the names."""
    for key, value in block.items():
        if key.endswith(LINKS) or (key == "url" and block.get("type") == "url"):
            address = value
            if isinstance(value, dict):
                names.update(value)
                problem = doubled_problem(name, value)
                if problem is not None:
                    return problem
                address = value.get("url")
            if isinstance(address, str):
                problem = scheme_problem(name, address)
                if problem is not None:
                    return problem
    return None


def _kept_problem(name: str, block: Block, *, stored_items: bool) -> BadRequest | None:
    """Of what a block says that a provider keeps."""
    file = block.get("file")
    named = isinstance(file, dict) and file.get("file_id") is not None
    if named or (block.get("file_id") is not None and block.get("type") in _FILES):
        return refused(name, "A file kept at a provider", "Send its content or a URL.")
    if stored_items and _is_reference(block):
        return refused(name, "An item stored at a provider", "Send the item itself.")
    return None


def _is_reference(block: Block) -> bool:
    kind = block.get("type")
    return kind == "item_reference" or (kind is None and "id" in block and "role" not in block)
