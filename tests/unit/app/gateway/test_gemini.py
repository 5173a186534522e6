"""Clients of every dialect at Google's Gemini API, through the whole pipeline."""

import json

import pytest

from tests.fakes.pipeline import (
    SECRET,
    Script,
    chunk,
    make_bench,
    provider,
    snapshot,
    streamed,
    whole,
)
from tollway.dialects.registry import ENDPOINTS
from tollway.domain.failure import Failure, client_status
from tollway.domain.ids import ProviderId
from tollway.domain.provider import ProviderKind
from tollway.domain.refusal import BadRequest

CHAT = "/v1/chat/completions"
MESSAGES = "/v1/messages"
RESPONSES = "/v1/responses"
SYSTEM, HI = "be brief", "hi"
CLIENTS = {
    CHAT: {
        "max_completion_tokens": 50,
        "messages": [{"role": "system", "content": SYSTEM}, {"role": "user", "content": HI}],
        "tools": [{"type": "function", "function": {"name": "look", "parameters": {}}}],
        "tool_choice": "required",
    },
    MESSAGES: {
        "max_tokens": 50,
        "system": SYSTEM,
        "messages": [{"role": "user", "content": HI}],
        "tools": [{"name": "look", "input_schema": {}}],
        "tool_choice": {"type": "any"},
    },
    RESPONSES: {
        "max_output_tokens": 50,
        "instructions": SYSTEM,
        "input": HI,
        "tools": [{"type": "function", "name": "look", "parameters": {}}],
        "tool_choice": "required",
    },
}
SENT = {
    "contents": [{"role": "user", "parts": [{"text": HI}]}],
    "systemInstruction": {"parts": [{"text": SYSTEM}]},
    "tools": [{"functionDeclarations": [{"name": "look", "parametersJsonSchema": {}}]}],
    "toolConfig": {"functionCallingConfig": {"mode": "ANY"}},
    "generationConfig": {"maxOutputTokens": 50},
}
USED = {
    "promptTokenCount": 5,
    "cachedContentTokenCount": 3,
    "candidatesTokenCount": 2,
    "thoughtsTokenCount": 4,
    "totalTokenCount": 11,
}
LOOK = {"functionCall": {"name": "look", "args": {"at": 1}}, "thoughtSignature": "c2ln"}


def response(*parts, reason=None, usage=None):
    """One object of Google's."""
    value = {"candidates": [{"content": {"parts": list(parts)}, "finishReason": reason}]}
    value |= {"responseId": "r1"}
    return value if usage is None else {**value, "usageMetadata": usage}


ANSWER = response({"text": "hello"}, LOOK, reason="STOP", usage=USED)
STREAM = (
    response({"text": "hel"}),
    response({"text": "lo"}),
    response(LOOK, reason="STOP", usage=USED),
)


def event(value):
    """As Google sends it."""
    return b"data: %b\r\n\r\n" % json.dumps(value).encode()


def bench(*scripts, others=()):
    """The model `m` at Gemini, then at others."""
    names = ("one", *others)
    served = {ProviderId(f"prv_{name}"): provider(name) for name in names}
    served[ProviderId("prv_one")] = provider("one", kind=ProviderKind.GEMINI)
    return make_bench(*scripts, config=snapshot(names, providers=served))


async def asked(made, path, body, **changes):
    """One request for `m`."""
    return await made.ask({"model": "m", **body, **changes}, endpoint=ENDPOINTS[path.encode()])


def calls_of(path, body):
    """Id, name and arguments of the calls in an answer, and how it ended."""
    if path == CHAT:
        choice = body["choices"][0]
        calls = [(one["id"], one["function"]) for one in choice["message"]["tool_calls"]]
        return [(id_, it["name"], it["arguments"]) for id_, it in calls], choice["finish_reason"]
    if path == MESSAGES:
        calls = [one for one in body["content"] if one["type"] == "tool_use"]
        told = [(one["id"], one["name"], json.dumps(one["input"])) for one in calls]
        return told, body["stop_reason"]
    calls = [one for one in body["output"] if one["type"] == "function_call"]
    return [(one["call_id"], one["name"], one["arguments"]) for one in calls], body["status"]


