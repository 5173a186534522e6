"""Pictures, speech and transcriptions as events by the official `openai` client, each with its row
in the ledger.
"""

import json
from base64 import b64decode
from collections.abc import Iterator
from typing import Any

import pytest
from openai import APIError, OpenAI

from tests.fakes.provider_media import PICTURE, SILENCE
from tests.fakes.stage import Stage
from tests.journeys.test_more_endpoints import MIB, row_of, scripted


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    made = Stage(tmp_path_factory.mktemp("media-events"))
    made.begin()
    yield made
    made.close()


@pytest.fixture(scope="module")
def client(stage: Stage) -> Iterator[OpenAI]:
    with OpenAI(
        base_url=stage.tree.base_url, api_key=stage.tree.key, max_retries=0, timeout=30
    ) as made:
        yield made


def test_a_picture_grows(stage: Stage, client: OpenAI) -> None:
    """Two partial ones of three megabytes and the whole one, its usage by class."""
    prompt, headers = scripted("a cat", f"tokens=2 size={3 * MIB}")
    events: list[Any] = list(
        client.images.generate(
            model="small", prompt=prompt, stream=True, partial_images=2, extra_headers=headers
        )
    )
    kinds = ["image_generation.partial_image"] * 2 + ["image_generation.completed"]
    assert [event.type for event in events] == kinds
    picture = PICTURE * (3 * MIB // len(PICTURE))
    assert all(b64decode(event.b64_json) == picture for event in events)
    row = row_of(stage, headers)
    assert (row["endpoint"], row["output"], row["stream"]) == ("images_generations", 200, 1)
    assert (row["input"], row["payer"]) == (events[-1].usage.input_tokens, "reported")


def test_a_picture_of_twenty_megabytes(stage: Stage, client: OpenAI) -> None:
    """As large as they come, in one event."""
    prompt, headers = scripted("a cat", f"tokens=0 size={20 * MIB}")
    (event,) = client.images.generate(
        model="small", prompt=prompt, stream=True, extra_headers=headers
    )
    assert len(b64decode(event.b64_json)) == 20 * MIB // len(PICTURE) * len(PICTURE)
    assert row_of(stage, headers)["usage_source"] == "provider"


def test_an_edit_grows(stage: Stage, client: OpenAI) -> None:
    """A form goes up, events come down."""
    prompt, headers = scripted("a hat", "tokens=1 size=64")
    events: list[Any] = list(
        client.images.edit(
            model="small",
            image=("a.png", PICTURE),
            prompt=prompt,
            stream=True,
            partial_images=1,
            extra_headers=headers,
        )
    )
    assert [event.type for event in events] == ["image_edit.partial_image", "image_edit.completed"]
    row = row_of(stage, headers)
    assert (row["endpoint"], row["output"], row["stream"]) == ("images_edits", 100, 1)


def test_speech(stage: Stage, client: OpenAI) -> None:
    """The client gives out bytes: they are events, with the usage in the last."""
    text, headers = scripted("say it", "tokens=5 gap_ms=1")
    speech = client.audio.speech.with_streaming_response
    with speech.create(
        model="small", input=text, voice="alloy", stream_format="sse", extra_headers=headers
    ) as given:
        assert given.headers["content-type"].startswith("text/event-stream")
        events = [json.loads(line[6:]) for line in given.iter_lines() if line]
    assert [b64decode(event["audio"]) for event in events[:-1]] == [SILENCE] * 5
    assert events[-1]["type"] == "speech.audio.done"
    row = row_of(stage, headers)
    assert (row["endpoint"], row["usage_source"]) == ("audio_speech", "provider")
    assert (row["input"], row["output"]) == (events[-1]["usage"]["input_tokens"], 50)


def test_a_transcript(stage: Stage, client: OpenAI) -> None:
    """Word by word."""
    prompt, headers = scripted("names: Ada", "tokens=4")
    events: list[Any] = list(
        client.audio.transcriptions.create(
            model="small",
            file=("a.mp3", bytes(MIB)),
            prompt=prompt,
            stream=True,
            extra_headers=headers,
        )
    )
    assert [event.type for event in events] == ["transcript.text.delta"] * 4 + [
        "transcript.text.done"
    ]
    row = row_of(stage, headers)
    assert (row["endpoint"], row["input"], row["output"]) == ("audio_transcriptions", 50, 4)


@pytest.mark.parametrize("how", ["cut", "error_event"])
def test_one_that_breaks_off(stage: Stage, client: OpenAI, how: str) -> None:
    """The client is told; what it had is billed."""
    prompt, headers = scripted("a cat", f"tokens=3 size=64 {how}=2")
    events: list[Any] = []
    with pytest.raises(APIError):
        events.extend(
            client.images.generate(
                model="small", prompt=prompt, stream=True, partial_images=3, extra_headers=headers
            )
        )
    row = row_of(stage, headers)
    assert (row["payer"], row["outcome"], row["usage_source"]) == ("cut", "broken", "estimated")
    assert row["output"] == 200


def test_a_client_that_leaves(stage: Stage, client: OpenAI) -> None:
    """What it had is billed."""
    prompt, headers = scripted("a cat", "tokens=50 gap_ms=100 size=64")
    stream = client.images.generate(
        model="small", prompt=prompt, stream=True, partial_images=3, extra_headers=headers
    )
    next(iter(stream))
    stream.close()
    row = row_of(stage, headers)
    assert (row["payer"], row["outcome"]) == ("client_gone", "client_gone")
    assert row["output"] >= 100
