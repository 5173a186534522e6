"""Secrets of Vertex: what is a service account, and where its tokens may come from."""

import json

import pytest

from tollway.domain.result import Err, Ok
from tollway.domain.vertex import (
    Publisher,
    ServiceAccount,
    VertexModel,
    bare_name,
    is_account,
    is_place,
    one_line,
    place_of,
    service_account,
    vertex_model,
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
    """The path ends at the location, or at Google as a publisher; all models are below it."""
    at = "aiplatform.googleapis.com/v1"
    for host, location in (
        (f"eu-west4-{at}", "eu-west4"),
        (at, "global"),
        ("aiplatform.eu.rep.googleapis.com/v1", "eu"),
    ):
        place = f"https://{host}/projects/p/locations/{location}"
        for url in (place, f"{place}/publishers/google"):
            assert is_place(url)
            assert place_of(url) == place
    assert is_place(f"https://{at}/publishers/google")
    for other in ("", "/projects/p", "/projects/p/locations/eu/publishers/anthropic"):
        assert not is_place(f"https://{at}{other}")


@pytest.mark.parametrize(
    ("model", "publisher", "name"),
    [
        ("gemini-2.5-flash", Publisher.GOOGLE, "gemini-2.5-flash"),
        ("models/gemini-2.5-flash", Publisher.GOOGLE, "gemini-2.5-flash"),
        ("text-embedding-005", Publisher.GOOGLE, "text-embedding-005"),
        ("google/anything", Publisher.GOOGLE, "anything"),
        ("publishers/google/models/x@001", Publisher.GOOGLE, "x@001"),
        ("claude-sonnet-4-5@20250929", Publisher.ANTHROPIC, "claude-sonnet-4-5@20250929"),
        ("anthropic/claude-x", Publisher.ANTHROPIC, "claude-x"),
        ("publishers/anthropic/models/other", Publisher.ANTHROPIC, "other"),
        ("meta/llama-3.3-70b-instruct-maas", Publisher.OTHERS, "meta/llama-3.3-70b-instruct-maas"),
        ("publishers/deepseek-ai/models/r1", Publisher.OTHERS, "deepseek-ai/r1"),
        ("gemma-4-26b-a4b-it-maas", Publisher.OTHERS, "google/gemma-4-26b-a4b-it-maas"),
    ],
)
def test_whose_a_model_is(model, publisher, name):
    """By the publisher that is written, or by a name that nobody else has."""
    assert vertex_model(model) == VertexModel(publisher, name)


@pytest.mark.parametrize(
    "model",
    [
        "llama-3.3-70b-instruct-maas",
        "small",
        "Claude-x",
        "mistralai/mistral-medium-3",
        "publishers/ai21/models/jamba",
        "publishers/anthropic/claude-x",
        "anthropic/claude-x/y",
        "models/claude-x",
        "/claude-x",
        "",
    ],
)
def test_whose_is_not_known(model):
    """Nothing is guessed."""
    assert vertex_model(model) is None


def test_books_name_no_publisher():
    """What is no publisher's stays as it is."""
    for model in ("claude-x@1", "anthropic/claude-x@1", "publishers/anthropic/models/claude-x@1"):
        assert bare_name(model) == "claude-x@1"
    assert bare_name("some/other/thing") == "some/other/thing"
