"""How much of a provider's JSON is built. What passes unread is validated only; a value that is
looked into takes many times its bytes here, so a large one is judged by its bytes first.
"""

from typing import Any

import msgspec
from msgspec import Raw

from tollway.dialects.limits import Caps, structure_problem
from tollway.dialects.redact import shown

# No usage and no error that says anything is larger. What is not, takes a megabyte or two.
SMALL_BYTES = 64 * 1024
_SHOWN_BYTES = 8192
_CAPS = Caps(string_bytes=64 * 1024 * 1024)
ABSENT = Raw()  # the default of a member, so that it is told by identity

_load = msgspec.json.Decoder().decode


def load_any(payload: bytes) -> object:
    """The JSON value in a payload; None when there is none, or one of too many values or levels, or
    a number that no type holds."""
    try:
        if len(payload) > SMALL_BYTES and structure_problem(payload, _CAPS) is not None:
            return None
        return _load(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def usage_in(raw: Raw) -> Any:
    """A member that holds counts; None where it is absent, or larger than counts are."""
    return None if raw is ABSENT or len(raw) > SMALL_BYTES else load_any(bytes(raw))


def error_in(raw: Raw) -> Any:
    """A member that tells of a failure, None where it tells of none: of a large one the beginning,
    as text."""
    if raw is ABSENT:
        return None
    if len(raw) > SMALL_BYTES:
        return shown(bytes(memoryview(raw)[:_SHOWN_BYTES]).decode("utf-8", "replace")) or True
    return load_any(bytes(raw))
