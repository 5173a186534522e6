"""OpenAI's Responses as clients speak it: what is understood of requests, and that the official
client reads what is written.
"""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from tollway.dialects import responses
from tollway.dialects.ask import Heading
from tollway.dialects.event_stream import StreamError
from tollway.dialects.translate.pieces import (
    Begun,
    Ended,
    Failed,
    PartEnded,
    RefusalPiece,
    TextPiece,
    ThinkingPiece,
    ToolBegun,
    ToolPiece,
)
from tollway.dialects.translate.responses_client import CLIENT
from tollway.dialects.translate.talk import (
    Answer,
    Audio,
    Document,
    Format,
    Image,
    Message,
    Reasoning,
    Refusal,
    Stop,
    Talk,
    Text,
    Thinking,
    Tool,
    ToolChoice,
    ToolResult,
    ToolUse,
)
from tollway.domain.refusal import BadRequest
from tollway.domain.usage import Usage

PATCH = {"type": "custom", "name": "apply_patch", "description": "patches"}
HEADING = Heading(
    "gpt", "req_20261129_abc", 1_795_000_000, True, {"tools": Raw(json.dumps([PATCH]).encode())}
)
EVENT = TypeAdapter(ResponseStreamEvent)


def asked(**fields):
    """The talk in such a request."""
    ask = responses.parse(json.dumps({"model": "gpt", "input": "hi", **fields}).encode())
    assert not isinstance(ask, BadRequest), ask
    return CLIENT.read(ask)


def turns(*items):
    """The system's words and the turns."""
    found = asked(input=list(items))
    return found if isinstance(found, BadRequest) else (found.system, found.messages)


def test_a_plain_request():
    """One turn."""
    assert asked() == Talk((Message("user", (Text("hi"),)),))


def test_everything_that_can_be_said():
    """As Codex says it, and more; what is for OpenAI's servers alone is passed over."""
    found = asked(
        instructions="be brief",
        tools=[
            {"type": "function", "name": "look", "parameters": {"a": 1}, "strict": False},
            {**PATCH, "format": {"type": "grammar", "syntax": "lark", "definition": "x: y"}},
            {"type": "web_search"},
        ],
        tool_choice={"type": "function", "name": "look"},
        parallel_tool_calls=False,
        text={"format": {"type": "json_schema", "name": "n", "schema": {}, "strict": True}},
        reasoning={"effort": "high", "summary": "auto"},
        max_output_tokens=9,
        temperature=0.5,
        top_p=1,
        user="u1",
        store=False,
        include=["reasoning.encrypted_content"],
        prompt_cache_key="k",
        stream=True,
    )
    free = {
        "type": "object",
        "properties": {"input": {"type": "string"}},
        "required": ["input"],
        "additionalProperties": False,
    }
    assert found == Talk(
        (Message("user", (Text("hi"),)),),
        (Text("be brief"),),
        (
            Tool("look", "", {"a": 1}, strict=False),
            Tool("apply_patch", "patches\nThe input follows this lark grammar:\nx: y", free),
        ),
        ToolChoice("named", "look"),
        False,
        Format("schema", "n", {}, strict=True),
        Reasoning("high", shown=True),
        9,
        0.5,
        1,
        end_user="u1",
        left_out=("tools.2",),
    )


def test_a_conversation_with_tools():
    """Reasoning, calls of both sorts and their results; items of one role are one turn."""
    system, messages = turns(
        {"role": "developer", "content": "be kind"},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "look"}]},
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "hm"}],
            "encrypted_content": "tollway.signed.sig",
        },
        {"type": "reasoning", "summary": [], "encrypted_content": "tollway.sealed.zzz"},
        {"type": "reasoning", "summary": [], "encrypted_content": "openais own"},
        {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"},
        {"type": "custom_tool_call", "call_id": "c2", "name": "apply_patch", "input": "*** x"},
        {"type": "function_call_output", "call_id": "c1", "output": "seen"},
        {
            "type": "custom_tool_call_output",
            "call_id": "c2",
            "output": [{"type": "input_text", "text": "done"}],
        },
        {"role": "system", "content": "now in French"},
    )
    assert system == (Text("be kind"),)
    assert messages == (
        Message("user", (Text("look"),)),
        Message(
            "assistant",
            (
                Thinking("hm", "sig"),
                Thinking("", sealed="zzz"),
                ToolUse("c1", "look", "{}"),
                ToolUse("c2", "apply_patch", '{"input":"*** x"}'),
            ),
        ),
        Message(
            "user",
            (
                ToolResult("c1", (Text("seen"),)),
                ToolResult("c2", (Text("done"),)),
                Text("now in French"),
            ),
        ),
    )


