"""The list of endpoints."""

import pytest

from tollway.dialects.registry import ENDPOINTS


@pytest.mark.parametrize("endpoint", ENDPOINTS.values(), ids=lambda endpoint: endpoint.name)
def test_an_endpoint_is_whole(endpoint):
    """Each is found under its own path, and streams exactly if it has a reader."""
    assert ENDPOINTS[endpoint.path] is endpoint
    below = (
        b"" if endpoint.shape == "ollama" else b"/v1"
    )  # what a base URL of its providers ends in
    assert endpoint.path == below + endpoint.upstream_path.encode()
    assert endpoint.can_stream == (endpoint.stream_reader is not None)


def test_the_names_are_the_ledgers():
    """Scopes, ledger rows and metrics use these names: they do not change."""
    assert [endpoint.name for endpoint in ENDPOINTS.values()] == [
        "chat_completions",
        "completions",
        "embeddings",
        "responses",
        "messages",
        "count_tokens",
        "ollama_chat",
        "ollama_generate",
        "ollama_embed",
        "moderations",
        "rerank",
        "images_generations",
        "audio_speech",
        "audio_transcriptions",
        "audio_translations",
        "images_edits",
    ]
