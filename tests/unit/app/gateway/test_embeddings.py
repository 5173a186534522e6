"""Embeddings through the whole pipeline: OpenAI's and Ollama's clients at providers of every
dialect that has them; what is sent is what Google's library sends, what comes back is the vendors'.
"""

import json
import struct
import tracemalloc
from base64 import b64decode, b64encode

import ollama
import pytest
from google import genai
from google.oauth2.credentials import Credentials
from msgspec import Raw
from openai.types import CreateEmbeddingResponse

from tests.fakes.pipeline import make_bench, provider, snapshot, whole
from tests.fakes.raw_provider import RawProvider, answer
from tollway.dialects.ask import Heading
from tollway.dialects.registry import ENDPOINTS, carrier_for
from tollway.domain.failure import Failure
from tollway.domain.ids import ModelId
from tollway.domain.model import ModelRecord, Target
from tollway.domain.provider import ProviderKind
from tollway.domain.refusal import BadRequest

OPENAI, OLLAMA = ENDPOINTS[b"/v1/embeddings"], ENDPOINTS[b"/api/embed"]
ROWS = [[0.5, -0.25, 1e-3], [1, 2, 3]]
TEXTS = ["Grüße", "two"]
EMBEDDED = [{"values": row} for row in ROWS]
PREDICTED = [
    {"embeddings": {"values": row, "statistics": {"truncated": False, "token_count": count}}}
    for row, count in zip(ROWS, (2, 3.0), strict=True)
]
LISTED = [
    {"object": "embedding", "index": index, "embedding": row} for index, row in enumerate(ROWS)
]
K = ProviderKind
# By provider: its model, its answer with usage of 5 tokens, the same without, where it is asked.
AT = {
    "openai": (
        K.OPENAI,
        "small",
        {"data": LISTED[::-1], "usage": {"prompt_tokens": 5, "total_tokens": 5}},
        {"data": LISTED},
        "/embeddings",
    ),
    "ollama": (
        K.OLLAMA,
        "small",
        {"model": "small", "embeddings": ROWS, "prompt_eval_count": 5},
        {"embeddings": ROWS},
        "/api/embed",
    ),
    "gemini": (
        K.GEMINI,
        "gemini-embedding-001",
        {"embeddings": EMBEDDED, "usageMetadata": {"promptTokenCount": 5}},
        {"embeddings": EMBEDDED},
        "/models/gemini-embedding-001:batchEmbedContents",
    ),
    "vertex": (
        K.VERTEX,
        "text-embedding-005",
        {"predictions": PREDICTED, "metadata": {"billableCharacterCount": 9}},
        {"predictions": [{"embeddings": {"values": row}} for row in ROWS]},
        "/publishers/google/models/text-embedding-005:predict",
    ),
    "vertex's gemini": (
        K.VERTEX,
        "gemini-embedding-2",
        {"embeddings": EMBEDDED, "usageMetadata": {"promptTokenCount": 5}},
        {"embeddings": EMBEDDED},
        "/publishers/google/models/gemini-embedding-2:batchEmbedContents",
    ),
}


def bench(kind, model, *scripts):
    """A pipeline whose model is at this kind of provider."""
    at = provider("one", kind=kind)
    models = {(None, "m"): ModelRecord(ModelId("mdl_m"), "m", (Target(at.id, model),))}
    return make_bench(*scripts, config=snapshot(providers={at.id: at}, models=models))


async def embedded(to, endpoint=OPENAI, *, usage=True, **fields):
    """The client's answer and the call, of a provider that answers."""
    kind, model, counted, bare, _ = AT[to]
    made = bench(kind, model, whole(json.dumps(counted if usage else bare).encode()))
    client, verdict = await made.ask({"model": "m", "input": TEXTS, **fields}, endpoint=endpoint)
    assert (verdict, client.status) == (None, 200)
    [call] = made.upstream.calls
    [row] = made.journal.receipts
    return client, call, row


async def no_of(to, endpoint=OPENAI, **fields):
    """The refusal; nobody is asked, and nothing is booked."""
    kind, model, *_ = AT[to]
    made = bench(kind, model)
    body = {"model": "m", "input": TEXTS, **fields}
    _, verdict = await made.ask(body, endpoint=endpoint)
    assert isinstance(verdict, BadRequest)
    assert (made.upstream.calls, made.journal.receipts) == ([], [])
    return verdict


