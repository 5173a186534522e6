"""Google's generateContent as providers speak it: what is written."""

import json

import pytest

from tollway.dialects.translate.gemini_provider import PROVIDER
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
ASKED = {"role": "user", "parts": [{"text": "hi"}]}
OLD, MIDDLE, NEW = "gemini-2.0-flash", "gemini-2.5-flash", "gemini-3.1-pro-preview"


def written(talk, model=MIDDLE):
    """The request, and what was left out of it."""
    sent = PROVIDER.write(talk, model)
    return json.loads(sent.body), sent.dropped


def contents(*messages, model=MIDDLE):
    """The turns."""
    return written(Talk(messages), model)[0]["contents"]


def test_a_plain_request():
    """No more than what was said: the model stands in the path."""
    assert written(Talk(HI)) == ({"contents": [ASKED]}, ())


@pytest.mark.parametrize(
    ("model", "stream", "path"),
    [
        (MIDDLE, False, "/models/gemini-2.5-flash:generateContent"),
        (MIDDLE, True, "/models/gemini-2.5-flash:streamGenerateContent?alt=sse"),
        ("models/gemini-x", False, "/models/gemini-x:generateContent"),
        ("a b?ü:c", False, "/models/a%20b%3F%C3%BC%3Ac:generateContent"),
    ],
)
def test_the_path(model, stream, path):
    """No name of a model leaves its place in it."""
    assert PROVIDER.path(model, stream) == path


def test_everything_that_can_be_said():
    """Each under its own name; what has no word here is told of, an end user is left out."""
    talk = Talk(
        HI,
        system=(Text("be brief", cached=True), Text("be kind")),
        tools=(Tool("look", "looks", {"type": "object"}, cached=True), Tool("go", strict=False)),
        tool_choice=ToolChoice("named", "look"),
        parallel_tools=False,
        format=Format("schema", "answer", {"type": "object"}, strict=True),
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
        stream=True,
    )
    body, dropped = written(talk)
    assert body == {
        "contents": [ASKED],
        "systemInstruction": {"parts": [{"text": "be brief"}, {"text": "be kind"}]},
        "tools": [
            {
                "functionDeclarations": [
                    {
                        "name": "look",
                        "description": "looks",
                        "parametersJsonSchema": {"type": "object"},
                    },
                    {"name": "go"},
                ]
            }
        ],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["look"]}},
        "generationConfig": {
            "maxOutputTokens": 10,
            "temperature": 0.5,
            "topP": 0.9,
            "topK": 40,
            "seed": 7,
            "frequencyPenalty": 0.1,
            "presencePenalty": 0.2,
            "stopSequences": ["a", "b"],
            "responseMimeType": "application/json",
            "responseJsonSchema": {"type": "object"},
            "thinkingConfig": {"thinkingBudget": 8192, "includeThoughts": True},
        },
    }
    assert dropped == ("parallel_tools",)


@pytest.mark.parametrize(
    ("choice", "strict", "told"),
    [
        (None, None, None),
        (ToolChoice("auto"), None, {"mode": "AUTO"}),
        (ToolChoice("any"), True, {"mode": "ANY"}),
        (ToolChoice("none"), True, {"mode": "NONE"}),
        (None, True, {"mode": "VALIDATED"}),
    ],
)
def test_choices_of_tools(choice, strict, told):
    """By the words of this dialect; calls of strict tools are held to their schemas."""
    body, dropped = written(Talk(HI, tools=(Tool("t", strict=strict),), tool_choice=choice))
    assert body.get("toolConfig", {}).get("functionCallingConfig") == told
    assert dropped == ()


def test_a_choice_without_tools():
    """Nothing to choose from, and no calls to hold back."""
    talk = Talk(HI, tool_choice=ToolChoice("auto"), parallel_tools=False)
    assert written(talk) == ({"contents": [ASKED]}, ())


@pytest.mark.parametrize("wanted", [Format("json"), Format("schema", schema=None)])
def test_any_json(wanted):
    """Without a schema only the type is said."""
    config = written(Talk(HI, format=wanted))[0]["generationConfig"]
    assert config == {"responseMimeType": "application/json"}


