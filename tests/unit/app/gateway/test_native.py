"""Playbooks of Messages and Responses: what passes, what a cut one costs, and how it ends."""

import json

from tests.fakes.pipeline import RESET, Script, make_bench, provider, snapshot, streamed, whole
from tollway.app.gateway.runtime import GatewayOptions
from tollway.dialects.registry import ENDPOINTS
from tollway.domain.ids import ProviderId
from tollway.domain.provider import ProviderKind
from tollway.domain.refusal import BadRequest

MESSAGES = ENDPOINTS[b"/v1/messages"]
COUNT = ENDPOINTS[b"/v1/messages/count_tokens"]
RESPONSES = ENDPOINTS[b"/v1/responses"]
HI = [{"role": "user", "content": "hi"}]
ASK = {"model": "m", "max_tokens": 900, "messages": HI}


def event(kind, **fields):
    body = json.dumps({"type": kind, **fields}).encode()
    return b"event: " + kind.encode() + b"\ndata: " + body + b"\n\n"


USAGE = {"input_tokens": 3, "cache_read_input_tokens": 50, "output_tokens": 1}
START = event("message_start", message={"id": "msg_1", "content": [], "usage": USAGE})
WORDS = event("content_block_delta", index=0, delta={"type": "text_delta", "text": "x" * 400})
END = event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 90})
STOP = event("message_stop")
OVERLOADED = event("error", error={"type": "overloaded_error", "message": "Overloaded"})


def bench(*scripts, kind=ProviderKind.ANTHROPIC, **options):
    served = {ProviderId("prv_one"): provider("one", kind=kind)}
    return make_bench(*scripts, config=snapshot(providers=served), **options)


async def test_a_stream_of_messages_passes():
    """Bytes are unchanged, usage is the provider's, and after the last event comes nothing."""
    made = bench(streamed(START, event("ping"), WORDS, END + STOP, event("ping")))
    client, verdict = await made.ask({**ASK, "stream": True}, endpoint=MESSAGES)
    assert verdict is None
    assert client.body == START + event("ping") + WORDS + END + STOP
    assert client.ended == "finished"
    assert made.upstream.progressed == 3, "a ping restarts no timer"
    (call,) = made.upstream.calls
    assert call.path == "/messages"
    assert json.loads(call.body) == {**ASK, "model": "one-model", "stream": True}
    (row,) = made.journal.receipts
    assert (row.input, row.cached_input, row.output) == (3, 50, 90)
    assert (row.payer, row.usage_source, row.endpoint) == ("reported", "provider", "messages")


async def test_a_cut_stream_costs_what_is_known_of_it():
    """The input is what the provider said, the output what was delivered, and it ends in one error
    event of its dialect."""
    made = bench(streamed(START, WORDS, failure=RESET))
    client, _ = await made.ask({**ASK, "stream": True}, endpoint=MESSAGES)
    assert client.ended == "aborted"
    name, data = client.writes[-1].split(b"\n")[:2]
    assert name == b"event: error"
    told = json.loads(data.removeprefix(b"data: "))
    assert told["type"] == "error"
    assert told["error"] == {"type": "api_error", "message": RESET.message}
    assert b"[DONE]" not in client.body
    (row,) = made.journal.receipts
    assert (row.input, row.cached_input, row.output) == (3, 50, 100)
    assert (row.payer, row.usage_source) == ("cut", "estimated")


async def test_a_provider_that_breaks_off_with_an_error_event():
    """Its bytes do not pass: the client gets one event with the same words."""
    made = bench(streamed(START + WORDS + OVERLOADED))
    client, _ = await made.ask({**ASK, "stream": True}, endpoint=MESSAGES)
    assert client.body.startswith(START + WORDS)
    assert client.body.count(b"event: error") == 1
    assert b"Overloaded" in client.writes[-1]


