"""Ids that clients carry, sealed: AES-SIV (RFC 5297), whose nonce is made of what it seals. So an
id is the same each time it is made, with no state, and no repeated nonce can give anything away.
"""

import hmac

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

_PURPOSE = b"tollway kept response 1"
_TAG_BYTES = 16


class SivSealing:
    """Implements `app.ports_kept.Sealing`. Nothing is kept between calls."""

    def seal(self, plain: bytes, *, secret: bytes, owner: bytes) -> bytes:
        """The tag and the ciphertext."""
        return AESSIV(_key_of(secret)).encrypt(plain, [owner])

    def open(self, sealed: bytes, *, secret: bytes, owner: bytes) -> bytes | None:
        """What was sealed, or None."""
        if len(sealed) <= _TAG_BYTES:
            return None
        try:
            return AESSIV(_key_of(secret)).decrypt(sealed, [owner])
        except InvalidTag:
            return None


def _key_of(secret: bytes) -> bytes:
    """64 bytes, for AES-256 twice. SHA-512 is used for nothing else with this secret."""
    return hmac.digest(secret, _PURPOSE, "sha512")
