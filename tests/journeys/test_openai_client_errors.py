"""What the official client raises, when it asks again, and what each attempt leaves behind."""

import itertools
import json
import time
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from tests.fakes.gateway import wait_until
from tests.fakes.raw_provider import EVENTS_HEAD, RawProvider, answer
from tests.fakes.stage import Stage

NONCES = itertools.count(1)


@pytest.fixture(scope="module")
def raw() -> Iterator[RawProvider]:
    made = RawProvider()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, raw: RawProvider) -> Iterator[Stage]:
    made = Stage(tmp_path_factory.mktemp("errors"))
    made.add_provider("raw", raw.base_url)
    made.begin()
    yield made
    made.close()


def connect(stage: Stage, **changes: Any) -> OpenAI:
    fields = {"base_url": stage.tree.base_url, "api_key": stage.tree.key, "max_retries": 0}
    return OpenAI(**{**fields, "timeout": 20, **changes})


def asks(script: str = "", **fields: Any) -> dict[str, Any]:
    """The arguments of a chat completion with a nonce of its own."""
    nonce = f"e{next(NONCES)}"
    return {
        "model": "small",
        "messages": [{"role": "user", "content": f"hi [[id={nonce} {script}]]"}],
        "extra_headers": {"x-request-id": nonce},
        **fields,
    }


def nonce_of(arguments: dict[str, Any]) -> str:
    nonce: str = arguments["extra_headers"]["x-request-id"]
    return nonce


@pytest.mark.parametrize(
    ("status", "kind", "seen"),
    [
        (400, openai.BadRequestError, 400),
        (404, openai.NotFoundError, 404),
        (409, openai.ConflictError, 409),
        (413, openai.APIStatusError, 413),
        (422, openai.UnprocessableEntityError, 422),
        (429, openai.RateLimitError, 429),
        (500, openai.InternalServerError, 500),
        (503, openai.InternalServerError, 503),
    ],
)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_providers_status_passes_with_its_message_and_code(
    stage: Stage, status: int, kind: type[openai.APIStatusError], seen: int, stream: bool
) -> None:
    """The class an application catches, the provider's own words, and a row that bills nothing."""
    arguments = asks(f"status={status}", stream=stream)
    with connect(stage) as client, pytest.raises(kind) as caught:
        client.chat.completions.create(**arguments)
    error = caught.value
    assert error.status_code == seen
    assert (error.body or {})["message"] == "simulated"  # type: ignore[index] # typed as object
    assert error.code == f"simulated_{status}"
    assert error.request_id
    row = stage.row(nonce_of(arguments))
    assert row["request_id"] == error.request_id
    assert (row["status"], row["upstream_status"], row["payer"]) == (seen, status, "failed")
    assert (row["input"], row["output"]) == (0, 0)


@pytest.mark.parametrize("status", [401, 402, 403, 407, 302, 304, 204, 600])
def test_a_status_about_our_own_account_is_a_502(stage: Stage, status: int) -> None:
    """A provider's no to our credential must not read like a no to the client's."""
    arguments = asks(f"status={status}")
    with connect(stage) as client, pytest.raises(openai.InternalServerError) as caught:
        client.chat.completions.create(**arguments)
    assert caught.value.status_code == 502
    assert stage.row(nonce_of(arguments))["upstream_status"] == status


