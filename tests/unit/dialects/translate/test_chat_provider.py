"""Chat Completions as providers speak it: what is written, and what is read of whole replies and of
streams, however they are cut.
"""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming
from pydantic import TypeAdapter

from tollway.dialects.sse import BOM
from tollway.dialects.translate.chat_provider import PROVIDER
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
CHECK = TypeAdapter(CompletionCreateParamsNonStreaming)


def written(talk):
    """The request, which OpenAI's own types accept."""
    sent = PROVIDER.write(talk, "gpt-x")
    body = json.loads(sent.body)
    if not talk.stream:
        CHECK.validate_python(json.loads(sent.body))
    return body, sent.dropped


def one(*parts, role="user"):
    """The messages that such a turn becomes."""
    return written(Talk((Message(role, parts),)))[0]["messages"]


def test_a_plain_request():
    """No more than what was said."""
    assert written(Talk(HI)) == (
        {"model": "gpt-x", "messages": [{"role": "user", "content": "hi"}]},
        (),
    )
    assert PROVIDER.path("gpt-x", True) == "/chat/completions"


def test_everything_that_can_be_said():
    """Each under its own name."""
    talk = Talk(
        HI,
        system=(Text("be brief"), Text("and kind")),
        tools=(Tool("look", "looks", {"type": "object"}, strict=True), Tool("go")),
        tool_choice=ToolChoice("named", "look"),
        parallel_tools=False,
        format=Format("schema", "answer", {"type": "object"}, strict=True, description="d"),
        reasoning=Reasoning("high"),
        max_output=10,
        temperature=0.5,
        top_p=0.9,
        top_k=40,
        stop=("a", "b"),
        seed=7,
        frequency_penalty=0.1,
        presence_penalty=0.2,
        end_user="u1",
    )
    body, dropped = written(talk)
    assert body == {
        "model": "gpt-x",
        "messages": [
            {"role": "system", "content": "be brief\nand kind"},
            {"role": "user", "content": "hi"},
        ],
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": "look",
                    "description": "looks",
                    "parameters": {"type": "object"},
                    "strict": True,
                },
            },
            {"type": "function", "function": {"name": "go"}},
        ],
        "tool_choice": {"type": "function", "function": {"name": "look"}},
        "parallel_tool_calls": False,
        "response_format": {
            "type": "json_schema",
            "json_schema": {
                "name": "answer",
                "schema": {"type": "object"},
                "description": "d",
                "strict": True,
            },
        },
        "reasoning_effort": "high",
        "max_completion_tokens": 10,
        "temperature": 0.5,
        "top_p": 0.9,
        "stop": ["a", "b"],
        "seed": 7,
        "frequency_penalty": 0.1,
        "presence_penalty": 0.2,
        "user": "u1",
    }
    assert dropped == ("top_k",)
    stream, _ = written(talk._replace(stream=True))
    assert (stream["stream"], stream["stream_options"]) == (True, {"include_usage": True})


@pytest.mark.parametrize(
    ("choice", "told"),
    [("auto", "auto"), ("none", "none"), ("any", "required")],
)
def test_choices_of_tools(choice, told):
    """By the words of this dialect; without tools there is nothing to choose."""
    body, _ = written(Talk(HI, tools=(Tool("t"),), tool_choice=ToolChoice(choice)))
    assert body["tool_choice"] == told
    assert "tool_choice" not in written(Talk(HI, tool_choice=ToolChoice(choice)))[0]


@pytest.mark.parametrize(
    ("reasoning", "effort"),
    [
        (None, None),
        (Reasoning("none"), None),
        (Reasoning("minimal"), "minimal"),
        (Reasoning("max"), "xhigh"),
        (Reasoning(budget=1024), "low"),
        (Reasoning(budget=10_000), "medium"),
        (Reasoning(budget=50_000), "high"),
        (Reasoning(adaptive=True), None),
        (Reasoning("low", budget=50_000), "low"),
    ],
)
def test_how_much_to_think(reasoning, effort):
    """An effort, or one that a budget comes to."""
    assert written(Talk(HI, reasoning=reasoning))[0].get("reasoning_effort") == effort


