"""Vertex over sockets: Claude for Anthropic's client and OpenAI's, an open model, and embeddings
for OpenAI's client and Ollama's; what is asked where, and what is booked.
"""

import itertools
import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from anthropic import Anthropic, APIStatusError
from ollama import Client as Ollama
from openai import OpenAI

from tests.fakes.raw_provider import EVENTS_HEAD, RawProvider, RawRequest, answer
from tests.fakes.stage import Stage

NONCES = itertools.count(1)
CLAUDE = "claude-sonnet-4-5@20250929"
LLAMA = "meta/llama-3.3-70b-instruct-maas"
READ = {"input_tokens": 11, "cache_read_input_tokens": 40, "cache_creation_input_tokens": 5}
AT = "/v1/projects/p/locations/eu"
SPOKEN = f"{AT}/publishers/anthropic/models/{CLAUDE}"
COUNTED = f"{AT}/publishers/anthropic/models/count-tokens:rawPredict"
PREDICTED = f"{AT}/publishers/google/models/text-embedding-005:predict"


def event(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


def message(**fields: Any) -> dict[str, Any]:
    return {
        "id": "msg_vrtx_1",
        "type": "message",
        "role": "assistant",
        "model": CLAUDE,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {**READ, "output_tokens": 1},
        **fields,
    }


BEGUN = (
    event("vertex_event")
    + event("message_start", message=message())
    + event("content_block_start", index=0, content_block={"type": "text", "text": ""})
    + event("content_block_delta", index=0, delta={"type": "text_delta", "text": "hello"})
)
ENDED = (
    event("content_block_stop", index=0)
    + event(
        "message_delta",
        delta={"stop_reason": "end_turn", "stop_sequence": None},
        usage={"output_tokens": 27},
    )
    + event("message_stop")
)
WHOLE = message(
    content=[{"type": "text", "text": "hello"}],
    stop_reason="end_turn",
    usage={**READ, "output_tokens": 27},
)
CHAT = {
    "id": "x",
    "object": "chat.completion",
    "created": 1,
    "model": LLAMA,
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}
    ],
    "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7},
}


def play(connection: socket.socket, request: RawRequest) -> None:
    """Vertex, as far as these tests ask."""
    path, asked = path_of(request), json.loads(request.body)
    if path == COUNTED:
        answer(connection, b'{"input_tokens": 2095}')
    elif path == PREDICTED:
        one = {"embeddings": {"values": [0.5, 0.25], "statistics": {"token_count": 3}}}
        answer(connection, json.dumps({"predictions": [one] * len(asked["instances"])}).encode())
    elif path == f"{AT}/endpoints/openapi/chat/completions":
        answer(connection, json.dumps(CHAT).encode())
    elif "no-such" in str(asked):
        head = b"HTTP/1.1 404 Not Found\r\ncontent-type: application/json\r\n"
        error = {"code": 404, "message": "No such model.", "status": "NOT_FOUND"}
        answer(connection, json.dumps([{"error": error}]).encode(), head)
    elif path == f"{SPOKEN}:rawPredict":
        answer(connection, json.dumps(WHOLE).encode())
    elif "cut" in str(asked):
        connection.sendall(EVENTS_HEAD + b"content-length: 99999\r\n\r\n" + BEGUN)
        connection.shutdown(socket.SHUT_RDWR)
    else:
        assert path == f"{SPOKEN}:streamRawPredict"
        answer(connection, BEGUN + ENDED, EVENTS_HEAD)


def path_of(request: RawRequest) -> str:
    return request.head.split(b" ")[1].decode()


@pytest.fixture(scope="module")
def raw() -> Iterator[RawProvider]:
    with RawProvider(play) as made:
        yield made


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, raw: RawProvider) -> Iterator[Stage]:
    made = Stage(tmp_path_factory.mktemp("vertex"))
    place = f"{raw.base_url}/projects/p/locations/eu"
    entry = {"name": "vertex", "kind": "vertex", "base_url": f"{place}/publishers/google"}
    made.manifest["providers"].append(entry)
    targets = {"claude": CLAUDE, "llama": LLAMA, "vectors": "text-embedding-005"}
    for name, model in targets.items():
        made.add_model(name, {"provider": "vertex", "model": model})
    made.begin()
    yield made
    made.close()


@pytest.fixture(scope="module")
def claude(stage: Stage) -> Iterator[Anthropic]:
    url = stage.tree.base_url.removesuffix("/v1")
    with Anthropic(
        base_url=url, api_key=stage.tree.key, max_retries=0, timeout=20, auth_token=None
    ) as made:
        yield made


@pytest.fixture(scope="module")
def openai(stage: Stage) -> Iterator[OpenAI]:
    with OpenAI(
        base_url=stage.tree.base_url, api_key=stage.tree.key, max_retries=0, timeout=20
    ) as made:
        yield made


