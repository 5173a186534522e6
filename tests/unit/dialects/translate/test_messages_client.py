"""Anthropic's Messages as clients speak it: what is understood of requests, and that the official
client reads what is written.
"""

import json

import pytest
from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import Message as AnthropicMessage
from anthropic.types import RawMessageStreamEvent
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from tollway.dialects import messages as messages_dialect
from tollway.dialects.ask import Heading
from tollway.dialects.event_stream import StreamError
from tollway.dialects.translate.messages_client import CLIENT
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

HEADING = Heading("claude", "req_20261129_abc", 1_795_000_000)
HI = [{"role": "user", "content": "hi"}]
EVENT = TypeAdapter(RawMessageStreamEvent)


def asked(**fields):
    """The talk in such a request."""
    body = {"model": "claude", "max_tokens": 100, "messages": HI, **fields}
    ask = messages_dialect.parse(json.dumps(body).encode())
    assert not isinstance(ask, BadRequest), ask
    return CLIENT.read(ask)


def one(*blocks, role="user"):
    """The parts of one turn."""
    found = asked(messages=[{"role": role, "content": list(blocks)}])
    return found if isinstance(found, BadRequest) else found.messages[0].parts


def test_a_plain_request():
    """One turn and how long the answer may be."""
    assert asked() == Talk((Message("user", (Text("hi"),)),), max_output=100)


def test_everything_that_can_be_said():
    """Each in its place."""
    found = asked(
        system=[{"type": "text", "text": "be brief", "cache_control": {"type": "ephemeral"}}],
        tools=[
            {"name": "look", "description": "looks", "input_schema": {"type": "object"}},
            {"type": "custom", "name": "go", "input_schema": {}, "strict": True},
        ],
        tool_choice={"type": "tool", "name": "look", "disable_parallel_tool_use": True},
        output_config={"format": {"type": "json_schema", "schema": {"a": 1}}, "effort": "high"},
        thinking={"type": "enabled", "budget_tokens": 2048},
        temperature=0.5,
        top_p=1,
        top_k=40,
        stop_sequences=["a"],
        metadata={"user_id": "u1"},
        stream=True,
        service_tier="auto",
        context_management={"edits": []},
    )
    assert found == Talk(
        (Message("user", (Text("hi"),)),),
        (Text("be brief", cached=True),),
        (Tool("look", "looks", {"type": "object"}), Tool("go", "", {}, strict=True)),
        ToolChoice("named", "look"),
        False,
        Format("schema", schema={"a": 1}, strict=True),
        Reasoning("high", 2048, True),
        100,
        0.5,
        1,
        40,
        ("a",),
        end_user="u1",
    )


def test_a_conversation_with_tools():
    """Thoughts with their signatures, calls, results of all sorts."""
    found = asked(
        system="x",
        messages=[
            {"role": "user", "content": [{"type": "text", "text": "look"}]},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "hm", "signature": "sig"},
                    {"type": "redacted_thinking", "data": "zzz"},
                    {"type": "tool_use", "id": "t1", "name": "look", "input": {"at": [1]}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "t1", "content": "seen"},
                    {"type": "tool_result", "tool_use_id": "t2"},
                    {
                        "type": "tool_result",
                        "tool_use_id": "t3",
                        "is_error": True,
                        "content": [
                            {"type": "text", "text": "no"},
                            {
                                "type": "image",
                                "source": {
                                    "type": "base64",
                                    "media_type": "image/png",
                                    "data": "A",
                                },
                            },
                        ],
                    },
                ],
            },
        ],
    )
    assert found.messages[1].parts == (
        Thinking("hm", "sig"),
        Thinking("", sealed="zzz"),
        ToolUse("t1", "look", '{"at":[1]}'),
    )
    assert found.messages[2].parts == (
        ToolResult("t1", (Text("seen"),)),
        ToolResult("t2", ()),
        ToolResult("t3", (Text("no"), Image("image/png", "A")), failed=True),
    )


@pytest.mark.parametrize(
    ("block", "part"),
    [
        (
            {"type": "image", "source": {"type": "url", "url": "https://x.example/a.png"}},
            Image(url="https://x.example/a.png"),
        ),
        (
            {
                "type": "document",
                "title": "a",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "AA"},
                "cache_control": {"type": "ephemeral"},
            },
            Document("application/pdf", "AA", name="a", cached=True),
        ),
        (
            {
                "type": "document",
                "source": {"type": "text", "media_type": "text/plain", "data": "words"},
            },
            Document("text/plain", text="words"),
        ),
        (
            {"type": "document", "source": {"type": "content", "content": "words"}},
            Document("text/plain", text="words"),
        ),
        (
            {
                "type": "document",
                "source": {
                    "type": "content",
                    "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
                },
            },
            Document("text/plain", text="a\nb"),
        ),
    ],
)
def test_pictures_and_documents(block, part):
    """By bytes, by address, in words."""
    assert one(block) == (part,)