def test_json_of_any_shape():
    """The older form."""
    body, _ = written(Talk(HI, format=Format("json")))
    assert body["response_format"] == {"type": "json_object"}


def test_pictures_sounds_and_files():
    """By their bytes or address, in their order."""
    [message] = one(
        Text("look"),
        Image("image/png", "AAAA", detail="low"),
        Image(url="https://x.example/a.png"),
        Audio("BBBB", "wav"),
        Document("application/pdf", "CCCC", name="a.pdf"),
        Document("text/plain", text="words"),
    )
    assert message["content"] == [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}},
        {"type": "input_audio", "input_audio": {"data": "BBBB", "format": "wav"}},
        {
            "type": "file",
            "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,CCCC"},
        },
        {"type": "text", "text": "words"},
    ]


def test_calls_and_results():
    """Each result is a message of its own, behind the calls; what it shows follows."""
    talk = Talk(
        (
            *HI,
            Message(
                "assistant",
                (
                    Thinking("hm", "sig"),
                    Text("I look"),
                    ToolUse("c1", "look", '{"at": 1}'),
                    ToolUse("c2", "go", ""),
                ),
            ),
            Message(
                "user",
                (
                    ToolResult("c1", (Text("seen"), Image("image/png", "AAAA"))),
                    ToolResult("c2", (Text("no way"),), failed=True),
                    Text("and now?"),
                ),
            ),
        )
    )
    messages = written(talk)[0]["messages"]
    assert messages[1] == {
        "role": "assistant",
        "content": "I look",
        "tool_calls": [
            {
                "id": "c1",
                "type": "function",
                "function": {"name": "look", "arguments": '{"at": 1}'},
            },
            {"id": "c2", "type": "function", "function": {"name": "go", "arguments": "{}"}},
        ],
    }
    assert messages[2:4] == [
        {"role": "tool", "tool_call_id": "c1", "content": "seen"},
        {"role": "tool", "tool_call_id": "c2", "content": "Error: no way"},
    ]
    assert [part["type"] for part in messages[4]["content"]] == ["image_url", "text"]


def test_turns_of_the_assistant():
    """Calls without words, refusals, names; thoughts alone are no turn."""
    [calls] = one(ToolUse("c", "f", "{}"), role="assistant")
    assert calls["content"] is None
    [refusal] = one(Refusal("no"), role="assistant")
    assert refusal == {"role": "assistant", "content": None, "refusal": "no"}
    assert one(Thinking("hm"), role="assistant") == []
    named = Talk((Message("user", (Text("x"),), "ann"), Message("assistant", (Text("y"),), "bot")))
    assert [message["name"] for message in written(named)[0]["messages"]] == ["ann", "bot"]


@pytest.mark.parametrize(
    ("role", "part", "feature"),
    [
        ("user", Document(url="https://x.example/a.pdf"), "document"),
        ("user", ToolUse("c", "f", "{}"), "messages"),
        ("assistant", Image("image/png", "AAAA"), "image"),
        ("assistant", Audio("AAAA", "wav"), "audio"),
    ],
)
def test_what_has_no_words_here(role, part, feature):
    """It is named, never left out."""
    with pytest.raises(CannotCarryError) as caught:
        PROVIDER.write(Talk((Message(role, (part,)),)), "m")
    assert caught.value.feature == feature


# Whole replies.


def reply(message, finish="stop", **changes):
    """A chat completion."""
    choice = {"index": 0, "message": message, "finish_reason": finish}
    return json.dumps({"id": "chatcmpl-1", "choices": [choice], **changes}).encode()


