"""What a service account signs, held against Google's published example and the public key."""

import json
from base64 import urlsafe_b64decode

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc import jwt
from joserfc.jwk import RSAKey

from tests.fakes.google import EMAIL, TOKEN_URI, pem_of, private_key
from tollway.adapters.http.assertions import SCOPE, assertion
from tollway.adapters.http.credentials import CredentialError
from tollway.domain.vertex import ServiceAccount

NOW = 1_328_550_785
ACCOUNT = ServiceAccount(EMAIL, pem_of(private_key()), TOKEN_URI, "key1")
# Google, "Using OAuth 2.0 for server to server applications", "Computing the signature": header and
# claims as they are encoded there. Whose key signed the example is not published.
EXAMPLE = (
    "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9",
    (
        "eyJpc3MiOiI3NjEzMjY3OTgwNjktcjVtbGpsbG4xcmQ0bHJiaGc3NWVmZ2lncDM2bTc4ajVAZGV2ZWxvcGVyLmdzZXJ2"
        "aWNlYWNjb3VudC5jb20iLCJzY29wZSI6Imh0dHBzOi8vd3d3Lmdvb2dsZWFwaXMuY29tL2F1dGgvcHJlZGljdGlvbiIs"
        "ImF1ZCI6Imh0dHBzOi8vYWNjb3VudHMuZ29vZ2xlLmNvbS9vL29hdXRoMi90b2tlbiIsImV4cCI6MTMyODU1NDM4NSwi"
        "aWF0IjoxMzI4NTUwNzg1fQ"
    ),
)


def decoded(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_the_signature_is_the_keys() -> None:
    """By its public half, and by another library that reads the whole."""
    signed = assertion(ACCOUNT, NOW)
    text, _, signature = signed.rpartition(".")
    public = private_key().public_key()
    public.verify(decoded(signature), text.encode(), PKCS1v15(), SHA256())
    read = jwt.decode(signed, RSAKey.import_key(pem_of(private_key())), algorithms=["RS256"])
    assert read.header == {"alg": "RS256", "typ": "JWT", "kid": "key1"}
    assert read.claims == {
        "iss": EMAIL,
        "scope": SCOPE,
        "aud": TOKEN_URI,
        "iat": NOW,
        "exp": NOW + 3600,
    }


def test_googles_published_example() -> None:
    """The same claims are the same text."""
    account = ServiceAccount(
        "761326798069-r5mljlln1rd4lrbhg75efgigp36m78j5@developer.gserviceaccount.com",
        ACCOUNT.private_key,
        "https://accounts.google.com/o/oauth2/token",
    )
    signed = assertion(account, NOW, scope="https://www.googleapis.com/auth/prediction")
    assert tuple(signed.split(".")[:2]) == EXAMPLE
    assert json.loads(decoded(EXAMPLE[1]))["exp"] == NOW + 3600


@pytest.mark.parametrize(
    "key", ["", "x", pem_of(ec.generate_private_key(ec.SECP256R1())), pem_of(private_key(1024))]
)
def test_what_cannot_sign(key: str) -> None:
    """No key, one of another kind, a short one; it is not repeated."""
    with pytest.raises(CredentialError, match="RSA key of 2048 to 4096") as caught:
        assertion(ACCOUNT._replace(private_key=key), NOW)
    assert "BEGIN" not in str(caught.value)
