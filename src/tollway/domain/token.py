"""Tokens for the admin API: their form, checksum and digest. A token is made like an API key (see
`key.py`) under another prefix, so scanners tell them apart and neither door takes the other's.

Form: `twp_<token id, 12 base62>_<secret, 43 base62>_<crc32 of all before, 6 base62>`.
"""

import hmac
from hashlib import sha256

from tollway.domain.brand import PERSONAL_PREFIX
from tollway.domain.key import (
    CHECKSUM_LENGTH,
    KEY_ID_LENGTH,
    SECRET_LENGTH,
    base62,
    checksum,
)

TOKEN_ENTROPY_BYTES = 41  # 9 for the id, 32 for the secret
TOKEN_PATTERN = (
    rf"{PERSONAL_PREFIX}_[0-9A-Za-z]{{{KEY_ID_LENGTH}}}"
    rf"_[0-9A-Za-z]{{{SECRET_LENGTH}}}_[0-9A-Za-z]{{{CHECKSUM_LENGTH}}}"
)  # for secret scanners and log redaction
_TOKEN_LENGTH = len(PERSONAL_PREFIX) + 3 + KEY_ID_LENGTH + SECRET_LENGTH + CHECKSUM_LENGTH


def make_token(entropy: bytes) -> tuple[str, str]:
    """A new token's id and full text from 41 bytes of entropy."""
    if len(entropy) != TOKEN_ENTROPY_BYTES:
        raise ValueError(f"a token takes {TOKEN_ENTROPY_BYTES} bytes, got {len(entropy)}")
    public = base62(int.from_bytes(entropy[:9], "big"), KEY_ID_LENGTH)
    secret = base62(int.from_bytes(entropy[9:], "big"), SECRET_LENGTH)
    head = f"{PERSONAL_PREFIX}_{public}_{secret}"
    return f"tok_{public}", f"{head}_{checksum(head)}"


def split_token(text: str) -> tuple[str, str] | None:
    """`(token id, secret)` of a well-formed token with a right checksum, else None. No I/O."""
    if len(text) != _TOKEN_LENGTH or not text.isascii():
        return None
    parts = text.split("_")
    if len(parts) != 4 or parts[0] != PERSONAL_PREFIX:
        return None
    public, secret = parts[1], parts[2]
    if len(public) != KEY_ID_LENGTH or not public.isalnum() or not secret.isalnum():
        return None
    if checksum(text[: -CHECKSUM_LENGTH - 1]) != parts[3]:
        return None
    return f"tok_{public}", secret


def digest_token(token_id: str, secret: str) -> bytes:
    """What is stored instead of the secret. 256 random bits need no salt and no slow hash."""
    return sha256(f"tollway token|{token_id}|{secret}".encode()).digest()


def token_matches(token_id: str, secret: str, digest: bytes) -> bool:
    """Whether the secret is the one behind the digest, in constant time."""
    return hmac.compare_digest(digest_token(token_id, secret), digest)


def token_prefix(text: str) -> str:
    """What lists show of a token besides its last four characters: up to its secret."""
    return text[: len(PERSONAL_PREFIX) + 1 + KEY_ID_LENGTH]
