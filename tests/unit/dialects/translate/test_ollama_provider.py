"""Ollama's chat API as providers speak it: what is written."""

import json

import pytest

from tollway.dialects.translate.ollama_provider import PROVIDER
from tollway.dialects.translate.talk import (
    Audio,
    CannotCarryError,
    Document,
    Format,
    Image,
    Message,
    Reasoning,
    Refusal,
    Talk,
    Text,
    Thinking,
    Tool,
    ToolChoice,
    ToolResult,
    ToolUse,
)

HI = (Message("user", (Text("hi"),)),)
ASKED = {"role": "user", "content": "hi"}
PIXEL = "iVBORw0KGgo="
LOOK = ToolUse("c1", "look", '{"at": 1}')
LOOKED = {"function": {"name": "look", "arguments": {"at": 1}}}
SCHEMA = {"type": "object"}


def written(talk, model="llama3.2"):
    """The request, and what was left out of it."""
    sent = PROVIDER.write(talk, model)
    return json.loads(sent.body), sent.dropped


def messages(*turns):
    """The turns."""
    return written(Talk(turns))[0]["messages"]


def test_a_plain_request():
    """Whether it streams is always said: who says nothing gets a stream."""
    plain = {"model": "llama3.2", "messages": [ASKED], "stream": False}
    assert written(Talk(HI)) == (plain, ())
    assert written(Talk(HI, stream=True)) == ({**plain, "stream": True}, ())
    assert {PROVIDER.path("a/b:c", stream) for stream in (True, False)} == {"/api/chat"}
    assert PROVIDER.stream_type == b"application/x-ndjson"