@pytest.mark.parametrize(
    ("given_part", "part"),
    [
        (
            {"type": "input_image", "image_url": "data:image/png;base64,AA", "detail": "low"},
            Image("image/png", "AA", "", "low"),
        ),
        (
            {"type": "input_image", "image_url": "https://x.example/a.png"},
            Image(url="https://x.example/a.png"),
        ),
        (
            {"type": "input_file", "filename": "a.pdf", "file_data": "AA"},
            Document("application/pdf", "AA", name="a.pdf"),
        ),
        (
            {"type": "input_file", "file_url": "https://x.example/a.pdf"},
            Document(url="https://x.example/a.pdf"),
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}},
            Audio("AA", "wav"),
        ),
        ({"type": "refusal", "refusal": "no"}, Refusal("no")),
    ],
)
def test_pictures_sounds_and_files(given_part, part):
    """By bytes or address."""
    _, [message] = turns({"role": "user", "content": [given_part]})
    assert message.parts == (part,)


@pytest.mark.parametrize(
    ("fields", "field", "code"),
    [
        ({"input": [5]}, "input.0", "invalid_type"),
        ({"input": [{"role": "x", "content": ""}]}, "input.0.role", "unsupported_parameter"),
        ({"input": [{"type": "computer_call"}]}, "input.0.type", "unsupported_parameter"),
        ({"input": [{"role": "user", "content": 5}]}, "input.0.content", "invalid_type"),
        ({"input": [{"role": "user", "content": [5]}]}, "input.0.content.0", "invalid_type"),
        (
            {"input": [{"role": "user", "content": [{"type": []}]}]},
            "input.0.content.0.type",
            "unsupported_parameter",
        ),
        ({"input": [{"type": "function_call"}]}, "input.0.call_id", "invalid_type"),
        ({"tools": [5]}, "tools.0", "invalid_type"),
        ({"tools": [{"type": "code_interpreter"}]}, "tools.0.type", "unsupported_parameter"),
        ({"tool_choice": "x"}, "tool_choice", "unsupported_parameter"),
        ({"text": {"format": {"type": "x"}}}, "text.format", "unsupported_parameter"),
        ({"temperature": "hot"}, "temperature", "invalid_type"),
        ({"top_logprobs": 3}, "top_logprobs", "unsupported_parameter"),
    ],
)
def test_what_cannot_be_understood(fields, field, code):
    """Is refused by the client's own name for it."""
    found = asked(**fields)
    assert isinstance(found, BadRequest)
    assert (found.param, found.code) == (field, code)


def test_choices_and_forms():
    """By the words of this dialect."""
    assert asked(tool_choice="required").tool_choice == ToolChoice("any")
    assert asked(tool_choice=None, text={}).tool_choice is None
    assert asked(text={"format": {"type": "json_object"}}).format == Format("json")
    assert asked(reasoning={"summary": "auto"}).reasoning is None


# Answers.

PARTS = (
    Thinking("hm", "sig"),
    Thinking("", sealed="zzz"),
    Text("hello"),
    Refusal("but no"),
    ToolUse("c1", "look", '{"at":1}'),
    ToolUse("c2", "apply_patch", '{"input":"*** x"}'),
    ToolUse("c3", "apply_patch", "no json"),
)


@pytest.mark.parametrize("stop", list(Stop))
def test_a_whole_answer(stop):
    """The official client reads it, and sent back it is what it was."""
    answer = Answer((*PARTS, Audio("AA", "wav")), stop, Usage(5, 3, 2, 7, 4))
    body = json.loads(CLIENT.write_answer(answer, HEADING))
    found = Response.model_validate(body)
    assert [item.type for item in found.output] == [
        "reasoning", "reasoning", "message", "message",
        "function_call", "custom_tool_call", "custom_tool_call",
    ]  # fmt: skip
    assert found.output_text == "hello"
    assert (found.output[5].input, found.output[6].input) == ("*** x", "no json")
    assert (found.usage.input_tokens, found.usage.output_tokens) == (10, 11)
    assert (found.id, found.model, found.store if hasattr(found, "store") else False) == (
        "resp_20261129_abc", "gpt", False,
    )  # fmt: skip
    assert found.status == ("completed" if found.incomplete_details is None else "incomplete")
    assert [tool.name for tool in found.tools] == ["apply_patch"]
    _, [turn] = turns(*body["output"])
    assert turn.parts[:6] == PARTS[:6]


def events_of(*pieces, heading=HEADING):
    """The events a stream of these pieces becomes, each valid and in sequence."""
    data = CLIENT.writer(heading).write(pieces)
    events = []
    for number, event in enumerate(data.decode().split("\n\n")[:-1]):
        name, line = event.split("\n")
        value = json.loads(line.removeprefix("data: "))
        assert name == f"event: {value['type']}"
        assert value["sequence_number"] == number
        EVENT.validate_python(value)
        events.append(value)
    return events


