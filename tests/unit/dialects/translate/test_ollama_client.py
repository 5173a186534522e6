"""Ollama's chat as clients speak it: what is understood of requests, and that the official client's
types read what is written.
"""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ollama import ChatResponse
from ollama._types import ChatRequest

from tollway.dialects import ollama_chat
from tollway.dialects.ask import Heading
from tollway.dialects.event_stream import StreamError
from tollway.dialects.translate import ollama_provider
from tollway.dialects.translate.ollama_client import CLIENT
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
    ToolResult,
    ToolUse,
)
from tollway.domain.refusal import BadRequest
from tollway.domain.usage import Usage

HEADING = Heading("llama3.2:1b", "req_20261129_abc", 1_795_000_000)
HI = [{"role": "user", "content": "hi"}]
PNG = "iVBORw0KGgoAAAANSUhEUg=="
CALL = {"function": {"name": "look", "arguments": {"at": 1}}}


def asked(**fields):
    """The talk in such a request."""
    body = {"model": "m", "messages": HI, **fields}
    ask = ollama_chat.parse(json.dumps(body).encode())
    assert not isinstance(ask, BadRequest), ask
    return CLIENT.read(ask)


def turns(*messages):
    """System and turns of these messages, or the refusal."""
    found = asked(messages=messages)
    return found if isinstance(found, BadRequest) else (found.system, found.messages)


def test_a_plain_request():
    """Nothing is made up."""
    assert asked() == Talk((Message("user", (Text("hi"),)),))


def test_everything_that_can_be_said():
    """As the official client sends it."""
    sent = ChatRequest(
        model="m",
        messages=[
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": "look", "images": [PNG]},
        ],
        tools=[{"type": "function", "function": {"name": "look", "description": "Looks."}}],
        format={"type": "object"},
        think="high",
        options={
            "num_predict": 7, "temperature": 0.5, "top_p": 0.9, "top_k": 4, "seed": 3,
            "stop": ["a"],
            "frequency_penalty": 0.1, "presence_penalty": 0.2, "min_p": 0.1, "num_ctx": 4096,
        },
        keep_alive="5m",
    ).model_dump(exclude_none=True)  # fmt: skip
    found = asked(**sent)
    assert found == Talk(
        (Message("user", (Text("look"), Image("image/png", PNG))),),
        (Text("be brief"),),
        (Tool("look", "Looks."),),
        format=Format("schema", "answer", {"type": "object"}),
        reasoning=Reasoning("high", shown=True),
        max_output=7,
        temperature=0.5,
        top_p=0.9,
        top_k=4,
        stop=("a",),
        seed=3,
        frequency_penalty=0.1,
        presence_penalty=0.2,
        left_out=("options.min_p", "options.num_ctx"),
    )


@pytest.mark.parametrize(
    ("fields", "attribute", "value"),
    [
        ({"format": "json"}, "format", Format("json")),
        ({"format": ""}, "format", None),
        ({"think": True}, "reasoning", Reasoning("medium", shown=True)),
        ({"think": False}, "reasoning", Reasoning("none")),
        ({"think": ""}, "reasoning", None),
        ({"options": {"num_predict": -1}}, "max_output", None),
        ({"options": {"num_predict": 0}}, "max_output", None),
        ({"options": {"stop": "x"}}, "stop", ("x",)),
        ({"options": None}, "max_output", None),
        ({"logprobs": False}, "left_out", ()),
    ],
    ids=str,
)
def test_other_ways_to_say_it(fields, attribute, value):
    """Empty is nothing, and a limit that is none is no limit."""
    assert getattr(asked(**fields), attribute) == value


@pytest.mark.parametrize(
    ("data", "kind"),
    [(PNG, "png"), ("/9j/4AAQ", "jpeg"), ("R0lGODlh", "gif"), ("UklGRiQA", "webp")],
)
def test_pictures(data, kind):
    """Their beginning tells what they are."""
    _, [message] = turns({"role": "user", "content": "", "images": [data]})
    assert message.parts == (Image(f"image/{kind}", data),)


def test_a_conversation_with_tools():
    """Calls get ids from their places, results those of their calls by name and order."""
    look, go = CALL, {"function": {"name": "go"}}
    system, messages = turns(
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "I do", "thinking": "hm", "tool_calls": [look, go, look]},
        {"role": "tool", "tool_name": "go", "content": "gone"},
        {"role": "tool", "tool_name": "look", "content": "seen", "images": [PNG]},
        {"role": "tool", "content": "again"},
        {"role": "system", "content": "go on"},
        {"role": "assistant", "tool_calls": [{**look, "id": "c9"}]},
        {"role": "tool", "tool_call_id": "c9", "content": None},
    )
    assert system == ()
    assert messages == (
        Message("user", (Text("hi"),)),
        Message(
            "assistant",
            (
                Thinking("hm"),
                Text("I do"),
                ToolUse("call_1_0", "look", '{"at":1}'),
                ToolUse("call_1_1", "go", "{}"),
                ToolUse("call_1_2", "look", '{"at":1}'),
            ),
        ),
        Message(
            "user",
            (
                ToolResult("call_1_1", (Text("gone"),)),
                ToolResult("call_1_0", (Text("seen"), Image("image/png", PNG))),
                ToolResult("call_1_2", (Text("again"),)),
            ),
        ),
        Message("user", (Text("go on"),)),
        Message("assistant", (ToolUse("c9", "look", '{"at":1}'),)),
        Message("user", (ToolResult("c9", ()),)),
    )


