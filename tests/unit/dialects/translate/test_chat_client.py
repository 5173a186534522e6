"""Chat Completions as clients speak it: what is understood of requests, and that the official
client reads what is written.
"""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from tollway.dialects import chat
from tollway.dialects.ask import Heading
from tollway.dialects.event_stream import StreamError
from tollway.dialects.translate.chat_client import CLIENT
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

HEADING = Heading("gpt", "req_20261129_abc", 1_795_000_000)
HI = [{"role": "user", "content": "hi"}]


def asked(**fields):
    """The talk in such a request."""
    body = {"model": "gpt", "messages": HI, **fields}
    ask = chat.parse(json.dumps(body).encode())
    assert not isinstance(ask, BadRequest), ask
    return CLIENT.read(ask)


def turns(*messages):
    """The system's words and the turns."""
    found = asked(messages=list(messages))
    return found if isinstance(found, BadRequest) else (found.system, found.messages)


def test_a_plain_request():
    """One turn."""
    assert asked() == Talk((Message("user", (Text("hi"),)),))


def test_everything_that_can_be_said():
    """Each in its place; what is for OpenAI's servers alone is passed over."""
    function = {"name": "look", "description": "looks", "parameters": {"a": 1}, "strict": True}
    schema = {"name": "answer", "schema": {"b": 2}, "strict": False, "description": "d"}
    found = asked(
        tools=[{"type": "function", "function": function}],
        tool_choice={"type": "function", "function": {"name": "look"}},
        parallel_tool_calls=False,
        response_format={"type": "json_schema", "json_schema": schema},
        reasoning_effort="low",
        max_tokens=9,
        max_completion_tokens=7,
        temperature=0.5,
        top_p=1,
        stop=["a", "b"],
        seed=3,
        frequency_penalty=0.1,
        presence_penalty=0.2,
        user="u1",
        stream=True,
        store=True,
        n=1,
        logprobs=False,
        modalities=["text"],
    )
    assert found == Talk(
        (Message("user", (Text("hi"),)),),
        (),
        (Tool("look", "looks", {"a": 1}, strict=True),),
        ToolChoice("named", "look"),
        False,
        Format("schema", "answer", {"b": 2}, False, "d"),
        Reasoning("low"),
        7,
        0.5,
        1,
        None,
        ("a", "b"),
        3,
        0.1,
        0.2,
        "u1",
    )
    assert asked(stop="x", max_tokens=9, safety_identifier="s").end_user == "s"


@pytest.mark.parametrize(
    ("given_choice", "choice"),
    [
        ("auto", ToolChoice("auto")),
        ("none", ToolChoice("none")),
        ("required", ToolChoice("any")),
        (None, None),
    ],
)
def test_choices_of_tools(given_choice, choice):
    """By the words of this dialect."""
    assert asked(tool_choice=given_choice).tool_choice == choice


@pytest.mark.parametrize(
    ("given_format", "wanted"),
    [({"type": "text"}, None), ({"type": "json_object"}, Format("json")), (None, None)],
)
def test_forms_of_answers(given_format, wanted):
    """Text is what it is anyway."""
    assert asked(response_format=given_format).format == wanted


def test_a_conversation_with_tools():
    """Calls, results (one turn of them), and what the system says first and later."""
    system, messages = turns(
        {"role": "system", "content": "be brief"},
        {"role": "developer", "content": [{"type": "text", "text": "and kind"}]},
        {"role": "user", "content": "look", "name": "ann"},
        {
            "role": "assistant",
            "content": None,
            "refusal": "not that",
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                {"id": "c2", "type": "function", "function": {"name": "g", "arguments": ""}},
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "one"},
        {"role": "tool", "tool_call_id": "c2", "content": [{"type": "text", "text": "two"}]},
        {"role": "user", "content": ""},
        {"role": "system", "content": "now in French"},
    )
    assert system == (Text("be brief"), Text("and kind"))
    assert messages == (
        Message("user", (Text("look"),), "ann"),
        Message(
            "assistant", (Refusal("not that"), ToolUse("c1", "f", "{}"), ToolUse("c2", "g", ""))
        ),
        Message("user", (ToolResult("c1", (Text("one"),)), ToolResult("c2", (Text("two"),)))),
        Message("user", ()),
        Message("user", (Text("now in French"),)),
    )


