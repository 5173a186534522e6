"""Converse as providers speak it: what is written for which model, and what is read."""

import json

import pytest

from tollway.dialects.translate.bedrock_provider import PROVIDER
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

CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
NOVA = "amazon.nova-pro-v1:0"
OTHER = "meta.llama3-3-70b-instruct-v1:0"
HI = (Message("user", (Text("hi"),)),)
SAID = {"role": "user", "content": [{"text": "hi"}]}
POINT = {"cachePoint": {"type": "default"}}


def written(talk, model=CLAUDE):
    """The request, and what was left out."""
    sent = PROVIDER.write(talk, model)
    return json.loads(sent.body), sent.dropped


def content(*parts, model=CLAUDE):
    """The blocks of one turn."""
    [message] = written(Talk((Message("user", parts),)), model)[0]["messages"]
    return message["content"]


def test_a_plain_request():
    """No more than what was said; the model and whether it streams stand in the path."""
    assert written(Talk(HI, stream=True)) == ({"messages": [SAID]}, ())
    assert PROVIDER.stream_type == b"application/vnd.amazon.eventstream"


@pytest.mark.parametrize(
    ("model", "stream", "path"),
    [
        ("anthropic.claude-v2:1", False, "/model/anthropic.claude-v2%3A1/converse"),
        ("a-b_c~d", True, "/model/a-b_c~d/converse-stream"),
        (
            "arn:aws:bedrock:eu-west-1:1:inference-profile/eu.x",
            True,
            "/model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A1%3Ainference-profile%2Feu.x/converse-stream",
        ),
        ("ä?#/..", False, "/model/%C3%A4%3F%23%2F../converse"),
    ],
)
def test_the_path(model, stream, path):
    """An id or an ARN is one segment."""
    assert PROVIDER.path(model, stream) == path


def test_everything_that_can_be_said():
    """Each under its own name; hints without a word here are told of."""
    talk = Talk(
        HI,
        system=(Text("be brief", cached=True), Text(" ")),
        tools=(Tool("look", "looks", {"type": "object"}, strict=True, cached=True), Tool("go")),
        tool_choice=ToolChoice("named", "look"),
        parallel_tools=False,
        format=Format("schema", "answer", {"type": "object"}, True, "what it is"),
        max_output=10,
        temperature=0.5,
        top_p=0.9,
        top_k=40,
        stop=("a",),
        seed=7,
        frequency_penalty=0.1,
        presence_penalty=0.2,
        end_user="u1",
    )
    body, dropped = written(talk)
    assert body == {
        "messages": [SAID],
        "system": [{"text": "be brief"}, POINT],
        "inferenceConfig": {
            "maxTokens": 10,
            "temperature": 0.5,
            "topP": 0.9,
            "stopSequences": ["a"],
        },
        "toolConfig": {
            "tools": [
                {
                    "toolSpec": {
                        "name": "look",
                        "description": "looks",
                        "inputSchema": {"json": {"type": "object"}},
                        "strict": True,
                    }
                },
                POINT,
                {"toolSpec": {"name": "go", "inputSchema": {"json": {"type": "object"}}}},
            ],
            "toolChoice": {"tool": {"name": "look"}},
        },
        "additionalModelRequestFields": {"top_k": 40},
        "outputConfig": {
            "textFormat": {
                "type": "json_schema",
                "structure": {
                    "jsonSchema": {
                        "schema": '{"type":"object"}',
                        "name": "answer",
                        "description": "what it is",
                    }
                },
            }
        },
        "requestMetadata": {"end_user": "u1"},
        "additionalModelResponseFieldPaths": ["/stop_sequence"],
    }
    assert dropped == ("seed", "frequency_penalty", "presence_penalty", "parallel_tools")


@pytest.mark.parametrize(
    ("choice", "told"),
    [
        (ToolChoice("auto"), {"auto": {}}),
        (ToolChoice("any"), {"any": {}}),
        (ToolChoice("named", "t"), {"tool": {"name": "t"}}),
        (None, None),
    ],
)
def test_choices_of_tools(choice, told):
    """By the words of this dialect."""
    talk = Talk(HI, tools=(Tool("t", strict=False),), tool_choice=choice, parallel_tools=True)
    assert written(talk)[0]["toolConfig"].get("toolChoice") == told
    assert written(talk)[1] == ()


