"""A service account of Google's. Its key is made at run time."""

import json
from functools import cache

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

EMAIL = "gateway@acme.iam.gserviceaccount.com"
TOKEN_URI = "https://oauth2.googleapis.com/token"


@cache
def private_key(bits=2048):
    """The same in every test."""
    return rsa.generate_private_key(65537, bits)


def pem_of(key):
    """As Google writes it."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def account_file(token_uri=TOKEN_URI, **changes):
    """A key file, line breaks and all."""
    said = {
        "type": "service_account",
        "project_id": "acme",
        "private_key_id": "key1",
        "private_key": pem_of(private_key()),
        "client_email": EMAIL,
        "token_uri": token_uri,
        "universe_domain": "googleapis.com",
    }
    return json.dumps({**said, **changes}, indent=2)