@pytest.mark.parametrize(
    ("given_part", "part"),
    [
        (
            {
                "type": "image_url",
                "image_url": {"url": "data:image/PNG;base64,AA", "detail": "low"},
            },
            Image("image/png", "AA", "", "low"),
        ),
        (
            {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}},
            Image(url="https://x.example/a.png"),
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}},
            Audio("AA", "wav"),
        ),
        (
            {
                "type": "file",
                "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AA"},
            },
            Document("application/pdf", "AA", name="a.pdf"),
        ),
        ({"type": "file", "file": {"file_data": "AA"}}, Document("application/pdf", "AA")),
        ({"type": "refusal", "refusal": "no"}, Refusal("no")),
    ],
)
def test_pictures_sounds_and_files(given_part, part):
    """By bytes or address."""
    _, [message] = turns({"role": "user", "content": [given_part]})
    assert message.parts == (part,)


def user(*content):
    """A user's message of these parts."""
    return {"messages": [{"role": "user", "content": list(content)}]}


@pytest.mark.parametrize(
    ("fields", "field", "code"),
    [
        ({"n": 2}, "n", "unsupported_parameter"),
        ({"logprobs": True}, "logprobs", "unsupported_parameter"),
        ({"functions": [{"name": "f"}]}, "functions", "unsupported_parameter"),
        ({"modalities": ["audio"]}, "modalities", "unsupported_parameter"),
        ({"messages": [5]}, "messages.0", "invalid_type"),
        ({"messages": [{"role": "x"}]}, "messages.0.role", "unsupported_parameter"),
        ({"messages": [{"role": "tool"}]}, "messages.0.tool_call_id", "invalid_type"),
        (
            {"messages": [{"role": "system", "content": [{"type": "refusal", "refusal": "x"}]}]},
            "messages.0.content",
            "unsupported_parameter",
        ),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"custom": {}}]}]},
            "messages.0.tool_calls.0.type",
            "unsupported_parameter",
        ),
        (user(5), "messages.0.content.0", "invalid_type"),
        (user({"type": []}), "messages.0.content.0.type", "unsupported_parameter"),
        (user({"type": "new"}), "messages.0.content.0.type", "unsupported_parameter"),
        (
            user({"type": "file", "file": {"name": "x"}}),
            "messages.0.content.0.type",
            "unsupported_parameter",
        ),
        ({"tools": 5}, "tools", "invalid_type"),
        ({"tools": [{"type": "custom"}]}, "tools.0.type", "unsupported_parameter"),
        ({"tool_choice": "x"}, "tool_choice", "unsupported_parameter"),
        ({"response_format": {"type": "x"}}, "response_format", "unsupported_parameter"),
        ({"temperature": "hot"}, "temperature", "invalid_type"),
        ({"seed": 1.5}, "seed", "invalid_type"),
    ],
)
def test_what_cannot_be_understood(fields, field, code):
    """Is refused by the client's own name for it."""
    found = asked(**fields)
    assert isinstance(found, BadRequest)
    assert (found.param, found.code) == (field, code)


# Answers.


@pytest.mark.parametrize("stop", list(Stop))
def test_a_whole_answer(stop):
    """The official client reads it."""
    answer = Answer(
        (Thinking("hm", "sig"), Text("hel"), Text("lo"), ToolUse("t1", "look", '{"at": 1}')),
        stop,
        Usage(5, 3, 2, 7, 4),
    )
    body = json.loads(CLIENT.write_answer(answer, HEADING))
    found = ChatCompletion.model_validate(body, strict=True)
    [choice] = found.choices
    assert (choice.message.content, choice.message.refusal) == ("hello", None)
    assert body["choices"][0]["message"]["reasoning_content"] == "hm"
    assert choice.message.tool_calls[0].function.arguments == '{"at": 1}'
    assert (found.id, found.created) == ("chatcmpl-20261129_abc", 1_795_000_000)
    assert (found.usage.prompt_tokens, found.usage.completion_tokens) == (10, 11)
    assert found.usage.prompt_tokens_details.cached_tokens == 3
    bare = json.loads(CLIENT.write_answer(Answer((Refusal("no"),), stop), HEADING))
    assert "usage" not in bare
    assert bare["choices"][0]["message"] == {
        "role": "assistant",
        "content": None,
        "refusal": "no",
    }


