"""A client of one dialect at a provider of another, through the whole pipeline."""

import json

import pytest

from tests.fakes.pipeline import (
    DONE,
    KEY,
    SECRET,
    FakeClient,
    chunk,
    make_bench,
    provider,
    reply,
    snapshot,
    streamed,
    whole,
)
from tests.fakes.quotas import places, quota
from tollway.dialects.registry import ENDPOINTS
from tollway.domain.failure import Failure
from tollway.domain.ids import ProviderId
from tollway.domain.provider import ProviderKind
from tollway.domain.quota import Precision
from tollway.domain.refusal import BadRequest

MESSAGES = ENDPOINTS[b"/v1/messages"]
ASK = {"model": "m", "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]}
STREAM = {**ASK, "stream": True}


async def asked(made, body=ASK, **changes):
    """One request to `/v1/messages`."""
    return await made.ask(body, endpoint=MESSAGES, **changes)


def sent(made, number=0):
    """What a provider was sent."""
    return json.loads(made.upstream.calls[number].body)


async def test_a_whole_answer():
    """The provider's own model and dialect there, the client's here; billed as counted."""
    made = make_bench(whole(reply("hello", usage=(5, 2))))
    client, verdict = await asked(made)
    assert verdict is None
    assert made.upstream.calls[0].path == "/chat/completions"
    assert sent(made) == {
        "model": "one-model",
        "messages": [{"role": "user", "content": "hi"}],
        "max_completion_tokens": 50,
    }
    body = json.loads(client.body)
    assert body["content"] == [{"type": "text", "text": "hello", "citations": None}]
    assert (body["model"], body["stop_reason"]) == ("m", "end_turn")
    assert body["usage"]["input_tokens"] == 5
    [row] = made.journal.receipts
    assert (row.input, row.output, row.usage_source, row.endpoint) == (5, 2, "provider", "messages")
    assert b"warning" not in client.headers


async def test_a_stream():
    """Events of the client's dialect, the last of them once; usage is asked for and booked."""
    made = make_bench(
        streamed(
            chunk("hel"), chunk("lo"), chunk(finish="stop"), chunk(usage=(5, 2), choices=[]), DONE
        )
    )
    client, verdict = await asked(made, STREAM)
    assert (verdict, client.ended) == (None, "finished")
    assert sent(made)["stream_options"] == {"include_usage": True}
    events = [line[7:] for line in client.body.splitlines() if line[:6] == b"event:"]
    assert events == [
        b"message_start", b"content_block_start", b"content_block_delta", b"content_block_delta",
        b"content_block_stop", b"message_delta", b"message_stop",
    ]  # fmt: skip
    [row] = made.journal.receipts
    assert (row.input, row.output, row.outcome) == (5, 2, "finished")


async def test_a_stream_that_is_cut():
    """One error event in the client's shape; billed what was given, as an estimate."""
    made = make_bench(streamed(chunk("hel"), chunk("lo")))
    client, _ = await asked(made, STREAM)
    assert client.ended == "aborted"
    data = client.body
    assert data.count(b"event: error") == 1
    assert b"message_stop" not in data
    [row] = made.journal.receipts
    assert (row.usage_source, row.output, row.outcome) == ("estimated", 2, "broken")


async def test_an_error_instead_of_a_stream():
    """Before the first event another target may still be asked."""
    broken = streamed(b'data: {"error": {"message": "busy %s", "code": 503}}\n\n' % SECRET.encode())
    made = make_bench(
        broken,
        streamed(chunk("x"), chunk(finish="stop"), DONE),
        config=snapshot(("one", "two")),
    )
    client, verdict = await asked(made, STREAM)
    assert (verdict, client.ended) == (None, "finished")
    assert [row.payer for row in made.journal.receipts] == ["failed_over", "estimated"]


@pytest.mark.parametrize("body", [b"{}", b"<html>", b'{"choices": []}'])
async def test_what_is_no_answer(body):
    """A 200 that is none."""
    made = make_bench(whole(body))
    _, verdict = await asked(made)
    assert isinstance(verdict, Failure)


async def test_a_no_of_the_provider():
    """In its words, without the secret."""
    body = b'{"error": {"message": "too long %s", "code": "context_length_exceeded"}}'
    made = make_bench(whole(body % SECRET.encode(), status=400))
    _, verdict = await asked(made)
    assert isinstance(verdict, Failure)
    assert (verdict.status, verdict.code) == (400, "context_length_exceeded")
    assert SECRET not in verdict.message


async def test_what_is_left_out_is_told():
    """By the client's names; what never means anything elsewhere is not."""
    made = make_bench(whole())
    client, _ = await asked(
        made, {**ASK, "top_k": 5, "new_thing": 1, "service_tier": "auto", "nothing": None}
    )
    text = client.headers[b"warning"].decode()
    assert "top_k, new_thing" in text
    assert "service_tier" not in text
    assert "nothing" not in text


async def test_what_cannot_be_carried_is_refused_before_anything_is_sent():
    """With the client's field; nothing is billed, and what was held is free again."""
    made = make_bench(config=snapshot(quotas=places(quota(5), quota(5, scope="platform"))))
    document = {"type": "document", "source": {"type": "url", "url": "https://x.example/a.pdf"}}
    body = {**ASK, "messages": [{"role": "user", "content": [document]}]}
    _, verdict = await asked(made, body)
    assert isinstance(verdict, BadRequest)
    assert (verdict.param, verdict.code) == ("messages", "unsupported_parameter")
    assert (made.upstream.calls, made.journal.receipts) == ([], [])
    rules = [*made.gateway.limits._asked.values(), *made.gateway.limits._served_each.values()]
    for rule in (rule for found in rules for rule in found.rules):
        assert made.gateway.quotas.standing(rule)[:2] == (0, 0)


async def test_what_cannot_be_understood_is_refused():
    """By the part's place."""
    body = {**ASK, "tools": [{"type": "web_search_20250305", "name": "web_search"}]}
    _, verdict = await asked(make_bench(), body)
    assert isinstance(verdict, BadRequest)
    assert verdict.param == "tools.0.type"


async def test_an_endpoint_that_a_provider_does_not_have():
    """Tokens are counted by Anthropic alone."""
    body = {"model": "m", "messages": ASK["messages"]}
    _, verdict = await make_bench().ask(body, endpoint=ENDPOINTS[b"/v1/messages/count_tokens"])
    assert isinstance(verdict, BadRequest)
    assert (verdict.code, verdict.param) == ("unsupported_endpoint", "model")


async def test_the_same_rewrites_as_in_the_same_dialect():
    """The user's name is the tenant's digest, the answer is clamped, headers of the client's own
    dialect stay here."""
    strict = quota(1000, "output_tokens", precision=Precision.STRICT)
    made = make_bench(whole(), config=snapshot(quotas=places(strict)))
    headers = [
        (b"authorization", b"Bearer " + KEY.encode()),
        (b"anthropic-version", b"2023-06-01"),
        (b"anthropic-beta", b"x"),
        (b"traceparent", b"00-1-1-01"),
    ]
    body = {**ASK, "max_tokens": 5000, "metadata": {"user_id": "ann"}}
    _, verdict = await asked(made, {**body, "max_tokens": 900}, headers=headers)
    assert verdict is None
    told = sent(made)
    assert told["max_completion_tokens"] == 900
    assert len(told["user"]) == 32
    assert "ann" not in told["user"]
    names = {name for name, _ in made.upstream.calls[0].headers}
    assert b"traceparent" in names
    assert not {b"anthropic-version", b"anthropic-beta"} & names


async def test_a_client_that_leaves():
    """Billed what it was given, as in the same dialect."""
    client = FakeClient()
    made = make_bench(streamed(chunk("hel"), client.leave, chunk("lo")))
    await asked(made, STREAM, client=client)
    [row] = made.journal.receipts
    assert (row.outcome, row.output) == ("client_gone", 1)


@pytest.mark.parametrize("stream", [False, True])
async def test_the_other_way_round(stream):
    """A client of OpenAI's dialect at Anthropic: the version that the request is written in goes
    along, and the answer is a chat completion."""
    usage = {"input_tokens": 5, "output_tokens": 2}
    message = {"id": "msg_1", "type": "message", "content": [{"type": "text", "text": "hello"}]}
    ended = {"stop_reason": "end_turn"}
    start = {"type": "message_start", "message": {"id": "msg_1", "usage": usage}}
    block = {"type": "content_block_start", "index": 0, "content_block": message["content"][0]}
    events = [
        start,
        block,
        {"type": "message_delta", "delta": ended, "usage": usage},
        {"type": "message_stop"},
    ]
    pieces = [b"data: %b\n\n" % json.dumps(one).encode() for one in events]
    answer = whole(json.dumps({**message, **ended, "usage": usage}).encode())
    config = snapshot(
        providers={ProviderId("prv_one"): provider("one", kind=ProviderKind.ANTHROPIC)}
    )
    made = make_bench(streamed(*pieces) if stream else answer, config=config)
    body = {"model": "m", "messages": ASK["messages"], "stream": stream}
    client, verdict = await made.ask(body)
    assert verdict is None
    assert made.upstream.calls[0].path == "/messages"
    assert (b"anthropic-version", b"2023-06-01") in made.upstream.calls[0].headers
    assert sent(made)["max_tokens"] == 4096
    assert b"hello" in client.body
    assert client.body.endswith(b"data: [DONE]\n\n") is stream
    [row] = made.journal.receipts
    assert (row.input, row.output, row.outcome) == (5, 2, "finished")


async def test_a_client_says_its_version_itself():
    """In its own dialect what it said goes along, and once."""
    config = snapshot(
        providers={ProviderId("prv_one"): provider("one", kind=ProviderKind.ANTHROPIC)}
    )
    body = b'{"id": "msg_1", "type": "message", "role": "assistant", "content": []}'
    headers = [(b"authorization", b"Bearer " + KEY.encode())]
    for given in ([], [(b"anthropic-version", b"2026-10-21")]):
        made = make_bench(whole(body), config=config)
        await asked(made, headers=[*headers, *given])
        versions = [one for one in made.upstream.calls[0].headers if one[0] == b"anthropic-version"]
        assert versions == (given or [(b"anthropic-version", b"2023-06-01")])


CODEX = {
    "model": "m",
    "instructions": "You are an agent.",
    "input": [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}
    ],
    "tools": [
        {"type": "function", "name": "shell", "parameters": {"type": "object"}, "strict": False},
        {"type": "custom", "name": "apply_patch", "description": "patches"},
        {"type": "web_search"},
    ],
    "tool_choice": "auto",
    "parallel_tool_calls": False,
    "reasoning": {"effort": "medium", "summary": "auto"},
    "store": False,
    "stream": True,
    "include": ["reasoning.encrypted_content"],
    "prompt_cache_key": "k",
}


