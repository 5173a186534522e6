"""What a service account signs to be given an access token: a JWT, good for an hour at one token
endpoint. Source: Google, "Using OAuth 2.0 for server to server applications"; RFC 7523.
"""

from base64 import urlsafe_b64encode

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tollway.adapters.http.credentials import CredentialError
from tollway.domain.vertex import ServiceAccount

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_LIFETIME_S = 3600
_LEAST_BITS, _MOST_BITS = 2048, 4096  # larger ones take seconds, and Google makes none


def assertion(account: ServiceAccount, now_s: int, *, scope: str = SCOPE) -> str:
    """A signed JWT (RS256). Takes milliseconds of computing: not for the event loop. Raises
    CredentialError for a key that cannot sign."""
    try:
        key = load_pem_private_key(account.private_key.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, RSAPrivateKey) or not _LEAST_BITS <= key.key_size <= _MOST_BITS:
        raise CredentialError(
            f"The private_key of a service account is an RSA key of {_LEAST_BITS} to {_MOST_BITS} "
            "bits, as PEM without a password."
        )
    header = {"alg": "RS256", "typ": "JWT"}
    if account.key_id:
        header["kid"] = account.key_id
    claims = {
        "iss": account.email,
        "scope": scope,
        "aud": account.token_uri,
        "exp": now_s + _LIFETIME_S,
        "iat": now_s,
    }
    text = b".".join(_base64(msgspec.json.encode(part)) for part in (header, claims))
    return b".".join((text, _base64(key.sign(text, PKCS1v15(), SHA256())))).decode()


def _base64(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")