@pytest.mark.parametrize("to", AT)
async def test_openais_clients(to):
    """Numbers as the provider wrote them, in the order of the texts; usage is booked once."""
    client, call, row = await embedded(to, encoding_format="float", user="alice")
    assert call.path == AT[to][4]
    assert b"alice" not in call.body
    told = json.loads(client.body)
    if to == "openai":
        assert client.body == json.dumps(AT[to][2]).encode()
    else:
        assert told["data"] == LISTED
        assert (told["object"], told["model"]) == ("list", "m")
        assert CreateEmbeddingResponse.model_validate(told, strict=True)
        assert b"1,2,3" in client.body or b"1, 2, 3" in client.body
    assert told["usage"] == {"prompt_tokens": 5, "total_tokens": 5}
    assert (row.input, row.output or 0, row.usage_source) == (5, 0, "provider")


@pytest.mark.parametrize("to", [name for name in AT if name != "openai"])
async def test_packed(to):
    """As OpenAI's own client for Python asks for them."""
    client, call, _ = await embedded(to, encoding_format="base64")
    assert b"base64" not in call.body
    packed = [one["embedding"] for one in json.loads(client.body)["data"]]
    assert packed == [b64encode(struct.pack("<3f", *row)).decode() for row in ROWS]
    assert struct.unpack("<3f", b64decode(packed[1])) == (1, 2, 3)


@pytest.mark.parametrize("to", [name for name in AT if name != "ollama"])
async def test_ollamas_clients(to):
    """The same vectors in its words; what is for its servers is left out and told of."""
    fields = {"truncate": True, "keep_alive": "5m", "options": {"seed": 1}, "dimensions": 3}
    client, call, row = await embedded(to, OLLAMA, **fields)
    assert call.path == AT[to][4]
    told = json.loads(client.body)
    assert (told["model"], told["embeddings"], told["prompt_eval_count"]) == ("m", ROWS, 5)
    assert ollama.EmbedResponse.model_validate(told).embeddings == ROWS
    warning = dict(client.headers)[b"warning"]
    assert all(name in warning for name in (b"truncate", b"keep_alive", b"options"))
    assert (row.input, row.output or 0, row.usage_source) == (5, 0, "provider")


@pytest.mark.parametrize("to", AT)
@pytest.mark.parametrize("endpoint", [OPENAI, OLLAMA])
async def test_usage_that_is_not_told(to, endpoint):
    """Is estimated and flagged; the client is told none."""
    client, _, row = await embedded(to, endpoint, usage=False)
    assert row.input > 0
    assert row.usage_source == "estimated"
    told = json.loads(client.body)
    assert not {"usage", "prompt_eval_count"} & set(told)


@pytest.mark.parametrize("to", [name for name in AT if name != "openai"])
@pytest.mark.parametrize(
    ("given", "field", "said"),
    [
        ({"input": [1, 2, 3]}, "input", "token ids"),
        ({"input": [[1, 2], [3]]}, "input", "token ids"),
        ({"input": []}, "input", "must be"),
        ({"input": {"a": 1}}, "input", "must be"),
        ({"dimensions": 0}, "dimensions", "1 or more"),
        ({"dimensions": True}, "dimensions", "1 or more"),
        ({"dimensions": 2.5}, "dimensions", "1 or more"),
        ({"encoding_format": "int8"}, "encoding_format", "must be"),
    ],
)
async def test_what_cannot_be_carried(to, given, field, said):
    """Is refused by the client's own name for it."""
    verdict = await no_of(to, **given)
    assert verdict.param == field
    assert said in verdict.message


async def test_a_cut_must_be_said_in_a_word():
    """Of Ollama's own field."""
    assert (await no_of("gemini", OLLAMA, truncate="yes")).param == "truncate"