CALL = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        (reply({"content": "hello"}), Answer((Text("hello"),), Stop.END, None, "chatcmpl-1")),
        (
            reply({"content": None, "tool_calls": [CALL]}, "tool_calls"),
            Answer((ToolUse("c1", "look", "{}"),), Stop.TOOL, None, "chatcmpl-1"),
        ),
        (
            reply({"content": "", "tool_calls": [{**CALL, "id": None}]}),
            Answer((ToolUse("call_0", "look", "{}"),), Stop.TOOL, None, "chatcmpl-1"),
        ),
        (
            reply({"content": "x", "reasoning_content": "hm"}, "length"),
            Answer((Thinking("hm"), Text("x")), Stop.LENGTH, None, "chatcmpl-1"),
        ),
        (
            reply({"content": None, "refusal": "no", "reasoning": "hm"}, "content_filter"),
            Answer((Thinking("hm"), Refusal("no")), Stop.FILTER, None, "chatcmpl-1"),
        ),
        (
            reply({"content": [{"type": "text", "text": "a"}, 5, {"type": "x"}]}, None),
            Answer((Text("a"),), Stop.END, None, "chatcmpl-1"),
        ),
        (
            reply({"content": "x"}, "new", usage={"prompt_tokens": 9, "completion_tokens": 4}),
            Answer((Text("x"),), Stop.END, Usage(9, output=4), "chatcmpl-1"),
        ),
    ],
)
def test_replies(body, answer):
    """What was said, why it ended, what was used."""
    assert PROVIDER.read_answer(body) == answer


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"choices": []}',
        b'{"choices": [{}]}',
        b'{"choices": [{"message": 5}]}',
        b'{"error": {"message": "no"}, "choices": [{"message": {}}]}',
        b'{"choices": [{"message": {"content": "\xff"}}]}',
    ],
)
def test_what_is_no_reply(body):
    """None, and nothing raises."""
    assert PROVIDER.read_answer(body) is None


# Streams.


def event(delta=None, finish=None, **changes):
    """One chunk."""
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    body = {"id": "chatcmpl-1", "choices": choices, **changes}
    return b"data: " + json.dumps(body).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"


def piece_of_call(index, arguments=None, **changes):
    """A call's piece."""
    function = {key: changes.pop(key) for key in ("name",) if key in changes}
    if arguments is not None:
        function["arguments"] = arguments
    place = {} if index is None else {"index": index}
    return {"tool_calls": [{**place, **changes, "function": function}]}


USAGE = {"prompt_tokens": 9, "completion_tokens": 4}
BEGUN = Begun("chatcmpl-1")
STREAMS = {
    "text": (
        event({"role": "assistant", "content": ""})
        + event({"content": "hel"})
        + event({"content": "lo"})
        + event({}, "stop")
        + event(usage=USAGE)
        + DONE,
        [
            BEGUN,
            TextPiece(0, "hel"),
            TextPiece(0, "lo"),
            PartEnded(0),
            Ended(Stop.END, Usage(9, output=4)),
        ],
    ),
    "thoughts and a call": (
        event({"reasoning_content": "hm"})
        + event({"content": "I look"})
        + event(piece_of_call(0, "", id="c1", name="look"))
        + event(piece_of_call(0, '{"a'))
        + event(piece_of_call(0, '": 1}'))
        + event({}, "tool_calls", usage=USAGE)
        + DONE,
        [
            BEGUN,
            ThinkingPiece(0, "hm"),
            PartEnded(0),
            TextPiece(1, "I look"),
            PartEnded(1),
            ToolBegun(2, "c1", "look"),
            ToolPiece(2, '{"a'),
            ToolPiece(2, '": 1}'),
            PartEnded(2),
            Ended(Stop.TOOL, Usage(9, output=4)),
        ],
    ),
    "two calls at a time": (
        event(piece_of_call(0, "{", id="c1", name="a"))
        + event(piece_of_call(1, "[", id="c2", name="b"))
        + event(piece_of_call(0, "}"))
        + event({}, "stop")
        + DONE,
        [
            BEGUN,
            ToolBegun(0, "c1", "a"),
            ToolPiece(0, "{"),
            ToolBegun(1, "c2", "b"),
            ToolPiece(1, "["),
            ToolPiece(0, "}"),
            PartEnded(0),
            PartEnded(1),
            Ended(Stop.TOOL),
        ],
    ),
    "calls without places": (
        event(piece_of_call(None, "{", id="c1", name="a"))
        + event(piece_of_call(None, "}"))
        + event(piece_of_call(None, "{}", id="c2", name="b"))
        + event({"content": "done"})
        + event({}, "stop"),
        [
            BEGUN,
            ToolBegun(0, "c1", "a"),
            ToolPiece(0, "{"),
            ToolPiece(0, "}"),
            ToolBegun(1, "c2", "b"),
            ToolPiece(1, "{}"),
            PartEnded(0),
            PartEnded(1),
            TextPiece(2, "done"),
            PartEnded(2),
            Ended(Stop.TOOL),
        ],
    ),
    "a refusal": (
        event({"refusal": "no"}) + event({}, "content_filter") + DONE,
        [BEGUN, RefusalPiece(0, "no"), PartEnded(0), Ended(Stop.FILTER)],
    ),
    "a last word alone": (
        event({"content": "x"}) + DONE,
        [BEGUN, TextPiece(0, "x"), PartEnded(0), Ended(Stop.END)],
    ),
    "cut": (event({"content": "x"}), [BEGUN, TextPiece(0, "x")]),
    "nothing": (DONE, []),
    "other choices and lines": (
        BOM
        + b": hello\r\n\r\nid: 5\r\nevent: x\r\n"
        + event({"content": "x"}).replace(b"\n", b"\r\n")
        + b'data: {"id": "i", "choices": [{"index": 1, "delta": {"content": "no"}}]}\n\n'
        + b'data: {"choices": [{"delta": 5}, 7]}\n\n'
        + b'data: {"choices": [{"delta": {"tool_calls": [1, {"function": 2}]}}]}\n\n'
        + event({}, "stop"),
        [BEGUN, TextPiece(0, "x"), PartEnded(0), Ended(Stop.END)],
    ),
}


