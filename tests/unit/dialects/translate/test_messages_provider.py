"""Anthropic's Messages as providers speak it: what is written, and what is read, however it is
cut.
"""

import json

import pytest
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from tollway.dialects.translate.messages_provider import DEFAULT_OUTPUT_TOKENS, PROVIDER
from tollway.dialects.translate.pieces import (
    Begun,
    Ended,
    Failed,
    PartEnded,
    TextPiece,
    ThinkingPiece,
    ToolBegun,
    ToolPiece,
)
from tollway.dialects.translate.talk import (
    Answer,
    Audio,
    CannotCarryError,
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
from tollway.domain.usage import Usage

HI = (Message("user", (Text("hi"),)),)
CHECK = TypeAdapter(MessageCreateParamsNonStreaming)


def written(talk):
    """The request, which Anthropic's own types accept."""
    sent = PROVIDER.write(talk, "claude-x")
    body = json.loads(sent.body)
    if not talk.stream:
        CHECK.validate_python(json.loads(sent.body))
    return body, sent.dropped


def test_a_plain_request():
    """No more than what was said, and how long the answer may be."""
    body, dropped = written(Talk(HI))
    assert body == {
        "model": "claude-x",
        "max_tokens": DEFAULT_OUTPUT_TOKENS,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
    }
    assert (dropped, PROVIDER.path("claude-x", False)) == ((), "/messages")


def test_everything_that_can_be_said():
    """Each under its own name; hints without a word here are told of."""
    talk = Talk(
        HI,
        system=(Text("be brief", cached=True),),
        tools=(Tool("look", "looks", {"type": "object"}, strict=True, cached=True), Tool("go")),
        tool_choice=ToolChoice("named", "look"),
        parallel_tools=False,
        format=Format("schema", "answer", {"type": "object"}),
        max_output=10,
        temperature=0.5,
        top_p=0.9,
        top_k=40,
        stop=("a",),
        seed=7,
        frequency_penalty=0.1,
        presence_penalty=0.2,
        end_user="u1",
        stream=True,
    )
    body, dropped = written(talk)
    assert body == {
        "model": "claude-x",
        "max_tokens": 10,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
        "system": [{"type": "text", "text": "be brief", "cache_control": {"type": "ephemeral"}}],
        "tools": [
            {
                "name": "look",
                "description": "looks",
                "input_schema": {"type": "object"},
                "strict": True,
                "cache_control": {"type": "ephemeral"},
            },
            {"name": "go", "input_schema": {"type": "object"}},
        ],
        "tool_choice": {"type": "tool", "name": "look", "disable_parallel_tool_use": True},
        "output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}},
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 40,
        "stop_sequences": ["a"],
        "metadata": {"user_id": "u1"},
        "stream": True,
    }
    assert dropped == ("seed", "frequency_penalty", "presence_penalty")


@pytest.mark.parametrize(
    ("choice", "parallel", "told"),
    [
        (ToolChoice("auto"), None, {"type": "auto"}),
        (ToolChoice("any"), False, {"type": "any", "disable_parallel_tool_use": True}),
        (ToolChoice("none"), False, {"type": "none"}),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
        (None, True, None),
    ],
)
def test_choices_of_tools(choice, parallel, told):
    """By the words of this dialect."""
    talk = Talk(HI, tools=(Tool("t"),), tool_choice=choice, parallel_tools=parallel)
    assert written(talk)[0].get("tool_choice") == told


@pytest.mark.parametrize(
    ("reasoning", "most", "thinking"),
    [
        (Reasoning("none"), 9000, {"type": "disabled"}),
        (Reasoning(adaptive=True), 9000, {"type": "adaptive"}),
        (Reasoning(budget=2000), 9000, {"type": "enabled", "budget_tokens": 2000}),
        (Reasoning("medium"), 9000, {"type": "enabled", "budget_tokens": 7976}),
        (Reasoning("high"), 1500, None),
        (Reasoning("new"), 9000, None),
        (Reasoning(), 9000, None),
    ],
)
def test_how_much_to_think(reasoning, most, thinking):
    """A budget below what the answer may have; none where there is no room."""
    body, _ = written(Talk(HI, reasoning=reasoning, max_output=most))
    assert body.get("thinking") == thinking


def test_sampling_is_left_out_while_it_thinks():
    """And told of."""
    body, dropped = written(
        Talk(HI, reasoning=Reasoning("low"), max_output=9000, temperature=0.2, top_k=3)
    )
    assert "temperature" not in body
    assert dropped == ("temperature", "top_k")


def test_thinking_that_the_provider_would_refuse():
    """While a call is forced, and in the middle of calls without signed thoughts."""
    think = Talk(HI, reasoning=Reasoning("low"), max_output=9000, tools=(Tool("t"),))
    forced = think._replace(tool_choice=ToolChoice("any"))
    assert (written(forced)[0].get("thinking"), written(forced)[1]) == (None, ("reasoning",))
    call, result = ToolUse("c", "t", "{}"), Message("user", (ToolResult("c", (Text("x"),)),))
    bare = think._replace(messages=(*HI, Message("assistant", (call,)), result))
    assert written(bare)[1] == ("reasoning",)
    signed = Message("assistant", (Thinking("hm", "sig"), call))
    assert "thinking" in written(think._replace(messages=(*HI, signed, result)))[0]


def test_turns_alternate_and_results_go_first():
    """Neighbours are one turn; what says nothing is left out."""
    talk = Talk(
        (
            Message("user", (Text("look"), Text(""))),
            Message("assistant", (Thinking("hm"), Thinking("", sealed="z"), Text("I look"))),
            Message("assistant", (Thinking("hm", "gemini.s"),)),
            Message("assistant", (ToolUse("c1", "look", '{"at": 1}'), Refusal("no"), Refusal(""))),
            Message("user", (Text("there"),)),
            Message("user", (ToolResult("c1", (Text("seen"),)), ToolResult("c2", (), failed=True))),
        )
    )
    first, second, third = written(talk)[0]["messages"]
    assert first["content"] == [{"type": "text", "text": "look"}]
    assert second["content"] == [
        {"type": "redacted_thinking", "data": "z"},
        {"type": "text", "text": "I look"},
        {"type": "tool_use", "id": "c1", "name": "look", "input": {"at": 1}},
        {"type": "text", "text": "no"},
    ]
    assert third["content"] == [
        {
            "type": "tool_result",
            "tool_use_id": "c1",
            "content": [{"type": "text", "text": "seen"}],
        },
        {"type": "tool_result", "tool_use_id": "c2", "is_error": True},
        {"type": "text", "text": "there"},
    ]


@pytest.mark.parametrize(
    ("part", "block"),
    [
        (
            Image("image/png", "AA"),
            {
                "type": "image",
                "source": {"type": "base64", "media_type": "image/png", "data": "AA"},
            },
        ),
        (
            Image(url="https://x.example/a.png"),
            {"type": "image", "source": {"type": "url", "url": "https://x.example/a.png"}},
        ),
        (
            Image(url="data:image/png;base64,AA"),
            {
                "type": "image",
                "source": {"type": "base64", "media_type": "image/png", "data": "AA"},
            },
        ),
        (
            Document("text/plain", text="words", name="a", cached=True),
            {
                "type": "document",
                "source": {"type": "text", "media_type": "text/plain", "data": "words"},
                "title": "a",
                "cache_control": {"type": "ephemeral"},
            },
        ),
    ],
)
def test_pictures_and_documents(part, block):
    """By bytes, by address, in words."""
    [message] = written(Talk((Message("user", (part,)),)))[0]["messages"]
    assert message["content"] == [block]


@pytest.mark.parametrize(
    ("talk", "feature"),
    [
        (Talk((Message("user", (Audio("AA", "wav"),)),)), "audio"),
        (Talk(HI, format=Format("json")), "format"),
        (Talk(HI, temperature=1.5), "temperature"),
    ],
)
def test_what_has_no_words_here(talk, feature):
    """It is named, never left out."""
    with pytest.raises(CannotCarryError) as caught:
        PROVIDER.write(talk, "m")
    assert caught.value.feature == feature


MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "content": [
        {"type": "thinking", "thinking": "hm", "signature": "sig"},
        {"type": "redacted_thinking", "data": "z"},
        {"type": "server_tool_use", "id": "s"},
        {"type": "text", "text": "hello"},
        {"type": "tool_use", "id": "t1", "name": "look", "input": {"at": 1}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {"input_tokens": 5, "cache_read_input_tokens": 3, "output_tokens": 7},
}


def test_a_reply():
    """What was said, why it ended, what was used."""
    assert PROVIDER.read_answer(json.dumps(MESSAGE).encode()) == Answer(
        (
            Thinking("hm", "sig"),
            Thinking("", sealed="z"),
            Text("hello"),
            ToolUse("t1", "look", '{"at":1}'),
        ),
        Stop.TOOL,
        Usage(5, 3, None, 7),
        "msg_1",
    )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"type": "message"}',
        b'{"type": "error", "error": {}}',
        b'{"type": "message", "content": 5}',
    ],
)
def test_what_is_no_reply(body):
    """None, and nothing raises."""
    assert PROVIDER.read_answer(body) is None