@pytest.mark.parametrize(("to", "most"), [("gemini", 100), ("vertex", 250)])
async def test_too_many_texts(to, most):
    """The provider's limit is told before it is asked."""
    verdict = await no_of(to, input=["x"] * (most + 1))
    assert f"at most {most} texts" in verdict.message
    kind, model, *_ = AT[to]
    made = bench(kind, model, whole(b"{}"))
    await made.ask({"model": "m", "input": ["x"] * most}, endpoint=OPENAI)
    assert len(made.upstream.calls) == 1


@pytest.mark.parametrize("to", [name for name in AT if name != "openai"])
@pytest.mark.parametrize(
    "spoil",
    [
        lambda body: body.replace(b"[1, 2, 3]", b'"x"'),
        lambda body: body.replace(b"[1, 2, 3]", b'["x"]'),
        lambda body: body[:-2],
        lambda _: b'{"error": {"message": "no such"}}',
        lambda _: b"[]",
        lambda _: b"{}",
    ],
)
async def test_answers_that_are_none(to, spoil):
    """Are failures of the provider, and nothing is billed."""
    kind, model, counted, *_ = AT[to]
    made = bench(kind, model, whole(spoil(json.dumps(counted).encode())))
    body = {"model": "m", "input": TEXTS, "encoding_format": "base64"}
    _, verdict = await made.ask(body, endpoint=OPENAI)
    assert isinstance(verdict, Failure)
    [row] = made.journal.receipts
    assert (row.payer, row.input or 0) == ("failed", 0)


@pytest.mark.parametrize("to", [name for name in AT if name != "openai"])
@pytest.mark.parametrize("texts", ["one", ["one"], ["a", "b", "c"]])
async def test_a_vector_for_each_text(to, texts):
    """Two vectors are for two texts: of others nobody knows which is whose."""
    kind, model, counted, *_ = AT[to]
    made = bench(kind, model, whole(json.dumps(counted).encode()))
    _, verdict = await made.ask({"model": "m", "input": texts}, endpoint=OPENAI)
    assert isinstance(verdict, Failure)


async def test_a_count_of_some_texts_is_none():
    """Vertex counts text by text: a part of it would be billed too low."""
    part = [PREDICTED[0], {"embeddings": {"values": ROWS[1], "statistics": {"tokenCount": -1}}}]
    made = bench(K.VERTEX, "text-embedding-005", whole(json.dumps({"predictions": part}).encode()))
    await made.ask({"model": "m", "input": TEXTS}, endpoint=OPENAI)
    [row] = made.journal.receipts
    assert row.usage_source == "estimated"


# By provider: where its vectors stand, and one that takes few bytes.
LISTS = {
    "ollama": ("embeddings", b"[]"),
    "gemini": ("embeddings", b"{}"),
    "vertex": ("predictions", b'{"embeddings":{}}'),
}


