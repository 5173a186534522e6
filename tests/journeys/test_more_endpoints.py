"""Moderations, rankings, pictures, speech and uploads by the official `openai` client, each
with its row in the ledger.
"""

import itertools
from base64 import b64decode
from collections.abc import Iterator
from typing import Any

import pytest
from openai import APIStatusError, OpenAI

from tests.fakes.provider_media import PICTURE, SILENCE
from tests.fakes.stage import Stage

NONCES = itertools.count(1)
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    made = Stage(tmp_path_factory.mktemp("media"))
    made.begin()
    yield made
    made.close()


@pytest.fixture(scope="module")
def client(stage: Stage) -> Iterator[OpenAI]:
    with OpenAI(
        base_url=stage.tree.base_url, api_key=stage.tree.key, max_retries=0, timeout=20
    ) as made:
        yield made


def scripted(text: str, script: str = "") -> tuple[str, dict[str, Any]]:
    """A text that directs the provider, and the headers that name the request's row."""
    nonce = f"m{next(NONCES)}"
    return f"{text} [[id={nonce} {script}]]", {"x-request-id": nonce}


def row_of(stage: Stage, headers: dict[str, Any]) -> dict[str, Any]:
    return stage.row(headers["x-request-id"])


def test_moderations(stage: Stage, client: OpenAI) -> None:
    """They pass and are free."""
    text, headers = scripted("am I good?")
    found = client.moderations.create(model="small", input=["one", text], extra_headers=headers)
    assert [one.flagged for one in found.results] == [False, False]
    row = row_of(stage, headers)
    assert (row["endpoint"], row["input"], row["output"]) == ("moderations", 0, 0)
    assert (row["payer"], row["usage_source"]) == ("reported", "provider")


def test_rerank(stage: Stage, client: OpenAI) -> None:
    """The client has no method for it, but any path; the tokens are the provider's total."""
    query, headers = scripted("which one")
    body = {"model": "small", "query": query, "documents": ["a b", "c"], "top_n": 2}
    options: Any = {"headers": headers}
    found: Any = client.post("/rerank", body=body, cast_to=object, options=options)
    assert [one["index"] for one in found["results"]] == [0, 1]
    row = row_of(stage, headers)
    assert (row["endpoint"], row["usage_source"]) == ("rerank", "provider")
    assert (row["input"], row["output"]) == (found["usage"]["total_tokens"], 0)


