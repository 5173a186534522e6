"""Addresses inside messages, which a provider would fetch: `http`, `https` and `data` pass, other
schemes (`file`, `gopher`, ...) are refused. Which hosts a provider may reach is not decided here.
"""

from collections.abc import Iterator

import msgspec
from msgspec import Raw

from tollway.domain.refusal import BadRequest

SCHEMES = ("http://", "https://", "data:")

_load = msgspec.json.Decoder().decode


def link_problem(name: str, raw: Raw) -> BadRequest | None:
    """The first address in `messages` whose scheme may not be sent on."""
    body = bytes(raw)
    # A part that links is named `..._url`, and an escape could spell such a name. Searches for one
    # byte are the cheap ones, so they come first.
    suspect = ord("_") in body and b"_url" in body
    if not suspect and not (ord("\\") in body and b"\\u00" in body):
        return None
    try:
        messages = _load(body)
    except msgspec.ValidationError:
        return BadRequest(f"'{name}' holds a number that is out of range.", "invalid_value", name)
    for address in _addresses(messages):
        if not address.lstrip().lower().startswith(SCHEMES):
            schemes = "http, https and data"
            return BadRequest(f"Only {schemes} URLs can be sent.", "unsupported_url_scheme", name)
    return None


def part_link_problem(name: str, raw: Raw) -> BadRequest | None:
    """The same for an array of parts that stands by itself."""
    return link_problem(name, Raw(b'[{"content":' + bytes(raw) + b"}]"))


def _addresses(messages: object) -> Iterator[str]:
    for message in messages if isinstance(messages, list) else ():
        content = message.get("content") if isinstance(message, dict) else None
        for part in content if isinstance(content, list) else ():
            for name, value in part.items() if isinstance(part, dict) else ():
                if name.endswith("_url"):
                    address = value.get("url") if isinstance(value, dict) else value
                    if isinstance(address, str):
                        yield address