def pieces_of(*data):
    """What these reads bring."""
    reader = PROVIDER.reader()
    found = [piece for one in data for piece in reader.feed(one)]
    return found + reader.end(), reader


@pytest.mark.parametrize("name", STREAMS)
def test_streams_however_they_are_cut(name):
    """Whole, in two at every byte, and byte by byte."""
    data, expected = STREAMS[name]
    assert pieces_of(data)[0] == expected
    assert pieces_of(*[data[at : at + 1] for at in range(len(data))])[0] == expected
    for at in range(len(data)):
        assert pieces_of(data[:at], data[at:])[0] == expected


def test_one_bad_event_is_skipped_and_two_are_an_error():
    """As in the same dialect."""
    good, bad = event({"content": "x"}), b"data: {\n\n"
    found, reader = pieces_of(good + bad + good + b'data: "\xff"\n\n' + event({}, "stop"))
    assert (found[-1], reader.malformed) == (Ended(Stop.END), 2)
    found, reader = pieces_of(good + bad + bad + good)
    assert isinstance(found[-1], Failed)
    assert found[-1].error.code == "malformed_stream"
    assert reader.feed(good) == []


@pytest.mark.parametrize(
    "data",
    [
        b'data: {"error": {"message": "busy", "code": "overloaded_error"}}\n\n',
        b'event: error\ndata: {"message": "busy", "code": "overloaded_error"}\n\n',
    ],
)
def test_an_error_in_the_stream(data):
    """In the provider's words; nothing comes after it."""
    found, _ = pieces_of(event({"content": "x"}) + data + event({"content": "y"}))
    assert isinstance(found[-1], Failed)
    assert (found[-1].error.message, found[-1].error.code) == ("busy", "overloaded_error")


def test_an_event_that_does_not_end():
    """It is given up at the cap."""
    reader = PROVIDER.reader()
    found = []
    for _ in range(9):
        found += reader.feed(b"data: " + b"x" * 1024 * 1024)
    assert isinstance(found[-1], Failed)
    assert reader.end() == []


NAMES = (
    "choices", "delta", "message", "tool_calls", "function", "index", "id", "error",
    "finish_reason", "usage", "content", "name", "arguments", "refusal",
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
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
    data = b"".join(b"data: %b\n\n" % json.dumps(one).encode() for one in events)
    pieces_of(data)
    for one in events:
        PROVIDER.read_answer(json.dumps(one).encode())