@pytest.mark.parametrize(
    ("model", "reasoning", "told", "dropped"),
    [
        (MIDDLE, Reasoning("minimal"), {"thinkingBudget": 1024}, ()),
        (MIDDLE, Reasoning("max"), {"thinkingBudget": 24_576}, ()),
        (MIDDLE, Reasoning(budget=2000, shown=False), {"thinkingBudget": 2000}, ()),
        (MIDDLE, Reasoning(budget=31_999), {"thinkingBudget": 24_576}, ()),
        (MIDDLE, Reasoning(budget=1), {"thinkingBudget": 512}, ()),
        (MIDDLE, Reasoning(adaptive=True, shown=True),
         {"thinkingBudget": -1, "includeThoughts": True}, ()),
        (MIDDLE, Reasoning("new"), None, ()),
        (MIDDLE, Reasoning("none"), {"thinkingBudget": 0}, ()),
        ("gemini-2.5-pro", Reasoning("none"), {"thinkingBudget": 128}, ("reasoning",)),
        (NEW, Reasoning("none"), {"thinkingLevel": "LOW"}, ("reasoning",)),
        (NEW, Reasoning("medium"), {"thinkingLevel": "MEDIUM"}, ()),
        (NEW, Reasoning("xhigh"), {"thinkingLevel": "HIGH"}, ()),
        (NEW, Reasoning(budget=2000), {"thinkingBudget": 2000}, ()),
        (NEW, Reasoning(adaptive=True), None, ()),
        ("gemini-flash-latest", Reasoning("low"), {"thinkingLevel": "LOW"}, ()),
        (OLD, Reasoning("low"), None, ("reasoning",)),
        (OLD, Reasoning("none"), None, ()),
        ("gemma-3-27b-it", Reasoning("low"), None, ("reasoning",)),
    ],
)  # fmt: skip
def test_how_much_to_think(model, reasoning, told, dropped):
    """In tokens or in levels, by the model's generation; what it cannot do is told."""
    body, left_out = written(Talk(HI, reasoning=reasoning), model)
    assert (body.get("generationConfig", {}).get("thinkingConfig"), left_out) == (told, dropped)