@pytest.mark.parametrize("path", CLIENTS)
async def test_a_whole_answer(path):
    """One request whoever asks; the answer in the client's dialect, billed as counted."""
    made = bench(whole(json.dumps(ANSWER).encode()))
    client, verdict = await asked(made, path, CLIENTS[path])
    assert verdict is None
    [sent] = made.upstream.calls
    assert (sent.path, json.loads(sent.body)) == ("/models/one-model:generateContent", SENT)
    calls, ended = calls_of(path, json.loads(client.body))
    [(id_, name, arguments)] = calls
    assert (id_, name, json.loads(arguments)) == ("call_r1_2", "look", {"at": 1})
    assert ended in ("tool_calls", "tool_use", "completed")
    assert b"hello" in client.body
    [row] = made.journal.receipts
    assert (row.input, row.cached_input, row.output, row.reasoning) == (2, 3, 2, 4)
    assert (row.payer, row.usage_source) == ("reported", "provider")


@pytest.mark.parametrize("path", CLIENTS)
async def test_a_stream(path):
    """Asked for at a path of its own; its events are the client's, and it ends once."""
    made = bench(streamed(*[event(value) for value in STREAM]))
    client, verdict = await asked(made, path, CLIENTS[path], stream=True)
    assert (verdict, client.ended) == (None, "finished")
    [sent] = made.upstream.calls
    assert sent.path == "/models/one-model:streamGenerateContent?alt=sse"
    assert (json.loads(sent.body), sent.stream) == (SENT, True)
    last = {CHAT: b"data: [DONE]", MESSAGES: b"message_stop", RESPONSES: b'"response.completed"'}
    assert client.body.count(last[path]) == (2 if path == MESSAGES else 1)
    assert b"candidates" not in client.body
    assert b"c2ln" in client.body, "the call's signature is told"
    [row] = made.journal.receipts
    assert (row.input, row.cached_input, row.output, row.reasoning) == (2, 3, 2, 4)


def conversation(path, body):
    """The turns after an answer: what was asked, the answer as clients send it back, a result."""
    if path == CHAT:
        message = body["choices"][0]["message"]
        id_ = message["tool_calls"][0]["id"]
        result = {"role": "tool", "tool_call_id": id_, "content": "seen"}
        return {"messages": [{"role": "user", "content": HI}, message, result]}
    if path == MESSAGES:
        id_ = next(one["id"] for one in body["content"] if one["type"] == "tool_use")
        result = {"type": "tool_result", "tool_use_id": id_, "content": "seen"}
        return {
            "messages": [
                {"role": "user", "content": HI},
                {"role": "assistant", "content": body["content"]},
                {"role": "user", "content": [result]},
            ]
        }
    call = next(one for one in body["output"] if one["type"] == "function_call")
    result = {"type": "function_call_output", "call_id": call["call_id"], "output": "seen"}
    return {"input": [{"role": "user", "content": HI}, *body["output"], result]}


@pytest.mark.parametrize("path", CLIENTS)
async def test_a_conversation(path):
    """A call comes back with its signature, in every dialect, and its result finds its name."""
    answer = whole(json.dumps(ANSWER).encode())
    made = bench(answer, answer)
    client, _ = await asked(made, path, CLIENTS[path])
    turns = conversation(path, json.loads(client.body))
    _, verdict = await asked(made, path, {**CLIENTS[path], **turns})
    assert verdict is None
    turns = json.loads(made.upstream.calls[1].body)["contents"]
    call = {**LOOK["functionCall"], "id": "call_r1_2"}
    result = {"id": "call_r1_2", "name": "look", "response": {"output": "seen"}}
    assert turns == [
        {"role": "user", "parts": [{"text": HI}]},
        {
            "role": "model",
            "parts": [{"text": "hello"}, {"functionCall": call, "thoughtSignature": "c2ln"}],
        },
        {"role": "user", "parts": [{"functionResponse": result}]},
    ]


