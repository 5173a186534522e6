"""Google's generateContent as providers speak it: what is read, whole and however it is cut."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tollway.dialects.translate.gemini_provider import PROVIDER
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
from tollway.dialects.translate.talk import Answer, Stop, Text, Thinking, ToolUse
from tollway.domain.usage import Usage

COUNTED = {"promptTokenCount": 5, "candidatesTokenCount": 7, "totalTokenCount": 12}


def response(*parts, reason=None, usage=None, **more):
    """One object of a stream, or all of an answer."""
    candidate = {"content": {"role": "model", "parts": list(parts)}, "index": 0}
    if reason is not None:
        candidate["finishReason"] = reason
    value = {"candidates": [candidate], "responseId": "r-1/x", **more}
    return value if usage is None else {**value, "usageMetadata": usage}


def call(name, id_=None, signature=None, **args):
    """A part that calls."""
    function = {"name": name, "args": args}
    if id_ is not None:
        function["id"] = id_
    part = {"functionCall": function}
    return part if signature is None else {**part, "thoughtSignature": signature}


THOUGHT = {"text": "hm", "thought": True}
SORTS = [
    THOUGHT,
    {"text": "hel"},
    {"text": "lo"},
    {"text": "", "thoughtSignature": "dGV4dA"},
    {"executableCode": {}},
    call("look", "id1", "c2ln", at=1),
    call("go"),
]


def answer(value):
    """What is read of it."""
    return PROVIDER.read_answer(json.dumps(value).encode())


def test_a_reply():
    """What was said, why it ended, what was used; calls without an id get one of the answer's."""
    assert answer(response(*SORTS, reason="STOP", usage=COUNTED)) == Answer(
        (
            Thinking("hm"),
            Text("hello"),
            Thinking("", "gemini.c2ln"),
            ToolUse("id1", "look", '{"at":1}', "c2ln"),
            ToolUse("call_r-1x_4", "go", "{}"),
        ),
        Stop.TOOL,
        Usage(5, None, None, 7),
        "r-1/x",
    )


@pytest.mark.parametrize(
    ("parts", "read"),
    [
        (
            [THOUGHT, {"text": "hi", "thoughtSignature": "s"}],
            (Thinking("hm", "gemini.s"), Text("hi")),
        ),
        ([{"text": "hi", "thoughtSignature": "s"}], (Text("hi"),)),
        ([{"thought": True, "thoughtSignature": "s"}], (Thinking("", "gemini.s"),)),
        (
            [{**THOUGHT, "thoughtSignature": "s"}, THOUGHT],
            (Thinking("hm", "gemini.s"), Thinking("hm")),
        ),
        (
            [THOUGHT, call("go", "c", "s")],
            (Thinking("hm", "gemini.s"), ToolUse("c", "go", "{}", "s")),
        ),
        ([THOUGHT, {"text": ""}, {"thought": True}, THOUGHT], (Thinking("hmhm"),)),
        ([{"inlineData": {"mimeType": "image/png", "data": "AA"}}, {"text": "x"}], (Text("x"),)),
    ],
)
def test_thoughts_and_their_signatures(parts, read):
    """A signature goes out on the thought that it belongs to, in words or without."""
    assert answer(response(*parts, reason="STOP")).parts == read


@pytest.mark.parametrize(
    ("reason", "stop"),
    [
        ("STOP", Stop.END),
        ("MAX_TOKENS", Stop.LENGTH),
        ("SAFETY", Stop.FILTER),
        ("RECITATION", Stop.FILTER),
        ("PROHIBITED_CONTENT", Stop.FILTER),
        ("OTHER", Stop.FILTER),
        ("NEW", Stop.END),
        (None, Stop.END),
    ],
)
def test_why_it_ended(reason, stop):
    """By the words of all dialects."""
    assert answer(response({"text": "x"}, reason=reason)).stop is stop


def test_a_call_that_is_cut_off():
    """Its own reason stands."""
    assert answer(response(call("go"), reason="MAX_TOKENS")).stop is Stop.LENGTH


