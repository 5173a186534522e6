"""Secrets of Vertex: what is a service account, and where its tokens may come from."""

import json

import pytest

from tollway.domain.result import Err, Ok
from tollway.domain.vertex import (
    ServiceAccount,
    is_account,
    is_place,
    one_line,
    service_account,
)

GOOGLE = "https://oauth2.googleapis.com/token"
SAID = {
    "type": "service_account",
    "client_email": "a@b.example",
    "private_key": "-----BEGIN\nx\n",
    "private_key_id": "k1",
    "token_uri": GOOGLE,
}


def read(tenant_owned=True, **changes):
    said = {name: value for name, value in {**SAID, **changes}.items() if value is not ...}
    return service_account(json.dumps(said), tenant_owned=tenant_owned)


def test_an_account():
    """Google's own token endpoint is the usual one, and a key may have no id."""
    assert read() == Ok(ServiceAccount("a@b.example", "-----BEGIN\nx\n", GOOGLE, "k1"))
    assert read(token_uri=..., private_key_id=...) == Ok(
        ServiceAccount("a@b.example", "-----BEGIN\nx\n", GOOGLE)
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "authorized_user"},
        {"client_email": ...},
        {"client_email": ""},
        {"private_key": 5},
        {"token_uri": None},
        {"private_key_id": []},
    ],
)
def test_what_is_none(changes):
    """It is said what is wanted, and nothing of it is repeated."""
    found = read(**changes)
    assert isinstance(found, Err)
    assert "service account's key" in found.error
    assert "BEGIN" not in found.error


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"a":' * 100_000])
def test_what_is_no_json(text):
    """Nor is this."""
    assert isinstance(service_account(text, tenant_owned=False), Err)


@pytest.mark.parametrize(
    "uri",
    [
        "https://evil.example/token",
        "https://googleapis.com/token",
        "https://oauth2.googleapis.com.evil.example/token",
        "https://evilgoogleapis.com/token",
        "http://oauth2.googleapis.com/token",
        "https://oauth2.googleapis.com:8443/token",
        "https://a@oauth2.googleapis.com/token",
        "https://169.254.169.254/token",
        "https://localhost/token",
        "not a URL",
    ],
)
def test_where_a_tenants_tokens_do_not_come_from(uri):
    """The gateway would call whatever a tenant writes there."""
    found = read(token_uri=uri)
    assert isinstance(found, Err)
    assert "googleapis.com" in found.error


@pytest.mark.parametrize(
    ("uri", "owned"),
    [
        (GOOGLE, True),
        ("https://oauth2.mtls.googleapis.com/token", True),
        ("https://OAUTH2.googleapis.com:443/token", True),
        ("http://127.0.0.1:9/token", False),
        ("https://tokens.internal.example/token", False),
    ],
)
def test_where_tokens_may_come_from(uri, owned):
    """The platform's own may come from anywhere."""
    assert isinstance(read(owned, token_uri=uri), Ok)


def test_the_platforms_must_be_a_url_all_the_same():
    """Or nothing can be asked there."""
    assert read(False, token_uri="x") == Err("The token_uri of the service account is no URL.")


def test_one_line():
    """JSON loses its line breaks, and nothing else; what is no JSON stays."""
    secret = one_line(json.dumps({**SAID, "note": "ü"}, indent=2))
    assert secret.isprintable()
    assert secret.isascii()
    assert is_account(secret)
    assert json.loads(secret) == {**SAID, "note": "ü"}
    for text in ("ya29.token", "", "{no", '{"a":' * 100_000):
        assert one_line(text) == text
    assert not is_account("ya29.token")


def test_places():
    """The path ends at the publisher."""
    at = "aiplatform.googleapis.com/v1"
    assert is_place(f"https://eu-{at}/projects/p/locations/eu/publishers/google")
    assert is_place(f"https://{at}/publishers/google")
    assert not is_place(f"https://{at}/projects/p/locations/eu")
