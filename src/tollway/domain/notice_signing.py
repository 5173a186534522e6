"""How a receiver knows that a notice is from here and new: the symmetric signatures of the Standard
Webhooks specification 1.0.0. Secrets come in as bytes; this file draws none.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Sequence

from tollway.domain.result import Err, Ok, Result

WRITTEN_PREFIX = "whsec_"
SECRET_BYTES = 32
_MIN_BYTES, _MAX_BYTES = 24, 64
# A full stop would let an id run over into the timestamp that is signed behind it.
_MESSAGE_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")


def new_secret(random_bytes: bytes) -> str:
    """The written form of a secret made of these bytes: `whsec_` and base64. Raises ValueError for
    fewer than 24 or more than 64 of them."""
    if not _MIN_BYTES <= len(random_bytes) <= _MAX_BYTES:
        raise ValueError(f"a webhook's secret has 24 to 64 bytes, got {len(random_bytes)}")
    return WRITTEN_PREFIX + base64.b64encode(random_bytes).decode()


def parse_secret(text: str) -> Result[bytes, str]:
    """The bytes of a written secret; `Err` says what is wrong and holds nothing of it."""
    if not text.startswith(WRITTEN_PREFIX):
        return Err("A webhook's secret begins with whsec_.")
    try:
        secret = base64.b64decode(text.removeprefix(WRITTEN_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return Err("What follows whsec_ in a webhook's secret is base64.")
    if not _MIN_BYTES <= len(secret) <= _MAX_BYTES:
        return Err("A webhook's secret has 24 to 64 bytes.")
    return Ok(secret)


def sign(secret: bytes, *, message_id: str, timestamp_s: int, body: bytes) -> str:
    """`v1,` and the signature in base64. `timestamp_s` is the attempt's, not the event's. Raises
    ValueError for a short or empty secret, and for an id that is none."""
    if not _MIN_BYTES <= len(secret) <= _MAX_BYTES:
        raise ValueError("a webhook's secret has 24 to 64 bytes")
    if not _MESSAGE_ID.fullmatch(message_id):
        raise ValueError("a message id has letters, digits, _ and - only")
    signed = f"{message_id}.{timestamp_s}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode()


def signature_header(
    secrets: Sequence[bytes], *, message_id: str, timestamp_s: int, body: bytes
) -> str:
    """What goes into `webhook-signature`: one signature for each secret, the current one first, so
    that a receiver may change over without losing a notice. Raises ValueError when there is none:
    an unsigned notice must be wished for, and is never what is left over."""
    if not secrets:
        raise ValueError("a notice that is to be signed needs a secret")
    return " ".join(
        sign(secret, message_id=message_id, timestamp_s=timestamp_s, body=body)
        for secret in secrets
    )
