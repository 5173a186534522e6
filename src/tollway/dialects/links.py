"""Parts of messages in Chat Completions and what is like it: most hold text alone, and are not even
decoded.
"""

from msgspec import Raw

from tollway.dialects.blocks import blocks_problem
from tollway.domain.refusal import BadRequest


def link_problem(name: str, raw: Raw) -> BadRequest | None:
    """The first part of `messages` that may not be sent on."""
    body = bytes(raw)
    # What is judged of a part has a name with `_` in it, which an escape could spell. To look for
    # one byte is cheap; to decode costs less than to look for the whole names.
    if ord("_") not in body and not (ord("\\") in body and b"\\u" in body):
        return None
    return blocks_problem(name, raw)


def part_link_problem(name: str, raw: Raw) -> BadRequest | None:
    """The same for an array of parts that stands by itself."""
    return link_problem(name, Raw(b'[{"content":' + bytes(raw) + b"}]"))