def test_what_is_said_about_a_document():
    """Stands before it; citations, which nobody else can give, are told of as left out."""
    block = {
        "type": "document",
        "source": {"type": "text", "media_type": "text/plain", "data": "words"},
        "context": "of the year 1900",
        "citations": {"enabled": True},
    }
    document = Document("text/plain", text="words")
    assert one(block) == (Text("of the year 1900"), document)
    assert one({**block, "context": None}) == (document,)
    result = {"type": "tool_result", "tool_use_id": "t", "content": [block]}
    assert one(result)[0].parts == (Text("of the year 1900"), document)
    for said, told in ((block, ("citations",)), ({**block, "citations": None}, ())):
        talk = asked(messages=[{"role": "user", "content": [said]}])
        assert talk.left_out == told


def test_a_system_message_between_turns_keeps_its_place():
    """As a user's turn: what comes later must not be said first."""
    found = asked(messages=[*HI, {"role": "system", "content": "now in French"}])
    assert found.messages[1] == Message("user", (Text("now in French"),))


@pytest.mark.parametrize(
    ("fields", "field", "code"),
    [
        ({"messages": [5]}, "messages.0", "invalid_type"),
        ({"messages": [{"role": "tool", "content": ""}]}, "messages.0.role", "invalid_value"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages.0.content", "invalid_type"),
        ({"messages": [{"role": "user", "content": [7]}]}, "messages.0.content.0", "invalid_type"),
        (
            {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
            "messages.0.content.0.text",
            "invalid_type",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "server_tool_use"}]}]},
            "messages.0.content.0.type",
            "unsupported_parameter",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "image", "source": 1}]}]},
            "messages.0.content.0.source",
            "invalid_type",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "image", "source": {}}]}]},
            "messages.0.content.0.source",
            "unsupported_parameter",
        ),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [
                            {
                                "type": "tool_result",
                                "tool_use_id": "t",
                                "content": [{"type": "thinking", "thinking": "x"}],
                            }
                        ],
                    }
                ]
            },
            "messages.0.content.0.content",
            "unsupported_parameter",
        ),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [
                            {
                                "type": "document",
                                "source": {"type": "content", "content": [{"type": "image"}]},
                            }
                        ],
                    }
                ]
            },
            "messages.0.content.0.source.content",
            "unsupported_parameter",
        ),
        ({"system": [{"type": "image"}]}, "system.0", "invalid_type"),
        ({"system": 5}, "system", "invalid_type"),
        ({"tools": 5}, "tools", "invalid_type"),
        ({"tools": [5]}, "tools.0", "invalid_type"),
        ({"tools": [{"type": "web_search_20250305"}]}, "tools.0.type", "unsupported_parameter"),
        ({"tools": [{"name": 5}]}, "tools.0.name", "invalid_type"),
        ({"tool_choice": 5}, "tool_choice", "invalid_type"),
        ({"tool_choice": {"type": "x"}}, "tool_choice.type", "invalid_value"),
        ({"output_config": {"format": 5}}, "output_config.format", "invalid_type"),
        ({"temperature": "hot"}, "temperature", "invalid_type"),
        ({"top_k": 1.5}, "top_k", "invalid_type"),
    ],
)
def test_what_cannot_be_understood(fields, field, code):
    """Is refused by the client's own name for it."""
    found = asked(**fields)
    assert isinstance(found, BadRequest)
    assert (found.param, found.code) == (field, code)


def test_how_much_to_think():
    """Not at all, as the model likes, and shown or not."""
    assert asked(thinking={"type": "disabled"}).reasoning == Reasoning("none")
    adaptive = asked(thinking={"type": "adaptive", "display": "omitted"}).reasoning
    assert adaptive == Reasoning(shown=False, adaptive=True, display="omitted")
    shown = asked(thinking={"type": "adaptive", "display": "summarized"}).reasoning
    assert shown == Reasoning(shown=True, adaptive=True, display="summarized")
    assert asked(thinking={"type": "adaptive", "display": 5}).reasoning.display == ""
    assert asked(output_config={"effort": "low"}).reasoning == Reasoning("low")


# Answers.


@pytest.mark.parametrize("stop", list(Stop))
def test_a_whole_answer(stop):
    """The official client reads it."""
    answer = Answer(
        (
            Thinking("hm", "sig"),
            Thinking("", sealed="zzz"),
            Text("hello"),
            Text(""),
            Refusal("but no"),
            ToolUse("t1", "look", '{"at": 1}'),
            ToolUse("t2", "go", "{broken"),
            Audio("AA", "wav"),
        ),
        stop,
        Usage(5, 3, 2, 7, 4),
    )
    body = json.loads(CLIENT.write_answer(answer, HEADING))
    message = AnthropicMessage.model_validate(body)
    assert [block.type for block in message.content] == [
        "thinking", "redacted_thinking", "text", "text", "tool_use", "tool_use",
    ]  # fmt: skip
    assert (message.id, message.model) == ("msg_20261129_abc", "claude")
    assert message.content[4].input == {"at": 1}
    assert message.content[5].input == {"_raw": "{broken"}
    assert (message.usage.input_tokens, message.usage.output_tokens) == (5, 11)
    assert (message.usage.cache_read_input_tokens, body["stop_sequence"]) == (3, None)
    again = one(*body["content"], role="assistant")
    assert again[5] == ToolUse("t2", "go", "{broken")