def spoken(**call):
    """A turn that makes this call."""
    return {"messages": [{"role": "assistant", "tool_calls": [call]}]}


@pytest.mark.parametrize(
    ("fields", "field", "code"),
    [
        ({"logprobs": True}, "logprobs", "unsupported_parameter"),
        ({"top_logprobs": 3}, "top_logprobs", "unsupported_parameter"),
        ({"messages": [5]}, "messages.0", "invalid_type"),
        ({"messages": [{"role": "x"}]}, "messages.0.role", "unsupported_parameter"),
        ({"messages": [{"role": "tool"}]}, "messages.0", "unsupported_parameter"),
        ({"messages": [{"role": "user", "content": []}]}, "messages.0.content", "invalid_type"),
        ({"messages": [{"role": "user", "images": 5}]}, "messages.0.images", "invalid_type"),
        ({"messages": [{"role": "user", "images": [5]}]}, "messages.0.images.0", "invalid_type"),
        (
            {"messages": [{"role": "user", "images": ["https://x.example/a.png"]}]},
            "messages.0.images.0",
            "unsupported_parameter",
        ),
        (spoken(function=5), "messages.0.tool_calls.0.function", "invalid_type"),
        (spoken(function={}), "messages.0.tool_calls.0.function.name", "invalid_type"),
        (
            spoken(function={"name": "f", "arguments": "{}"}),
            "messages.0.tool_calls.0.function.arguments",
            "invalid_type",
        ),
        ({"tools": [5]}, "tools.0.function", "unsupported_parameter"),
        ({"tools": [{"function": {}}]}, "tools.0.function.name", "invalid_type"),
        ({"format": "xml"}, "format", "unsupported_parameter"),
        ({"think": "much"}, "think", "unsupported_parameter"),
        ({"options": {"temperature": "hot"}}, "options.temperature", "invalid_type"),
        ({"options": {"seed": 1.5}}, "options.seed", "invalid_type"),
        ({"options": {"stop": [5]}}, "options.stop", "invalid_type"),
        ({"options": {"stop": ["x"] * 17}}, "options.stop", "invalid_type"),
        ({"options": {"stop": 5}}, "options.stop", "invalid_type"),
    ],
    ids=str,
)
def test_what_cannot_be_understood(fields, field, code):
    """Is refused by the client's own name for it."""
    found = asked(**fields)
    assert isinstance(found, BadRequest)
    assert (found.param, found.code) == (field, code)


def test_a_number_that_no_type_holds():
    """Is a refusal, and no exception."""
    ask = ollama_chat.parse(b'{"model":"m","messages":[],"options":{"temperature":1e999}}')
    found = ask if isinstance(ask, BadRequest) else CLIENT.read(ask)
    assert found.code in ("invalid_value", "invalid_type")


# Answers.


def read_line(body):
    """What the official client makes of a line."""
    value = json.loads(body)
    return ChatResponse(**value)


@pytest.mark.parametrize("stop", list(Stop))
def test_a_whole_answer(stop):
    """The official client's types read it."""
    answer = Answer(
        (Thinking("hm", "sig"), Text("hel"), Text("lo"), ToolUse("t1", "look", '{"at": 1}')),
        stop,
        Usage(5, 3, 2, 7, 4),
    )
    body = CLIENT.write_answer(answer, HEADING)
    found = read_line(body)
    assert (found.model, found.created_at) == ("llama3.2:1b", "2026-11-18T11:06:40Z")
    assert (found.message.role, found.message.content) == ("assistant", "hello")
    assert found.message.thinking == "hm"
    [call] = found.message.tool_calls
    assert (call.function.name, dict(call.function.arguments)) == ("look", {"at": 1})
    assert json.loads(body)["message"]["tool_calls"][0]["id"] == "t1"
    assert found.done is True
    assert found.done_reason == ("length" if stop in (Stop.LENGTH, Stop.CONTEXT) else "stop")
    assert (found.prompt_eval_count, found.eval_count) == (10, 11)
    bare = json.loads(CLIENT.write_answer(Answer((Refusal("no"),), stop), HEADING))
    assert "eval_count" not in bare
    assert bare["message"] == {"role": "assistant", "content": "no"}