def test_a_stream():
    """Each item begins, grows and is whole; the last event has all of them."""
    events = events_of(
        Begun("x", Usage(9)),
        ThinkingPiece(0, "h"),
        ThinkingPiece(0, "m", "sig"),
        PartEnded(0),
        ThinkingPiece(1, sealed="zzz"),
        PartEnded(1),
        TextPiece(2, "hel"),
        TextPiece(2, "lo"),
        PartEnded(2),
        RefusalPiece(3, "but no"),
        PartEnded(3),
        ToolBegun(4, "c1", "look"),
        ToolBegun(5, "c2", "apply_patch"),
        ToolPiece(4, '{"at"'),
        ToolPiece(5, '{"input":"*** x"}'),
        ToolPiece(4, ":1}"),
        PartEnded(5),
        PartEnded(4),
        Ended(Stop.TOOL, Usage(9, output=4)),
    )
    kinds = [event["type"].removeprefix("response.") for event in events]
    assert kinds[:2] == ["created", "in_progress"]
    assert kinds[2:9] == [
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
    ]
    assert kinds[11:18] == [
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
    ]
    assert "refusal.done" in kinds
    assert "custom_tool_call_input.done" in kinds
    assert kinds[-1] == "completed"
    final = events[-1]["response"]
    done = [event["item"] for event in events if event["type"].endswith("output_item.done")]
    assert sorted(done, key=lambda item: item["id"][-1]) == sorted(
        final["output"], key=lambda item: item["id"][-1]
    )
    assert [item["type"] for item in final["output"]] == [
        "reasoning", "reasoning", "message", "message", "function_call", "custom_tool_call",
    ]  # fmt: skip
    assert (final["status"], final["usage"]["total_tokens"]) == ("completed", 13)
    arguments = "".join(
        event["delta"] for event in events if event["type"].endswith("arguments.delta")
    )
    assert arguments == final["output"][4]["arguments"] == '{"at":1}'
    _, [turn] = turns(*final["output"])
    assert turn.parts == PARTS[:6]


def test_ends_of_all_sorts():
    """Parts that nobody ended, an answer that is too long, one that broke, pieces of nothing."""
    events = events_of(TextPiece(0, "a"), Ended(Stop.LENGTH))
    assert events[-1]["type"] == "response.incomplete"
    assert events[-1]["response"]["incomplete_details"] == {"reason": "max_output_tokens"}
    assert events[-1]["response"]["usage"] is None
    events = events_of(Begun(), Failed(StreamError(None, "x", None)))
    assert len(events) == 2
    events = events_of(
        TextPiece(0, "a"),
        ThinkingPiece(0, "b"),
        ToolPiece(0, "{}"),
        PartEnded(9),
        TextPiece(0, "c"),
    )
    assert [event["type"] for event in events].count("response.output_text.delta") == 2
    thought = events_of(ThinkingPiece(0, "b"), TextPiece(0, "a"), ToolBegun(0, "c", "f"))
    assert not any("output_text" in event["type"] for event in thought)
    bare = HEADING._replace(fields={})
    assert events_of(Ended(Stop.END), heading=bare)[-1]["response"]["tools"] == []


NAMES = (
    "role", "content", "type", "text", "output", "call_id", "name", "summary", "image_url", "input",
)  # fmt: skip
KINDS = ("user", "message", "reasoning", "function_call", "input_text", "custom", "function")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(KINDS),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=6)
    ),
    max_leaves=15,
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(CLIENT.known - {"model"})), JSON, max_size=4))
@pytest.mark.uncounted
def test_no_shape_makes_it_raise(fields):
    """It is understood or refused by name; and what is repeated is repeated whatever it is."""
    ask = responses.parse(json.dumps({"model": "m", "input": "x", **fields}).encode())
    if not isinstance(ask, BadRequest):
        assert isinstance(CLIENT.read(ask), Talk | BadRequest)
        CLIENT.writer(HEADING._replace(fields=ask.fields)).write([Ended(Stop.END)])


def test_tools_of_a_namespace():
    """They travel under a flat name, and come back in their place."""
    inner = {"type": "function", "name": "spawn", "parameters": {"a": 1}, "strict": False}
    space = {"type": "namespace", "name": "agents", "description": "d", "tools": [inner]}
    assert asked(tools=[space]).tools == (Tool("agents__spawn", "", {"a": 1}, strict=False),)
    refused = asked(tools=[{**space, "tools": [{"type": "custom", "name": "x"}]}])
    assert (refused.param, refused.code) == ("tools.0.tools.0.type", "unsupported_parameter")
    heading = HEADING._replace(fields={"tools": Raw(json.dumps([space]).encode())})
    call = ToolUse("c1", "agents__spawn", "{}")
    [item] = json.loads(CLIENT.write_answer(Answer((call,), Stop.TOOL), heading))["output"]
    assert (item["name"], item["namespace"]) == ("spawn", "agents")
    _, [turn] = turns(item)
    assert turn.parts == (call,)
    events = events_of(
        ToolBegun(0, "c1", "agents__spawn"), PartEnded(0), Ended(Stop.TOOL), heading=heading
    )
    added = next(event for event in events if event["type"] == "response.output_item.added")
    assert (added["item"]["name"], added["item"]["namespace"]) == ("spawn", "agents")


@pytest.mark.parametrize("none", [{"input": None}, {}], ids=str)
def test_a_talk_needs_an_input(none):
    """OpenAI may answer instructions alone; nobody else has words for that."""
    ask = responses.parse(json.dumps({"model": "gpt", "instructions": "Hi.", **none}).encode())
    found = CLIENT.read(ask)
    assert (found.code, found.param) == ("missing_required_parameter", "input")
