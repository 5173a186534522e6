"""Clients of Ollama's own API through the whole pipeline: at an Ollama, where bytes pass, and at a
provider that speaks otherwise; what is booked, and how an answer ends that is not whole.
"""

import json

import pytest

from tests.fakes.pipeline import (
    DONE,
    RESET,
    FakeClient,
    Script,
    chunk,
    make_bench,
    provider,
    reply,
    snapshot,
    whole,
)
from tests.fakes.pipeline import streamed as events
from tests.fakes.quotas import places, quota
from tollway.dialects.registry import ENDPOINTS
from tollway.domain.ids import ModelId, ProviderId
from tollway.domain.model import ModelRecord, Target
from tollway.domain.provider import ProviderKind
from tollway.domain.quota import Precision
from tollway.domain.refusal import BadRequest, ModelNotFound

CHAT = ENDPOINTS[b"/api/chat"]
LINES = b"application/x-ndjson"
HI = {"messages": [{"role": "user", "content": "hi"}]}
ASK = {"model": "m", **HI}
COUNTS = {"prompt_eval_count": 5, "eval_count": 2}


def line(content="", **more):
    said = {"model": "one-model", "created_at": "2026-01-01T00:00:00Z", "done": False, **more}
    return json.dumps({**said, "message": {"role": "assistant", "content": content}}).encode()


STREAM = (line("hel") + b"\n", line("lo") + b"\n", line(done=True, **COUNTS) + b"\n")


def bench(*scripts, kind=ProviderKind.OLLAMA, quotas=(), models=None):
    config = snapshot(
        providers={ProviderId("prv_one"): provider("one", kind=kind)},
        quotas=places(*quotas),
        **({} if models is None else {"models": models}),
    )
    return make_bench(*scripts, config=config)


def streamed(*pieces, **changes):
    return Script(headers=[(b"content-type", LINES)], pieces=list(pieces), **changes)


def told(client):
    """The lines a client has."""
    assert client.body.endswith(b"\n")
    return [json.loads(one) for one in client.body.splitlines()]


@pytest.mark.parametrize("said", [{}, {"stream": True}], ids=str)
async def test_bytes_pass_at_an_ollama(said):
    """Who says nothing gets a stream; every line keeps its bytes, and the last is booked."""
    data = b"".join(STREAM)
    for pieces in (STREAM, [data], [data[at : at + 7] for at in range(0, len(data), 7)]):
        made = bench(streamed(*pieces))
        client, verdict = await made.ask({**ASK, **said, "new": 1}, endpoint=CHAT)
        assert (verdict, client.ended, client.body) == (None, "finished", data)
        assert client.headers[b"content-type"] == LINES
        [call] = made.upstream.calls
        assert (call.path, json.loads(call.body)) == (
            "/api/chat",
            {"model": "one-model", **HI, **said, "new": 1},
        )
        assert (b"accept", LINES) in call.headers
        [row] = made.journal.receipts
        assert (row.input, row.output, row.usage_source) == (5, 2, "provider")
        assert row.endpoint == "ollama_chat"


async def test_a_whole_answer_at_an_ollama():
    """Likewise."""
    body = line("hello", done=True, **COUNTS)
    made = bench(whole(body))
    client, verdict = await made.ask({**ASK, "stream": False}, endpoint=CHAT)
    assert (verdict, client.body) == (None, body)
    assert client.headers[b"content-type"] == b"application/json"
    [row] = made.journal.receipts
    assert (row.input, row.output, row.usage_source) == (5, 2, "provider")


async def test_what_is_the_servers_is_left_out_and_told():
    """A model stays in memory as long as its owner wants."""
    made = bench(streamed(*STREAM))
    client, _ = await made.ask({**ASK, "keep_alive": -1, "options": {"num_gpu": 0}}, endpoint=CHAT)
    assert json.loads(made.upstream.calls[0].body) == {"model": "one-model", **HI, "options": {}}
    assert b"keep_alive, options.num_gpu" in client.headers[b"warning"]


async def test_a_stream_from_elsewhere():
    """Events come in, lines go out; the last has what the provider counted."""
    made = bench(
        events(chunk("hel"), chunk("lo"), chunk(finish="stop"), chunk(usage=(5, 2)), DONE),
        kind=ProviderKind.OPENAI,
    )
    client, verdict = await made.ask({**ASK, "keep_alive": "5m"}, endpoint=CHAT)
    assert (verdict, client.ended) == (None, "finished")
    assert client.headers[b"content-type"] == LINES
    assert b"keep_alive" in client.headers[b"warning"]
    [call] = made.upstream.calls
    assert (call.path, json.loads(call.body)["stream"]) == ("/chat/completions", True)
    lines = told(client)
    assert "".join(one["message"]["content"] for one in lines) == "hello"
    assert [one["done"] for one in lines][-2:] == [False, True]
    assert {name: lines[-1][name] for name in COUNTS} == COUNTS
    assert {one["model"] for one in lines} == {"m"}
    [row] = made.journal.receipts
    assert (row.input, row.output, row.usage_source) == (5, 2, "provider")


