"""Identifiers: a prefix that says what the thing is, then characters that are never reused.

Randomness comes in as bytes; this file draws none.
"""

from typing import NewType

TenantId = NewType("TenantId", str)
AccountId = NewType("AccountId", str)
ProjectId = NewType("ProjectId", str)
KeyId = NewType("KeyId", str)
ProviderId = NewType("ProviderId", str)
CredentialId = NewType("CredentialId", str)
ModelId = NewType("ModelId", str)
QuotaId = NewType("QuotaId", str)
RequestId = NewType("RequestId", str)
EventId = NewType("EventId", str)
WebhookId = NewType("WebhookId", str)

ID_PREFIXES = ("ten", "acc", "prj", "key", "prv", "crd", "mdl", "prc", "quo", "req", "evt", "whk")

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base32, lower case: no i, l, o, u


def make_id(prefix: str, entropy: bytes) -> str:
    """`prefix_` and 16 base32 characters (80 bits) from ten bytes of entropy."""
    if prefix not in ID_PREFIXES or len(entropy) != 10:
        raise ValueError(f"an id takes a known prefix and 10 bytes, got {prefix!r}, {len(entropy)}")
    number = int.from_bytes(entropy, "big")
    return f"{prefix}_" + "".join(_ALPHABET[(number >> shift) & 31] for shift in range(75, -1, -5))


def request_id_prefix(day: str, entropy: bytes) -> str:
    """The part of a request id one process shares for one UTC day (`day` as YYYYMMDD).

    A request id is this prefix and a counter in eight hex digits: unique without a draw of
    randomness per request, and the admission day can be read off it (`day_of`).
    """
    if len(day) != 8 or not day.isdigit() or len(entropy) != 6:
        raise ValueError(f"a request id takes YYYYMMDD and 6 bytes, got {day!r}, {len(entropy)}")
    return f"req_{day}{entropy.hex()}"


def day_of(request_id: str) -> str:
    """The UTC admission day (YYYY-MM-DD) inside one of our request ids."""
    digits = request_id[4:12]
    if not request_id.startswith("req_") or len(digits) != 8 or not digits.isdigit():
        raise ValueError(f"not a request id of ours: {request_id!r}")
    return f"{digits[:4]}-{digits[4:6]}-{digits[6:]}"
