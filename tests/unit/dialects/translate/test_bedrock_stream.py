"""ConverseStream's events as pieces, however their bytes are cut, and what breaks a stream."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.amazon import (
    METADATA,
    START,
    block_end,
    called,
    delta,
    event,
    exception,
    frame,
    header,
    stop,
)
from tollway.dialects.event_stream import StreamError
from tollway.dialects.sse import MAX_EVENT_BYTES
from tollway.dialects.translate.bedrock_provider import PROVIDER
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
from tollway.dialects.translate.talk import Stop
from tollway.domain.usage import Usage

USED = Usage(5, output=2)
SERVER_CALL = event(
    "contentBlockStart",
    contentBlockIndex=9,
    start={"toolUse": {"toolUseId": "s", "name": "search", "type": "server_tool_use"}},
)


def pieces_of(*data):
    """What these reads bring."""
    reader = PROVIDER.reader()
    return [piece for one in data for piece in reader.feed(one)] + reader.end()


STREAMS = {
    "words": (
        START + delta(0, text="hel") + delta(0, text="lo") + block_end(0) + stop("end_turn")
        + METADATA,
        [Begun(), TextPiece(0, "hel"), TextPiece(0, "lo"), PartEnded(0), Ended(Stop.END, USED)],
    ),
    "all sorts": (
        event("initial-response")
        + START
        + delta(0, reasoningContent={"text": "hm"})
        + delta(0, reasoningContent={"signature": "sig"})
        + delta(0, reasoningContent={})
        + block_end(0)
        + delta(1, reasoningContent={"redactedContent": "eg=="})
        + block_end(1)
        + delta(2, text="")
        + delta(2, text="hello")
        + delta(2, citation={"title": "t"})
        + block_end(2)
        + SERVER_CALL
        + delta(9, toolUse={"input": "{}"})
        + block_end(9)
        + called(3, "t1", "look")
        + delta(3, toolUse={"input": '{"a"'})
        + delta(3, toolUse={"input": ": 1}"})
        + block_end(3)
        + stop("tool_use")
        + METADATA,
        [
            Begun(),
            ThinkingPiece(0, "hm"),
            ThinkingPiece(0, signature="sig"),
            PartEnded(0),
            ThinkingPiece(1, sealed="eg=="),
            PartEnded(1),
            TextPiece(2, "hello"),
            PartEnded(2),
            ToolBegun(3, "t1", "look"),
            ToolPiece(3, '{"a"'),
            ToolPiece(3, ": 1}"),
            PartEnded(3),
            Ended(Stop.TOOL, USED),
        ],
    ),
    "a stop sequence that is told": (
        START
        + delta(0, text="a")
        + stop("stop_sequence", additionalModelResponseFields={"stop_sequence": "X"})
        + METADATA,
        [Begun(), TextPiece(0, "a"), PartEnded(0), Ended(Stop.SEQUENCE, USED, "X")],
    ),
    "usage before the reason": (
        START + delta(0, text="a") + block_end(0) + METADATA + stop("max_tokens"),
        [Begun(), TextPiece(0, "a"), PartEnded(0), Ended(Stop.LENGTH, USED)],
    ),
    "without usage": (
        START + delta(0, text="a") + stop("guardrail_intervened"),
        [Begun(), TextPiece(0, "a"), PartEnded(0), Ended(Stop.FILTER)],
    ),
    "usage that is cut": (
        START + delta(0, text="a") + stop("new_reason") + METADATA[:-1],
        [Begun(), TextPiece(0, "a"), PartEnded(0), Ended(Stop.END)],
    ),
    "cut": (START + delta(0, text="a"), [Begun(), TextPiece(0, "a")]),
    "more than the end": (
        START + stop("end_turn") + METADATA + START + delta(0, text="x"),
        [Begun(), Ended(Stop.END, USED)],
    ),
    "nothing": (b"", []),
    "nonsense": (
        delta(0, text="before")
        + stop("end_turn")
        + START
        + START
        + event("contentBlockStart", contentBlockIndex=0, start=5)
        + event("contentBlockStart", contentBlockIndex=0, start={"image": {}})
        + event("contentBlockDelta", contentBlockIndex="0", delta=5)
        + delta(4, toolUse={"input": "nowhere"})
        + called(0, "t", "a")
        + called(0, "t", "again")
        + delta(0, text="beside")
        + block_end(7)
        + block_end(0)
        + event("unheardOf")
        + frame(header(":message-type", "new"), b"{}")
        + frame(b"", b"no json")
        + stop("end_turn", additionalModelResponseFields=5)
        + event("metadata", usage=5),
        [
            Begun(),
            ToolBegun(0, "t", "a"),
            TextPiece(1, "beside"),
            PartEnded(0),
            PartEnded(1),
            Ended(Stop.END),
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.uncounted
def test_streams_however_they_are_cut(name):
    """Whole, in two at every byte, and byte by byte."""
    data, expected = STREAMS[name]
    assert pieces_of(data) == expected
    assert pieces_of(*[data[at : at + 1] for at in range(len(data))]) == expected
    for at in range(len(data)):
        assert pieces_of(data[:at], data[at:]) == expected


UNREADABLE = "The provider sent events that cannot be read."
FAILURES = {
    "too busy": (
        exception("throttlingException", "Too many requests"),
        StreamError(429, "Too many requests", "throttlingException"),
    ),
    "wrong": (
        exception("validationException", "no"),
        StreamError(400, "no", "validationException"),
    ),
    "the model": (
        exception("modelStreamErrorException", "it broke"),
        StreamError(None, "it broke", "modelStreamErrorException"),
    ),
    "away": (
        exception("serviceUnavailableException", ""),
        StreamError(503, "The provider reported an error.", "serviceUnavailableException"),
    ),
    "without a word": (
        frame(header(":message-type", "exception"), b"<html>"),
        StreamError(None, "The provider reported an error.", None),
    ),
    "an error without a shape": (
        frame(
            header(":message-type", "error")
            + header(":error-code", "internalServerException")
            + header(":error-message", "it broke"),
            b"",
        ),
        StreamError(500, "it broke", "internalServerException"),
    ),
    "no JSON, twice": (
        frame(b"", b"no") + frame(b"", b"[]"),
        StreamError(None, UNREADABLE, "malformed_stream"),
    ),
    "damage": (
        METADATA[:20] + b"\xff" + METADATA[21:],
        StreamError(None, "The provider sent a damaged frame.", "malformed_stream"),
    ),
    "too large": (
        frame(b"", bytes(MAX_EVENT_BYTES))[:12],
        StreamError(None, "The provider sent an event that is too large.", None),
    ),
}


@pytest.mark.parametrize("name", FAILURES)
def test_what_breaks_a_stream(name):
    """In the provider's words where it has any; nothing comes after it, wherever it is cut."""
    broken, error = FAILURES[name]
    data = START + delta(0, text="a") + broken + stop("end_turn") + METADATA
    expected = [Begun(), TextPiece(0, "a"), Failed(error)]
    assert pieces_of(data) == expected
    assert pieces_of(*[data[at : at + 1] for at in range(len(data))]) == expected
    for at in range(len(data)):
        assert pieces_of(data[:at], data[at:]) == expected


