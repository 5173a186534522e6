"""Ollama's lines as pieces, however their bytes are cut, and what breaks a stream."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tollway.dialects.event_stream import StreamError
from tollway.dialects.translate.json_lines import LineBuffer
from tollway.dialects.translate.ollama_provider import PROVIDER
from tollway.dialects.translate.pieces import (
    MAX_PARTS,
    TOO_MANY_PARTS,
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
from tollway.dialects.typed_stream import MAX_TYPED_EVENT_BYTES
from tollway.domain.usage import Usage

AT = "2025-07-07T20:32:53.844124Z"
MADE = "2025-07-07T203253844124Z"
COUNTS = {"prompt_eval_count": 5, "eval_count": 2, "eval_duration": 9}
USED = Usage(5, output=2)


def line(message=None, end="\n", **more):
    """One line of a stream."""
    said = {"model": "m", "created_at": AT, **more}
    if message is not None:
        said["message"] = {"role": "assistant", "content": "", **message}
    return json.dumps({"done": False, **said}).encode() + end.encode()


def done(reason="stop", **more):
    """The last line."""
    return line({}, done=True, done_reason=reason, **{**COUNTS, **more})


def call(name="look", **arguments):
    return {"function": {"name": name, "arguments": arguments}}


def pieces_of(*data):
    """What these reads bring."""
    reader = PROVIDER.reader()
    return [piece for one in data for piece in reader.feed(one)] + reader.end()


WORDS = [Begun(), TextPiece(0, "hel"), TextPiece(0, "lo"), PartEnded(0)]
STREAMS = {
    "words": (
        line({"content": "hel"}) + line({"content": "lo"}) + done(),
        [*WORDS, Ended(Stop.END, USED)],
    ),
    "other line ends, a mark, empty lines and no last end": (
        b"\xef\xbb\xbf\n" + line({"content": "hel"}, "\r\n") + b"\r\n  \n"
        + line({"content": "lo"}) + done().rstrip(),
        [*WORDS, Ended(Stop.END, USED)],
    ),
    "all sorts": (
        line({"thinking": "h"})
        + line({"thinking": "m"})
        + line({"content": "hi", "tool_calls": [call(at=1)]})
        + line({"tool_calls": [{**call("go"), "id": "c9"}, {"function": 5}, 6]})
        + done(),
        [
            Begun(),
            ThinkingPiece(0, "h"),
            ThinkingPiece(0, "m"),
            PartEnded(0),
            TextPiece(1, "hi"),
            PartEnded(1),
            ToolBegun(2, f"call_{MADE}_2", "look"),
            ToolPiece(2, '{"at":1}'),
            PartEnded(2),
            ToolBegun(3, "c9", "go"),
            ToolPiece(3, "{}"),
            PartEnded(3),
            Ended(Stop.TOOL, USED),
        ],
    ),
    "too long": (
        line({"content": "a"}) + done("length", eval_count=7),
        [Begun(), TextPiece(0, "a"), PartEnded(0), Ended(Stop.LENGTH, Usage(5, output=7))],
    ),
    "a new reason, and no counts": (
        line({}, done=True, done_reason="load"),
        [Begun(), Ended(Stop.END)],
    ),
    "a count that is left out": (
        line({}, done=True, eval_count=2),
        [Begun(), Ended(Stop.END, Usage(None, output=2))],
    ),
    "a call without a time": (
        line({"tool_calls": [call()]}, created_at=5) + done(),
        [
            Begun(),
            ToolBegun(0, "call_0", "look"),
            ToolPiece(0, "{}"),
            PartEnded(0),
            Ended(Stop.TOOL, USED),
        ],
    ),
    "cut": (line({"content": "a"}), [Begun(), TextPiece(0, "a")]),
    "more than the end": (done() + line({"content": "x"}), [Begun(), Ended(Stop.END, USED)]),
    "nothing": (b"", []),
    "nothing said": (line(), []),
    "nonsense": (
        b'{"status": "pulling"}\n' + line(done="true") + line({"content": 5, "tool_calls": 7})
        + b"no json\n" + done(),
        [Begun(), Ended(Stop.END, USED)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", STREAMS)
def test_streams_however_they_are_cut(name):
    """Whole, in two at every byte, and byte by byte."""
    data, expected = STREAMS[name]
    assert pieces_of(data) == expected
    assert pieces_of(*[data[at : at + 1] for at in range(len(data))]) == expected
    for at in range(len(data)):
        assert pieces_of(data[:at], data[at:]) == expected


FAILURES = {
    "in its words": (b'{"error": "it broke"}\n', StreamError(None, "it broke", None)),
    "without words": (
        b'{"error": {}, "done": true}\n{"error": 5}\n',
        StreamError(None, "The provider reported an error.", None),
    ),
    "two lines that are none": (
        b"no\n[]\n",
        StreamError(None, "The provider sent events that cannot be read.", "malformed_stream"),
    ),
}


@pytest.mark.parametrize("name", FAILURES)
def test_what_breaks_a_stream(name):
    """Nothing comes after it, wherever it is cut."""
    broken, error = FAILURES[name]
    data = line({"content": "a"}) + broken + done()
    expected = [Begun(), TextPiece(0, "a"), Failed(error)]
    if name == "without words":  # an empty error is none
        expected = [*expected[:2], PartEnded(0), Ended(Stop.END)]
    assert pieces_of(data) == expected
    for at in range(len(data)):
        assert pieces_of(data[:at], data[at:]) == expected


def test_one_line_that_is_none_is_skipped():
    """And counted; the next good one forgives it."""
    reader = PROVIDER.reader()
    pieces = reader.feed(b"{\n" + line() + b"\xff\n" + line({"content": "a"}))
    assert pieces == [Begun(), TextPiece(0, "a")]
    assert reader.malformed == 2


LARGE = StreamError(None, "The provider sent an event that is too large.", None)


@pytest.mark.parametrize("size", [MAX_TYPED_EVENT_BYTES - 1, MAX_TYPED_EVENT_BYTES])
def test_a_line_that_is_too_long(size):
    """Is not waited for to end, and is refused as well when it comes at once."""
    first = line({"content": "a"})
    text = first + b"x" * size
    fails = size == MAX_TYPED_EVENT_BYTES
    for data in ([text + b"y", b"\n" + done()], [text + b"y\n" + done()], [text, b"y\n", done()]):
        pieces = pieces_of(*data)
        assert pieces[:2] == [Begun(), TextPiece(0, "a")]
        assert (pieces[2:] == [Failed(LARGE)]) is fails


def test_a_buffer_holds_what_is_no_whole_line():
    """And no more."""
    buffer = LineBuffer()
    assert buffer.take(b"a") == b""
    assert (buffer.holds_more_than(0), buffer.holds_more_than(1)) == (True, False)
    assert buffer.take(b"b\nc\nd") == b"ab\nc\n"
    assert buffer.rest() == b"d"
    assert not buffer.holds_more_than(0)


def test_calls_without_number_end_the_stream():
    """A server that hostile is not followed."""
    calls = [{"function": {"name": "f", "arguments": {}}}] * (MAX_PARTS + 1)
    pieces = pieces_of(line({"tool_calls": calls}))
    assert pieces[-1] == Failed(TOO_MANY_PARTS)


def test_a_whole_answer():
    """Is what its stream would be."""
    body = line(
        {"content": "hello", "thinking": "hm", "tool_calls": [call(at=1)]},
        done=True, done_reason="stop", **COUNTS,
    )  # fmt: skip
    parts = (Thinking("hm"), Text("hello"), ToolUse(f"call_{MADE}_2", "look", '{"at":1}'))
    assert PROVIDER.read_answer(body) == Answer(parts, Stop.TOOL, USED)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", line({"content": "a"}), b'{"error": "no"}'])
def test_what_is_no_answer(body):
    """One that has not said that it is done is none."""
    assert PROVIDER.read_answer(body) is None


NAMES = (
    "message", "content", "thinking", "tool_calls", "function", "name", "arguments", "done",
    "done_reason", "error", "created_at", "eval_count", "prompt_eval_count", "id",
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(("stop", "a")),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5)
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(st.lists(JSON, max_size=5))
@pytest.mark.uncounted
def test_no_shape_makes_it_raise(lines):
    """Whatever a provider sends."""
    said = [json.dumps(one).encode() + b"\n" for one in lines]
    pieces_of(line(), *said)
    for one in said:
        PROVIDER.read_answer(one)
