"""Secrets at rest: AES-256-GCM under the master key.

Envelope: version (1 byte, 2) | key id (4) | nonce (12, random) | ciphertext and tag. Version 1 had
no key id. The purpose is associated data: an envelope moved to another place in the database does
not open there. Random nonces are safe up to 2**32 envelopes for one key (NIST SP 800-38D, 8.3).
"""

import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tollway.app.ports import SecretError

MASTER_KEY_BYTES = 32
_V1, _V2 = 1, 2
_ID_BYTES, _NONCE_BYTES, _TAG_BYTES = 4, 12, 16


class AesGcmBox:
    """Implements `app.ports.SecretBox`. Seals with the master key; opens with it and with the
    `others`, so that processes with the old key and with the new one serve side by side while the
    master key is changed."""

    def __init__(self, master_key: bytes, *others: bytes) -> None:
        for key in (master_key, *others):
            if len(key) != MASTER_KEY_BYTES:
                raise SecretError(f"A master key must have {MASTER_KEY_BYTES} bytes.")
        self._id = _id_of(master_key)
        self._cipher = AESGCM(master_key)
        self._ciphers = {_id_of(key): AESGCM(key) for key in (master_key, *others)}

    def seal(self, secret: bytes, purpose: str) -> bytes:
        """An envelope that opens only for the same purpose."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, secret, purpose.encode())
        return bytes([_V2]) + self._id + nonce + sealed

    def open(self, envelope: bytes, purpose: str) -> bytes:
        """The secret inside. Raises SecretError."""
        version, rest = envelope[:1], envelope[1:]
        if version == bytes([_V2]) and len(rest) >= _ID_BYTES + _NONCE_BYTES + _TAG_BYTES:
            known = self._ciphers.get(rest[:_ID_BYTES])
            ciphers, rest = [] if known is None else [known], rest[_ID_BYTES:]
        elif version == bytes([_V1]) and len(rest) >= _NONCE_BYTES + _TAG_BYTES:
            ciphers = list(self._ciphers.values())
        else:
            raise SecretError(f"The envelope for {purpose!r} is damaged or of a newer version.")
        nonce, ciphertext = rest[:_NONCE_BYTES], rest[_NONCE_BYTES:]
        for cipher in ciphers:
            try:
                return cipher.decrypt(nonce, ciphertext, purpose.encode())
            except InvalidTag:
                continue
        raise SecretError(
            f"The secret for {purpose!r} does not open: "
            "the master key is another one than it was sealed with, or the row is damaged."
        )


def _id_of(key: bytes) -> bytes:
    """Tells master keys apart and nothing about them: they are random, so a digest cannot be
    guessed back."""
    return sha256(b"tollway master key id|" + key).digest()[:_ID_BYTES]


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