def test_one_event_that_is_none_is_skipped():
    """And counted; the next good one forgives it."""
    reader = PROVIDER.reader()
    bad = frame(header(":event-type", "contentBlockDelta"), b"{")
    assert reader.feed(bad + START + bad + delta(0, text="a")) == [Begun(), TextPiece(0, "a")]
    assert reader.malformed == 2


NAMES = (
    "start", "delta", "contentBlockIndex", "toolUse", "text", "reasoningContent", "usage",
    "stopReason", "additionalModelResponseFields", "output", "message", "content",
)  # fmt: skip
KINDS = ("messageStart", "contentBlockStart", "contentBlockDelta", "messageStop", "metadata")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(KINDS),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5)
    ),
    max_leaves=12,
)
HEADS = st.tuples(
    st.sampled_from(["event", "exception", "error", "x"]), st.sampled_from([*KINDS, "x"])
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(HEADS, JSON), max_size=5))
@pytest.mark.uncounted
def test_no_shape_makes_it_raise(events):
    """Whatever a provider sends."""
    frames = [
        frame(
            header(":message-type", kind) + header(f":{kind}-type", name),
            json.dumps(body).encode(),
        )
        for (kind, name), body in events
    ]
    pieces_of(START, *frames)
    for _, body in events:
        PROVIDER.read_answer(json.dumps(body).encode())