def test_no_tools_are_no_tools():
    """Who may call none is offered none, as long as none was called."""
    none = Talk(HI, tools=(Tool("t"),), tool_choice=ToolChoice("none"))
    assert written(none) == ({"messages": [SAID]}, ())


@pytest.mark.parametrize(
    ("model", "sent", "dropped"),
    [
        (CLAUDE, {"top_k": 3}, ()),
        (NOVA, {"inferenceConfig": {"topK": 3}}, ()),
        (OTHER, None, ("top_k",)),
    ],
)
def test_where_top_k_goes(model, sent, dropped):
    """Each family has its own word; the others have none."""
    body, told = written(Talk(HI, top_k=3), model)
    assert (body.get("additionalModelRequestFields"), told) == (sent, dropped)


@pytest.mark.parametrize(
    ("reasoning", "most", "thinking"),
    [
        (Reasoning("none"), 9000, {"type": "disabled"}),
        (Reasoning(adaptive=True), 9000, {"type": "adaptive"}),
        (Reasoning(budget=2000), 9000, {"type": "enabled", "budget_tokens": 2000}),
        (Reasoning("medium"), 9000, {"type": "enabled", "budget_tokens": 7976}),
        (Reasoning("max"), None, {"type": "enabled", "budget_tokens": 30_976}),
        (Reasoning("high"), 1500, None),
        (Reasoning(), 9000, None),
    ],
)
def test_how_much_claude_thinks(reasoning, most, thinking):
    """As Anthropic says it; where nobody has said how long the answer may be, there is room."""
    body, dropped = written(Talk(HI, reasoning=reasoning, max_output=most))
    more = body.get("additionalModelRequestFields", {})
    assert (more.get("thinking"), dropped) == (thinking, ())
    if most is None:
        assert body["inferenceConfig"] == {"maxTokens": 32_000}


@pytest.mark.parametrize(
    ("reasoning", "output"),
    [
        (Reasoning("low", adaptive=True), {"effort": "low"}),
        (Reasoning("minimal", adaptive=True), None),
        (Reasoning("low"), None),
        (None, None),
    ],
)
def test_an_effort(reasoning, output):
    """For models that decide by themselves how much to think; else it has become a budget."""
    body, dropped = written(Talk(HI, reasoning=reasoning))
    assert (body.get("outputConfig"), dropped) == (output, ())
    if reasoning is not None and reasoning.adaptive:
        assert "inferenceConfig" not in body


def test_sampling_is_left_out_while_it_thinks():
    """And told of; not when it does not think."""
    talk = Talk(HI, reasoning=Reasoning("low"), max_output=9000, temperature=0.2, top_p=1, top_k=3)
    body, dropped = written(talk)
    assert body["inferenceConfig"] == {"maxTokens": 9000}
    assert list(body["additionalModelRequestFields"]) == ["thinking"]
    assert dropped == ("temperature", "top_p", "top_k")
    body, dropped = written(talk._replace(reasoning=Reasoning("none")))
    assert body["inferenceConfig"] == {"maxTokens": 9000, "temperature": 0.2, "topP": 1}
    assert (body["additionalModelRequestFields"]["top_k"], dropped) == (3, ())


def test_who_does_not_think():
    """Other models are not asked to, and Claude not while a call is forced."""
    asked = Talk(HI, reasoning=Reasoning("low"))
    assert written(asked, OTHER) == ({"messages": [SAID]}, ("reasoning",))
    assert written(asked._replace(reasoning=Reasoning("none")), NOVA)[1] == ()
    forced = asked._replace(tools=(Tool("t"),), tool_choice=ToolChoice("any"))
    body, dropped = written(forced)
    assert ("additionalModelRequestFields" in body, dropped) == (False, ("reasoning",))


