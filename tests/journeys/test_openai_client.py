"""The official `openai` client in depth: every endpoint, synchronous and not, what passes through
byte for byte, and a ledger that equals the provider's truth log.
"""

import base64
import itertools
import json
import struct
from collections.abc import Iterator
from typing import Any

import pytest
from openai import AsyncOpenAI, OpenAI

from tests.fakes.raw_provider import JSON_HEAD, RawProvider, answer
from tests.fakes.stage import Stage

NONCES = itertools.count(1)
VECTOR = [0.5, -0.25, 0.125]
WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Wie ist das Wetter in Zürich?",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "pattern": "^\\p{L}+$"}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}
SCHEMA: dict[str, Any] = {
    "type": "json_schema",
    "json_schema": {"name": "x", "strict": True, "schema": {"type": "object", "properties": {}}},
}


@pytest.fixture(scope="module")
def raw() -> Iterator[RawProvider]:
    made = RawProvider()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, raw: RawProvider) -> Iterator[Stage]:
    made = Stage(tmp_path_factory.mktemp("client"))
    made.add_provider("raw", raw.base_url)
    made.add_model("large", {"provider": "simulated", "model": "large"}, max_output_tokens=7)
    made.begin()
    yield made
    made.close()


@pytest.fixture(scope="module")
def client(stage: Stage) -> Iterator[OpenAI]:
    with OpenAI(
        base_url=stage.tree.base_url, api_key=stage.tree.key, max_retries=0, timeout=20
    ) as made:
        yield made


def asks(script: str = "", **fields: Any) -> dict[str, Any]:
    """The arguments of a chat completion with a nonce of its own."""
    nonce = f"c{next(NONCES)}"
    return {
        "model": "small",
        "messages": [{"role": "user", "content": f"hi [[id={nonce} {script}]]"}],
        "extra_headers": {"x-request-id": nonce},
        **fields,
    }


def nonce_of(arguments: dict[str, Any]) -> str:
    nonce: str = arguments["extra_headers"]["x-request-id"]
    return nonce


def test_chat(stage: Stage, client: OpenAI) -> None:
    """A whole answer, its request id, and headers that are ours alone."""
    arguments = asks("tokens=7")
    raw = client.chat.completions.with_raw_response.create(**arguments)
    completion = raw.parse()
    assert completion.choices[0].message.content == "001 002 003 004 005 006 007 "
    assert completion.model == "small"
    assert completion._request_id == raw.headers["x-request-id"]
    assert completion._request_id.startswith("req_")
    assert raw.headers["x-tollway-provider"] == "simulated"
    private = ("set-cookie", "x-ratelimit-remaining-requests", "openai-organization", "server")
    assert [name for name in private if name in raw.headers] == []
    assert raw.headers.get_list("content-type") == ["application/json"]
    row = stage.row(nonce_of(arguments))
    assert row["request_id"] == completion._request_id
    assert (row["payer"], row["outcome"], row["status"]) == ("reported", "finished", 200)


@pytest.mark.parametrize(
    ("options", "chunks"),
    [
        ({}, 0),
        ({"stream_options": {"include_usage": False}}, 0),
        ({"stream_options": {"include_usage": True}}, 1),
        ({"stream_options": {"include_obfuscation": False}}, 0),
    ],
)
def test_stream(stage: Stage, client: OpenAI, options: dict[str, Any], chunks: int) -> None:
    """Every token in order; the usage chunk is the last and comes only when it was asked for."""
    arguments = asks("tokens=9 usage=details", stream=True, **options)
    with client.chat.completions.with_streaming_response.create(**arguments) as response:
        assert response.headers.get_list("content-type") == ["text/event-stream; charset=utf-8"]
        given = list(response.parse())
    text = "".join(one.choices[0].delta.content or "" for one in given if one.choices)
    assert text == "".join(f"{number:03d} " for number in range(1, 10))
    assert [one.choices == [] for one in given if one.usage] == [True] * chunks
    assert given[-1].usage is not None or not chunks
    row = stage.row(nonce_of(arguments))
    assert (row["output"], row["reasoning"], row["usage_source"]) == (5, 4, "provider")