async def test_a_stream_that_ends_without_its_last_event():
    """A reason to stop is an end; without one the stream was cut."""
    made = bench(streamed(START, WORDS, END), streamed(START, WORDS))
    client, _ = await made.ask({**ASK, "stream": True}, endpoint=MESSAGES)
    assert client.ended == "finished"
    client, _ = await made.ask({**ASK, "stream": True}, endpoint=MESSAGES)
    assert client.ended == "aborted"


async def test_counting_is_free():
    """A count is asked of the provider, and bills nothing although tokens are counted."""
    made = bench(Script(pieces=[b'{"input_tokens": 2095}']))
    asked = {"model": "m", "messages": HI, "metadata": {"user_id": "u"}}
    client, verdict = await made.ask(asked, endpoint=COUNT)
    assert (verdict, client.body) == (None, b'{"input_tokens": 2095}')
    assert made.upstream.calls[0].path == "/messages/count_tokens"
    (row,) = made.journal.receipts
    assert (row.input, row.output, row.payer) == (0, 0, "reported")
    assert row.end_user == "u"
    assert not made.gateway.outputs, "what writes nothing teaches nothing about answers"


async def test_users_are_renamed():
    """The name in metadata reaches the provider only as a digest of the tenant's."""
    answer = Script(pieces=[b'{"content":[],"usage":{"input_tokens":1,"output_tokens":1}}'])
    made = bench(answer)
    await made.ask({**ASK, "metadata": {"user_id": "alice"}}, endpoint=MESSAGES)
    sent = json.loads(made.upstream.calls[0].body)["metadata"]["user_id"]
    assert len(sent) == 32
    assert made.journal.receipts[0].end_user == "alice"


async def test_a_response_passes_and_is_not_stored():
    """Bytes are unchanged, usage is the provider's, and nothing stays at its account."""
    usage = {"input_tokens": 5, "output_tokens": 2}
    begun = event("response.created", response={"id": "resp_1"})
    words = event("response.output_text.delta", delta="hello")
    last = event("response.completed", response={"output": [], "usage": usage})
    made = bench(streamed(begun, words, last, b"data: [DONE]\n\n"), kind=ProviderKind.OPENAI)
    asked = {"model": "m", "input": "hi", "stream": True}
    client, verdict = await made.ask(asked, endpoint=RESPONSES)
    assert (verdict, client.body, client.ended) == (None, begun + words + last, "finished")
    (call,) = made.upstream.calls
    assert json.loads(call.body) == {**asked, "model": "one-model", "store": False}
    (row,) = made.journal.receipts
    assert (row.input, row.output, row.endpoint) == (5, 2, "responses")


async def test_a_provider_of_another_dialect_is_not_asked():
    """OpenAI counts no tokens."""
    made = bench(kind=ProviderKind.OPENAI)
    _, verdict = await made.ask(ASK, endpoint=COUNT)
    assert isinstance(verdict, BadRequest)
    assert made.upstream.calls == []


async def test_an_answer_too_large_is_cut_off():
    """Whole answers of these dialects have the cap of all others."""
    made = bench(Script(pieces=[b"x" * 2000]), options=GatewayOptions(reply_bytes=1000))
    _, verdict = await made.ask(ASK, endpoint=MESSAGES)
    assert "larger than 1000 bytes" in verdict.message


async def test_a_server_without_responses_is_sent_a_chat():
    """Where its provider says so: then its own Chat Completions are what is asked, and the client
    has a response. Everything else goes as before."""
    kind = ProviderKind.OPENAI_COMPATIBLE
    served = {ProviderId("prv_one"): provider("one", kind=kind, translate_responses=True)}
    made = make_bench(whole(), whole(), config=snapshot(providers=served))
    client, verdict = await made.ask({"model": "m", "input": "hi"}, endpoint=RESPONSES)
    assert verdict is None
    assert json.loads(client.body)["object"] == "response"
    assert (await made.ask({"model": "m", "messages": HI}))[1] is None
    assert [call.path for call in made.upstream.calls] == ["/chat/completions"] * 2