async def test_a_whole_answer_from_elsewhere():
    """One object, with what was counted."""
    made = bench(whole(reply()), kind=ProviderKind.OPENAI)
    client, verdict = await made.ask({**ASK, "stream": False}, endpoint=CHAT)
    assert (verdict, client.headers[b"content-type"]) == (None, b"application/json")
    body = json.loads(client.body)
    assert (body["message"]["content"], body["done"]) == ("hello", True)
    assert {name: body[name] for name in COUNTS} == COUNTS


@pytest.mark.parametrize(
    ("kind", "script"),
    [
        (ProviderKind.OLLAMA, streamed(STREAM[0], b'{"error":"it broke"}\n', *STREAM[1:])),
        (ProviderKind.OLLAMA, streamed(STREAM[0])),
        (ProviderKind.OLLAMA, streamed(STREAM[0], failure=RESET)),
        (ProviderKind.OPENAI, events(chunk("hel"), b'data: {"error":{"message":"no"}}\n\n')),
        (ProviderKind.OPENAI, events(chunk("hel"))),
    ],
    ids=["told", "cut", "reset", "told elsewhere", "cut elsewhere"],
)
async def test_a_stream_that_breaks(kind, script):
    """It ends in one line that says so and none that says done; what was given is estimated."""
    made = bench(script, kind=kind)
    client, _ = await made.ask(ASK, endpoint=CHAT)
    assert client.ended == "aborted"
    lines = told(client)
    assert [set(one) == {"error"} for one in lines] == [False] * (len(lines) - 1) + [True]
    assert isinstance(lines[-1]["error"], str)
    assert not any(one.get("done") for one in lines)
    [row] = made.journal.receipts
    assert (row.usage_source, row.outcome) == ("estimated", "broken")
    assert row.output > 0


@pytest.mark.parametrize("kind", [ProviderKind.OLLAMA, ProviderKind.OPENAI])
async def test_a_client_that_leaves(kind):
    """The provider is told to stop, and what was given is booked once."""
    client = FakeClient()
    script = (
        streamed(STREAM[0], client.leave, *STREAM[1:])
        if kind is ProviderKind.OLLAMA
        else events(chunk("hel"), client.leave, chunk("lo"), chunk(finish="stop"), DONE)
    )
    made = bench(script, kind=kind)
    await made.ask(ASK, endpoint=CHAT, client=client)
    [row] = made.journal.receipts
    assert (row.outcome, row.usage_source) == ("client_gone", "estimated")
    assert b"lo" not in client.body.replace(b"hel", b"")


async def test_an_error_before_the_first_line_is_a_status():
    """Another target could still have been asked."""
    made = bench(streamed(b'{"error":"out of memory"}\n'))
    client, verdict = await made.ask(ASK, endpoint=CHAT)
    assert (client.status, verdict.message) == (None, "out of memory")


async def test_a_strict_limit_caps_what_has_no_cap():
    """-1 is as much as there is: the cap goes upstream, in the dialect's own place."""
    limit = quota(4096, "output_tokens", precision=Precision.STRICT)
    for predict in (-1, 0):
        made = bench(streamed(*STREAM), quotas=[limit])
        _, verdict = await made.ask({**ASK, "options": {"num_predict": predict}}, endpoint=CHAT)
        assert verdict is None
        assert json.loads(made.upstream.calls[0].body)["options"] == {"num_predict": 4096}
    picture = [{"role": "user", "content": "", "images": ["iVBORw0KGgo="]}]
    _, verdict = await bench(quotas=[limit]).ask({**ASK, "messages": picture}, endpoint=CHAT)
    assert isinstance(verdict, BadRequest)
    assert verdict.code == "unbounded_input"


async def test_a_name_with_a_tag():
    """Is a model's name like any other; an unknown tag is not found."""
    target = Target(ProviderId("prv_one"), "llama3.2:1b-instruct-q4")
    models = {(None, "llama3.2:1b"): ModelRecord(ModelId("mdl_l"), "llama3.2:1b", (target,))}
    made = bench(streamed(*STREAM), models=models)
    _, verdict = await made.ask({**ASK, "model": "llama3.2:1b"}, endpoint=CHAT)
    assert verdict is None
    assert json.loads(made.upstream.calls[0].body)["model"] == "llama3.2:1b-instruct-q4"
    _, verdict = await made.ask({**ASK, "model": "llama3.2:3b"}, endpoint=CHAT)
    assert verdict == ModelNotFound("llama3.2:3b")