def test_images(stage: Stage, client: OpenAI) -> None:
    """A picture of nine megabytes arrives whole, its usage by class."""
    prompt, headers = scripted("a cat", f"tokens=3 size={9 * MIB}")
    found = client.images.generate(model="small", prompt=prompt, n=1, extra_headers=headers)
    assert found.data is not None
    assert b64decode(found.data[0].b64_json or "") == PICTURE * (9 * MIB // len(PICTURE))
    assert found.usage is not None
    row = row_of(stage, headers)
    assert (row["endpoint"], row["output"]) == ("images_generations", 300)
    assert row["input"] == found.usage.input_tokens


def test_speech(stage: Stage, client: OpenAI) -> None:
    """Sound goes out as it comes, under its own type; the input is estimated."""
    text, headers = scripted("say it", "tokens=40 gap_ms=1")
    speech = client.audio.speech.with_streaming_response
    with speech.create(model="small", input=text, voice="alloy", extra_headers=headers) as given:
        assert given.headers.get_list("content-type") == ["audio/mpeg"]
        assert given.headers["x-tollway-provider"] == "simulated"
        assert b"".join(given.iter_bytes()) == SILENCE * 40
    row = row_of(stage, headers)
    assert (row["endpoint"], row["output"], row["stream"]) == ("audio_speech", 0, 1)
    assert (row["input"], row["usage_source"]) == (-(-(len(text) + 2) // 4), "estimated")


def test_speech_that_breaks_off(stage: Stage) -> None:
    """The client can tell: the answer has no end. The row says so."""
    text, headers = scripted("say it", "tokens=9 cut=4")
    body = {"model": "small", "input": text, "voice": "alloy"}
    reply = stage.post("/v1/audio/speech", body, nonce=headers["x-request-id"])
    assert (reply.status, reply.whole, reply.body) == (200, False, SILENCE * 4)
    row = row_of(stage, headers)
    assert (row["payer"], row["outcome"]) == ("cut", "broken")


def test_transcriptions(stage: Stage, client: OpenAI) -> None:
    """Eleven megabytes of sound go up, more than a body of JSON may have."""
    prompt, headers = scripted("names: Ada", "tokens=4")
    found = client.audio.transcriptions.create(
        model="small",
        file=("a.mp3", bytes(11 * MIB)),
        prompt=prompt,
        timestamp_granularities=["word", "segment"],
        extra_headers=headers,
    )
    assert found.text == "what was said"
    row = row_of(stage, headers)
    assert (row["endpoint"], row["input"], row["output"]) == ("audio_transcriptions", 50, 4)
    assert (row["target_model"], row["usage_source"]) == ("small", "provider")


def test_translations(stage: Stage, client: OpenAI) -> None:
    """Likewise; as text, without usage, both are estimated."""
    prompt, headers = scripted("x", "usage=none")
    found = client.post(
        "/audio/translations",
        body={"model": "small", "prompt": prompt, "response_format": "text"},
        files=[("file", ("a.mp3", bytes(4000)))],
        options={"headers": {"content-type": "multipart/form-data", **headers}},
        cast_to=str,
    )
    assert "what was said" in found
    row = row_of(stage, headers)
    assert (row["endpoint"], row["usage_source"]) == ("audio_translations", "estimated")
    assert 10 < row["input"] < 100
    assert row["output"] == -(-len(found.encode()) // 4)


def test_edits(stage: Stage, client: OpenAI) -> None:
    """Several pictures in, one out."""
    prompt, headers = scripted("a hat", "tokens=2 size=64")
    found = client.images.edit(
        model="small",
        image=[("a.png", PICTURE), ("b.png", PICTURE)],
        prompt=prompt,
        extra_headers=headers,
    )
    assert found.data is not None
    assert found.data[0].b64_json
    row = row_of(stage, headers)
    assert (row["endpoint"], row["output"]) == ("images_edits", 200)


def test_forms_that_are_refused(stage: Stage, client: OpenAI) -> None:
    """By name; another type with 415, too large a one with 413."""
    path = "/v1/audio/transcriptions"
    assert stage.post(path, {"model": "small"}).status == 415
    with pytest.raises(APIStatusError) as caught:
        client.audio.transcriptions.create(model="small", file=("a.mp3", bytes(27 * MIB)))
    assert caught.value.status_code == 413
    body = b"--b\r\n\r\n\r\n" * 100_000
    reply = stage.post(path, body, content_type="multipart/form-data; boundary=b")
    assert (reply.status, reply.error["code"]) == (400, "invalid_form")


@pytest.mark.parametrize(
    ("path", "fields", "param"),
    [
        ("/moderations", {"input": "x", "stream": True}, "stream"),
        ("/rerank", {"query": "q"}, "documents"),
        ("/images/generations", {"prompt": "x", "stream": True, "n": 2}, "n"),
        ("/images/generations", {"prompt": "x", "n": 1000}, "n"),
        ("/audio/speech", {"input": "x", "stream_format": "mp3"}, "stream_format"),
        ("/audio/speech", {"input": "x", "api_base": "http://x"}, "api_base"),
    ],
)
def test_refused_by_name(client: OpenAI, path: str, fields: dict[str, Any], param: str) -> None:
    """A 400 that names the field, in OpenAI's shape."""
    with pytest.raises(APIStatusError) as caught:
        client.post(path, body={"model": "small", **fields}, cast_to=object)
    assert caught.value.status_code == 400
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["param"] == param


def test_methods_and_paths(stage: Stage) -> None:
    """What is not there is a 404, what is there but not so a 405 or 415."""
    for path in ("/v1/moderations", "/v1/rerank", "/v1/images/generations", "/v1/audio/speech"):
        assert stage.get(path).status == 405
        assert stage.post(path, b"x", content_type="text/plain").status == 415
    assert stage.post("/v1/v2/rerank", {}).status == 404