def test_turns_alternate_and_results_go_first():
    """Neighbours are one turn, cache points stay behind their blocks; what says nothing is left
    out, and so is a turn of nothing."""
    talk = Talk(
        (
            Message("user", (Text("look"), Text(" "))),
            Message("assistant", (Thinking("hm"), Thinking("so", "sig"), Thinking("", sealed="z"))),
            Message("user", (Text(""),)),
            Message("assistant", (ToolUse("c1", "look", '{"at": 1}'), Refusal("no"))),
            Message("user", (Text("there", cached=True),)),
            Message("user", (ToolResult("c1", (Text("seen"), Text("")), cached=True),)),
            Message("user", (ToolResult("c2", (Text("bad"),), failed=True),)),
        ),
        tools=(Tool("look"),),
    )
    first, second, third = written(talk)[0]["messages"]
    assert first == {"role": "user", "content": [{"text": "look"}]}
    assert second["content"] == [
        {"reasoningContent": {"reasoningText": {"text": "so", "signature": "sig"}}},
        {"reasoningContent": {"redactedContent": "z"}},
        {"toolUse": {"toolUseId": "c1", "name": "look", "input": {"at": 1}}},
        {"text": "no"},
    ]
    bad = {"toolUseId": "c2", "content": [{"text": "bad"}], "status": "error"}
    assert third["content"] == [
        {"toolResult": {"toolUseId": "c1", "content": [{"text": "seen"}]}},
        POINT,
        {"toolResult": bad},
        {"text": "there"},
        POINT,
    ]
    third = written(talk, OTHER)[0]["messages"][2]
    bad = {"toolUseId": "c2", "content": [{"text": "Error:"}, {"text": "bad"}]}
    assert third["content"][1:] == [{"toolResult": bad}, {"text": "there"}], "no status, no points"


@pytest.mark.parametrize(
    ("model", "points"),
    [
        (CLAUDE, (1, 1)),
        ("anthropic.claude-3-5-sonnet-20241022-v2:0", (1, 1)),
        ("anthropic.claude-3-5-sonnet-20240620-v1:0", (0, 0)),
        ("anthropic.claude-3-haiku-20240307-v1:0", (0, 0)),
        (NOVA, (1, 0)),
        (OTHER, (0, 0)),
        ("arn:aws:bedrock:us-east-1:1:application-inference-profile/abc", (0, 0)),
    ],
)
def test_who_keeps_a_prompt(model, points):
    """A cache point is a hint; models that know none would refuse it."""
    talk = Talk((Message("user", (Text("x", cached=True),)),), tools=(Tool("t", cached=True),))
    body, dropped = written(talk, model)
    found = (body["messages"][0]["content"].count(POINT), body["toolConfig"]["tools"].count(POINT))
    assert (found, dropped) == (points, ())


@pytest.mark.parametrize(
    ("part", "block"),
    [
        (Image("image/jpg", "AA"), {"image": {"format": "jpeg", "source": {"bytes": "AA"}}}),
        (
            Image(url="data:image/webp;base64,AA"),
            {"image": {"format": "webp", "source": {"bytes": "AA"}}},
        ),
        (Audio("AA", "wav"), {"audio": {"format": "wav", "source": {"bytes": "AA"}}}),
        (
            Document("application/pdf", "AA", name="my_report.v2 (1).pdf"),
            {
                "document": {
                    "format": "pdf",
                    "name": "my report v2 (1) pdf",
                    "source": {"bytes": "AA"},
                }
            },
        ),
        (
            Document("text/markdown; charset=utf-8", text="words"),
            {"document": {"format": "txt", "name": "document", "source": {"bytes": "d29yZHM="}}},
        ),
    ],
)
def test_pictures_sounds_and_documents(part, block):
    """By their bytes; names have the signs that Amazon takes."""
    assert content(part) == [block]