def test_our_own_refusals(stage: Stage) -> None:
    """401, 404 and 400 of ours, with stable codes; nothing reaches a provider or the ledger."""
    before = len(stage.truth.requests)
    wrong = stage.tree.key[:-1] + ("a" if stage.tree.key[-1] != "a" else "b")
    with connect(stage, api_key=wrong) as client:
        for call in (client.models.list, lambda: client.chat.completions.create(**asks())):
            with pytest.raises(openai.AuthenticationError) as refused:
                call()
            assert refused.value.code == "invalid_api_key"
            assert refused.value.request_id
    with connect(stage) as client:
        with pytest.raises(openai.NotFoundError) as unknown:
            client.chat.completions.create(**asks(model="no-such-model"))
        assert (unknown.value.code, unknown.value.param) == ("model_not_found", "model")
        with pytest.raises(openai.NotFoundError):
            client.models.retrieve("no-such-model")
        with pytest.raises(openai.BadRequestError) as forbidden:
            client.chat.completions.create(**asks(extra_body={"api_base": "http://x"}))
        assert (forbidden.value.code, forbidden.value.param) == ("forbidden_parameter", "api_base")
        with pytest.raises(openai.NotFoundError):
            client.batches.list()  # not an endpoint
    assert len(stage.truth.requests) == before


def test_a_429_is_retried_after_the_time_the_provider_names(stage: Stage) -> None:
    """`retry-after` reaches the client, which waits so long and then succeeds."""
    arguments = asks("tokens=3 status=429 times=1 retry_after=1.2")
    began = time.monotonic()
    with connect(stage, max_retries=2) as client:
        answered = client.chat.completions.create(**arguments)
    assert 1.2 <= time.monotonic() - began < 4
    assert answered.usage is not None
    attempts = stage.asked(nonce_of(arguments))
    assert len(attempts) == 2
    assert attempts[1].started_s - attempts[0].started_s >= 1.2
    rows = stage.rows(nonce_of(arguments), 2)
    assert sorted((row["status"], row["payer"], row["attempt"]) for row in rows) == [
        (200, "reported", 1),
        (429, "failed", 1),
    ]


def test_a_500_is_retried_as_often_as_the_client_says(stage: Stage) -> None:
    """Two retries are three requests, each with a row of its own."""
    arguments = asks("status=500")
    with connect(stage, max_retries=2) as client, pytest.raises(openai.InternalServerError):
        client.chat.completions.create(**arguments)
    assert len(stage.asked(nonce_of(arguments))) == 3
    rows = stage.rows(nonce_of(arguments), 3)
    assert {(row["status"], row["output"], row["payer"]) for row in rows} == {(500, 0, "failed")}
    assert len({row["request_id"] for row in rows}) == 3


@pytest.mark.parametrize("status", [400, 401, 404])
def test_what_cannot_help_is_not_retried(stage: Stage, status: int) -> None:
    """A client with retries left asks once where asking again is pointless."""
    arguments = asks(f"status={status}") if status == 400 else asks(model="none")
    key = "tw_test_wrong" if status == 401 else stage.tree.key
    with (
        connect(stage, max_retries=2, api_key=key) as client,
        pytest.raises(openai.APIStatusError) as caught,
    ):
        client.chat.completions.create(**arguments)
    assert caught.value.request.headers["x-stainless-retry-count"] == "0"
    assert caught.value.status_code == status
    assert len(stage.asked(nonce_of(arguments))) == (status == 400)


@pytest.mark.parametrize("fault", ["error_event", "reset", "fin"])
def test_an_error_inside_a_stream(stage: Stage, fault: str) -> None:
    """An APIError after exactly what was received; billed as such."""
    arguments = asks(f"tokens=20 gap_ms=1 fault={fault} at=5", stream=True)
    received = 0
    with connect(stage) as client, pytest.raises(openai.APIError) as caught:
        for chunk in client.chat.completions.create(**arguments):
            received += bool(chunk.choices[0].delta.content)
    assert not isinstance(caught.value, openai.APIConnectionError)
    assert received == 5
    if fault == "error_event":
        assert caught.value.message == "simulated mid-stream error"
    row = stage.row(nonce_of(arguments))
    assert (row["payer"], row["usage_source"], row["output"]) == ("cut", "estimated", 5)


