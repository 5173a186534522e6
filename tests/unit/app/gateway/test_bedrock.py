"""Bedrock through the whole pipeline: each client's dialect to Converse and back, streams of binary
frames, and what Amazon says when it says no.
"""

import json

import pytest

from tests.fakes.amazon import (
    METADATA,
    START,
    block_end,
    called,
    delta,
    exception,
    stop,
)
from tests.fakes.pipeline import RESET, SECRET, Script, make_bench, provider, snapshot, whole
from tollway.dialects.registry import ENDPOINTS
from tollway.domain.failure import Failure
from tollway.domain.ids import ModelId, ProviderId
from tollway.domain.model import ModelRecord, Target
from tollway.domain.provider import ProviderKind
from tollway.domain.refusal import BadRequest

CHAT, MESSAGES, RESPONSES = (
    ENDPOINTS[path] for path in (b"/v1/chat/completions", b"/v1/messages", b"/v1/responses")
)
CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
PATH = "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse"
AWS = "application/vnd.amazon.eventstream"
SCHEMA = {"type": "object", "properties": {"at": {"type": "integer"}}}
PIXEL = "iVBORw0KGgo="
REPLY = {
    "output": {
        "message": {
            "role": "assistant",
            "content": [
                {"text": "hello"},
                {"toolUse": {"toolUseId": "t1", "name": "look", "input": {"at": 1}}},
            ],
        }
    },
    "stopReason": "tool_use",
    "usage": {
        "inputTokens": 5,
        "outputTokens": 2,
        "totalTokens": 107,
        "cacheReadInputTokens": 70,
        "cacheWriteInputTokens": 30,
    },
}
STREAM = (
    START,
    delta(0, text="hel"),
    delta(0, text="lo") + block_end(0),
    called(1, "t1", "look") + delta(1, toolUse={"input": '{"at":1}'}) + block_end(1),
    stop("tool_use"),
    METADATA,
)
# The same in each dialect: words before, a picture, a call and its result, a tool.
ASKS = {
    "chat": (
        CHAT,
        {
            "messages": [
                {"role": "system", "content": "be brief"},
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "look"},
                        {
                            "type": "image_url",
                            "image_url": {"url": f"data:image/png;base64,{PIXEL}"},
                        },
                    ],
                },
                {
                    "role": "assistant",
                    "content": "I look",
                    "tool_calls": [
                        {
                            "id": "c1",
                            "type": "function",
                            "function": {"name": "look", "arguments": '{"at": 1}'},
                        }
                    ],
                },
                {"role": "tool", "tool_call_id": "c1", "content": "seen"},
            ],
            "tools": [{"type": "function", "function": {"name": "look", "parameters": SCHEMA}}],
            "tool_choice": "auto",
            "max_tokens": 100,
            "temperature": 0.5,
        },
    ),
    "messages": (
        MESSAGES,
        {
            "system": "be brief",
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "look"},
                        {
                            "type": "image",
                            "source": {
                                "type": "base64",
                                "media_type": "image/png",
                                "data": PIXEL,
                            },
                        },
                    ],
                },
                {
                    "role": "assistant",
                    "content": [
                        {"type": "text", "text": "I look"},
                        {"type": "tool_use", "id": "c1", "name": "look", "input": {"at": 1}},
                    ],
                },
                {
                    "role": "user",
                    "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "seen"}],
                },
            ],
            "tools": [{"name": "look", "input_schema": SCHEMA}],
            "tool_choice": {"type": "auto"},
            "max_tokens": 100,
            "temperature": 0.5,
        },
    ),
    "responses": (
        RESPONSES,
        {
            "instructions": "be brief",
            "input": [
                {
                    "role": "user",
                    "content": [
                        {"type": "input_text", "text": "look"},
                        {"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}"},
                    ],
                },
                {"role": "assistant", "content": "I look"},
                {
                    "type": "function_call",
                    "call_id": "c1",
                    "name": "look",
                    "arguments": '{"at": 1}',
                },
                {"type": "function_call_output", "call_id": "c1", "output": "seen"},
            ],
            "tools": [{"type": "function", "name": "look", "parameters": SCHEMA}],
            "tool_choice": "auto",
            "max_output_tokens": 100,
            "temperature": 0.5,
        },
    ),
}
CONVERSE = {
    "messages": [
        {
            "role": "user",
            "content": [
                {"text": "look"},
                {"image": {"format": "png", "source": {"bytes": PIXEL}}},
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"text": "I look"},
                {"toolUse": {"toolUseId": "c1", "name": "look", "input": {"at": 1}}},
            ],
        },
        {
            "role": "user",
            "content": [{"toolResult": {"toolUseId": "c1", "content": [{"text": "seen"}]}}],
        },
    ],
    "system": [{"text": "be brief"}],
    "inferenceConfig": {"maxTokens": 100, "temperature": 0.5},
    "toolConfig": {
        "tools": [{"toolSpec": {"name": "look", "inputSchema": {"json": SCHEMA}}}],
        "toolChoice": {"auto": {}},
    },
}
HI = {"max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]}


def bench(*scripts, names=("one",)):
    """A pipeline whose model is Claude at Bedrock, at one provider or at several."""
    at = {ProviderId(f"prv_{name}"): provider(name, kind=ProviderKind.BEDROCK) for name in names}
    targets = tuple(Target(id_, CLAUDE, priority=rank) for rank, id_ in enumerate(at))
    models = {(None, "m"): ModelRecord(ModelId("mdl_m"), "m", targets)}
    return make_bench(*scripts, config=snapshot(names, providers=at, models=models))


def streamed(*pieces, **changes):
    """A stream of frames."""
    return Script(headers=[(b"content-type", AWS.encode())], pieces=list(pieces), **changes)


def refused(status, message, name):
    """How Amazon says no."""
    headers = [
        (b"content-type", b"application/json"),
        (b"x-amzn-errortype", f"{name}:http://internal.amazon.com/coral/".encode()),
    ]
    return Script(status, headers, [json.dumps({"message": message}).encode()])


def said_of_chat(body):
    [choice] = body["choices"]
    [call] = choice["message"]["tool_calls"]
    function, usage = call["function"], body["usage"]
    return (
        choice["message"]["content"],
        (call["id"], function["name"], json.loads(function["arguments"])),
        choice["finish_reason"],
        (usage["prompt_tokens"], usage["prompt_tokens_details"]["cached_tokens"]),
    )


def said_of_messages(body):
    text, call = body["content"]
    usage = body["usage"]
    return (
        text["text"],
        (call["id"], call["name"], call["input"]),
        body["stop_reason"],
        (usage["input_tokens"], usage["cache_read_input_tokens"]),
    )


def said_of_responses(body):
    message, call = body["output"]
    usage = body["usage"]
    return (
        message["content"][0]["text"],
        (call["call_id"], call["name"], json.loads(call["arguments"])),
        body["status"],
        (usage["input_tokens"], usage["input_tokens_details"]["cached_tokens"]),
    )


LOOK = ("t1", "look", {"at": 1})
ANSWERS = {
    "chat": (said_of_chat, ("hello", LOOK, "tool_calls", (105, 70))),
    "messages": (said_of_messages, ("hello", LOOK, "tool_use", (5, 70))),
    "responses": (said_of_responses, ("hello", LOOK, "completed", (105, 70))),
}


@pytest.mark.parametrize("dialect", ASKS)
async def test_a_whole_answer(dialect):
    """The same request whoever speaks, the answer in the client's own words, billed by class."""
    endpoint, body = ASKS[dialect]
    made = bench(whole(json.dumps(REPLY).encode()))
    client, verdict = await made.ask({"model": "m", **body}, endpoint=endpoint)
    assert (verdict, client.status) == (None, 200)
    [call] = made.upstream.calls
    assert (call.path, json.loads(call.body)) == (PATH, CONVERSE)
    assert (b"accept", b"application/json") in call.headers
    read, expected = ANSWERS[dialect]
    assert read(json.loads(client.body)) == expected
    [row] = made.journal.receipts
    assert (row.input, row.cached_input, row.cache_write, row.output) == (5, 70, 30, 2)
    assert (row.usage_source, row.outcome) == ("provider", "finished")


ENDS = {
    "chat": b"data: [DONE]",
    "messages": b'{"type":"message_stop"}',
    "responses": b"response.completed",
}


@pytest.mark.parametrize("dialect", ASKS)
async def test_a_stream(dialect):
    """Frames come in, events of the client's go out, wherever the provider cuts them."""
    endpoint, body = ASKS[dialect]
    data = b"".join(STREAM)
    outputs = set()
    for pieces in (STREAM, [data], [data[at : at + 7] for at in range(0, len(data), 7)]):
        made = bench(streamed(*pieces))
        client, verdict = await made.ask({"model": "m", **body, "stream": True}, endpoint=endpoint)
        assert (verdict, client.ended) == (None, "finished")
        assert client.headers[b"content-type"] == b"text/event-stream; charset=utf-8"
        [call] = made.upstream.calls
        assert (call.path, json.loads(call.body)) == (f"{PATH}-stream", CONVERSE)
        assert (b"accept", AWS.encode()) in call.headers
        [row] = made.journal.receipts
        assert (row.input, row.output, row.usage_source) == (5, 2, "provider")
        outputs.add(client.body)
    [told] = outputs
    assert b"hel" in told
    assert b"look" in told
    assert ENDS[dialect] in told


@pytest.mark.parametrize(
    ("status", "name", "told"),
    [
        (400, "ValidationException", 400),
        (403, "AccessDeniedException", 502),
        (429, "ThrottlingException", 429),
        (424, "ModelErrorException", 424),
    ],
)
async def test_a_no_of_amazon(status, name, told):
    """In its words, by its name, without the secret."""
    made = bench(refused(status, f"it is so {SECRET}", name))
    _, verdict = await made.ask({"model": "m", **HI}, endpoint=MESSAGES)
    assert isinstance(verdict, Failure)
    assert (verdict.status, verdict.code) == (status, name)
    assert verdict.message == "it is so [redacted]"


async def test_another_target_after_an_exception():
    """As long as the client has nothing, the next one is asked: also when the first frame of a 200
    says no, and when the model behind it fails."""
    made = bench(
        streamed(exception("throttlingException", "slow down")),
        refused(424, "the model broke", "ModelErrorException"),
        streamed(*STREAM),
        names=("one", "two", "three"),
    )
    client, verdict = await made.ask({"model": "m", **HI, "stream": True}, endpoint=MESSAGES)
    assert (verdict, client.ended) == (None, "finished")
    payers = [row.payer for row in made.journal.receipts]
    assert payers == ["failed_over", "failed_over", "reported"]


@pytest.mark.parametrize(
    ("last", "words"),
    [
        (exception("modelStreamErrorException", "the model broke"), b"the model broke"),
        (METADATA[:30] + b"\xff" + METADATA[31:], b"damaged frame"),
        (b"", b"before it was complete"),
    ],
)
async def test_a_stream_that_breaks(last, words):
    """One error event in the client's shape; billed what was given, as an estimate."""
    made = bench(streamed(START, delta(0, text="hello"), last))
    client, _ = await made.ask({"model": "m", **HI, "stream": True}, endpoint=MESSAGES)
    assert client.ended == "aborted"
    assert client.body.count(b"event: error") == 1
    assert words in client.body
    assert b"message_stop" not in client.body
    [row] = made.journal.receipts
    assert (row.usage_source, row.outcome) == ("estimated", "broken")


async def test_a_connection_that_breaks_in_a_frame():
    """Half a frame says nothing."""
    made = bench(streamed(START, delta(0, text="hello") + METADATA[:20], failure=RESET))
    client, _ = await made.ask({"model": "m", **HI, "stream": True}, endpoint=MESSAGES)
    assert client.ended == "aborted"
    assert b"hello" in client.body


async def test_another_type_than_frames():
    """Is no stream of Bedrock's."""
    events = [(b"content-type", b"text/event-stream")]
    made = bench(Script(headers=events, pieces=[b"data: {}\n\n"]))
    _, verdict = await made.ask({"model": "m", **HI, "stream": True}, endpoint=MESSAGES)
    assert isinstance(verdict, Failure)
    assert verdict.message == "The provider did not answer with an event stream."


async def test_what_cannot_be_carried_is_refused_and_hints_are_told():
    """By the client's own names."""
    picture = {"type": "image", "source": {"type": "url", "url": "https://x.example/a.png"}}
    asked = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": [picture]}]}
    made = bench()
    _, verdict = await made.ask(asked, endpoint=MESSAGES)
    assert isinstance(verdict, BadRequest)
    assert (verdict.param, verdict.code) == ("messages", "unsupported_parameter")
    assert made.upstream.calls == []
    made = bench(whole(json.dumps(REPLY).encode()))
    client, _ = await made.ask({"model": "m", "messages": HI["messages"], "seed": 3})
    assert b"seed" in client.headers[b"warning"]


async def test_what_bedrock_does_not_have():
    """No vectors and no counting of tokens by Converse."""
    made = bench()
    embed = {"model": "m", "input": "x"}
    _, verdict = await made.ask(embed, endpoint=ENDPOINTS[b"/v1/embeddings"])
    assert (verdict.code, verdict.param) == ("unsupported_endpoint", "model")


async def test_what_messages_say_and_converse_can_carry():
    """Nothing of it is lost: thinking and how it is shown, breakpoints, pictures and documents (in
    results too), failures, the one tool that must be called."""
    mark = {"cache_control": {"type": "ephemeral"}}
    picture = {"type": "base64", "media_type": "image/png", "data": PIXEL}
    pdf = {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="}
    document = {"type": "document", "title": "a", "source": pdf}
    spoken = [
        {"type": "thinking", "thinking": "hm", "signature": "s1"},
        {"type": "redacted_thinking", "data": "UkVE"},
        {"type": "tool_use", "id": "c1", "name": "look", "input": {"at": 1}, **mark},
    ]
    result = {"type": "tool_result", "tool_use_id": "c1", "is_error": True, **mark}
    result["content"] = [
        {"type": "text", "text": "bad"},
        {"type": "image", "source": picture},
        document,
    ]
    about = {**document, "context": "old", **mark}
    body = {
        "max_tokens": 4000,
        "system": [{"type": "text", "text": "brief", **mark}],
        "messages": [
            {"role": "user", "content": [{"type": "image", "source": picture, **mark}]},
            {"role": "assistant", "content": spoken},
            {"role": "user", "content": [about, result]},
        ],
        "tools": [{"name": "look", "description": "x", "input_schema": SCHEMA, **mark}],
        "tool_choice": {"type": "auto"},
        "thinking": {"type": "adaptive", "display": "summarized"},
        "output_config": {"effort": "high"},
        "stop_sequences": ["x"],
        "metadata": {"user_id": "alice"},
    }
    made = bench(whole(json.dumps(REPLY).encode()))
    client, _ = await made.ask({"model": "m", **body}, endpoint=MESSAGES)
    assert b"warning" not in dict(client.headers)
    sent = json.loads(made.upstream.calls[0].body)
    point = {"cachePoint": {"type": "default"}}
    image = {"image": {"format": "png", "source": {"bytes": PIXEL}}}

    def file(name):
        return {"document": {"format": "pdf", "name": name, "source": {"bytes": "JVBERg=="}}}

    assert sent["requestMetadata"]["end_user"] != "alice"
    del sent["requestMetadata"]
    said = [{"text": "bad"}, image, file("a 2")]
    assert sent == {
        "system": [{"text": "brief"}, point],
        "messages": [
            {"role": "user", "content": [image, point]},
            {
                "role": "assistant",
                "content": [
                    {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "s1"}}},
                    {"reasoningContent": {"redactedContent": "UkVE"}},
                    {"toolUse": {"toolUseId": "c1", "name": "look", "input": {"at": 1}}},
                    point,
                ],
            },
            {
                "role": "user",
                "content": [
                    {"toolResult": {"toolUseId": "c1", "content": said, "status": "error"}},
                    point,
                    {"text": "old"},
                    file("a"),
                    point,
                ],
            },
        ],
        "toolConfig": {
            "tools": [
                {
                    "toolSpec": {
                        "name": "look",
                        "description": "x",
                        "inputSchema": {"json": SCHEMA},
                    }
                },
                point,
            ],
            "toolChoice": {"auto": {}},
        },
        "inferenceConfig": {"maxTokens": 4000, "stopSequences": ["x"]},
        "additionalModelRequestFields": {"thinking": {"type": "adaptive", "display": "summarized"}},
        "additionalModelResponseFieldPaths": ["/stop_sequence"],
        "outputConfig": {"effort": "high"},
    }
