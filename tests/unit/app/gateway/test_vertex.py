"""Vertex through the whole pipeline: each client's dialect to it and back, and accounts of which
one gets no token.
"""

import json
from dataclasses import replace

import pytest

from tests.fakes.pipeline import (
    Script,
    chunk,
    make_bench,
    provider,
    reply,
    snapshot,
    streamed,
    whole,
)
from tests.unit.app.gateway.test_bedrock import ASKS, ENDS, HI, PIXEL, SCHEMA
from tollway.dialects.registry import ENDPOINTS
from tollway.domain.failure import Cause, Failure, Phase, client_status
from tollway.domain.ids import CredentialId, ModelId, ProviderId
from tollway.domain.model import ModelRecord, Target
from tollway.domain.provider import CredentialRecord, ProviderKind

CHAT = ENDPOINTS[b"/v1/chat/completions"]
MODEL = "gemini-2.5-flash"
CALL = {"functionCall": {"name": "look", "args": {"at": 1}}}
USED = {"promptTokenCount": 5, "candidatesTokenCount": 2, "totalTokenCount": 7}
NO_TOKEN = Failure(Phase.CONNECT, Cause.CREDENTIAL, "no access token: invalid_grant")
ASKED = {
    "systemInstruction": {"parts": [{"text": "be brief"}]},
    "contents": [
        {
            "role": "user",
            "parts": [
                {"text": "look"},
                {"inlineData": {"mimeType": "image/png", "data": PIXEL}},
            ],
        },
        {"role": "model", "parts": [{"text": "I look"}, CALL]},
        {
            "role": "user",
            "parts": [{"functionResponse": {"name": "look", "response": {"output": "seen"}}}],
        },
    ],
    "tools": [{"functionDeclarations": [{"name": "look", "parametersJsonSchema": SCHEMA}]}],
    "toolConfig": {"functionCallingConfig": {"mode": "AUTO"}},
    "generationConfig": {"maxOutputTokens": 100, "temperature": 0.5},
}


def said(*parts, **more):
    """One object of an answer."""
    candidate = {"content": {"role": "model", "parts": list(parts)}, **more}
    return {"responseId": "r1", "candidates": [candidate], "usageMetadata": USED}


REPLY = said({"text": "hello"}, CALL, finishReason="STOP")
STREAM = [
    f"data: {json.dumps(one)}\r\n\r\n".encode()
    for one in (said({"text": "hel"}), said({"text": "lo"}), said(CALL, finishReason="STOP"))
]


def bench(*scripts, credentials=(), model=MODEL):
    """A pipeline whose model is at Vertex."""
    id_ = ProviderId("prv_one")
    at = replace(provider("one", kind=ProviderKind.VERTEX), credentials=credentials)
    models = {(None, "m"): ModelRecord(ModelId("mdl_m"), "m", (Target(id_, model),))}
    return make_bench(*scripts, config=snapshot(("one",), providers={id_: at}, models=models))


@pytest.mark.parametrize("dialect", ASKS)
async def test_a_whole_answer(dialect):
    """The same request whoever speaks, without ids of calls; the answer in the client's words."""
    endpoint, body = ASKS[dialect]
    made = bench(whole(json.dumps(REPLY).encode()))
    client, verdict = await made.ask({"model": "m", **body}, endpoint=endpoint)
    assert (verdict, client.status) == (None, 200)
    [call] = made.upstream.calls
    assert (call.path, json.loads(call.body)) == (
        f"/publishers/google/models/{MODEL}:generateContent",
        ASKED,
    )
    assert b"hello" in client.body
    assert b"call_r1_1" in client.body
    [row] = made.journal.receipts
    assert (row.input, row.output, row.usage_source) == (5, 2, "provider")


@pytest.mark.parametrize("dialect", ASKS)
async def test_a_stream(dialect):
    """Google's events in, the client's out."""
    endpoint, body = ASKS[dialect]
    made = bench(streamed(*STREAM))
    client, verdict = await made.ask({"model": "m", **body, "stream": True}, endpoint=endpoint)
    assert (verdict, client.ended) == (None, "finished")
    [call] = made.upstream.calls
    assert call.path == f"/publishers/google/models/{MODEL}:streamGenerateContent?alt=sse"
    assert ENDS[dialect] in client.body
    [row] = made.journal.receipts
    assert (row.input, row.output, row.usage_source) == (5, 2, "provider")


async def test_an_account_without_a_token():
    """Is passed over for the next one; alone, its client is told no more than that."""
    keys = tuple(CredentialRecord(CredentialId(f"crd_{name}"), "env:X") for name in ("a", "b"))
    made = bench(Script(failure=NO_TOKEN), whole(json.dumps(REPLY).encode()), credentials=keys)
    client, verdict = await made.ask({"model": "m", **HI}, endpoint=CHAT)
    assert (verdict, client.status) == (None, 200)
    assert {call.credential for call in made.upstream.calls} == set(keys)
    made = bench(Script(failure=NO_TOKEN), credentials=keys[:1])
    _, verdict = await made.ask({"model": "m", **HI}, endpoint=CHAT)
    assert isinstance(verdict, Failure)
    assert (verdict.cause, client_status(verdict)) == (Cause.CREDENTIAL, 502)


async def test_nobody_is_asked_for_a_model_of_an_unknown_publisher():
    """It was configured before its name had to say so."""
    made = bench(model="llama-x")
    _, verdict = await made.ask({"model": "m", **HI}, endpoint=CHAT)
    assert (verdict.code, verdict.param) == ("unsupported_model", "model")
    assert (made.upstream.calls, made.journal.receipts) == ([], [])


LLAMA = "meta/llama-3.3-70b-instruct-maas"
OPEN = "/endpoints/openapi/chat/completions"


@pytest.mark.parametrize("dialect", ASKS)
async def test_others_speak_chat_completions(dialect):
    """At one endpoint for all publishers; clients of it are passed, the rest translated."""
    endpoint, body = ASKS[dialect]
    made = bench(whole(reply()), model=LLAMA)
    client, verdict = await made.ask({"model": "m", **body}, endpoint=endpoint)
    assert (verdict, client.status) == (None, 200)
    [call] = made.upstream.calls
    sent = json.loads(call.body)
    assert (call.path, sent["model"]) == (OPEN, LLAMA)
    if dialect == "chat":
        assert sent == {**body, "model": LLAMA}
        assert client.body == reply()
    [row] = made.journal.receipts
    assert (row.input, row.output, row.usage_source) == (5, 2, "provider")
    assert row.target_model == LLAMA


@pytest.mark.parametrize("dialect", ASKS)
async def test_others_stream(dialect):
    """Usage is asked for, and counted once."""
    endpoint, body = ASKS[dialect]
    end = chunk(finish="stop") + chunk(choices=[], usage=(5, 2)) + b"data: [DONE]\n\n"
    made = bench(streamed(chunk("hel"), chunk("lo"), end), model=LLAMA)
    client, verdict = await made.ask({"model": "m", **body, "stream": True}, endpoint=endpoint)
    assert (verdict, client.ended) == (None, "finished")
    [call] = made.upstream.calls
    assert call.path == OPEN
    assert json.loads(call.body)["stream_options"] == {"include_usage": True}
    [row] = made.journal.receipts
    assert (row.input, row.output, row.usage_source) == (5, 2, "provider")
