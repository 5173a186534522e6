"""The official `ollama` client through the gateway, as it comes but for its address and key: at an
Ollama, where bytes pass, and at a provider that speaks otherwise; what is booked, and what it is
told when something is wrong.
"""

import contextlib
import itertools
import json
import socket
from collections.abc import Iterator
from typing import Any

import ollama
import pytest

from tests.fakes.raw_provider import JSON_HEAD, RawProvider, RawRequest, answer
from tests.fakes.stage import Stage

NONCES = itertools.count(1)
LINES_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\n"
CALL = {"function": {"name": "weather", "arguments": {"city": "Bern"}}}
COUNTS = {"prompt_eval_count": 11, "eval_count": 27}
WORDS = [f"{number:03d} " for number in range(1, 10)]
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}


def line(message: dict[str, Any], **more: Any) -> bytes:
    said = {"model": "small", "created_at": "2026-01-01T00:00:00Z", "done": False, **more}
    message = {"role": "assistant", "content": "", **message}
    return json.dumps({**said, "message": message}, ensure_ascii=False).encode() + b"\n"


BEGUN = b"".join(line({"content": word}) for word in WORDS)
STREAM = BEGUN + line({"tool_calls": [CALL]}) + line({}, done=True, done_reason="stop", **COUNTS)


def play(connection: socket.socket, request: RawRequest) -> None:
    """An Ollama, as far as these tests ask."""
    asked = json.loads(request.body)
    stream = asked.get("stream") is not False
    said = json.dumps(asked.get("messages"))
    if request.head.startswith(b"POST /api/embed "):
        answer(connection, b'{"model":"small","embeddings":[[0.5,0.25]],"prompt_eval_count":8}')
        return
    if request.head.startswith(b"POST /api/generate "):
        said = {"model": "small", "response": "Grüße", "done": True, **COUNTS}
        answer(connection, json.dumps(said).encode() + b"\n", LINES_HEAD if stream else JSON_HEAD)
        return
    if "no-such" in said:
        head = b"HTTP/1.1 404 Not Found\r\ncontent-type: application/json\r\n"
        answer(connection, b'{"error":"model \'small\' not found"}', head)
    elif not stream:
        whole = line({"content": "Grüße", "tool_calls": [CALL]}, done=True, **COUNTS)
        answer(connection, whole)
    elif "broken" in said:
        answer(connection, BEGUN + b'{"error":"out of memory"}\n', LINES_HEAD)
    elif "cut" in said:
        connection.sendall(LINES_HEAD + b"content-length: 99999\r\n\r\n" + BEGUN)
        connection.shutdown(socket.SHUT_RDWR)
    else:
        answer(connection, STREAM, LINES_HEAD)


@pytest.fixture(scope="module")
def raw() -> Iterator[RawProvider]:
    with RawProvider(play) as made:
        yield made


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, raw: RawProvider) -> Iterator[Stage]:
    made = Stage(tmp_path_factory.mktemp("ollama"))
    made.add_provider("llama:1b", raw.base_url.removesuffix("/v1"), kind="ollama")
    made.manifest["tenants"][0]["default_model"] = "llama:1b"
    made.begin()
    yield made
    made.close()


@contextlib.contextmanager
def client_of(stage: Stage, key: str, **headers: str) -> Iterator[ollama.Client]:
    url = stage.tree.base_url.removesuffix("/v1")
    with ollama.Client(host=url, headers={"authorization": f"Bearer {key}", **headers}) as made:
        yield made


@pytest.fixture
def nonce() -> str:
    return f"o{next(NONCES)}"


@pytest.fixture
def client(stage: Stage, nonce: str) -> Iterator[ollama.Client]:
    """Its request is found in the ledger by the nonce."""
    with client_of(stage, stage.tree.key, **{"x-request-id": nonce}) as made:
        yield made


def asks(text: str = "hi", **fields: Any) -> dict[str, Any]:
    return {"model": "llama:1b", "messages": [{"role": "user", "content": text}], **fields}


def test_a_stream(stage: Stage, client: ollama.Client, nonce: str, raw: RawProvider) -> None:
    """Words and a call as the provider gave them, the counts of its last line in the ledger."""
    parts = list(client.chat(**asks(), stream=True, tools=[TOOL], keep_alive="5m"))
    assert [part.message.content for part in parts][:9] == WORDS
    [call] = parts[9].message.tool_calls or ()
    assert (call.function.name, dict(call.function.arguments)) == ("weather", {"city": "Bern"})
    assert (parts[-1].done, parts[-1].eval_count) == (True, 27)
    request = raw.requests[-1]
    assert request.head.startswith(b"POST /api/chat HTTP/1.1\r\n")
    assert stage.tree.key.encode() not in request.head
    sent = json.loads(request.body)
    assert (sent["model"], sent["stream"], "keep_alive" in sent) == ("small", True, False)
    row = stage.row(nonce)
    assert (row["input"], row["output"], row["usage_source"]) == (11, 27, "provider")
    assert (row["endpoint"], row["payer"], row["stream"]) == ("ollama_chat", "reported", 1)


def test_a_whole_answer(stage: Stage, client: ollama.Client, nonce: str) -> None:
    """The same at once."""
    given = client.chat(**asks())
    assert given.message.content == "Grüße"
    assert given.message.tool_calls
    row = stage.row(nonce)
    assert (row["input"], row["output"], row["stream"]) == (11, 27, 0)


def test_a_stream_is_what_nobody_asked_against(stage: Stage) -> None:
    """Without `stream` lines come, and not one byte is changed; without a model the tenant's."""
    reply = stage.post("/api/chat", {"messages": []})
    assert (reply.status, reply.whole, reply.body) == (200, True, STREAM)
    assert reply.headers["content-type"] == "application/x-ndjson"
    assert stage.row(reply.nonce)["model"] == "llama:1b"


