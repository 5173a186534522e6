"""Secrets at rest: AES-256-GCM under the master key.

Envelope: version (1 byte) | nonce (12, random) | ciphertext and tag. The purpose is associated
data: an envelope moved to another place in the database does not open there. Random nonces are safe
up to 2**32 envelopes for one key (NIST SP 800-38D, 8.3); there is one for each stored secret.
"""

import os
from base64 import urlsafe_b64decode, urlsafe_b64encode

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tollway.app.ports import SecretError

MASTER_KEY_BYTES = 32
_VERSION, _NONCE_BYTES, _TAG_BYTES = 1, 12, 16


class AesGcmBox:
    """Implements `app.ports.SecretBox`."""

    def __init__(self, master_key: bytes) -> None:
        if len(master_key) != MASTER_KEY_BYTES:
            raise SecretError(f"The master key must have {MASTER_KEY_BYTES} bytes.")
        self._cipher = AESGCM(master_key)

    def seal(self, secret: bytes, purpose: str) -> bytes:
        """An envelope that opens only for the same purpose."""
        nonce = os.urandom(_NONCE_BYTES)
        return bytes([_VERSION]) + nonce + self._cipher.encrypt(nonce, secret, purpose.encode())

    def open(self, envelope: bytes, purpose: str) -> bytes:
        """The secret inside. Raises SecretError."""
        if len(envelope) < 1 + _NONCE_BYTES + _TAG_BYTES or envelope[0] != _VERSION:
            raise SecretError(f"The envelope for {purpose!r} is damaged or of a newer version.")
        nonce, ciphertext = envelope[1 : 1 + _NONCE_BYTES], envelope[1 + _NONCE_BYTES :]
        try:
            return self._cipher.decrypt(nonce, ciphertext, purpose.encode())
        except InvalidTag:
            raise SecretError(
                f"The secret for {purpose!r} does not open: "
                "the master key is another one than it was sealed with, or the row is damaged."
            ) from None


def new_master_key() -> str:
    """A new master key as it is kept in a file: base64url without padding, 43 characters."""
    return urlsafe_b64encode(os.urandom(MASTER_KEY_BYTES)).rstrip(b"=").decode("ascii")


def load_master_key(text: str) -> bytes:
    """The key from its text. Raises SecretError that says what is wrong, never what was given."""
    stripped = text.strip()
    if not stripped:
        raise SecretError("The master key is empty.")
    try:
        padded = stripped.rstrip("=") + "=" * (-len(stripped.rstrip("=")) % 4)
        key = urlsafe_b64decode(padded.encode("ascii"))
        exact = urlsafe_b64encode(key).decode("ascii") == padded
    except ValueError:
        exact = False
    if not exact:
        raise SecretError("The master key is not base64url text.")
    if len(key) != MASTER_KEY_BYTES:
        raise SecretError(
            f"The master key has {len(key)} bytes; it must have {MASTER_KEY_BYTES} "
            "(43 characters of base64url)."
        )
    return key