def test_everything_that_can_be_said():
    """Each under its own name; what has no word here is told of, an end user is left out."""
    talk = Talk(
        HI,
        system=(Text("be brief", cached=True), Text("be kind")),
        tools=(Tool("look", "looks", SCHEMA, strict=True, cached=True), Tool("go")),
        tool_choice=ToolChoice("auto"),
        parallel_tools=False,
        format=Format("schema", "answer", SCHEMA, strict=True),
        reasoning=Reasoning("medium", shown=True),
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
    functions = (
        {"name": "look", "description": "looks", "parameters": SCHEMA},
        {"name": "go", "description": "", "parameters": {"type": "object", "properties": {}}},
    )
    assert written(talk) == (
        {
            "model": "llama3.2",
            "messages": [{"role": "system", "content": "be brief\nbe kind"}, ASKED],
            "tools": [{"type": "function", "function": one} for one in functions],
            "format": SCHEMA,
            "think": True,
            "options": {
                "num_predict": 10,
                "temperature": 0.5,
                "top_p": 0.9,
                "top_k": 40,
                "seed": 7,
                "frequency_penalty": 0.1,
                "presence_penalty": 0.2,
                "stop": ["a", "b"],
            },
            "stream": False,
        },
        ("parallel_tools",),
    )


@pytest.mark.parametrize(
    ("wanted", "said"),
    [(Format("json"), "json"), (Format("schema"), "json"), (Format("schema", "", SCHEMA), SCHEMA)],
)
def test_formats(wanted, said):
    """A word, or the schema itself."""
    assert written(Talk(HI, format=wanted))[0]["format"] == said


@pytest.mark.parametrize(
    ("reasoning", "plain", "levelled"),
    [
        (None, None, None),
        (Reasoning(shown=True), None, None),
        (Reasoning(adaptive=True), None, None),
        (Reasoning("none"), False, False),
        (Reasoning("minimal"), True, "low"),
        (Reasoning("medium"), True, "medium"),
        (Reasoning("max"), True, "high"),
        (Reasoning(budget=4096), True, "low"),
        (Reasoning(budget=8192), True, "medium"),
        (Reasoning(budget=20_000), True, "high"),
    ],
)
def test_thinking(reasoning, plain, levelled):
    """Yes or no; how much only to the models that take it."""
    talk = Talk(HI, reasoning=reasoning)
    assert written(talk)[0].get("think") == plain
    assert written(talk, "hf.co/x/GPT-OSS:20b")[0].get("think") == levelled


def test_choices_of_tools():
    """To call none is to have none; to call one cannot be asked for."""
    tools = (Tool("look"),)
    talk = Talk(HI, tools=tools, tool_choice=ToolChoice("none"), parallel_tools=False)
    body, dropped = written(talk)
    assert "tools" not in body
    assert dropped == ()
    for choice in (ToolChoice("any"), ToolChoice("named", "look")):
        with pytest.raises(CannotCarryError) as caught:
            written(Talk(HI, tools=tools, tool_choice=choice))
        assert caught.value.feature == "tool_choice"


def test_a_conversation():
    """Thoughts go back but for another provider's, which are signed; results in the order of their
    calls, failures in words, pictures behind them."""
    spoken = (
        Thinking("hm"),
        Thinking("theirs", signature="sig"),
        Thinking("", sealed="eg=="),
        Text("I look"),
        Refusal("or not"),
        LOOK,
        ToolUse("c2", "go", ""),
    )
    results = (
        Text("and now?"),
        ToolResult("c2", (Text("broke"),), failed=True),
        ToolResult("c1", (Text("seen"), Image("image/png", PIXEL))),
        Image(url=f"data:image/png;base64,{PIXEL}"),
    )
    assert messages(*HI, Message("assistant", spoken), Message("user", results)) == [
        ASKED,
        {
            "role": "assistant",
            "content": "I look\nor not",
            "thinking": "hm",
            "tool_calls": [LOOKED, {"function": {"name": "go", "arguments": {}}}],
        },
        {"role": "tool", "tool_name": "look", "content": "seen"},
        {"role": "tool", "tool_name": "go", "content": "Error: broke"},
        {"role": "user", "content": "and now?", "images": [PIXEL, PIXEL]},
    ]


def test_a_call_made_again_under_its_id():
    """Is answered as the last one of that id."""
    again = ToolUse("c1", "go", "{}")
    turns = [Message("assistant", (LOOK, ToolUse("c2", "go", ""))), Message("assistant", (again,))]
    results = ToolResult("c1", (Text("1"),)), ToolResult("c2", (Text("2"),))
    said = messages(*turns, Message("user", results))
    assert [one["content"] for one in said if one["role"] == "tool"] == ["2", "1"]
    assert [one["tool_name"] for one in said if one["role"] == "tool"] == ["go", "go"]


def test_turns_that_say_nothing_are_left_out():
    """Thoughts alone, empty words; what is words of a document is words."""
    nothing = Message("assistant", (Thinking("hm"), Text("")))
    paper = Message("user", (Document("text/plain", text="read me"), Text("")))
    assert messages(Message("user", (Text(""),)), nothing, paper) == [
        {"role": "user", "content": "read me"}
    ]
    picture = Message("user", (Image("image/png", PIXEL),))
    assert messages(picture) == [{"role": "user", "content": "", "images": [PIXEL]}]


@pytest.mark.parametrize(
    ("turn", "feature"),
    [
        (Message("user", (Image(url="https://x.example/a.png"),)), "image"),
        (Message("user", (Image(url="data:image/png,raw"),)), "image"),
        (Message("user", (Document("application/pdf", PIXEL),)), "document"),
        (Message("user", (Document(url="https://x.example/a.pdf"),)), "document"),
        (Message("user", (Audio(PIXEL, "wav"),)), "audio"),
        (Message("assistant", (Image("image/png", PIXEL),)), "image"),
        (Message("user", (ToolResult("c9", (Text("x"),)),)), "messages"),
        (Message("user", (LOOK,)), "messages"),
        (Message("assistant", (ToolResult("c1", (Text("x"),)),)), "messages"),
        (Message("user", (Thinking("hm"),)), "messages"),
    ],
)
def test_what_cannot_be_carried(turn, feature):
    """By the part's kind, or the turns."""
    with pytest.raises(CannotCarryError) as caught:
        messages(turn)
    assert caught.value.feature == feature