def named() -> dict[str, str]:
    return {"x-request-id": f"v{next(NONCES)}"}


def asks(text: str = "hi", **fields: Any) -> dict[str, Any]:
    return {
        "model": "claude",
        "max_tokens": 100,
        "messages": [{"role": "user", "content": text}],
        "extra_headers": named(),
        **fields,
    }


def booked(stage: Stage, headers: dict[str, str]) -> tuple[object, ...]:
    row = stage.row(headers["x-request-id"])
    names = ("input", "cached_input", "cache_write", "output", "usage_source", "payer")
    return tuple(row[name] for name in names)


USED = (11, 40, 5, 27, "provider", "reported")


def test_a_message(stage: Stage, claude: Anthropic, raw: RawProvider) -> None:
    """In the version that the client writes in; its usage by class, and at a price."""
    arguments = asks(metadata={"user_id": "alice"})
    given = claude.messages.create(**arguments)
    assert [block.type for block in given.content] == ["text"]
    request = raw.requests[-1]
    sent = json.loads(request.body)
    [version] = {value for name, value in claude.default_headers.items() if "version" in name}
    assert path_of(request) == f"{SPOKEN}:rawPredict"
    assert "model" not in sent
    assert sent["anthropic_version"] == version
    assert sent["metadata"]["user_id"] != "alice"
    assert stage.tree.key.encode() not in request.head
    assert booked(stage, arguments["extra_headers"]) == USED
    assert stage.row(arguments["extra_headers"]["x-request-id"])["cost_nusd"] > 0


def test_a_stream(stage: Stage, claude: Anthropic) -> None:
    """As Anthropic's own."""
    arguments = asks()
    with claude.messages.stream(**arguments) as stream:
        assert stream.get_final_text() == "hello"
    assert booked(stage, arguments["extra_headers"]) == USED


def test_a_stream_that_is_cut(stage: Stage, claude: Anthropic) -> None:
    """Booked once: what was counted of the input, and the words that came."""
    arguments = asks("cut")
    with pytest.raises(APIStatusError), claude.messages.stream(**arguments) as stream:
        assert list(stream)
    assert booked(stage, arguments["extra_headers"]) == (11, 40, 5, 2, "estimated", "cut")


def test_a_count(stage: Stage, claude: Anthropic) -> None:
    """Costs nothing."""
    arguments = asks()
    del arguments["max_tokens"]
    assert claude.messages.count_tokens(**arguments).input_tokens == 2095
    assert booked(stage, arguments["extra_headers"])[:4:3] == (0, 0)


def test_googles_errors(claude: Anthropic) -> None:
    """In the client's shape."""
    with pytest.raises(APIStatusError, match="No such model") as caught:
        claude.messages.create(**asks("no-such"))
    assert caught.value.status_code == 404


def test_openais_client(stage: Stage, openai: OpenAI, raw: RawProvider) -> None:
    """Claude by translation, an open model as it is."""
    for model, used in (("claude", (11, 27)), ("llama", (5, 2))):
        arguments = asks(model=model, temperature=0.5)
        given = openai.chat.completions.create(**arguments)
        assert given.choices[0].message.content == "hello"
        row = stage.row(arguments["extra_headers"]["x-request-id"])
        assert (row["input"], row["output"]) == used
    assert json.loads(raw.requests[-1].body)["model"] == LLAMA
    assert json.loads(raw.requests[-2].body)["anthropic_version"] == "vertex-2023-10-16"


def test_embeddings(stage: Stage, openai: OpenAI, raw: RawProvider) -> None:
    """For OpenAI's client, which asks for packed vectors, and for Ollama's."""
    headers = named()
    given = openai.embeddings.create(
        model="vectors", input=["a", "b"], dimensions=2, extra_headers=headers
    )
    assert [one.embedding for one in given.data] == [[0.5, 0.25]] * 2
    assert given.usage.prompt_tokens == 6
    sent = json.loads(raw.requests[-1].body)
    assert sent["instances"] == [{"content": "a"}, {"content": "b"}]
    assert sent["parameters"] == {"autoTruncate": False, "outputDimensionality": 2}
    row = stage.row(headers["x-request-id"])
    assert (row["input"], row["output"] or 0, row["endpoint"]) == (6, 0, "embeddings")
    headers = named()
    with Ollama(
        host=stage.tree.base_url.removesuffix("/v1"),
        headers={"authorization": f"Bearer {stage.tree.key}", **headers},
    ) as ollama:
        assert ollama.embed("vectors", "a").embeddings == [[0.5, 0.25]]
    assert stage.row(headers["x-request-id"])["input"] == 3
