"""An issuer's public keys: which of them fits a token, and signatures under them. A key set that
cannot be read whole is read in part: an unknown kind of key must not take the known ones away.
"""

from base64 import urlsafe_b64decode
from collections.abc import Mapping
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey
from joserfc.jws import JWSRegistry, deserialize_compact

MAX_KEYS = 100
_MIN_RSA_BYTES = 256  # NIST SP 800-131A: 2048 bits
_MAX_RSA_BYTES = 1024  # a larger modulus only costs time
_CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}
_PUBLIC = {"RSA": ("n", "e"), "EC": ("crv", "x", "y")}
_ENTRIES = ("kid", "alg")


class PublicKey:
    """One key that may sign."""

    __slots__ = ("_algorithm", "_curve", "_key", "key_id")

    def __init__(self, jwk: Mapping[str, Any], key: RSAKey | ECKey) -> None:
        self.key_id: str | None = jwk.get("kid")
        self._algorithm = jwk.get("alg")
        self._curve = jwk["crv"] if isinstance(key, ECKey) else None
        self._key = key

    def fits(self, algorithm: str) -> bool:
        """Whether the key may be used with this algorithm: a key is of one family for good."""
        if self._algorithm is not None and self._algorithm != algorithm:
            return False
        return _CURVES.get(algorithm) == self._curve

    def signed(self, token: bytes, algorithm: str) -> bool:
        """Whether the token carries this key's signature."""
        registry = JWSRegistry(algorithms=[algorithm], strict_check_header=False)
        registry.max_header_length = 4096
        try:
            deserialize_compact(token, self._key, registry=registry)
        except (JoseError, ValueError):
            return False
        return True


class KeySet:
    """The public keys of one document."""

    __slots__ = ("_keys",)

    def __init__(self, document: Mapping[str, Any]) -> None:
        """Raises ValueError when there is no usable key in it."""
        found = document.get("keys")
        if not isinstance(found, list):
            raise ValueError("a key set has a list of keys")
        keys = [_public_key(jwk) for jwk in found[:MAX_KEYS] if isinstance(jwk, dict)]
        self._keys = tuple(key for key in keys if key is not None)
        if not self._keys:
            raise ValueError("no usable public key in the set")

    def find(self, algorithm: str, key_id: str | None) -> PublicKey | None:
        """The one key a token can mean; without a key id, the only one that fits."""
        fitting = [
            key
            for key in self._keys
            if key.fits(algorithm) and (key_id is None or key.key_id == key_id)
        ]
        return fitting[0] if len(fitting) == 1 else None


def _public_key(jwk: dict[str, Any]) -> PublicKey | None:
    kind = jwk.get("kty")
    members = _PUBLIC.get(kind) if isinstance(kind, str) else None
    if members is None or jwk.get("use", "sig") != "sig":
        return None
    operations = jwk.get("key_ops")
    if operations is not None and (not isinstance(operations, list) or "verify" not in operations):
        return None
    if not all(isinstance(jwk.get(name), str) for name in members):
        return None
    if not all(isinstance(jwk.get(name, ""), str) for name in _ENTRIES):
        return None
    # Only the public members: a private key that was published by mistake is not taken in.
    public = {"kty": kind, **{name: jwk[name] for name in members}}
    try:
        if kind == "EC":
            return PublicKey(jwk, ECKey.import_key(public))
        padded = jwk["n"] + "=" * (-len(jwk["n"]) % 4)
        if not _MIN_RSA_BYTES <= len(urlsafe_b64decode(padded)) <= _MAX_RSA_BYTES:
            return None
        return PublicKey(jwk, RSAKey.import_key(public))
    except (JoseError, ValueError, KeyError):
        return None
