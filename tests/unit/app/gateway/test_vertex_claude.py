"""Claude at Vertex through the whole pipeline: Messages pass, others are translated; what is sent
is what Anthropic's own client for Vertex sends.
"""

import json

import anthropic
import pytest
from anthropic._constants import ANTHROPIC_API_VERSION

from tests.fakes.hostile import SIDES, typed
from tests.fakes.pipeline import (
    KEY,
    RESET,
    FakeClient,
    Script,
    make_bench,
    provider,
    snapshot,
    streamed,
    whole,
)
from tests.fakes.raw_provider import EVENTS_HEAD, RawProvider, answer
from tests.unit.app.gateway.test_bedrock import ASKS, ENDS
from tollway.dialects.ask import Heading
from tollway.dialects.registry import ENDPOINTS, carrier_for
from tollway.domain.ids import ModelId, ProviderId
from tollway.domain.model import ModelRecord, Target
from tollway.domain.provider import ProviderKind

MESSAGES, COUNT, EMBEDDINGS = (
    ENDPOINTS[path] for path in (b"/v1/messages", b"/v1/messages/count_tokens", b"/v1/embeddings")
)
KEYED = (b"authorization", b"Bearer " + KEY.encode())
MODEL = "claude-sonnet-4-5@20250929"
AT = f"/publishers/anthropic/models/{MODEL}"
READ = {"input_tokens": 5, "cache_read_input_tokens": 70, "cache_creation_input_tokens": 30}
REPLY = {
    "id": "msg_vrtx_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-5-20250929",
    "content": [{"type": "text", "text": "hello"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {**READ, "output_tokens": 2},
}
BEGUN = typed("vertex_event") + typed(
    "message_start", message={**REPLY, "content": [], "usage": {**READ, "output_tokens": 1}}
)
STREAM = BEGUN + typed("ping") + SIDES["messages"].words("hello")
ENDED = typed(
    "message_delta",
    delta={"stop_reason": "end_turn", "stop_sequence": None},
    usage={"output_tokens": 2},
) + typed("message_stop")
RICH = {
    "max_tokens": 2048,
    "system": [{"type": "text", "text": "brief", "cache_control": {"type": "ephemeral"}}],
    "thinking": {"type": "enabled", "budget_tokens": 1024},
    "messages": [{"role": "user", "content": [{"type": "text", "text": "Gr\u00fc\u00dfe"}]}],
    "tools": [{"name": "look", "input_schema": {"type": "object"}}],
    "stop_sequences": ["x"],
}


def bench(*scripts, model=MODEL):
    """A pipeline whose model is Anthropic's at Vertex."""
    id_ = ProviderId("prv_one")
    at = provider("one", kind=ProviderKind.VERTEX, credentials=())
    models = {(None, "m"): ModelRecord(ModelId("mdl_m"), "m", (Target(id_, model),))}
    return make_bench(*scripts, config=snapshot(("one",), providers={id_: at}, models=models))


def booked(made):
    """The one row, by class."""
    [row] = made.journal.receipts
    return (row.input, row.cached_input, row.cache_write, row.output, row.usage_source)


USED = (5, 70, 30, 2, "provider")


@pytest.mark.parametrize("model", [MODEL, f"publishers/anthropic/models/{MODEL}"])
async def test_a_message_passes(model):
    """Its answer byte for byte; of the request what the path and Vertex's version change."""
    sent = json.dumps(REPLY, indent=1).encode()
    made = bench(whole(sent), model=model)
    client, verdict = await made.ask({"model": "m", **RICH}, endpoint=MESSAGES)
    assert (verdict, client.status, client.body) == (None, 200, sent)
    [call] = made.upstream.calls
    assert call.path == f"{AT}:rawPredict"
    assert json.loads(call.body) == {**RICH, "anthropic_version": "vertex-2023-10-16"}
    assert booked(made) == USED


@pytest.mark.parametrize(
    ("said", "sent"),
    [
        (None, "vertex-2023-10-16"),
        (b"2023-06-01", "vertex-2023-10-16"),
        (b"2026-10-21", "2026-10-21"),
    ],
)
@pytest.mark.parametrize("endpoint", [MESSAGES, COUNT])
async def test_the_version_a_client_writes_in(endpoint, said, sent):
    """Goes from its header into the body, in Vertex's name for the first; none is left in the
    header, and what a body says of another server's does not ride along."""
    version = [] if said is None else [(b"anthropic-version", said)]
    body = {"messages": RICH["messages"], "anthropic_version": "bedrock-2023-05-31"}
    if endpoint is MESSAGES:
        body["max_tokens"] = 1
    made = bench(whole(json.dumps(REPLY).encode()))
    await made.ask({"model": "m", **body}, endpoint=endpoint, headers=[KEYED, *version])
    [call] = made.upstream.calls
    assert json.loads(call.body)["anthropic_version"] == sent
    assert b"anthropic-version" not in dict(call.headers)


@pytest.mark.parametrize("dialect", ["chat", "responses"])
async def test_what_is_translated_is_written_in_the_first_version(dialect):
    """Later ones refuse what other dialects say, such as a temperature."""
    endpoint, body = ASKS[dialect]
    made = bench(whole(json.dumps(REPLY).encode()))
    headers = [KEYED, (b"anthropic-version", b"2026-10-21")]
    await made.ask({"model": "m", **body}, endpoint=endpoint, headers=headers)
    sent = json.loads(made.upstream.calls[0].body)
    assert (sent["anthropic_version"], sent["temperature"]) == ("vertex-2023-10-16", 0.5)


async def test_betas_pass():
    """In the header or in the body, as they came."""
    made = bench(whole(json.dumps(REPLY).encode()))
    headers = [KEYED, (b"anthropic-beta", b"y-1"), (b"x-other", b"z")]
    body = {"model": "m", **RICH, "anthropic_beta": ["x-1"]}
    await made.ask(body, endpoint=MESSAGES, headers=headers)
    [call] = made.upstream.calls
    assert json.loads(call.body)["anthropic_beta"] == ["x-1"]
    assert (b"anthropic-beta", b"y-1") in call.headers
    assert b"z" not in dict(call.headers).values()


async def test_a_stream_passes():
    """Google's own events too."""
    made = bench(streamed(STREAM, ENDED))
    client, verdict = await made.ask({"model": "m", **RICH, "stream": True}, endpoint=MESSAGES)
    assert (verdict, client.ended, client.body) == (None, "finished", STREAM + ENDED)
    [call] = made.upstream.calls
    assert call.path == f"{AT}:streamRawPredict"
    assert json.loads(call.body)["stream"] is True
    assert booked(made) == USED


@pytest.mark.parametrize("payer", ["cut", "client_gone"])
@pytest.mark.parametrize("dialect", ASKS)
async def test_a_stream_that_is_cut(dialect, payer):
    """Is booked once: the input as it was counted, the output as it was delivered."""
    endpoint, body = ASKS[dialect]
    by = FakeClient()
    left = [by.leave] if payer == "client_gone" else []
    made = bench(
        Script(
            headers=[(b"content-type", b"text/event-stream")],
            pieces=[STREAM, *left],
            failure=None if left else RESET,
        )
    )
    await made.ask({"model": "m", **body, "stream": True}, endpoint=endpoint, client=by)
    [row] = made.journal.receipts
    assert (row.payer, row.usage_source) == (payer, "estimated")
    assert booked(made) == (5, 70, 30, 2, "estimated")


@pytest.mark.parametrize("dialect", ASKS)
async def test_whoever_asks(dialect):
    """The same request, but for what a client of Messages may say more; the answer in its words."""
    endpoint, body = ASKS[dialect]
    made = bench(whole(json.dumps(REPLY).encode()))
    client, verdict = await made.ask({"model": "m", **body}, endpoint=endpoint)
    assert (verdict, client.status) == (None, 200)
    [call] = made.upstream.calls
    assert call.path == f"{AT}:rawPredict"
    sent = json.loads(call.body)
    assert sent["anthropic_version"] == "vertex-2023-10-16"
    assert "model" not in sent
    assert (sent["max_tokens"], sent["temperature"]) == (100, 0.5)
    assert sent["messages"][-1]["content"][0]["tool_use_id"]
    assert b"hello" in client.body
    assert booked(made) == USED


@pytest.mark.parametrize("dialect", ASKS)
async def test_whoever_streams(dialect):
    """Anthropic's events in, the client's out."""
    endpoint, body = ASKS[dialect]
    made = bench(streamed(STREAM, ENDED))
    client, verdict = await made.ask({"model": "m", **body, "stream": True}, endpoint=endpoint)
    assert (verdict, client.ended) == (None, "finished")
    assert made.upstream.calls[0].path == f"{AT}:streamRawPredict"
    assert ENDS[dialect].replace(b" ", b"") in client.body.replace(b" ", b"")
    assert booked(made) == USED


@pytest.mark.parametrize("dialect", ["chat", "messages", "responses"])
def test_a_stream_cut_at_every_byte(dialect):
    """Reads the same, wherever it is cut."""
    carrier = carrier_for(ASKS[dialect][0], ProviderKind.VERTEX, MODEL)
    data = STREAM + ENDED

    def read(*pieces):
        reader = carrier.stream_reader(Heading("m", "req_1", 1))
        out = b"".join([reader.feed(piece) for piece in pieces]) + reader.end()
        return out, reader.usage, reader.done, reader.content_bytes

    whole_answer = read(data)
    assert (whole_answer[1].cached_input, whole_answer[1].output, whole_answer[2]) == (70, 2, True)
    for place in range(1, len(data)):
        assert read(data[:place], data[place:]) == whole_answer


async def test_tokens_are_counted():
    """At a path that names no model; the body does. Nothing is booked."""
    asked = {"messages": RICH["messages"]}
    made = bench(whole(b'{"input_tokens": 2095}'), model=f"anthropic/{MODEL}")
    client, verdict = await made.ask({"model": "m", **asked}, endpoint=COUNT)
    assert (verdict, client.body) == (None, b'{"input_tokens": 2095}')
    [call] = made.upstream.calls
    assert call.path == "/publishers/anthropic/models/count-tokens:rawPredict"
    sent = json.loads(call.body)
    assert sent == {**asked, "model": MODEL, "anthropic_version": "vertex-2023-10-16"}
    [row] = made.journal.receipts
    assert (row.input, row.output) == (0, 0)


ANTHROPICS = {"type": "error", "error": {"type": "invalid_request_error", "message": "no such"}}
GOOGLES = {"error": {"code": 400, "message": "no such", "status": "INVALID_ARGUMENT"}}


@pytest.mark.parametrize("error", [ANTHROPICS, GOOGLES, [GOOGLES]])
@pytest.mark.parametrize("dialect", ASKS)
async def test_errors_of_both(dialect, error):
    """Anthropic's servers and Google's stand behind one address."""
    endpoint, body = ASKS[dialect]
    made = bench(whole(json.dumps(error).encode(), status=400))
    _, verdict = await made.ask({"model": "m", **body}, endpoint=endpoint)
    assert (verdict.status, verdict.message) == (400, "no such")


@pytest.mark.parametrize("error", [typed("error", **ANTHROPICS), SIDES["gemini"].error("no such")])
async def test_errors_in_a_stream(error):
    """End it, and what came before is billed."""
    made = bench(streamed(STREAM, error))
    client, _ = await made.ask({"model": "m", **RICH, "stream": True}, endpoint=MESSAGES)
    assert client.ended == "aborted"
    assert booked(made) == (5, 70, 30, 2, "estimated")


async def test_what_it_does_not_serve():
    """Embeddings: Anthropic has none."""
    made = bench()
    _, verdict = await made.ask({"model": "m", "input": "x"}, endpoint=EMBEDDINGS)
    assert verdict.code == "unsupported_endpoint"


@pytest.fixture
def theirs():
    """Anthropic's own client for Vertex, and the server that it asks."""
    raw = RawProvider()
    raw.script = lambda connection, _: answer(connection, json.dumps(REPLY).encode())
    with anthropic.AnthropicVertex(
        base_url=raw.base_url, region="eu", project_id="p", access_token="t", max_retries=0
    ) as client:
        yield client, raw
    raw.stop()


HERE = "/v1/projects/p/locations/eu"


async def ours_of(endpoint, body, *headers):
    """What we send of the same request by a client of Messages of the same release: the path, the
    body, and headers of Anthropic's."""
    made = bench(whole(json.dumps(REPLY).encode()))
    version = (b"anthropic-version", ANTHROPIC_API_VERSION.encode())
    sent = {"model": "m", **body}
    await made.ask(sent, endpoint=endpoint, headers=[KEYED, version, *headers])
    [call] = made.upstream.calls
    return HERE + call.path, json.loads(call.body), _anthropics(call.headers)


def theirs_of(raw):
    """What their client has sent."""
    [request] = raw.requests
    first, *lines = request.head.decode().strip().split("\r\n")
    headers = [tuple(line.lower().encode().split(b": ", 1)) for line in lines]
    path = first.split()[1].removesuffix("?beta=true")
    return path, json.loads(request.body), _anthropics(headers)


def _anthropics(headers):
    return sorted(one for one in headers if one[0].startswith(b"anthropic-"))


async def test_anthropics_client_sends_the_same(theirs):
    """For a message."""
    client, raw = theirs
    client.messages.create(model=MODEL, **RICH)
    assert await ours_of(MESSAGES, RICH) == theirs_of(raw)


async def test_anthropics_client_streams_the_same(theirs):
    """The other method, and the same body."""
    client, raw = theirs
    raw.script = lambda connection, _: answer(connection, STREAM + ENDED, EVENTS_HEAD)
    with client.messages.stream(model=MODEL, **RICH) as stream:
        assert stream.get_final_text() == "hello"
    assert await ours_of(MESSAGES, {**RICH, "stream": True}) == theirs_of(raw)


async def test_anthropics_client_asks_for_betas_the_same(theirs):
    """In the header."""
    client, raw = theirs
    client.beta.messages.create(model=MODEL, betas=["x-2026-01-01"], **RICH)
    beta = (b"anthropic-beta", b"x-2026-01-01")
    found = theirs_of(raw)
    assert found[2] == [beta]
    assert await ours_of(MESSAGES, RICH, beta) == found


async def test_anthropics_client_counts_the_same(theirs):
    """Its model stays in the body."""
    client, raw = theirs
    raw.script = lambda connection, _: answer(connection, b'{"input_tokens": 3}')
    asked = {name: RICH[name] for name in ("system", "messages", "tools")}
    client.messages.count_tokens(model=MODEL, **asked)
    assert await ours_of(COUNT, asked) == theirs_of(raw)
