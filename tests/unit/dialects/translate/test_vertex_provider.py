"""Vertex: what differs from Google's other API. The rest is `test_gemini_provider.py`'s."""

import json

import pytest

from tollway.dialects.translate import gemini_provider
from tollway.dialects.translate.talk import (
    CannotCarryError,
    Document,
    Image,
    Message,
    Talk,
    Text,
    Tool,
    ToolChoice,
    ToolResult,
    ToolUse,
)
from tollway.dialects.translate.vertex_provider import PROVIDER

HI = Message("user", (Text("hi"),))
MODEL = "gemini-2.5-flash"


def written(*turns, **changes):
    """The request, and what was left out of it."""
    sent = PROVIDER.write(Talk(turns or (HI,), **changes), MODEL)
    return json.loads(sent.body), sent.dropped


def test_most_is_the_same():
    """Bytes, what is left out, and the path."""
    talk = Talk((HI,), system=(Text("be brief"),), tools=(Tool("a"),), parallel_tools=False)
    assert PROVIDER.write(talk, MODEL) == gemini_provider.PROVIDER.write(talk, MODEL)
    at = f"/publishers/google/models/{MODEL}"
    assert PROVIDER.path(MODEL, True) == f"{at}:streamGenerateContent?alt=sse"
    assert PROVIDER.path(MODEL, False) == f"{at}:generateContent"


def test_calls_have_no_ids():
    """Nor have results, which stand in the order of their calls."""
    calls = Message("assistant", (ToolUse("c1", "a", '{"x": 1}'), ToolUse("c2", "b", "{}")))
    results = Message("user", (ToolResult("c2", (Text("2"),)), ToolResult("c1", (Text("1"),))))
    contents = written(HI, calls, results)[0]["contents"]
    assert [one["parts"] for one in contents[1:]] == [
        [
            {"functionCall": {"name": "a", "args": {"x": 1}}},
            {"functionCall": {"name": "b", "args": {}}},
        ],
        [
            {"functionResponse": {"name": "a", "response": {"output": "1"}}},
            {"functionResponse": {"name": "b", "response": {"output": "2"}}},
        ],
    ]


@pytest.mark.parametrize(
    ("choice", "mode"),
    [(None, None), (ToolChoice("auto"), None), (ToolChoice("any"), "ANY")],
)
def test_strict_tools_are_a_hint(choice, mode):
    """The mode that holds calls to their schemas is not there; others are."""
    body = written(tools=(Tool("a", strict=True),), tool_choice=choice)[0]
    config = body.get("toolConfig", {}).get("functionCallingConfig", {})
    assert config.get("mode") == mode


def test_files_by_address_need_their_type():
    """Whatever its name does not say is not guessed."""
    known = Message("user", (Image(url="https://x.example/a.png"),))
    [content] = written(known)[0]["contents"]
    assert content["parts"] == [
        {"fileData": {"fileUri": "https://x.example/a.png", "mimeType": "image/png"}}
    ]
    for part in (Image(url="https://x.example/a"), Document(url="https://x.example/b.bin")):
        with pytest.raises(CannotCarryError, match="image"):
            written(Message("user", (part,)))


def test_answers_are_the_same():
    """Read by the same code."""
    body = b'{"candidates": [{"content": {"parts": [{"text": "a"}]}, "finishReason": "STOP"}]}'
    assert PROVIDER.read_answer(body) == gemini_provider.PROVIDER.read_answer(body)
    assert PROVIDER.reader().feed(b"data: " + body + b"\n\n")