def events_of(*pieces):
    """The events a stream of these pieces becomes, each valid; and the message that the official
    client makes of them."""
    data = CLIENT.writer(HEADING).write(pieces)
    events, snapshot, buffers = [], None, {}
    for event in data.decode().split("\n\n")[:-1]:
        name, line = event.split("\n")
        value = json.loads(line.removeprefix("data: "))
        assert name == f"event: {value['type']}"
        raw = EVENT.validate_python(value)
        snapshot = accumulate_event(event=raw, current_snapshot=snapshot, json_bufs=buffers)
        events.append(value)
    return events, snapshot


def test_a_stream():
    """Blocks one after the other; the end with its reason and the usage."""
    events, message = events_of(
        Begun("x", Usage(9, 1)),
        ThinkingPiece(0, "h"),
        ThinkingPiece(0, "m"),
        ThinkingPiece(0, signature="sig"),
        PartEnded(0),
        ThinkingPiece(1, sealed="zzz"),
        PartEnded(1),
        TextPiece(2, "hel"),
        TextPiece(2, "lo"),
        PartEnded(2),
        ToolBegun(3, "t1", "look"),
        ToolPiece(3, '{"a'),
        ToolPiece(3, '": 1}'),
        PartEnded(3),
        Ended(Stop.TOOL, Usage(9, 1, None, 4, 2)),
    )
    assert [block.type for block in message.content] == [
        "thinking", "redacted_thinking", "text", "tool_use",
    ]  # fmt: skip
    assert (message.content[0].thinking, message.content[0].signature) == ("hm", "sig")
    assert (message.content[2].text, message.content[3].input) == ("hello", {"a": 1})
    assert (message.stop_reason, message.usage.output_tokens) == ("tool_use", 6)
    assert events[0]["message"]["usage"]["input_tokens"] == 9
    assert [event["type"] for event in events][-2:] == ["message_delta", "message_stop"]


def test_calls_at_the_same_time_are_told_one_by_one():
    """Nothing of the second before the first has ended."""
    events, message = events_of(
        Begun(),
        ToolBegun(0, "t1", "a"),
        ToolBegun(1, "t2", "b"),
        ToolPiece(1, '{"y": 2}'),
        ToolPiece(0, '{"x": 1}'),
        PartEnded(0),
        PartEnded(1),
        Ended(Stop.TOOL),
    )
    assert [(block.id, block.input) for block in message.content] == [
        ("t1", {"x": 1}),
        ("t2", {"y": 2}),
    ]
    indexes = [event["index"] for event in events if "index" in event]
    assert indexes == sorted(indexes)


def test_ends_of_all_sorts():
    """Parts that nobody ended, refusals, an answer without a word, one that broke."""
    _, message = events_of(Begun(), TextPiece(0, "a"), RefusalPiece(1, "no"), Ended(Stop.FILTER))
    assert [block.text for block in message.content] == ["a", "no"]
    assert message.stop_reason == "refusal"
    _, empty = events_of(Ended(Stop.SEQUENCE, stop_sequence="END"))
    assert (empty.content, empty.stop_sequence) == ([], "END")
    events, _ = events_of(Begun(), TextPiece(0, "a"), Failed(StreamError(None, "x", None)))
    assert events[-1]["type"] == "content_block_delta"
    events, _ = events_of(Begun(), Begun(), ToolPiece(5, "{}"), PartEnded(7))
    assert [event["type"] for event in events] == ["message_start"]


NAMES = ("role", "content", "type", "text", "id", "name", "input", "source", "data", "tool_use_id")
KINDS = ("text", "image", "document", "thinking", "tool_use", "tool_result", "user", "assistant")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(KINDS),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=6)
    ),
    max_leaves=15,
)


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(sorted(CLIENT.known - {"model", "stream", "max_tokens"})), JSON, max_size=4
    )
)
@pytest.mark.uncounted
def test_no_shape_makes_it_raise(fields):
    """It is understood or refused by name."""
    body = {"model": "m", "messages": [], "max_tokens": 5, **fields}
    ask = messages_dialect.parse(json.dumps(body).encode())
    if not isinstance(ask, BadRequest):
        assert isinstance(CLIENT.read(ask), Talk | BadRequest)


def test_no_output_at_all_cannot_be_said_elsewhere():
    """0 warms a cache at Anthropic alone; some servers take it for no limit."""
    found = asked(max_tokens=0)
    assert (found.code, found.param) == ("unsupported_parameter", "max_tokens")
