"""Free text that callers attach to a request: tags, end users, their own request ids. Capped and
cleaned here, once, since it goes into rows and must never break one.
"""

import re

from tollway.domain.refusal import BadRequest

MAX_TAGS = 16
MAX_TAG_BYTES = 64
MAX_LABEL_CHARS = 256

_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029]")


def plain_label(text: str) -> str:
    """The text without control characters and lone surrogates, at most 256 characters."""
    return _UNPRINTABLE.sub("", text[:MAX_LABEL_CHARS])


def parse_tags(text: str) -> tuple[tuple[str, str], ...] | BadRequest:
    """`team=search,env=prod` -> pairs. At most 16, names and values at most 64 bytes each."""
    pairs: dict[str, str] = {}
    for part in text.split(","):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not name and not equals:
            continue
        name, value = plain_label(name), plain_label(value)
        if not name or not equals:
            return BadRequest("Write tags as 'name=value,name=value'.", "invalid_tags")
        if len(name.encode()) > MAX_TAG_BYTES or len(value.encode()) > MAX_TAG_BYTES:
            return BadRequest(f"A tag is longer than {MAX_TAG_BYTES} bytes.", "invalid_tags")
        pairs[name] = value
    if len(pairs) > MAX_TAGS:
        return BadRequest(f"More than {MAX_TAGS} tags.", "invalid_tags")
    return tuple(pairs.items())
