"""The official `anthropic` client through the gateway to a provider that speaks Messages: whole and
streamed answers, tools, counts, models and errors, and what is booked.
"""

import itertools
import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from anthropic import (
    Anthropic,
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    InternalServerError,
    NotFoundError,
)

from tests.fakes.raw_provider import EVENTS_HEAD, RawProvider, RawRequest, answer
from tests.fakes.stage import Stage

NONCES = itertools.count(1)
READ = {"input_tokens": 11, "cache_read_input_tokens": 40, "cache_creation_input_tokens": 5}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Bern"}}


def event(kind: str, **fields: Any) -> bytes:
    body = json.dumps({"type": kind, **fields}, ensure_ascii=False).encode()
    return b"event: " + kind.encode() + b"\ndata: " + body + b"\n\n"


def message(**fields: Any) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "small",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {**READ, "output_tokens": 1},
        **fields,
    }


def delta(index: int, **fields: str) -> bytes:
    return event("content_block_delta", index=index, delta=fields)


WORDS = [f"{number:03d} " for number in range(1, 10)]
BEGUN = (
    event("message_start", message=message())
    + event("content_block_start", index=0, content_block={"type": "text", "text": ""})
    + event("ping")
    + b"".join(delta(0, type="text_delta", text=word) for word in WORDS)
)
CALLED = (
    event("content_block_stop", index=0)
    + event("content_block_start", index=1, content_block={**CALL, "input": {}})
    + delta(1, type="input_json_delta", partial_json='{"ci')
    + delta(1, type="input_json_delta", partial_json='ty": "Bern"}')
    + event("content_block_stop", index=1)
)
ENDED = event(
    "message_delta",
    delta={"stop_reason": "tool_use", "stop_sequence": None},
    usage={"output_tokens": 27},
) + event("message_stop")
OVERLOADED = event("error", error={"type": "overloaded_error", "message": "Overloaded"})


def play(connection: socket.socket, request: RawRequest) -> None:
    """Anthropic's API, as far as these tests ask."""
    asked = json.loads(request.body)
    said = json.dumps(asked["messages"])
    if b" /v1/messages/count_tokens " in request.head:
        answer(connection, b'{"input_tokens": 2095}')
    elif "no-such" in said:
        head = b"HTTP/1.1 404 Not Found\r\ncontent-type: application/json\r\n"
        error = {"type": "not_found_error", "message": "There is no such thing."}
        body = {"type": "error", "error": error, "request_id": "req_theirs"}
        answer(connection, json.dumps(body).encode(), head)
    elif not asked.get("stream"):
        content = [{"type": "text", "text": "Grüße"}, CALL]
        usage = {**READ, "output_tokens": 27}
        whole = message(content=content, stop_reason="tool_use", usage=usage)
        answer(connection, json.dumps(whole, ensure_ascii=False).encode())
    elif "overloaded" in said:
        answer(connection, BEGUN + OVERLOADED, EVENTS_HEAD)
    elif "cut" in said:
        connection.sendall(EVENTS_HEAD + b"content-length: 99999\r\n\r\n" + BEGUN)
        connection.shutdown(socket.SHUT_RDWR)
    else:
        answer(connection, BEGUN + CALLED + ENDED, EVENTS_HEAD)


@pytest.fixture(scope="module")
def raw() -> Iterator[RawProvider]:
    with RawProvider(play) as made:
        yield made


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, raw: RawProvider) -> Iterator[Stage]:
    made = Stage(tmp_path_factory.mktemp("anthropic"))
    made.add_provider("claude", raw.base_url, kind="anthropic")
    made.begin()
    yield made
    made.close()


@pytest.fixture(scope="module")
def client(stage: Stage) -> Iterator[Anthropic]:
    url = stage.tree.base_url.removesuffix("/v1")
    with Anthropic(
        base_url=url, api_key=stage.tree.key, max_retries=0, timeout=20, auth_token=None
    ) as made:
        yield made


def asks(text: str = "hi", **fields: Any) -> dict[str, Any]:
    """The arguments of a message with a nonce of its own."""
    return {
        "model": "claude",
        "max_tokens": 100,
        "messages": [{"role": "user", "content": text}],
        "extra_headers": {"x-request-id": f"a{next(NONCES)}"},
        **fields,
    }


def row_of(stage: Stage, arguments: dict[str, Any]) -> dict[str, Any]:
    return stage.row(arguments["extra_headers"]["x-request-id"])


def test_a_whole_message(stage: Stage, client: Anthropic, raw: RawProvider) -> None:
    """The answer as the provider gave it; its usage in the ledger, by class; the request as it was
    judged, with the user's name kept from the provider."""
    arguments = asks(
        metadata={"user_id": "alice"},
        system="Be brief.",
        extra_headers={"x-request-id": "a-whole", "anthropic-beta": "x-2026-01-01"},
    )
    given = client.messages.create(**arguments)
    assert [block.type for block in given.content] == ["text", "tool_use"]
    assert (given.stop_reason, given.usage.output_tokens) == ("tool_use", 27)
    request = raw.requests[-1]
    assert request.head.startswith(b"POST /v1/messages HTTP/1.1\r\n")
    lines = request.head.lower().split(b"\r\n")
    assert [line for line in lines if line.startswith(b"anthropic-version: 20")]
    assert b"anthropic-beta: x-2026-01-01" in lines
    assert stage.tree.key.encode() not in request.head
    sent = json.loads(request.body)
    assert (sent["model"], sent["system"]) == ("small", "Be brief.")
    assert sent["metadata"]["user_id"] != "alice"
    row = stage.row("a-whole")
    assert (row["input"], row["cached_input"], row["cache_write"], row["output"]) == (11, 40, 5, 27)
    assert (row["payer"], row["usage_source"], row["endpoint"]) == (
        "reported",
        "provider",
        "messages",
    )
    assert row["end_user"] == "alice"