def event(kind, **fields):
    """One event of a stream."""
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


def started(usage=None):
    """The first event."""
    return event("message_start", message={"id": "msg_1", "usage": usage or {"input_tokens": 5}})


def block(index, **fields):
    """The beginning of a block."""
    return event("content_block_start", index=index, content_block=fields)


def delta(index, kind, **fields):
    """More of a block."""
    return event("content_block_delta", index=index, delta={"type": kind, **fields})


def stop(index):
    """The end of a block."""
    return event("content_block_stop", index=index)


def reason(why, **usage):
    """Why it ended."""
    return event("message_delta", delta={"stop_reason": why}, usage=usage)


BEGUN = Begun("msg_1", Usage(5))
STREAMS = {
    "all sorts": (
        started()
        + event("ping")
        + block(0, type="thinking", thinking="", signature="")
        + delta(0, "thinking_delta", thinking="hm")
        + delta(0, "signature_delta", signature="sig")
        + stop(0)
        + block(1, type="redacted_thinking", data="z")
        + stop(1)
        + block(2, type="text", text="")
        + delta(2, "text_delta", text="hello")
        + delta(2, "citations_delta", citation={})
        + stop(2)
        + block(3, type="server_tool_use", id="s", name="web_search", input={})
        + delta(3, "input_json_delta", partial_json="{}")
        + stop(3)
        + block(4, type="tool_use", id="t1", name="look", input={})
        + delta(4, "input_json_delta", partial_json='{"a"')
        + delta(4, "input_json_delta", partial_json=": 1}")
        + stop(4)
        + reason("tool_use", output_tokens=7)
        + event("message_stop"),
        [
            BEGUN,
            ThinkingPiece(0, "hm"),
            ThinkingPiece(0, signature="sig"),
            PartEnded(0),
            ThinkingPiece(1, sealed="z"),
            PartEnded(1),
            TextPiece(2, "hello"),
            PartEnded(2),
            ToolBegun(3, "t1", "look"),
            ToolPiece(3, '{"a"'),
            ToolPiece(3, ": 1}"),
            PartEnded(3),
            Ended(Stop.TOOL, Usage(5, output=7)),
        ],
    ),
    "without a last event": (
        started() + block(0, type="text", text="hi") + reason("end_turn", output_tokens=1),
        [BEGUN, TextPiece(0, "hi"), PartEnded(0), Ended(Stop.END, Usage(5, output=1))],
    ),
    "cut": (
        started() + block(0, type="text", text="hi"),
        [BEGUN, TextPiece(0, "hi")],
    ),
    "nothing": (event("message_stop"), []),
    "nonsense": (
        block(0, type="text", text="before")
        + started()
        + started()
        + block(0, type="text", text="")
        + block(0, type="text", text="again")
        + delta(9, "text_delta", text="nowhere")
        + event("content_block_delta", index=0, delta=5)
        + event("content_block_start", index=1, content_block=5)
        + event("message_start", message=5)
        + event("message_delta", delta=5)
        + event("unheard_of")
        + event("message_stop"),
        [BEGUN, PartEnded(0), Ended(Stop.END, Usage(5))],
    ),
}