def test_answers_without_words():
    """A prompt that is refused, and thoughts that took everything."""
    usage = {"promptTokenCount": 5, "totalTokenCount": 5}
    blocked = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": usage}
    assert answer(blocked) == Answer((), Stop.FILTER, Usage(5, output=0))
    empty = {"candidates": [{"finishReason": "MAX_TOKENS", "index": 0}]}
    assert answer(empty) == Answer((), Stop.LENGTH)


@pytest.mark.parametrize(
    "value",
    [
        [],
        {},
        {"responseId": "r"},
        {"candidates": []},
        {"candidates": 5, "usageMetadata": COUNTED},
        {"candidates": [{"content": {"parts": []}}]},
        {"promptFeedback": {}},
        {"error": {"code": 500, "message": "no", "status": "INTERNAL"}},
        response({"text": "x"}, reason="MALFORMED_FUNCTION_CALL"),
    ],
)
def test_what_is_no_reply(value):
    """None, and nothing raises."""
    assert answer(value) is None
    assert PROVIDER.read_answer(b"") is None


def events(*values):
    """A stream, as Google ends its lines."""
    return b"".join(b"data: %b\r\n\r\n" % json.dumps(value).encode() for value in values)


def pieces_of(*data):
    """What these reads bring."""
    reader = PROVIDER.reader()
    return [piece for one in data for piece in reader.feed(one)] + reader.end()


EARLY = {"promptTokenCount": 5, "totalTokenCount": 9, "thoughtsTokenCount": 4}
LATE = {**EARLY, "candidatesTokenCount": 7, "totalTokenCount": 16}
BEGUN = Begun("r-1/x", Usage(5))
STREAMS = {
    "all sorts": (
        events(
            response(SORTS[0], usage=EARLY),
            response(SORTS[1]),
            response(SORTS[2], SORTS[3]),
            response(SORTS[5]),
            response(SORTS[6], reason="STOP", usage=LATE),
        ),
        [
            BEGUN,
            ThinkingPiece(0, "hm"),
            PartEnded(0),
            TextPiece(1, "hel"),
            TextPiece(1, "lo"),
            PartEnded(1),
            ThinkingPiece(2, signature="gemini.c2ln"),
            PartEnded(2),
            ToolBegun(3, "id1", "look", "c2ln"),
            ToolPiece(3, '{"at":1}'),
            PartEnded(3),
            ToolBegun(4, "call_r-1x_4", "go"),
            ToolPiece(4, "{}"),
            PartEnded(4),
            Ended(Stop.TOOL, Usage(5, output=7, reasoning=4)),
        ],
    ),
    "a reason of its own": (
        events(response({"text": "hé"}), response(reason="MAX_TOKENS", usage=COUNTED)),
        [
            Begun("r-1/x"),
            TextPiece(0, "hé"),
            PartEnded(0),
            Ended(Stop.LENGTH, Usage(5, output=7)),
        ],
    ),
    "words after a reason": (
        events(response({"text": "a"}, reason="STOP"), response({"text": "b"}, reason="STOP")),
        [
            Begun("r-1/x"),
            TextPiece(0, "a"),
            TextPiece(0, "b"),
            PartEnded(0),
            Ended(Stop.END),
        ],
    ),
    "the last event lacks its empty line": (
        events(response({"text": "a"}, reason="STOP")).rstrip(),
        [Begun("r-1/x"), TextPiece(0, "a"), PartEnded(0), Ended(Stop.END)],
    ),
    "blocked": (
        events({"promptFeedback": {"blockReason": "OTHER"}}),
        [Begun(""), Ended(Stop.FILTER)],
    ),
    "cut": (events(response({"text": "a"})), [Begun("r-1/x"), TextPiece(0, "a")]),
    "nothing": (events({}, {"new": 1}, {"candidates": []}), []),
    "one malformed event": (
        events(response({"text": "a"})) + b"data: {no\r\n\r\n" + events(response(reason="STOP")),
        [Begun("r-1/x"), TextPiece(0, "a"), PartEnded(0), Ended(Stop.END)],
    ),
    "nonsense": (
        events(
            {"candidates": [5, {"index": 1, "finishReason": "STOP"}]},
            {"candidates": [{"content": 5, "finishReason": 5}], "promptFeedback": 5},
            {"candidates": [{"content": {"parts": [5, {"functionCall": 5}, {"text": 5}]}}]},
            {"candidates": [{"finishReason": "STOP"}], "usageMetadata": 5},
        ),
        [Begun(""), Ended(Stop.END)],
    ),
}