@pytest.mark.parametrize("to", LISTS)
@pytest.mark.parametrize("many", ["vectors", "numbers"])
def test_floods(to, many):
    """An answer as large as is held takes no more than some times its size."""
    kind, model, counted, *_ = AT[to]
    name, little = LISTS[to]
    body = json.dumps(counted).encode().replace(b"1, 2, 3", b"1," * 3_500_000 + b"1")
    if many == "vectors":
        body = b'{"%b": [%b]}' % (name.encode(), b",".join([little] * (7_000_000 // len(little))))
    carrier = carrier_for(OPENAI, kind, model)
    fields = {"input": Raw(b'["a", "b"]'), "encoding_format": Raw(b'"base64"')}
    heading = Heading("m", "req_1", 1, fields=fields)
    tracemalloc.start()
    reply = carrier.read_reply(body, heading)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert not reply.valid
    assert most < 64 << 20


TITAN = "amazon.titan-embed-text-v2:0"
EMBED_AT = "/model/amazon.titan-embed-text-v2%3A0/invoke"


@pytest.mark.parametrize(("given", "sent"), [({}, {}), ({"dimensions": 256}, {"dimensions": 256})])
@pytest.mark.parametrize("text", ["one", ["one"]])
async def test_titan_at_bedrock(text, given, sent):
    """One text in a request."""
    body = b'{"embedding": [0.5, 2], "inputTextTokenCount": 3}'
    made = bench(K.BEDROCK, TITAN, whole(body))
    client, _ = await made.ask({"model": "m", "input": text, **given}, endpoint=OPENAI)
    [call] = made.upstream.calls
    assert (call.path, json.loads(call.body)) == (EMBED_AT, {"inputText": "one", **sent})
    told = json.loads(client.body)
    assert [one["embedding"] for one in told["data"]] == [[0.5, 2]]
    assert told["usage"]["prompt_tokens"] == 3
    [row] = made.journal.receipts
    assert (row.input, row.output, row.usage_source) == (3, 0, "provider")


@pytest.mark.parametrize(
    ("model", "fields", "field"),
    [
        (TITAN, {"input": TEXTS}, "input"),
        ("amazon.titan-embed-text-v1", {"input": "x", "dimensions": 256}, "dimensions"),
        ("cohere.embed-v4:0", {"input": "x"}, "model"),
        ("eu.anthropic.claude-sonnet-4-5-20250929-v1:0", {"input": "x"}, "model"),
    ],
)
async def test_what_bedrock_does_not_take(model, fields, field):
    """Is told before anybody is asked."""
    made = bench(K.BEDROCK, model)
    _, verdict = await made.ask({"model": "m", **fields}, endpoint=OPENAI)
    assert (verdict.param, made.upstream.calls) == (field, [])


@pytest.mark.parametrize("body", [b"{}", b'{"embedding": 5}', b'{"embedding": [1]', b"[]"])
async def test_titans_answers_that_are_none(body):
    """Are failures; a count that is none is no count."""
    made = bench(K.BEDROCK, TITAN, whole(body))
    _, verdict = await made.ask({"model": "m", "input": "x"}, endpoint=OPENAI)
    assert isinstance(verdict, Failure)
    made = bench(K.BEDROCK, TITAN, whole(b'{"embedding": [1], "inputTextTokenCount": -1}'))
    await made.ask({"model": "m", "input": "x"}, endpoint=OPENAI)
    [row] = made.journal.receipts
    assert row.usage_source == "estimated"


async def test_too_long_a_text_is_not_cut():
    """Where the provider would, unless it is told not to."""
    _, call, _ = await embedded("ollama")
    assert json.loads(call.body) == {"model": "small", "input": TEXTS, "truncate": False}
    _, call, _ = await embedded("vertex", dimensions=3)
    assert json.loads(call.body)["parameters"] == {"autoTruncate": False, "outputDimensionality": 3}


@pytest.mark.parametrize(
    ("kind", "model", "where"),
    [
        (K.GEMINI, "gemini-embedding-001", "/v1beta"),
        (K.VERTEX, "text-embedding-005", "/v1/projects/p/locations/eu"),
        (K.VERTEX, "gemini-embedding-2", "/v1/projects/p/locations/eu"),
    ],
)
@pytest.mark.parametrize("texts", [["one"], TEXTS])
async def test_googles_library_sends_the_same(kind, model, where, texts):
    """The same method and body, for one text and for two."""
    raw = RawProvider()
    raw.script = lambda connection, _: answer(connection, b'{"embeddings": [{"values": [1]}]}')
    url = {"base_url": raw.base_url.removesuffix("/v1"), "api_version": "v1beta"}
    config = {"output_dimensionality": 3}
    if kind is K.GEMINI:
        client = genai.Client(api_key="k", http_options=url)
    else:
        config["auto_truncate"] = False
        url["api_version"] = "v1"
        client = genai.Client(
            vertexai=True,
            project="p",
            location="eu",
            credentials=Credentials(token="t"),
            http_options=url,
        )
    # A list of texts is one content of several parts to models of its later kind.
    contents = [genai.types.Content(parts=[genai.types.Part(text=text)]) for text in texts]
    later = model == "gemini-embedding-2"
    client.models.embed_content(model=model, contents=contents if later else texts, config=config)
    raw.stop()
    [request] = raw.requests
    made = bench(kind, model, whole(b"{}"))
    await made.ask({"model": "m", "input": texts, "dimensions": 3}, endpoint=OPENAI)
    [call] = made.upstream.calls
    assert where + call.path == request.head.split()[1].decode()
    assert json.loads(call.body) == _plain(json.loads(request.body))


def _plain(value):
    """Without the role that the library gives a text, which has none here."""
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {name: _plain(one) for name, one in value.items() if name != "role"}