PIECES = (
    Begun("x", Usage(9)),
    ThinkingPiece(0, "hm"),
    ThinkingPiece(0, signature="sig"),
    PartEnded(0),
    TextPiece(1, "hel"),
    TextPiece(1, ""),
    RefusalPiece(1, "lo"),
    PartEnded(1),
    ToolBegun(2, "t1", "look"),
    ToolBegun(3, "t2", "go"),
    ToolPiece(2, '{"a": '),
    ToolPiece(3, ""),
    ToolPiece(2, "1}"),
    ToolPiece(7, "nobody's"),
    PartEnded(2),
    Ended(Stop.TOOL, Usage(9, 1, None, 4, 2)),
)


def test_a_stream():
    """Each line is read by the official client's types; a call comes whole, once."""
    data = CLIENT.writer(HEADING).write(PIECES)
    assert data.endswith(b"\n")
    lines = [read_line(line) for line in data.splitlines()]
    assert [line.done for line in lines] == [False] * (len(lines) - 1) + [True]
    assert "".join(line.message.content for line in lines) == "hello"
    assert [line.message.thinking for line in lines if line.message.thinking] == ["hm"]
    calls = [call for line in lines for call in line.message.tool_calls or ()]
    assert [(one.function.name, dict(one.function.arguments)) for one in calls] == [
        ("look", {"a": 1}),
        ("go", {}),
    ]
    assert (lines[-1].prompt_eval_count, lines[-1].eval_count) == (10, 6)
    assert lines[-1].done_reason == "stop"


def test_pieces_one_by_one():
    """However they come, the same is said."""
    one_by_one = CLIENT.writer(HEADING)
    assert b"".join(one_by_one.write([piece]) for piece in PIECES) == (
        CLIENT.writer(HEADING).write(PIECES)
    )


def test_what_breaks_is_not_told_here():
    """The relay tells it; a last line would call the answer whole."""
    data = CLIENT.writer(HEADING).write([Begun(), Failed(StreamError(1, "x", None))])
    assert data == b""


def test_what_is_written_is_read_by_the_providers_side():
    """A gateway in front of a gateway: nothing is lost between the two sides of this dialect."""
    reader = ollama_provider.PROVIDER.reader()
    pieces = reader.feed(CLIENT.writer(HEADING).write(PIECES)) + reader.end()
    texts = [piece.text for piece in pieces if isinstance(piece, TextPiece)]
    names = [(piece.id, piece.name) for piece in pieces if isinstance(piece, ToolBegun)]
    assert ("".join(texts), names) == ("hello", [("t1", "look"), ("t2", "go")])
    assert pieces[-1] == Ended(Stop.TOOL, Usage(10, output=6))
    talk = Talk(
        (Message("user", (Text("hi"),)), Message("assistant", (ToolUse("call_2_0", "f", "{}"),))),
        (Text("s"),),
        (Tool("f", "", {"type": "object", "properties": {}}),),
        max_output=9,
        stop=("x",),
        stream=True,
    )
    written = ollama_provider.write(talk, "m").body
    assert CLIENT.read(ollama_chat.parse(written))._replace(stream=True) == talk


NAMES = (
    "role", "content", "thinking", "images", "tool_calls", "function", "name", "arguments",
    "tool_name", "tool_call_id", "id", "stop", "num_predict", "temperature",
)  # fmt: skip
KINDS = ("user", "assistant", "tool", "system", "json", "high", PNG)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(KINDS),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=6)
    ),
    max_leaves=15,
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(CLIENT.known - {"model"})), JSON, max_size=4))
@pytest.mark.uncounted
def test_no_shape_makes_it_raise(fields):
    """It is understood or refused by name."""
    ask = ollama_chat.parse(json.dumps({"model": "m", "messages": [], **fields}).encode())
    if not isinstance(ask, BadRequest):
        assert isinstance(CLIENT.read(ask), Talk | BadRequest)


piece = st.one_of(
    st.just(Begun()),
    st.tuples(st.integers(0, 3), st.text(max_size=4)).map(lambda said: TextPiece(*said)),
    st.tuples(st.integers(0, 3), st.text(max_size=4)).map(lambda said: ThinkingPiece(*said)),
    st.tuples(st.integers(0, 3), st.text(max_size=4)).map(lambda said: ToolPiece(*said)),
    st.tuples(st.integers(0, 3), st.text(max_size=4), st.text(max_size=4)).map(
        lambda said: ToolBegun(*said)
    ),
    st.integers(0, 3).map(PartEnded),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(piece, max_size=12), st.sampled_from(list(Stop)))
def test_every_stream_is_lines_with_one_last(pieces, stop):
    """Whatever comes, each line is an object of the client's, and only the last says done."""
    data = CLIENT.writer(HEADING).write([*pieces, Ended(stop, Usage(1, output=1))])
    lines = [read_line(line) for line in data.split(b"\n")[:-1]]
    assert [line.done for line in lines] == [False] * (len(lines) - 1) + [True]