def test_turns_and_results():
    """Neighbours are one turn; results stand in a turn of their own, in their calls' order and by
    their names, and pictures of theirs behind them; what says nothing is left out."""
    assert contents(
        Message("user", (Text("look"), Text(""))),
        Message("assistant", (Text("I look"), Refusal("no"), Refusal(""))),
        Message("assistant", (ToolUse("c1", "look", '{"at": 1}'), ToolUse("c2", "go", ""))),
        Message("user", (ToolResult("c2", (Text("far"),), failed=True), Text("well?"))),
        Message("user", (ToolResult("c1", (Text("seen"), Image("image/png", "AA"))),)),
        Message("assistant", (Thinking("hm"),)),
        Message("user", (Text(""),)),
    ) == [
        {"role": "user", "parts": [{"text": "look"}]},
        {
            "role": "model",
            "parts": [
                {"text": "I look"},
                {"text": "no"},
                {"functionCall": {"id": "c1", "name": "look", "args": {"at": 1}}},
                {"functionCall": {"id": "c2", "name": "go", "args": {}}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {
                    "functionResponse": {
                        "id": "c1",
                        "name": "look",
                        "response": {"output": "seen"},
                    }
                },
                {"functionResponse": {"id": "c2", "name": "go", "response": {"error": "far"}}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"inlineData": {"mimeType": "image/png", "data": "AA"}},
                {"text": "well?"},
            ],
        },
    ]


def test_an_id_that_comes_again_is_its_last_call():
    """Some providers count their calls anew in every answer."""
    turns = contents(
        Message("assistant", (ToolUse("call_0", "one", ""), ToolUse("call_1", "more", ""))),
        Message("user", (ToolResult("call_0", ()),)),
        Message("assistant", (ToolUse("call_1", "three", ""), ToolUse("call_0", "two", ""))),
        Message("user", (ToolResult("call_0", ()), ToolResult("call_1", ()))),
    )
    names = [
        [part["functionResponse"]["name"] for part in turn["parts"]]
        for turn in turns
        if turn["role"] == "user"
    ]
    assert names == [["one"], ["three", "two"]]


SIGNED = Thinking("hm", "gemini.c2ln")
CALL = ToolUse("c", "t", "{}")


@pytest.mark.parametrize(
    ("model", "parts", "signatures"),
    [
        (MIDDLE, (SIGNED, CALL, CALL), ["c2ln", None]),
        (MIDDLE, (SIGNED, Text(""), Text("I look"), CALL), ["c2ln", None]),
        (MIDDLE, (SIGNED, Thinking("so"), CALL), ["c2ln"]),
        (MIDDLE, (Thinking("hm", "of another"), Thinking("", sealed="z"), CALL), [None]),
        (MIDDLE, (CALL._replace(signature="b3du"),), ["b3du"]),
        (NEW, (SIGNED, CALL, CALL), ["c2ln", None]),
        (NEW, (SIGNED, CALL._replace(signature="b3du")), ["b3du"]),
        (NEW, (Text("x"), CALL, CALL), [None, "skip_thought_signature_validator", None]),
    ],
)
def test_signatures_go_back_to_where_they_were(model, parts, signatures):
    """On what the thought led to; those of others stay here, and models that refuse calls without
    one get the word for it."""
    [turn] = contents(Message("assistant", parts), model=model)
    assert [part.get("thoughtSignature") for part in turn["parts"]] == signatures
    assert "hm" not in json.dumps(turn)


@pytest.mark.parametrize(
    ("part", "told"),
    [
        (Image("image/png", "AA"), {"inlineData": {"mimeType": "image/png", "data": "AA"}}),
        (
            Image(url="data:image/png;base64,AA"),
            {"inlineData": {"mimeType": "image/png", "data": "AA"}},
        ),
        (
            Document("application/pdf", "AA", name="a.pdf"),
            {"inlineData": {"mimeType": "application/pdf", "data": "AA"}},
        ),
        (Document("text/plain", text="words", name="a"), {"text": "words"}),
        (Audio("AA", "wav"), {"inlineData": {"mimeType": "audio/wav", "data": "AA"}}),
        (
            Image(url="https://x.example/a.b/c.JPG?sig=1"),
            {
                "fileData": {
                    "fileUri": "https://x.example/a.b/c.JPG?sig=1",
                    "mimeType": "image/jpeg",
                }
            },
        ),
        (
            Document(url="https://x.example:8443/a"),
            {"fileData": {"fileUri": "https://x.example:8443/a"}},
        ),
        (Image(url="https://x.example"), {"fileData": {"fileUri": "https://x.example"}}),
    ],
)
def test_pictures_documents_and_sounds(part, told):
    """By bytes, by address, in words."""
    [turn] = contents(Message("user", (part,)))
    assert turn["parts"] == [told]


@pytest.mark.parametrize(
    "url",
    [
        "http://x.example/a.png",
        "gs://bucket/a.png",
        "files/abc",
        "https://user@x.example/a.png",
        "https://generativelanguage.googleapis.com\\@x.example/a.png",
        "https://x.example /a.png",
        "https://generativelanguage.googleapis.com/v1beta/files/abc",
        "https://GENERATIVELANGUAGE.GoogleAPIs.com.:443/v1beta/files/abc",
        "https://googleapis.com/files/abc",
    ],
)
def test_addresses_that_are_refused(url):
    """What is no public address, and what lies at the account that tenants share."""
    for part, feature in ((Image(url=url), "image"), (Document(url=url), "document")):
        with pytest.raises(CannotCarryError) as caught:
            contents(Message("user", (part,)))
        assert caught.value.feature == feature


@pytest.mark.parametrize(
    ("talk", "model", "feature"),
    [
        (Talk((Message("user", (Image(url="https://x.example/a.png"),)),)), OLD, "image"),
        (Talk(HI, stop=tuple("abcdef")), MIDDLE, "stop"),
        (Talk((Message("user", (ToolResult("c", ()),)),)), MIDDLE, "messages"),
        (Talk((Message("user", (Thinking("hm"),)),)), MIDDLE, "messages"),
        (Talk((Message("user", (CALL,)),)), MIDDLE, "messages"),
    ],
)
def test_what_has_no_words_here(talk, model, feature):
    """It is named, never left out."""
    with pytest.raises(CannotCarryError) as caught:
        PROVIDER.write(talk, model)
    assert caught.value.feature == feature
