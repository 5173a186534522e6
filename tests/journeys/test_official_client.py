"""The official `openai` client, unchanged, against the gateway: what it sends arrives, what it
expects comes back, and the ledger says what the provider said.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.fakes.gateway import GatewayTree, a_manifest
from tests.fakes.provider import ProviderProcess
from tests.fakes.truth import Truth

TOOLS: list[Any] = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    }
]


class Stage:
    """One gateway and one provider for all tests of this file."""

    def __init__(self, folder: Path) -> None:
        self.provider = ProviderProcess(folder / "truth")
        self.tree = GatewayTree(folder)
        manifest = a_manifest(self.provider.base_url)
        manifest["keys"].append(
            {
                "name": "early",
                "tenant": manifest["tenants"][0]["slug"],
                "not_before": "2999-01-01T00:00:00Z",
            }
        )
        self.tree.apply(manifest)
        self.model = manifest["models"][0]["name"]
        self.tree.start()

    def client(self, **changes: Any) -> OpenAI:
        return OpenAI(
            **{
                "base_url": self.tree.base_url,
                "api_key": self.tree.key,
                "max_retries": 0,
                "timeout": 20,
                **changes,
            }
        )

    @property
    def truth(self) -> Truth:
        return self.provider.truth

    def row(self, request_id: str | None) -> dict[str, Any]:
        assert request_id is not None
        self.tree.run("usage")  # ships what is journalled
        (row,) = [row for row in self.tree.ledger() if row["request_id"] == request_id]
        return row


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    made = Stage(tmp_path_factory.mktemp("client"))
    yield made
    assert made.tree.stop() == 0
    made.provider.stop()


@pytest.fixture
def client(stage: Stage) -> Iterator[OpenAI]:
    with stage.client() as client:
        yield client


def said(prompt: str) -> list[Any]:
    return [{"role": "user", "content": prompt}]


def test_chat_and_its_ledger_row(stage: Stage, client: OpenAI) -> None:
    """A whole answer; the row is the provider's usage."""
    answer = client.chat.completions.create(model=stage.model, messages=said("[[tokens=7]] hi"))
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 7
    row = stage.row(answer._request_id)
    assert (row["input"], row["output"]) == (answer.usage.prompt_tokens, 7)
    assert (row["usage_source"], row["payer"], row["outcome"]) == (
        "provider",
        "reported",
        "finished",
    )


@pytest.mark.parametrize("wanted", [True, False])
def test_stream_with_and_without_usage(stage: Stage, client: OpenAI, wanted: bool) -> None:
    """The usage chunk comes exactly when it was asked for; the ledger knows it either way."""
    options: Any = {"stream_options": {"include_usage": True}} if wanted else {}
    with client.chat.completions.with_streaming_response.create(
        model=stage.model, messages=said("[[tokens=9]] hi"), stream=True, **options
    ) as response:
        request_id = response.headers["x-request-id"]
        chunks = list(response.parse())
    text = [chunk for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]
    assert len(text) == 9
    assert [bool(chunk.usage) for chunk in chunks if chunk.usage] == ([True] if wanted else [])
    assert stage.row(request_id)["output"] == 9


def test_everything_a_client_may_send_arrives(stage: Stage, client: OpenAI) -> None:
    """Tools, JSON schema, unknown fields and exact numbers reach the provider as they are."""
    answer = client.chat.completions.create(
        model=stage.model,
        messages=said("[[tokens=2]] hi"),
        tools=TOOLS,
        tool_choice="auto",
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "x", "schema": {"type": "object"}},
        },
        seed=1,
        extra_body={"brand_new_field": {"deep": [1, 2.5, None, "ü"]}},
    )
    assert answer.choices[0].finish_reason


def test_completions_embeddings_and_models(stage: Stage, client: OpenAI) -> None:
    """The other endpoints work with the client's own methods."""
    text = client.completions.create(model=stage.model, prompt="[[tokens=3]] hi")
    assert text.usage is not None
    assert text.usage.completion_tokens == 3
    vectors = client.embeddings.create(model=stage.model, input=["a", "b"])
    assert len(vectors.data) == 2
    assert all(isinstance(number, float) for number in vectors.data[0].embedding)
    plain = client.embeddings.create(model=stage.model, input="a", encoding_format="float")
    assert len(plain.data[0].embedding) == len(vectors.data[0].embedding)
    assert [model.id for model in client.models.list()] == [stage.model]
    assert client.models.retrieve(stage.model).id == stage.model