def test_no_two_documents_have_one_name():
    """It is refused there; those in results of tools count too."""
    one = Document("text/csv", "AA", name="a")
    said = (Message("user", (one, ToolResult("c", (one, Image("image/png", "A"))), one)),)
    [message] = written(Talk(said, tools=(Tool("t"),)))[0]["messages"]
    result, first, last = message["content"]
    document, image = result["toolResult"]["content"]
    assert [block["document"]["name"] for block in (first, document, last)] == ["a", "a 2", "a 3"]
    assert image == {"image": {"format": "png", "source": {"bytes": "A"}}}


PDF = "https://x.example/a.pdf"
RESULT = (*HI, Message("user", (ToolResult("c", ()),)))


@pytest.mark.parametrize(
    ("talk", "feature"),
    [
        (Talk((Message("user", (Image(url="https://x.example/a.png"),)),)), "image"),
        (Talk((Message("user", (Image(url="s3://bucket/a.png"),)),)), "image"),
        (Talk((Message("user", (Image("image/tiff", "AA"),)),)), "image"),
        (Talk((Message("user", (Document(url=PDF),)),)), "document"),
        (Talk((Message("user", (Document("video/mp4", "AA"),)),)), "document"),
        (Talk((Message("user", (Audio("AA", "midi"),)),)), "audio"),
        (Talk(HI, format=Format("json")), "format"),
        (Talk(HI, temperature=1.5), "temperature"),
        (Talk(RESULT), "tools"),
        (Talk(RESULT, tools=(Tool("t"),), tool_choice=ToolChoice("none")), "tool_choice"),
    ],
)
def test_what_has_no_words_here(talk, feature):
    """It is named, never left out; nothing is fetched with the gateway's rights."""
    with pytest.raises(CannotCarryError) as caught:
        PROVIDER.write(talk, CLAUDE)
    assert caught.value.feature == feature


REPLY = {
    "output": {
        "message": {
            "role": "assistant",
            "content": [
                {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "sig"}}},
                {"reasoningContent": {"redactedContent": "eg=="}},
                {"toolUse": {"toolUseId": "s", "name": "x", "type": "server_tool_use"}},
                {"text": "hello"},
                {"citationsContent": {"content": [{"text": "as "}, {"text": "said"}, 5]}},
                {"image": {"format": "png"}},
                {"toolUse": {"toolUseId": "t1", "name": "look", "input": {"at": 1}}},
            ],
        }
    },
    "stopReason": "tool_use",
    "usage": {"inputTokens": 5, "outputTokens": 7, "totalTokens": 15, "cacheReadInputTokens": 3},
    "metrics": {"latencyMs": 1},
    "additionalModelResponseFields": {"stop_sequence": "X"},
}


def test_a_reply():
    """What was said, why it ended, what was used."""
    assert PROVIDER.read_answer(json.dumps(REPLY).encode()) == Answer(
        (
            Thinking("hm", "sig"),
            Thinking("", sealed="eg=="),
            Text("hello"),
            Text("as said"),
            ToolUse("t1", "look", '{"at":1}'),
        ),
        Stop.TOOL,
        Usage(5, 3, None, 7),
        stop_sequence="X",
    )


@pytest.mark.parametrize(
    ("reason", "stop"),
    [
        ("end_turn", Stop.END),
        ("max_tokens", Stop.LENGTH),
        ("stop_sequence", Stop.SEQUENCE),
        ("guardrail_intervened", Stop.FILTER),
        ("content_filtered", Stop.FILTER),
        ("model_context_window_exceeded", Stop.CONTEXT),
        ("malformed_model_output", Stop.END),
        (None, Stop.END),
    ],
)
def test_why_it_ended(reason, stop):
    """What is not known is an end."""
    body = {"output": {"message": {"content": [{"text": "a"}]}}, "stopReason": reason}
    answer = PROVIDER.read_answer(json.dumps(body).encode())
    assert (answer.stop, answer.usage, answer.stop_sequence) == (stop, None, "")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"output": 5}',
        b'{"output": {"message": 5}}',
        b'{"output": {"message": {"content": "x"}}}',
        b'{"message": "no"}',
    ],
)
def test_what_is_no_reply(body):
    """None, and nothing raises."""
    assert PROVIDER.read_answer(body) is None
