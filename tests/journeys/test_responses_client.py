"""The official `openai` client's Responses through the gateway to a provider that has them: whole
and streamed, what is refused, and what is booked.
"""

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from openai import APIError, BadRequestError, OpenAI

from tests.fakes.raw_provider import EVENTS_HEAD, RawProvider, RawRequest, answer
from tests.fakes.stage import Stage

USAGE = {
    "input_tokens": 30,
    "input_tokens_details": {"cached_tokens": 20},
    "output_tokens": 12,
    "output_tokens_details": {"reasoning_tokens": 5},
    "total_tokens": 42,
}
PART = {"type": "output_text", "text": "Grüße", "annotations": []}
ITEM = {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant"}


def response(status: str, **fields: Any) -> dict[str, Any]:
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1795000000,
        "status": status,
        "model": "small",
        "output": [],
        "tools": [],
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "error": None,
        "usage": None,
        **fields,
    }


def event(number: int, kind: str, **fields: Any) -> bytes:
    body = {"type": kind, "sequence_number": number, **fields}
    text = json.dumps(body, ensure_ascii=False).encode()
    return b"event: " + kind.encode() + b"\ndata: " + text + b"\n\n"


AT = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
WHOLE = response("completed", output=[{**ITEM, "content": [PART]}], usage=USAGE)
BEGUN = b"".join(
    (
        event(0, "response.created", response=response("in_progress")),
        event(1, "response.output_item.added", output_index=0, item={**ITEM, "content": []}),
        event(2, "response.content_part.added", part={**PART, "text": ""}, **AT),
        event(3, "response.output_text.delta", delta="Grü", logprobs=[], **AT),
        event(4, "response.output_text.delta", delta="ße", logprobs=[], **AT),
    )
)
ENDED = event(5, "response.completed", response=WHOLE)
ERROR = {"code": "server_error", "message": "Something broke."}
FAILED = event(5, "response.failed", response=response("failed", error=ERROR))


def play(connection: socket.socket, request: RawRequest) -> None:
    """OpenAI's API, as far as these tests ask."""
    asked = json.loads(request.body)
    if not asked.get("stream"):
        answer(connection, json.dumps(WHOLE, ensure_ascii=False).encode())
    elif asked["input"] == "fail":
        answer(connection, BEGUN + FAILED, EVENTS_HEAD)
    else:
        answer(connection, BEGUN + ENDED + b"data: [DONE]\n\n", EVENTS_HEAD)


@pytest.fixture(scope="module")
def raw() -> Iterator[RawProvider]:
    with RawProvider(play) as made:
        yield made


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, raw: RawProvider) -> Iterator[Stage]:
    made = Stage(tmp_path_factory.mktemp("responses"))
    made.add_provider("open", raw.base_url)
    made.begin()
    yield made
    made.close()


@pytest.fixture(scope="module")
def client(stage: Stage) -> Iterator[OpenAI]:
    with OpenAI(
        base_url=stage.tree.base_url, api_key=stage.tree.key, max_retries=0, timeout=20
    ) as made:
        yield made


def asks(nonce: str, **fields: Any) -> dict[str, Any]:
    return {"model": "open", "input": "hi", "extra_headers": {"x-request-id": nonce}, **fields}


def test_a_whole_response(stage: Stage, client: OpenAI, raw: RawProvider) -> None:
    """The answer as it was given, its usage by class; the provider was told to keep nothing."""
    given = client.responses.create(**asks("r-whole", user="alice"))
    assert given.output_text == "Grüße"
    assert raw.requests[-1].head.startswith(b"POST /v1/responses HTTP/1.1\r\n")
    sent = json.loads(raw.requests[-1].body)
    assert (sent["model"], sent["store"], sent["input"]) == ("small", False, "hi")
    assert sent["user"] != "alice"
    row = stage.row("r-whole")
    assert (row["input"], row["cached_input"], row["output"], row["reasoning"]) == (10, 20, 7, 5)
    assert (row["payer"], row["endpoint"]) == ("reported", "responses")


def test_a_stream(stage: Stage, client: OpenAI) -> None:
    """The client puts it together; a `[DONE]` that the provider adds does not pass."""
    with client.responses.stream(**asks("r-stream")) as stream:
        text = "".join(
            event.delta for event in stream if event.type == "response.output_text.delta"
        )
    assert text == "Grüße"
    row = stage.row("r-stream")
    assert (row["input"], row["cached_input"], row["output"], row["reasoning"]) == (10, 20, 7, 5)
    body = {"model": "open", "input": "hi", "stream": True}
    assert stage.post("/v1/responses", body).body == BEGUN + ENDED


def test_a_stream_that_fails(stage: Stage, client: OpenAI) -> None:
    """The client hears the provider's words in one error event; what it had is billed."""
    arguments = asks("r-fail", input="fail", stream=True)
    with pytest.raises(APIError, match="Something broke"):
        list(client.responses.create(**arguments))
    reply = stage.post("/v1/responses", {"model": "open", "input": "fail", "stream": True})
    name, data = reply.body.removeprefix(BEGUN).strip().split(b"\n")
    assert (name, reply.whole) == (b"event: error", False)
    told = json.loads(data.removeprefix(b"data: "))
    assert (told["type"], told["message"]) == ("error", "Something broke.")
    row = stage.row("r-fail")
    assert (row["payer"], row["usage_source"], row["output"]) == ("cut", "estimated", 2)


@pytest.mark.parametrize(
    "fields",
    [
        {"conversation": "conv_1"},
        {"prompt": {"id": "pmpt_1"}},
        {"input": [{"type": "item_reference", "id": "msg_1"}]},
    ],
)
def test_nothing_that_is_kept_can_be_named(
    client: OpenAI, raw: RawProvider, fields: dict[str, Any]
) -> None:
    """The refusal names the field, and the provider is not asked."""
    reached = len(raw.requests)
    with pytest.raises(BadRequestError) as refused:
        client.responses.create(**asks("r-kept", **fields))
    assert (refused.value.code, refused.value.param) == (
        "unsupported_parameter",
        next(iter(fields)),
    )
    assert len(raw.requests) == reached