def test_its_error_classes(stage: Stage, client: OpenAI) -> None:
    """401, 404, 400, 429 and 500 are the classes an application catches."""
    ask = client.chat.completions.create
    with stage.client(api_key="tw_live_wrong") as wrong, pytest.raises(openai.AuthenticationError):
        wrong.chat.completions.create(model=stage.model, messages=said("hi"))
    with pytest.raises(openai.NotFoundError) as unknown:
        ask(model="no-such-model", messages=said("hi"))
    assert unknown.value.code == "model_not_found"
    for status, kind in [
        (400, openai.BadRequestError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (503, openai.InternalServerError),
    ]:
        with pytest.raises(kind) as caught:
            ask(model=stage.model, messages=said(f"[[status={status}]] hi"))
        assert caught.value.status_code == status
        assert caught.value.request_id
    with pytest.raises(openai.BadRequestError) as refused:
        ask(model=stage.model, messages=said("hi"), extra_body={"api_base": "http://evil"})
    assert refused.value.param == "api_base"


def test_a_key_before_its_time_is_401(stage: Stage) -> None:
    """A key that is not yet valid reads like a wrong one."""
    with (
        stage.client(api_key=stage.tree.keys[-1]) as early,
        pytest.raises(openai.AuthenticationError) as caught,
    ):
        early.models.list()
    assert "not valid" in str(caught.value)


def test_its_retries_reach_the_provider_and_are_rows_of_their_own(stage: Stage) -> None:
    """The client's two retries of a 500 are three requests, each with a row that bills nothing."""
    with stage.client(max_retries=2) as client, pytest.raises(openai.InternalServerError):
        client.chat.completions.create(
            model=stage.model, messages=said("[[id=retried status=500]] hi"), user="retrier"
        )
    stage.tree.run("usage")
    rows = [row for row in stage.tree.ledger() if row["end_user"] == "retrier"]
    assert [(row["status"], row["output"], row["payer"]) for row in rows] == [
        (500, 0, "failed")
    ] * 3


def test_an_error_inside_a_stream_is_an_api_error(stage: Stage, client: OpenAI) -> None:
    """A stream that breaks raises in the client; what was received is billed as estimated."""
    stream = client.chat.completions.create(
        model=stage.model,
        messages=said("[[tokens=20 fault=reset at=5]] hi"),
        stream=True,
        user="broken",
    )
    received = 0
    with pytest.raises(openai.APIError):
        for chunk in stream:
            received += bool(chunk.choices and chunk.choices[0].delta.content)
    stage.tree.run("usage")
    (row,) = [row for row in stage.tree.ledger() if row["end_user"] == "broken"]
    assert (row["payer"], row["usage_source"]) == ("cut", "estimated")
    assert received <= row["output"] <= 5


async def test_the_asynchronous_client_streams_too(stage: Stage) -> None:
    """The same over asyncio."""
    async with openai.AsyncOpenAI(
        base_url=stage.tree.base_url, api_key=stage.tree.key, max_retries=0
    ) as client:
        stream = await client.chat.completions.create(
            model=stage.model, messages=said("[[tokens=4]] hi"), stream=True
        )
        words = [
            chunk async for chunk in stream if chunk.choices and chunk.choices[0].delta.content
        ]
    assert len(words) == 4


def test_headers_never_change_the_tenant(stage: Stage, client: OpenAI) -> None:
    """Whose request it is comes from the key alone."""
    answer = client.chat.completions.create(
        model=stage.model,
        messages=said("[[tokens=1]] hi"),
        extra_headers={"x-tenant": "other", "openai-organization": "other"},
    )
    assert stage.row(answer._request_id)["tenant_id"].startswith("ten_")
    assert json.loads(stage.tree.run("usage", "-o", "json", "--by", "tenant"))[0]["requests"] > 0