@pytest.mark.parametrize("name", STREAMS)
def test_streams_however_they_are_cut(name):
    """Whole, in two at every byte, and byte by byte."""
    data, expected = STREAMS[name]
    assert pieces_of(data) == expected
    assert pieces_of(*[data[at : at + 1] for at in range(len(data))]) == expected
    for at in range(len(data)):
        assert pieces_of(data[:at], data[at:]) == expected


@pytest.mark.parametrize(
    ("event", "message", "status", "code"),
    [
        (
            {"error": {"code": 503, "message": "busy", "status": "UNAVAILABLE"}},
            "busy",
            503,
            "UNAVAILABLE",
        ),
        (
            response({"text": "x"}, reason="MALFORMED_FUNCTION_CALL"),
            "The model broke off its answer (MALFORMED_FUNCTION_CALL).",
            None,
            "malformed_function_call",
        ),
    ],
)
def test_an_error_in_the_stream(event, message, status, code):
    """In the provider's words; nothing comes after it."""
    found = pieces_of(events(response({"text": "a"}), event, response({"text": "b"})))
    assert isinstance(found[-1], Failed)
    assert found[-1].error == (status, message, code)
    assert TextPiece(0, "b") not in found


def test_two_malformed_events():
    """They are no stream any more."""
    reader = PROVIDER.reader()
    found = reader.feed(events(response({"text": "a"})) + b"data: [\r\n\r\ndata: ]\r\n\r\n")
    assert isinstance(found[-1], Failed)
    assert (found[-1].error.code, reader.malformed) == ("malformed_stream", 2)


def test_ids_that_are_made():
    """Without an answer's id by the call's place alone, and never longer than others take."""
    [one] = answer({**response(call("go")), "responseId": ""}).parts
    assert one.id == "call_0"
    [one] = answer({**response(call("go")), "responseId": "x" * 99}).parts
    assert len(one.id) < 40


NAMES = (
    "candidates", "content", "parts", "text", "thought", "thoughtSignature", "functionCall", "args",
    "name", "id", "finishReason", "usageMetadata", "promptFeedback", "blockReason", "error",
)  # fmt: skip
WORDS = ("STOP", "MALFORMED_FUNCTION_CALL", "x")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(WORDS),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5)
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(st.lists(JSON, max_size=4))
@pytest.mark.uncounted
def test_no_shape_makes_it_raise(given_events):
    """Whatever a provider sends."""
    pieces_of(events(*given_events))
    for one in given_events:
        answer(one)


part = st.one_of(
    st.sampled_from(["a", "b", ""]).map(lambda text: {"text": text}),
    st.just(THOUGHT),
    st.just({**THOUGHT, "thoughtSignature": "s"}),
    st.sampled_from([call("go"), call("look", "c", "s", at=1)]),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(part, min_size=1, max_size=6), st.integers(0, 6))
def test_the_same_whole_and_streamed(parts, at):
    """An answer is what its stream says, wherever it was parted."""
    whole = answer(response(*parts, reason="STOP", usage=COUNTED))
    stream = [response(*parts[:at]), response(*parts[at:], reason="STOP", usage=COUNTED)]
    found = pieces_of(events(*stream))
    assert found[-1] == Ended(whole.stop, whole.usage)
    for kind, text in ((Text, TextPiece), (Thinking, ThinkingPiece)):
        said = "".join(one.text for one in whole.parts if isinstance(one, kind))
        assert "".join(piece.text for piece in found if isinstance(piece, text)) == said
    ended = [piece.part for piece in found if isinstance(piece, PartEnded)]
    assert ended == list(range(len(whole.parts)))