def pieces_of(*data):
    """What these reads bring."""
    reader = PROVIDER.reader()
    return [piece for one in data for piece in reader.feed(one)] + reader.end()


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.uncounted
def test_streams_however_they_are_cut(name):
    """Whole, in two at every byte, and byte by byte."""
    data, expected = STREAMS[name]
    assert pieces_of(data) == expected
    assert pieces_of(*[data[at : at + 1] for at in range(len(data))]) == expected
    for at in range(len(data)):
        assert pieces_of(data[:at], data[at:]) == expected


def test_an_error_in_the_stream():
    """In the provider's words; nothing comes after it."""
    error = event("error", error={"type": "overloaded_error", "message": "busy"})
    found = pieces_of(started() + error + block(0, type="text", text="x"))
    assert isinstance(found[-1], Failed)
    assert (found[-1].error.message, found[-1].error.status) == ("busy", 503)


NAMES = (
    "type", "message", "content_block", "delta", "index", "usage", "content", "text", "id",
    "input", "stop_reason", "error",
)  # fmt: skip
KINDS = (
    "message_start",
    "content_block_start",
    "content_block_delta",
    "text",
    "tool_use",
    "message",
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(KINDS),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5)
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(st.lists(JSON, max_size=4))
@pytest.mark.uncounted
def test_no_shape_makes_it_raise(events):
    """Whatever a provider sends."""
    pieces_of(b"".join(b"data: %b\n\n" % json.dumps(one).encode() for one in events))
    for one in events:
        PROVIDER.read_answer(json.dumps(one).encode())
