"""Where events end and which lines they have."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway.dialects.sse import EventBuffer, field_of, split_events


@pytest.mark.parametrize(
    ("line", "field"),
    [
        (b"data: x\n", (b"data", b"x")),
        (b"data:x\r\n", (b"data", b"x")),
        (b"data:  x\r", (b"data", b" x")),
        (b"data\n", (b"data", b"")),
        (b"data:\n", (b"data", b"")),
        (b": ping\n", (b"", b"ping")),
        (b":\n", (b"", b"")),
        (b" data: x\n", (b" data", b"x")),
        (b"data: a: b\n", (b"data", b"a: b")),
    ],
)
def test_fields(line, field):
    """A name, a colon, at most one space, a value."""
    assert field_of(line) == field


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_events_by_any_line_end(end):
    """CRLF, LF and CR all end lines, and an empty line ends the event."""
    text = end.join([b"event: a", b"data: b", b"", b"data: c", b"", b""])
    assert [len(lines) for lines in split_events(text)] == [3, 2]
    buffer = EventBuffer()
    assert buffer.take(text) == text
    assert len(buffer) == 0


def test_empty_lines_between_events_are_dropped():
    """More than one empty line ends no second event."""
    assert list(split_events(b"\n\ndata: a\n\n\n\r\n: b\n\n")) == [
        [b"data: a\n", b"\n"],
        [b": b\n", b"\n"],
    ]


def test_half_a_crlf_waits():
    """After LF CR the event could still end with LF: cut there, the bytes stay together."""
    buffer = EventBuffer()
    assert buffer.take(b"data: a\r\n\r") == b""
    assert buffer.take(b"\ndata: b") == b"data: a\r\n\r\n"
    assert buffer.rest() == b"data: b"
    assert buffer.rest() == b""


def test_cr_alone_does_not_wait():
    """A stream that ends its lines with CR is passed on without delay."""
    buffer = EventBuffer()
    assert buffer.take(b"data: a\r\r") == b"data: a\r\r"


def test_one_byte_at_a_time_is_linear():
    """A megabyte without an end, byte by byte, is looked at once, not again with every byte."""
    buffer = EventBuffer()
    for _ in range(200_000):
        buffer.take(b"xxxxx")
    assert len(buffer) == 1_000_000
    assert buffer.take(b"\n\n") == b"x" * 1_000_000 + b"\n\n"


alphabet = st.lists(st.sampled_from([b"a", b"\n", b"\r", b"\r\n", b"data: x"]), max_size=12)


@given(alphabet.map(b"".join), st.lists(st.integers(0, 40)))
def test_cuts_change_nothing(text, cuts):
    """However the bytes are cut, the same events come out, and nothing is lost or added."""
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    pieces = [text[a:b] for a, b in pairwise(places)]
    buffer = EventBuffer()
    taken = [buffer.take(piece) for piece in pieces]
    whole = b"".join(taken)
    assert whole + buffer.rest() == text
    events = [lines for part in taken for lines in split_events(part)]
    assert events == list(split_events(whole))
    # The specification's own reading: line ends as one character, then empty lines.
    plain = re.sub(rb"\r\n|\r", b"\n", whole)
    expected = [block for block in plain.split(b"\n\n") if block.strip(b"\n")]
    assert len(events) == len(expected)