def test_usage_that_comes_unasked_is_not_passed_on(stage: Stage, client: OpenAI) -> None:
    """A provider that reports usage always: it is booked, and the client's choice still holds."""
    arguments = asks("tokens=4 usage=native", stream=True)
    chunks = list(client.chat.completions.create(**arguments))
    assert [chunk for chunk in chunks if not chunk.choices] == []
    assert stage.row(nonce_of(arguments))["output"] == 4


def test_tools(stage: Stage, client: OpenAI) -> None:
    """A tool's call arrives whole, and in pieces that join to the same arguments."""
    fields: dict[str, Any] = {"tools": [WEATHER], "tool_choice": "required"}
    whole = client.chat.completions.create(**asks("tokens=3 tool=weather", **fields))
    (call,) = whole.choices[0].message.tool_calls or []
    assert whole.choices[0].finish_reason == "tool_calls"
    assert call.type == "function"
    assert (call.function.name, call.function.arguments) == ("weather", "001 002 003 ")
    arguments = asks("tokens=3 tool=weather usage=none", stream=True, **fields)
    pieces = [
        piece
        for chunk in client.chat.completions.create(**arguments)
        for choice in chunk.choices
        for piece in choice.delta.tool_calls or ()
    ]
    assert pieces[0].function is not None
    assert pieces[0].function.name == "weather"
    text = "".join(piece.function.arguments or "" for piece in pieces if piece.function)
    assert text == "001 002 003 "
    row = stage.row(nonce_of(arguments))
    # 19 bytes: the function's name counts as well as its arguments.
    assert (row["payer"], row["usage_source"], row["output"]) == ("estimated", "estimated", 5)


