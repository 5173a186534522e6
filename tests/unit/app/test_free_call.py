"""What costs nothing, by kind of provider."""

import pytest

from tests.fakes.pipeline import provider
from tollway.app.free_call import ENOUGH, FreeAnswer, free_call
from tollway.domain.provider import ProviderKind

VERSION = (b"anthropic-version", b"2023-06-01")
LISTED = {
    ProviderKind.OLLAMA: ("GET", "/api/tags", ()),
    ProviderKind.BEDROCK: ("GET", "/async-invoke", ()),
    ProviderKind.ANTHROPIC: ("GET", "/models", (VERSION,)),
    ProviderKind.VERTEX: (
        "POST",
        "/publishers/google/models/gemini-2.5-flash:countTokens",
        ((b"content-type", b"application/json"),),
    ),
}


@pytest.mark.parametrize("kind", ProviderKind)
def test_each_kind_has_its_own(kind):
    """A list, or a count of a word's tokens, and never an answer; with the credential."""
    asked = provider("one", kind=kind)
    call = free_call(asked, asked.credentials[0])
    if kind is ProviderKind.ECHO:
        assert call is None
        return
    method, path, headers = LISTED.get(kind, ("GET", "/models", ()))
    assert (call.method, call.path, call.headers) == (method, path, headers)
    assert (call.provider, call.credential, call.stream) == (asked, asked.credentials[0], False)
    assert bool(call.body) == (method == "POST")


def test_what_has_not_begun_is_not_stopped():
    """There is nothing to be stopped."""
    FreeAnswer().stop(ENOUGH)