def test_a_stream(stage: Stage, client: Anthropic) -> None:
    """The client puts it together as if the provider had sent it; usage is booked by class."""
    arguments = asks()
    with client.messages.stream(**arguments) as stream:
        assert "".join(stream.text_stream) == "".join(WORDS)
        whole = stream.get_final_message()
    call = whole.content[1]
    assert call.type == "tool_use"
    assert (call.name, call.input) == ("weather", {"city": "Bern"})
    assert whole.usage.output_tokens == 27
    row = row_of(stage, arguments)
    assert (row["input"], row["cached_input"], row["cache_write"], row["output"]) == (11, 40, 5, 27)
    assert (row["payer"], row["outcome"]) == ("reported", "finished")


def test_bytes_of_a_stream_are_the_providers(stage: Stage) -> None:
    """Not one byte is changed, with the beta's query and the key in `x-api-key`."""
    body = {"model": "claude", "max_tokens": 9, "stream": True, "messages": []}
    reply = stage.post("/v1/messages?beta=true", body, key="", x_api_key=stage.tree.key)
    assert (reply.status, reply.whole) == (200, True)
    assert reply.body == BEGUN + CALLED + ENDED


def test_a_stream_that_breaks(stage: Stage, client: Anthropic) -> None:
    """The client hears the provider's words; what it had is billed, its input as was reported."""
    arguments = asks("overloaded")
    with (
        pytest.raises(APIStatusError, match="Overloaded"),
        client.messages.stream(**arguments) as stream,
    ):
        assert list(stream)
    row = row_of(stage, arguments)
    assert (row["payer"], row["usage_source"], row["outcome"]) == ("cut", "estimated", "broken")
    assert (row["input"], row["cached_input"], row["output"]) == (11, 40, 9)


def test_a_stream_that_is_cut(stage: Stage) -> None:
    """What came passes; then one error event in Anthropic's shape, and the connection closes."""
    body = {"model": "claude", "max_tokens": 9, "stream": True}
    body["messages"] = [{"role": "user", "content": "cut"}]
    reply = stage.post("/v1/messages", body)
    assert not reply.whole
    assert reply.body.startswith(BEGUN)
    name, data = reply.body[len(BEGUN) :].rstrip(b"\n").split(b"\n")
    assert name == b"event: error"
    assert json.loads(data.removeprefix(b"data: "))["error"]["type"] == "api_error"
    row = stage.row(reply.nonce)
    assert (row["payer"], row["input"], row["output"]) == ("cut", 11, 9)


def test_counting_costs_nothing(stage: Stage, client: Anthropic) -> None:
    """Tokens are counted by the provider, and none are booked."""
    arguments = asks()
    del arguments["max_tokens"]
    assert client.messages.count_tokens(**arguments).input_tokens == 2095
    row = row_of(stage, arguments)
    assert (row["endpoint"], row["input"], row["output"]) == ("count_tokens", 0, 0)


def test_models(client: Anthropic) -> None:
    """They are listed in Anthropic's shape for whoever sends its version."""
    assert {"claude", "small"} <= {model.id for model in client.models.list()}
    one = client.models.retrieve("claude")
    assert (one.type, one.id) == ("model", "claude")


def test_errors(stage: Stage, client: Anthropic) -> None:
    """Each has the class that the client knows it by, and the request's id."""
    with pytest.raises(NotFoundError, match="There is no such thing") as theirs:
        client.messages.create(**asks("no-such"))
    assert "req_theirs" not in str(theirs.value.body)
    with pytest.raises(NotFoundError, match="does not exist") as ours:
        client.messages.create(**asks(model="nothing"))
    body: Any = ours.value.body
    assert body["request_id"] == ours.value.response.headers["x-request-id"]
    assert body["error"]["type"] == "not_found_error"
    with pytest.raises(BadRequestError, match="fallbacks"):
        client.messages.create(**asks(extra_body={"fallbacks": "default"}))
    with pytest.raises(AuthenticationError):
        client.with_options(api_key="tw_live_x").messages.create(**asks())
    assert issubclass(InternalServerError, APIStatusError)


def test_a_provider_of_openais_dialect_answers_too(stage: Stage, client: Anthropic) -> None:
    """Whole and streamed, in the client's dialect; billed as the provider counted."""
    message = client.messages.create(**asks(model="small"))
    assert [block.type for block in message.content] == ["text"]
    assert (message.stop_reason, message.model) == ("end_turn", "small")
    with client.messages.stream(**asks(model="small")) as stream:
        said = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert said == final.content[0].text
    assert final.usage.output_tokens > 0