def stream_of(*pieces, heading=HEADING):
    """The chunks a stream of these pieces becomes, and what the official client makes of them."""
    data = CLIENT.writer(heading).write(pieces)
    state, chunks = ChatCompletionStreamState(), []
    for event in data.decode().split("\n\n")[:-1]:
        payload = event.removeprefix("data: ")
        if payload != "[DONE]":
            chunks.append(ChatCompletionChunk.model_validate(json.loads(payload), strict=True))
            state.handle_chunk(chunks[-1])
    return chunks, state, data


def test_a_stream():
    """The official client puts together what was said."""
    chunks, state, data = stream_of(
        Begun("x", Usage(9)),
        ThinkingPiece(0, "hm"),
        ThinkingPiece(0, signature="sig"),
        PartEnded(0),
        TextPiece(1, "hel"),
        TextPiece(1, "lo"),
        PartEnded(1),
        ToolBegun(2, "t1", "look"),
        ToolBegun(3, "t2", "go"),
        ToolPiece(3, "{}"),
        ToolPiece(2, '{"a": 1}'),
        PartEnded(2),
        PartEnded(3),
        Ended(Stop.TOOL, Usage(9, 1, None, 4, 2)),
    )
    found = state.get_final_completion()
    [choice] = found.choices
    assert (choice.message.content, choice.finish_reason) == ("hello", "tool_calls")
    calls = [(call.id, call.function.arguments) for call in choice.message.tool_calls]
    assert calls == [("t1", '{"a": 1}'), ("t2", "{}")]
    assert (found.usage.prompt_tokens, found.usage.completion_tokens) == (10, 6)
    assert (chunks[0].choices[0].delta.role, chunks[-1].choices) == ("assistant", [])
    assert data.endswith(b"data: [DONE]\n\n")


def test_a_signed_call():
    """Its signature stands where Google puts it, whole and streamed, and is read from there."""
    use = ToolUse("t1", "look", "{}", "sig")
    whole = json.loads(CLIENT.write_answer(Answer((use,), Stop.TOOL), HEADING))
    message = whole["choices"][0]["message"]
    extra = {"google": {"thought_signature": "sig"}}
    assert message["tool_calls"][0]["extra_content"] == extra
    assert turns(message) == ((), (Message("assistant", (use,)),))
    begun = ToolBegun(0, "t1", "look", "sig")
    _, state, _ = stream_of(begun, ToolPiece(0, "{}"), PartEnded(0), Ended(Stop.TOOL))
    [choice] = state.get_final_completion().choices
    assert choice.message.tool_calls[0].extra_content == extra


def test_usage_only_for_who_asks():
    """Without the chunk for it, nobody sees one."""
    heading = HEADING._replace(wants_usage=False)
    chunks, _, _ = stream_of(Begun(), TextPiece(0, "x"), Ended(Stop.END, Usage(1)), heading=heading)
    assert all(chunk.usage is None and chunk.choices for chunk in chunks)


def test_ends_of_all_sorts():
    """An answer without a word, a refusal, one that broke, pieces that belong to nothing."""
    chunks, _, _ = stream_of(Ended(Stop.LENGTH))
    assert [chunk.choices[0].finish_reason for chunk in chunks] == [None, "length"]
    chunks, _, data = stream_of(
        Begun(),
        Begun(),
        RefusalPiece(0, "no"),
        ToolPiece(7, "{}"),
        Failed(StreamError(1, "x", None)),
    )
    assert [chunk.choices[0].delta.refusal for chunk in chunks] == [None, "no"]
    assert b"[DONE]" not in data


NAMES = (
    "role", "content", "type", "text", "image_url", "url", "file", "tool_calls", "function", "id",
    "name", "json_schema",
)  # fmt: skip
KINDS = ("user", "assistant", "tool", "system", "text", "image_url", "function", "json_schema")
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
    """It is understood or refused by name."""
    ask = chat.parse(json.dumps({"model": "m", "messages": [], **fields}).encode())
    if not isinstance(ask, BadRequest):
        assert isinstance(CLIENT.read(ask), Talk | BadRequest)


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_no_output_at_all_cannot_be_said_elsewhere(name):
    """What 0 means differs from one dialect to the next, so it is refused by the client's name."""
    found = asked(**{name: 0})
    assert (found.code, found.param) == ("unsupported_parameter", name)