def test_a_client_that_gives_up_waiting(stage: Stage) -> None:
    """Its timeout ends the provider's work too; nothing was delivered, nothing is billed."""
    arguments = asks("delay_ms=20000")
    with connect(stage, timeout=0.4) as client, pytest.raises(openai.APITimeoutError):
        client.chat.completions.create(**arguments)
    left_s = time.time()
    row = stage.row(nonce_of(arguments))
    assert (row["payer"], row["status"], row["output"]) == ("client_gone", 499, 0)
    wait_until(lambda: stage.asked(nonce_of(arguments))[0].closed_by == "peer", 2)
    assert (stage.asked(nonce_of(arguments))[0].closed_s or 0) - left_s < 1


def test_a_client_that_leaves_a_stream(stage: Stage) -> None:
    """Closing the stream ends the provider's work within a second; what was received is billed."""
    arguments = asks("tokens=2000 gap_ms=5", stream=True)
    with connect(stage) as client:
        stream = client.chat.completions.create(**arguments)
        received = 0
        for chunk in stream:
            received += bool(chunk.choices[0].delta.content)
            if received == 20:
                break
        stream.close()
        left_s = time.time()
    row = stage.row(nonce_of(arguments))
    assert (row["payer"], row["usage_source"]) == ("client_gone", "estimated")
    (seen,) = stage.asked(nonce_of(arguments))
    assert received <= row["output"] <= seen.tokens
    wait_until(lambda: stage.asked(nonce_of(arguments))[0].closed_by == "peer", 2)
    assert (stage.asked(nonce_of(arguments))[0].closed_s or 0) - left_s < 1


async def test_the_asynchronous_client_raises_the_same(stage: Stage) -> None:
    """Errors, in-stream errors and retries over asyncio."""
    async with AsyncOpenAI(
        base_url=stage.tree.base_url, api_key=stage.tree.key, max_retries=1
    ) as client:
        retried = asks("status=503 times=1 retry_after=0.1 tokens=2")
        answered = await client.chat.completions.create(**retried)
        assert answered.usage is not None
        assert len(stage.asked(nonce_of(retried))) == 2
        with pytest.raises(openai.NotFoundError):
            await client.chat.completions.create(**asks(model="none"))
        with pytest.raises(openai.APIError) as caught:
            broken = await client.chat.completions.create(
                **asks("tokens=9 fault=reset at=2", stream=True)
            )
            async for _ in broken:
                pass
        assert caught.value.message
        with pytest.raises(openai.APITimeoutError):
            await client.with_options(timeout=0.2, max_retries=0).chat.completions.create(
                **asks("delay_ms=5000")
            )


def test_a_providers_error_never_shows_a_secret(stage: Stage, raw: RawProvider) -> None:
    """Whatever is quoted in an error, whole or inside a stream: redacted, one line, JSON."""
    key = "sk-proj-abcdefghijklmnopqrstuvwxyz012345"
    message = f"Incorrect key {key}\r\n\r\ndata: [DONE]\n\n<script>{stage.tree.key}</script>"
    fault = json.dumps({"error": {"message": message, "code": "oops\r\nx: y"}}).encode()
    status = (
        b"HTTP/1.1 400 Bad\r\nset-cookie: a=b\r\nlocation: http://x\r\nx-request-id: theirs\r\n"
    )
    raw.script = lambda connection, _: answer(connection, fault, status)
    reply = stage.chat(model="raw")
    assert reply.status == 400
    assert key.encode() not in reply.body
    assert stage.tree.key.encode() not in reply.body
    assert "\n" not in reply.error["message"]
    assert reply.error["code"] != "oops\r\nx: y"
    assert "set-cookie" not in reply.headers
    assert "location" not in reply.headers
    assert reply.headers["x-request-id"].startswith("req_")

    event = b'data: {"choices":[{"index":0,"delta":{"content":"x"}}]}\n\ndata: ' + fault + b"\n\n"
    raw.script = lambda connection, _: answer(connection, event, EVENTS_HEAD)
    reply = stage.chat(model="raw", stream=True)
    assert reply.status == 200
    assert key.encode() not in reply.body
    assert reply.body.count(b"\n\ndata:") == 1
    assert b"[DONE]\n" not in reply.body