def test_what_a_client_sends_arrives_byte_for_byte(
    stage: Stage, client: OpenAI, raw: RawProvider
) -> None:
    """Tools, schema, unknown fields, odd numbers and spacing: only the model's name is changed."""
    extra = '{"deep":[1,2.50,1e-400,-0,null,"\\u00fc ü","\\/"],  "Ä":{}}'
    body = (
        f'{{"messages":[{{"role":"user","content":"hi"}}], "brand_new_field" : {extra},\n'
        f'"tools":[{json.dumps(WEATHER)}],"response_format":{json.dumps(SCHEMA)},'
        '"seed":12345678901234567890123,"temperature":0.10,"model":"raw"}'
    ).encode()
    told: dict[str, Any] = {
        "choices": [{"index": 0, "message": {"content": "x"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1},
        "brand_new_answer": [1.50],
    }
    sent_back = json.dumps(told, indent=1).encode()
    raw.script = lambda connection, _: answer(connection, sent_back)
    reply = stage.post("/v1/chat/completions", body)
    assert reply.body == sent_back
    arrived = raw.requests[-1].body
    for part in (extra, json.dumps(WEATHER), json.dumps(SCHEMA), "12345678901234567890123", "0.10"):
        assert part.encode() in arrived
    assert json.loads(arrived) == {**json.loads(body), "model": "small"}
    head = raw.requests[-1].head.lower()
    assert stage.tree.key.encode() not in head
    assert b"x-request-id" not in head
    assert b"authorization" not in head  # this provider has no credential

    client.chat.completions.create(
        model="raw",
        messages=[{"role": "user", "content": "é"}],
        tools=[WEATHER],
        response_format=SCHEMA,
        extra_body={"brand_new_field": {"deep": [1, 2.5, None, "ü"]}, "metadata": {"a": "b"}},
    )
    arrived_fields = json.loads(raw.requests[-1].body)
    assert arrived_fields == {
        "model": "small",
        "messages": [{"role": "user", "content": "é"}],
        "tools": [WEATHER],
        "response_format": SCHEMA,
        "brand_new_field": {"deep": [1, 2.5, None, "ü"]},
        "metadata": {"a": "b"},
    }


def test_end_users_are_renamed_per_tenant(stage: Stage, raw: RawProvider) -> None:
    """The provider never sees the name, the ledger does."""
    raw.script = lambda connection, _: answer(connection, b'{"choices": []}', JSON_HEAD)
    reply = stage.chat(model="raw", user="alice@example.org", prompt_cache_key="k")
    fields = json.loads(raw.requests[-1].body)
    assert len(fields["user"]) == len(fields["prompt_cache_key"]) == 32
    assert b"alice" not in raw.requests[-1].body
    assert stage.row(reply.nonce)["end_user"] == "alice@example.org"


def test_a_models_ceiling_clamps(client: OpenAI) -> None:
    """What was asked for above the ceiling is cut to it; what was not asked for gets it."""
    for fields in ({"max_tokens": 100}, {"max_completion_tokens": 100}, {}):
        completion = client.chat.completions.create(
            **asks("tokens=50", **{**fields, "model": "large"})
        )
        assert completion.usage is not None
        assert completion.usage.completion_tokens == 7


def test_completions(stage: Stage, client: OpenAI) -> None:
    """Text completions, whole and streamed."""
    headers = {"x-request-id": "text-1"}
    whole = client.completions.create(
        model="small", prompt="hi [[id=text-1 tokens=3]]", extra_headers=headers
    )
    assert whole.choices[0].text == "001 002 003 "
    assert stage.row("text-1")["output"] == 3
    headers = {"x-request-id": "text-2"}
    stream = client.completions.create(
        model="small", prompt="hi [[id=text-2 tokens=3]]", extra_headers=headers, stream=True
    )
    assert "".join(one.choices[0].text for one in stream) == "001 002 003 "
    assert stage.row("text-2")["endpoint"] == "completions"


def test_embeddings(stage: Stage, client: OpenAI) -> None:
    """The client's own default (base64, which it decodes), floats, base64 itself, token ids."""
    default = client.embeddings.create(
        model="small", input=["a", "b [[id=emb-1]]"], extra_headers={"x-request-id": "emb-1"}
    )
    assert [one.embedding for one in default.data] == [VECTOR, VECTOR]
    row = stage.row("emb-1")
    assert (row["input"], row["output"]) == (default.usage.prompt_tokens, None)
    floats = client.embeddings.create(model="small", input="a", encoding_format="float")
    assert floats.data[0].embedding == VECTOR
    packed = client.embeddings.create(model="small", input="a", encoding_format="base64")
    text: Any = packed.data[0].embedding
    assert list(struct.unpack("<3f", base64.b64decode(text))) == VECTOR
    assert client.embeddings.create(model="small", input=[1, 2, 3]).data


def test_models(client: OpenAI) -> None:
    """Sorted, with the fields the client knows; one of them by name."""
    assert [model.id for model in client.models.list()] == ["large", "raw", "small"]
    response = client.models.with_raw_response.retrieve("small")
    model = response.parse()
    assert (model.id, model.object, model.owned_by) == ("small", "model", "tollway")
    assert model.created > 1_700_000_000
    assert response.headers["x-request-id"].startswith("req_")


async def test_the_asynchronous_client(stage: Stage) -> None:
    """The same over asyncio, several at once on one connection pool."""
    async with AsyncOpenAI(
        base_url=stage.tree.base_url, api_key=stage.tree.key, max_retries=0
    ) as client:
        whole = await client.chat.completions.create(**asks("tokens=2"))
        assert whole.choices[0].message.content == "001 002 "
        streams = [asks(f"tokens={count} gap_ms=2", stream=True) for count in (3, 5, 8)]
        opened = [await client.chat.completions.create(**one) for one in streams]
        texts = [
            "".join(
                [chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]
            )
            for stream in opened
        ]
        assert [len(text) for text in texts] == [12, 20, 32]
        assert [stage.row(nonce_of(one))["output"] for one in streams] == [3, 5, 8]
        assert (await client.embeddings.create(model="small", input="a")).data[0].embedding
        assert [model.id async for model in client.models.list()] == ["large", "raw", "small"]
        assert (await client.models.retrieve("small")).id == "small"
        text = await client.completions.create(model="small", prompt="[[tokens=1]] a")
        assert text.choices[0].text == "001 "


def test_the_ledger_is_what_the_provider_reported(stage: Stage) -> None:
    """For every request that reported usage, its one row says exactly that."""
    reported = [one for one in stage.truth.requests.values() if one.nonce and one.usage]
    assert len(reported) > 10
    for one in reported:
        assert one.nonce is not None
        assert one.usage is not None
        row, usage = stage.row(one.nonce), one.usage
        details = usage.get("prompt_tokens_details", {})
        given = usage["prompt_tokens"] - details.get("cached_tokens", 0)
        assert row["input"] == given, one
        wrote = (row["output"] or 0) + (row["reasoning"] or 0)
        assert wrote == usage.get("completion_tokens", 0), one
        assert row["cached_input"] == details.get("cached_tokens"), one
        assert (row["usage_source"], row["payer"]) == ("provider", "reported")