def test_a_conversation_elsewhere(stage: Stage, client: ollama.Client, nonce: str) -> None:
    """A provider of Chat Completions answers in lines; call and result go there and are booked."""
    asked = asks("[[tokens=5]]", model="small")
    asked["messages"] += [
        {"role": "assistant", "tool_calls": [CALL]},
        {"role": "tool", "tool_name": "weather", "content": "sunny"},
    ]
    parts = list(client.chat(**asked, stream=True, tools=[TOOL], options={"num_predict": 50}))
    assert len([part for part in parts if part.message.content]) > 1
    assert [part.done for part in parts] == [False] * (len(parts) - 1) + [True]
    assert {part.model for part in parts} == {"small"}
    row = stage.row(nonce)
    assert (row["usage_source"], row["endpoint"]) == ("provider", "ollama_chat")
    assert (row["input"], row["output"]) == (parts[-1].prompt_eval_count, parts[-1].eval_count)


def test_a_whole_answer_elsewhere(stage: Stage, client: ollama.Client, nonce: str) -> None:
    """Likewise."""
    given = client.chat(**asks("[[tokens=5]]", model="small"))
    assert given.done
    assert given.message.content
    assert stage.row(nonce)["output"] == given.eval_count


def test_a_stream_that_breaks(stage: Stage, client: ollama.Client, nonce: str) -> None:
    """The client hears the provider's words; what it had is billed as an estimate."""
    with pytest.raises(ollama.ResponseError, match="out of memory"):
        list(client.chat(**asks("broken"), stream=True))
    row = stage.row(nonce)
    assert (row["payer"], row["usage_source"], row["outcome"]) == ("cut", "estimated", "broken")
    assert row["output"] > 0


def test_a_stream_that_is_cut(stage: Stage) -> None:
    """What came passes; then one line that says so, and the connection closes."""
    reply = stage.post("/api/chat", asks("cut"))
    assert not reply.whole
    assert reply.body.startswith(BEGUN)
    [last] = reply.body[len(BEGUN) :].splitlines()
    assert set(json.loads(last)) == {"error"}
    assert stage.row(reply.nonce)["payer"] == "cut"


def test_a_client_that_leaves(stage: Stage, client: ollama.Client, nonce: str) -> None:
    """It pays for what came, once."""
    stream = client.chat(**asks("[[tokens=400 gap_ms=20]]", model="small"), stream=True)
    next(iter(stream))
    stream.close()
    row = stage.row(nonce)
    assert (row["payer"], row["usage_source"]) == ("client_gone", "estimated")


@pytest.mark.parametrize("model", ["llama:1b", "small"])
def test_a_text_that_goes_on(stage: Stage, client: ollama.Client, nonce: str, model: str) -> None:
    """At an Ollama and elsewhere, whole and streamed, in the same words."""
    given = client.generate(model=model, prompt="[[tokens=5]]")
    assert given.response
    assert stage.row(nonce)["output"] == given.eval_count
    with client_of(stage, stage.tree.key, **{"x-request-id": f"{nonce}s"}) as other:
        parts = list(other.generate(model=model, prompt="[[tokens=5]]", stream=True))
    assert "".join(part.response for part in parts)
    row = stage.row(f"{nonce}s")
    assert (row["endpoint"], row["usage_source"]) == ("ollama_generate", "provider")
    assert row["output"] == parts[-1].eval_count


def test_embeddings(stage: Stage, client: ollama.Client, nonce: str) -> None:
    """At an Ollama as they are; elsewhere in OpenAI's dialect, and booked by what it counts."""
    assert list(client.embed(model="llama:1b", input=["a"]).embeddings) == [[0.5, 0.25]]
    row = stage.row(nonce)
    assert (row["endpoint"], row["input"], row["output"]) == ("ollama_embed", 8, 0)
    with client_of(stage, stage.tree.key, **{"x-request-id": f"{nonce}s"}) as other:
        given = other.embed(model="small", input=["a", "b"])
    assert [list(one) for one in given.embeddings] == [[0.5, -0.25, 0.125]] * 2
    row = stage.row(f"{nonce}s")
    assert (row["endpoint"], row["usage_source"]) == ("ollama_embed", "provider")
    assert row["input"] == given.prompt_eval_count


def test_lists(stage: Stage, client: ollama.Client) -> None:
    """Models by their names with tags; one of them; and the version."""
    assert {"llama:1b", "small"} <= {model.model for model in client.list().models}
    assert client.show("llama:1b").capabilities
    with pytest.raises(ollama.ResponseError) as unknown:
        client.show("llama:3b")
    assert unknown.value.status_code == 404
    assert json.loads(stage.get("/api/version").body)["version"]


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"model": "llama:3b"}, 404),
        ({"options": {"num_predict": "x"}}, 400),
        ({"messages": [{"role": "user", "content": "no-such"}]}, 404),
        ({"model": "small", "think": "much"}, 400),
    ],
    ids=str,
)
def test_what_is_refused(client: ollama.Client, fields: dict[str, Any], status: int) -> None:
    """With a status and one text, which the client shows."""
    with pytest.raises(ollama.ResponseError) as refused:
        client.chat(**{**asks(), **fields})
    assert refused.value.status_code == status
    assert refused.value.error


def test_a_key_that_opens_nothing(stage: Stage) -> None:
    """401, wherever it is tried."""
    with client_of(stage, "tw_test_x") as stranger:
        asked: Any = [
            lambda: stranger.chat(**asks()),
            stranger.list,
            lambda: stranger.show("small"),
        ]
        for ask in asked:
            with pytest.raises(ollama.ResponseError) as refused:
                ask()
            assert refused.value.status_code == 401