async def test_an_agent_of_responses():
    """Its tools reach a provider of another dialect, and a call of one comes back as it is used
    there; what cannot be offered is told."""
    call = {"index": 0, "id": "c1", "function": {"name": "apply_patch", "arguments": ""}}
    more = {"index": 0, "function": {"arguments": '{"input": "*** x"}'}}
    config = snapshot(providers={ProviderId("prv_one"): provider("one", kind=ProviderKind.ECHO)})
    made = make_bench(
        streamed(
            chunk(choices=[{"index": 0, "delta": {"tool_calls": [call]}}]),
            chunk(choices=[{"index": 0, "delta": {"tool_calls": [more]}}]),
            chunk(finish="tool_calls"),
            chunk(usage=(5, 2), choices=[]),
            DONE,
        ),
        config=config,
    )
    client, verdict = await made.ask(CODEX, endpoint=ENDPOINTS[b"/v1/responses"])
    assert (verdict, client.ended) == (None, "finished")
    told = sent(made)
    assert [message["role"] for message in told["messages"]] == ["system", "user"]
    names = [tool["function"]["name"] for tool in told["tools"]]
    assert names == ["shell", "apply_patch"]
    assert (told["reasoning_effort"], told["parallel_tool_calls"]) == ("medium", False)
    assert b"tools.2" in client.headers[b"warning"]
    assert b"[DONE]" not in client.body
    last = json.loads(client.body.split(b"data: ")[-1])
    assert last["type"] == "response.completed"
    [item] = last["response"]["output"]
    assert (item["type"], item["name"], item["input"]) == (
        "custom_tool_call",
        "apply_patch",
        "*** x",
    )
    assert last["response"]["instructions"] == "You are an agent."
    [row] = made.journal.receipts
    assert (row.input, row.output, row.endpoint) == (5, 2, "responses")