async def test_a_stream_that_is_cut():
    """No reason, no end: one error event; billed what was given."""
    made = bench(streamed(event(response({"text": "hello"}))))
    client, _ = await asked(made, CHAT, CLIENTS[CHAT], stream=True)
    assert client.ended == "aborted"
    assert b"[DONE]" not in client.body
    [row] = made.journal.receipts
    assert (row.usage_source, row.output, row.outcome) == ("estimated", 2, "broken")


def failed(status, message, name, *, wrapped=False, details=()):
    """A no of Google's."""
    error = {"code": status, "message": message, "status": name, "details": list(details)}
    body = json.dumps([{"error": error}] if wrapped else {"error": error}).encode()
    return Script(status=status, pieces=[body])


@pytest.mark.parametrize("wrapped", [False, True])
async def test_a_no(wrapped):
    """In its words, without the secret, and with its own name for it; wrapped or not."""
    made = bench(failed(400, f"Bad {SECRET}", "INVALID_ARGUMENT", wrapped=wrapped))
    _, verdict = await asked(made, CHAT, CLIENTS[CHAT])
    assert isinstance(verdict, Failure)
    assert (verdict.status, verdict.code) == (400, "INVALID_ARGUMENT")
    assert verdict.message == "Bad [redacted]"


async def test_a_key_that_google_does_not_know():
    """It says 400; but it is our key, so another target is asked, or it is a bad gateway."""
    reason = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
    no = failed(400, "API key not valid.", "INVALID_ARGUMENT", details=[reason])
    _, verdict = await asked(bench(no), CHAT, CLIENTS[CHAT])
    assert isinstance(verdict, Failure)
    assert (verdict.status, client_status(verdict)) == (401, 502)
    made = bench(
        no,
        streamed(chunk("x"), chunk(finish="stop"), b"data: [DONE]\n\n"),
        others=("two",),
    )
    client, verdict = await asked(made, CHAT, CLIENTS[CHAT], stream=True)
    assert (verdict, client.ended) == (None, "finished")


async def test_a_broken_answer_before_its_first_word():
    """Another target may still be asked."""
    made = bench(
        streamed(event(response(reason="MALFORMED_FUNCTION_CALL"))),
        streamed(chunk("x"), chunk(finish="stop"), b"data: [DONE]\n\n"),
        others=("two",),
    )
    client, verdict = await asked(made, CHAT, CLIENTS[CHAT], stream=True)
    assert (verdict, client.ended) == (None, "finished")
    assert [row.payer for row in made.journal.receipts] == ["failed_over", "estimated"]


@pytest.mark.parametrize(
    ("path", "changes", "field"),
    [
        (CHAT, {"stop": list("abcdef")}, "stop"),
        (CHAT, {"logprobs": True}, "logprobs"),
        (MESSAGES, {"stop_sequences": list("abcdef")}, "stop_sequences"),
        (
            RESPONSES,
            {"input": [{"type": "function_call_output", "call_id": "c", "output": "x"}]},
            "input",
        ),
    ],
)
async def test_what_cannot_be_carried(path, changes, field):
    """It is refused by the client's own name for it, and nothing is sent."""
    made = bench()
    _, verdict = await asked(made, path, CLIENTS[path], **changes)
    assert isinstance(verdict, BadRequest)
    assert verdict.param == field
    assert made.upstream.calls == []


async def test_what_is_left_out_is_told():
    """By the client's name; the user's name is not Google's affair."""
    made = bench(whole(json.dumps(ANSWER).encode()))
    changes = {"parallel_tool_calls": False, "user": "ann", "reasoning_effort": "low"}
    client, _ = await asked(made, CHAT, CLIENTS[CHAT], **changes)
    told = client.headers[b"warning"]
    assert b"reasoning_effort, parallel_tool_calls" in told
    assert b"ann" not in made.upstream.calls[0].body


@pytest.mark.parametrize("path", ["/v1/moderations", "/v1/completions"])
async def test_endpoints_that_it_does_not_have(path):
    """They are refused as everywhere."""
    _, verdict = await asked(bench(), path, {"input": "x", "prompt": "x"})
    assert isinstance(verdict, BadRequest)
    assert verdict.code == "unsupported_endpoint"
