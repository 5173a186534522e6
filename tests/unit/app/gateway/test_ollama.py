"""Ollama through the whole pipeline: each client's dialect to its chat API and back, lines of JSON
in and events out, and what it says when it says no.
"""

import json

import pytest

from tests.fakes.pipeline import Script, make_bench, provider, snapshot, whole
from tests.unit.app.gateway.test_bedrock import ASKS, HI, PIXEL, SCHEMA
from tests.unit.app.gateway.test_bedrock import ENDS as LAST
from tollway.dialects.registry import ENDPOINTS
from tollway.domain.failure import Failure
from tollway.domain.ids import ModelId, ProviderId
from tollway.domain.model import ModelRecord, Target
from tollway.domain.provider import ProviderKind

CHAT, MESSAGES = ENDPOINTS[b"/v1/chat/completions"], ENDPOINTS[b"/v1/messages"]
LINES = b"application/x-ndjson"
CALL = {"function": {"name": "look", "arguments": {"at": 1}}}
AT = "2025-07-07T20:32:53.8Z"
END = {"done": True, "done_reason": "stop", "prompt_eval_count": 5, "eval_count": 2}
REPLY = {
    "model": "llama3.2",
    "created_at": AT,
    "message": {"role": "assistant", "content": "hello", "tool_calls": [CALL]},
    **END,
}
STREAM = tuple(
    json.dumps({"model": "llama3.2", "created_at": AT, **more}).encode() + b"\n"
    for more in (
        {"message": {"role": "assistant", "content": "hel"}, "done": False},
        {"message": {"role": "assistant", "content": "lo"}, "done": False},
        {"message": {"role": "assistant", "content": "", "tool_calls": [CALL]}, "done": False},
        {"message": {"role": "assistant", "content": ""}, **END},
    )
)
FUNCTION = {"name": "look", "description": "", "parameters": SCHEMA}
ASKED = {
    "model": "llama3.2",
    "messages": [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "look", "images": [PIXEL]},
        {"role": "assistant", "content": "I look", "tool_calls": [CALL]},
        {"role": "tool", "tool_name": "look", "content": "seen"},
    ],
    "tools": [{"type": "function", "function": FUNCTION}],
    "options": {"num_predict": 100, "temperature": 0.5},
}


def bench(*scripts, names=("one",)):
    """A pipeline whose model is at one Ollama or at several."""
    at = {ProviderId(f"prv_{name}"): provider(name, kind=ProviderKind.OLLAMA) for name in names}
    targets = tuple(Target(id_, "llama3.2", priority=rank) for rank, id_ in enumerate(at))
    models = {(None, "m"): ModelRecord(ModelId("mdl_m"), "m", targets)}
    return make_bench(*scripts, config=snapshot(names, providers=at, models=models))


def streamed(*pieces):
    return Script(headers=[(b"content-type", LINES)], pieces=list(pieces))


@pytest.mark.parametrize("dialect", ASKS)
async def test_a_whole_answer(dialect):
    """The same request whoever speaks, the answer in the client's own words."""
    endpoint, body = ASKS[dialect]
    made = bench(whole(json.dumps(REPLY).encode()))
    client, verdict = await made.ask({"model": "m", **body}, endpoint=endpoint)
    assert (verdict, client.status) == (None, 200)
    [call] = made.upstream.calls
    assert (call.path, json.loads(call.body)) == ("/api/chat", {**ASKED, "stream": False})
    assert b"hello" in client.body
    assert b"call_2025-07-07T2032538Z_1" in client.body
    [row] = made.journal.receipts
    assert (row.input, row.output, row.usage_source) == (5, 2, "provider")


@pytest.mark.parametrize("dialect", ASKS)
async def test_a_stream(dialect):
    """Lines come in, events of the client's go out, wherever the provider cuts them."""
    endpoint, body = ASKS[dialect]
    data = b"".join(STREAM)
    outputs = set()
    for pieces in (STREAM, [data], [data[at : at + 7] for at in range(0, len(data), 7)]):
        made = bench(streamed(*pieces))
        client, verdict = await made.ask({"model": "m", **body, "stream": True}, endpoint=endpoint)
        assert (verdict, client.ended) == (None, "finished")
        assert client.headers[b"content-type"] == b"text/event-stream; charset=utf-8"
        [call] = made.upstream.calls
        assert json.loads(call.body) == {**ASKED, "stream": True}
        assert (b"accept", LINES) in call.headers
        [row] = made.journal.receipts
        assert (row.input, row.output, row.usage_source) == (5, 2, "provider")
        outputs.add(client.body)
    [told] = outputs
    assert b"hel" in told
    assert LAST[dialect] in told


async def test_a_no_of_ollama():
    """In its words."""
    no = Script(
        404, [(b"content-type", b"application/json")], [b'{"error":"model \'x\' not found"}']
    )
    _, verdict = await bench(no).ask({"model": "m", **HI}, endpoint=MESSAGES)
    assert isinstance(verdict, Failure)
    assert (verdict.status, verdict.message) == (404, "model 'x' not found")


async def test_another_target_after_an_error_in_the_first_line():
    """As long as the client has nothing, the next one is asked."""
    made = bench(streamed(b'{"error":"out of memory"}\n'), streamed(*STREAM), names=("one", "two"))
    client, verdict = await made.ask({"model": "m", **HI, "stream": True}, endpoint=CHAT)
    assert (verdict, client.ended) == (None, "finished")
    assert [row.payer for row in made.journal.receipts] == ["failed_over", "reported"]


@pytest.mark.parametrize(
    ("last", "words"),
    [(b'{"error":"it broke"}\n', b"it broke"), (b"", b"before it was complete")],
)
async def test_a_stream_that_breaks(last, words):
    """One error event in the client's shape; billed what was given, as an estimate."""
    made = bench(streamed(STREAM[0], last))
    client, _ = await made.ask({"model": "m", **HI, "stream": True}, endpoint=MESSAGES)
    assert client.ended == "aborted"
    assert client.body.count(b"event: error") == 1
    assert words in client.body
    [row] = made.journal.receipts
    assert (row.usage_source, row.outcome) == ("estimated", "broken")
