"""What holds for every stream of typed events, tried with both dialects: what passes, what is held
back, and that cuts change nothing. What the types say is tested beside each dialect's reader.
"""

import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.promptly import within_cpu
from tollway.dialects.stream_messages import MessagesReader
from tollway.dialects.stream_responses import ResponsesReader
from tollway.dialects.typed_stream import MAX_TYPED_EVENT_BYTES

READERS = {"messages": MessagesReader, "responses": ResponsesReader}


def event(kind, *, end=b"\n\n", name=None, **fields):
    body = json.dumps({"type": kind, **fields}, ensure_ascii=False).encode()
    return b"event: " + (name or kind).encode() + b"\ndata: " + body + end


def words(dialect, text, **more):
    """An ordinary event."""
    if dialect == "messages":
        delta = {"type": "text_delta", "text": text}
        return event("content_block_delta", index=0, delta=delta, **more)
    return event("response.output_text.delta", delta=text, **more)


def other(dialect, **more):
    """An event that brings no content."""
    kinds = {"messages": "content_block_stop", "responses": "response.in_progress"}
    return event(kinds[dialect], **more)


def last(dialect, **more):
    kinds = {"messages": "message_stop", "responses": "response.completed"}
    return event(kinds[dialect], **more)


def read(dialect, *pieces, end=True):
    reader = READERS[dialect]()
    passed = b"".join([reader.feed(piece) for piece in pieces])
    return reader, passed + (reader.end() if end else b"")


def facts(reader):
    names = ("began", "done", "finished", "read", "events", "content_bytes", "usage", "input_usage")
    names += ("error", "overflow", "malformed", "garbled", "dropped")
    return {name: getattr(reader, name) for name in names}


@pytest.fixture(params=READERS)
def dialect(request):
    return request.param


class TestOrdinaryStreams:
    def test_a_whole_stream(self, dialect):
        """Every event passes with its bytes; content is counted; the last event is the end."""
        stream = other(dialect) + words(dialect, "Hel") + words(dialect, "lö") + last(dialect)
        reader, passed = read(dialect, stream)
        assert passed == stream
        assert (reader.began, reader.done, reader.finished) == (True, True, True)
        assert (reader.events, reader.content_bytes, reader.read) == (2, 6, 4)

    def test_an_ordinary_read_is_passed_as_the_same_object(self, dialect):
        """One event in one read is not copied, nor are several."""
        reader, piece = READERS[dialect](), words(dialect, "x")
        assert reader.feed(piece) is piece
        many = words(dialect, "a") + words(dialect, "b")
        assert reader.feed(many) is many

    def test_a_cut_stream_is_not_finished(self, dialect):
        """Content without the last event is no whole answer."""
        reader, passed = read(dialect, words(dialect, "a"))
        assert passed == words(dialect, "a")
        assert not reader.finished

    def test_after_the_end_nothing_counts(self, dialect):
        """What follows the last event is not passed and not read, in the same read or later."""
        begun = words(dialect, "a") + last(dialect)
        reader, passed = read(dialect, begun + words(dialect, "b") + b"x\n\n", words(dialect, "c"))
        assert passed == begun
        assert reader.events == 1
        assert reader.end() == b""

    def test_a_last_event_without_an_empty_line(self, dialect):
        """An event that is whole but for its empty line counts when the body is complete."""
        reader, passed = read(dialect, words(dialect, "a"), last(dialect, end=b""))
        assert reader.done
        assert passed == words(dialect, "a") + last(dialect)

    @pytest.mark.parametrize("after", [b"", b"data: x\n\n"])
    def test_done_ends_it_quietly(self, dialect, after):
        """`[DONE]` is not of these dialects: it ends the stream and does not pass."""
        reader, passed = read(dialect, words(dialect, "a") + b"data: [DONE]\n\n" + after)
        assert passed == words(dialect, "a")
        assert (reader.done, reader.error) == (True, None)
        reader, passed = read(dialect, words(dialect, "a") + last(dialect) + b"data: [DONE]\n\n")
        assert passed == words(dialect, "a") + last(dialect)

    def test_done_alone_is_no_answer(self, dialect):
        """Without an event before it, another target can be asked."""
        reader, passed = read(dialect, b"data: [DONE]\n\n")
        assert passed == b""
        assert (reader.done, reader.error.code) == (False, "empty_stream")

    def test_types_of_tomorrow_pass(self, dialect):
        """A type that nobody knows is an event like any other."""
        new = event("brand.new", x=[1, {"y": None}])
        reader, passed = read(dialect, new + last(dialect))
        assert passed == new + last(dialect)
        assert (reader.read, reader.events) == (2, 0)


class TestLines:
    def test_names_that_are_the_type_pass(self, dialect):
        """Any other name is dropped, and its event is read by its type."""
        lies = words(dialect, "a").replace(b"event: ", b"event: x")
        reader, passed = read(dialect, lies + last(dialect))
        assert passed == lies[lies.index(b"data:") :] + last(dialect)
        assert reader.content_bytes == 1

    def test_events_without_a_name_pass(self, dialect):
        """The type alone says what it is."""
        bare = words(dialect, "a").partition(b"\n")[2]
        reader, passed = read(dialect, bare + bare + last(dialect))
        assert passed == bare + bare + last(dialect)
        assert reader.events == 2

    def test_other_fields_are_dropped(self, dialect):
        """id, retry and unknown lines go; the others keep their bytes."""
        name, _, data = words(dialect, "a", end=b"\n").partition(b"\n")
        piece = b"id: 1\n" + name + b"\r\nretry: 5\r\n" + data + b"foo\nid: 2\n\n"
        reader, passed = read(dialect, piece + last(dialect))
        assert passed == name + b"\r\n" + data + b"\n" + last(dialect)
        assert reader.events == 1

    def test_line_ends_do_not_merge_over_a_dropped_line(self, dialect):
        """A CR before and an LF after a dropped line stay two line ends."""
        piece = words(dialect, "a", end=b"\r")
        assert read(dialect, piece + b"id: 1\n\n" + last(dialect))[1] == (
            piece + b"\r" + last(dialect)
        )

    def test_comments_pass_but_count_for_nothing(self, dialect):
        """Keep-alives reach the client once the answer began."""
        reader, passed = read(dialect, b": 1\n\n", words(dialect, "a"), b": 2\n\n", last(dialect))
        assert passed == words(dialect, "a") + b": 2\n\n" + last(dialect)
        assert reader.read == 2

    @pytest.mark.parametrize("kind", ["ping", "keepalive"])
    def test_pings_pass_but_are_no_progress(self, dialect, kind):
        """They restart no timer, and do not begin an answer."""
        ping = event(kind)
        reader, passed = read(dialect, ping, words(dialect, "a"), ping, last(dialect))
        assert passed == words(dialect, "a") + ping + last(dialect)
        assert reader.read == 2
        reader, passed = read(dialect, ping, end=False)
        assert (passed, reader.began, reader.read) == (b"", False, 0)

    def test_data_of_several_lines(self, dialect):
        """Lines are joined before they are read, and pass as they came."""
        piece = words(dialect, "ab").replace(b', "', b',\ndata: "')
        reader, passed = read(dialect, piece + last(dialect))
        assert passed == piece + last(dialect)
        assert reader.content_bytes == 2

    def test_a_byte_order_mark_is_dropped_once(self, dialect):
        """At the very beginning it means nothing; elsewhere it spoils its line."""
        mark, one = b"\xef\xbb\xbf", words(dialect, "a")
        assert read(dialect, mark + one + last(dialect))[1] == one + last(dialect)
        spoiled = read(dialect, one + mark + one + last(dialect))[1]
        assert spoiled == one + one[one.index(b"data:") :] + last(dialect)

    def test_empty_data_is_dropped(self, dialect):
        """An event without data would break clients that parse it."""
        one = words(dialect, "a")
        reader, passed = read(dialect, one + b"data:\n\nevent: x\n\n" + last(dialect))
        assert passed == one + last(dialect)
        assert (reader.malformed, reader.dropped) == (0, 2)


class TestErrors:
    @pytest.mark.parametrize(
        ("piece", "status", "message"),
        [
            (event("error", error={"type": "overloaded_error", "message": "boom"}), 503, "boom"),
            (event("error", message="boom", code="server_error", param=None), None, "boom"),
            (event("error", code="rate_limit_exceeded", message="boom"), 429, "boom"),
            (event("error"), None, "The provider reported an error."),
            (event("x", name="error"), None, "The provider reported an error."),
            (event("x", error={"message": "boom", "code": 400}), 400, "boom"),
            (b'data: {"error":{"message":"boom"}}\n\n', None, "boom"),
            (b"event: error\ndata: boom\n\n", None, "The provider reported an error."),
            (b'error: {"code":400,"message":"boom"}\n\n', 400, "boom"),
        ],
    )
    @pytest.mark.parametrize("begun", [False, True])
    def test_an_error_event_ends_the_stream(self, dialect, piece, status, message, begun):
        """Its bytes do not pass, nothing after it counts, and it is told with its status."""
        before = words(dialect, "a") if begun else b""
        reader, passed = read(dialect, before + piece + words(dialect, "b") + last(dialect))
        assert passed == before
        assert reader.error[:2] == (status, message)
        assert (reader.done, reader.finished) == (False, False)
        assert reader.events == len(before[:1])

    @pytest.mark.parametrize("error", [None, "", {}])
    def test_an_empty_error_is_none(self, dialect, error):
        """`"error": null` is part of ordinary events."""
        one = words(dialect, "a", error=error)
        reader, passed = read(dialect, one + last(dialect))
        assert (passed, reader.error) == (one + last(dialect), None)

    @pytest.mark.parametrize(
        "bad",
        [
            b'data: {"x":\n\n',
            b"data: []\n\n",
            b"data: {}\n\n",
            b'data: {"type":5}\n\n',
            b'event: content_block_delta\ndata: {"type":null}\n\n',
            b'data: {"type":"\xff"}\n\n',
            b"data: " + b"[" * 100_000 + b"\n\n",
        ],
    )
    def test_one_malformed_event_is_skipped(self, dialect, bad):
        """One bad event among good ones is dropped and counted; two in a row are an error."""
        one = words(dialect, "é")
        reader, passed = read(dialect, one + bad + one + bad + one + last(dialect))
        assert passed == one * 3 + last(dialect)
        assert (reader.malformed, reader.dropped, reader.error) == (2, 2, None)
        reader, passed = read(dialect, one + bad + bad + one)
        assert passed == one
        assert reader.error.code == "malformed_stream"

    def test_a_ping_does_not_mend_a_stream(self, dialect):
        """Between two bad events it is no good one."""
        reader, _ = read(
            dialect, words(dialect, "a") + b"data: {\n\n" + event("ping") + b"data: {\n\n"
        )
        assert reader.error.code == "malformed_stream"

    def test_content_of_another_shape_is_counted(self, dialect):
        """An ordinary event whose fields have other types passes, and its words count."""
        kinds = {"messages": "content_block_delta", "responses": "response.output_text.delta"}
        odd = event(kinds[dialect], delta=[{"text": "abc"}])
        reader, passed = read(dialect, odd + last(dialect))
        assert passed == odd + last(dialect)
        assert (reader.events, reader.content_bytes) == (1, 3)


class TestSizes:
    def test_an_event_at_the_cap_passes_and_one_above_is_an_overflow(self, dialect):
        """Eight MiB hold an image; one byte more is refused, and what came before it passes."""
        pad = MAX_TYPED_EVENT_BYTES - len(words(dialect, ""))
        full, more = words(dialect, "x" * pad), words(dialect, "x" * (pad + 1))
        for pieces in ([full], [full[:-1], full[-1:]]):
            reader, passed = read(dialect, *pieces)
            assert (passed == full, reader.overflow) == (True, False)
        for pieces in ([more], [more[:-1], more[-1:]], [words(dialect, "a") + more]):
            reader, passed = read(dialect, *pieces)
            assert reader.overflow
            assert passed in (b"", words(dialect, "a"))

    def test_a_line_without_an_end_is_an_overflow(self, dialect):
        """Unterminated data is given up at the cap."""
        reader, _ = read(dialect, b"x" * MAX_TYPED_EVENT_BYTES, end=False)
        assert not reader.overflow
        assert reader.feed(b"x") == b""
        assert reader.overflow
        assert reader.feed(words(dialect, "a")) == b""

    def test_bytes_one_by_one_cost_linear_time(self, dialect):
        """A hundred thousand one-byte reads of one event take well under a second of CPU."""
        reader, full = READERS[dialect](), words(dialect, "x" * 100_000)
        with within_cpu(1):
            passed = b"".join([reader.feed(full[i : i + 1]) for i in range(len(full))])
        assert passed == full


def strange(dialect):
    """A stream of every peculiarity."""
    return b"".join(
        (
            b"\xef\xbb\xbf: hi\r\n\r\n",
            event("ping"),
            words(dialect, "Hé", end=b"\r\n\r\n"),
            other(dialect),
            event("ping", end=b"\r\r"),
            b": ping\n\n",
            words(dialect, "lo😀"),
            words(dialect, "a") + words(dialect, "b"),
            b'data: {"bad":\n\n',
            b"event: x\nid: 7\n" + words(dialect, "!", end=b"\n\r\n"),
            words(dialect, "ab").replace(b', "', b',\r\ndata: "'),
            words(dialect, "c", end=b"\r\r") + b"\n\n",
            words(dialect, "d", name="other"),
            words(dialect, "z", end=b"\r") + b"id: 4\n\n",
            last(dialect, end=b"\r\n\r\n"),
            words(dialect, "late") + b"data: [DONE]\n\n",
        )
    )


def test_every_cut_of_a_strange_stream(dialect):
    """Cut at each byte, and into bytes, a stream of every peculiarity reads the same."""
    stream = strange(dialect)
    whole, passed = read(dialect, stream)
    assert whole.done
    assert (whole.malformed, whole.events) == (1, 9)
    for cut in range(len(stream) + 1):
        reader, got = read(dialect, stream[:cut], stream[cut:])
        assert got == passed, cut
        assert facts(reader) == facts(whole), cut
    reader, got = read(dialect, *[stream[i : i + 1] for i in range(len(stream))])
    assert got == passed
    assert facts(reader) == facts(whole)


ends = st.sampled_from([b"\n\n", b"\r\n\r\n", b"\r\r", b"\n\r\n", b"\r\n\n"])
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
dialects = st.sampled_from(sorted(READERS))
makers = st.one_of(
    st.builds(lambda text, end: lambda d: words(d, text, end=end), texts, ends),
    st.builds(lambda end: lambda d: other(d, end=end), ends),
    st.builds(lambda end: lambda d: last(d, end=end), ends),
    st.builds(lambda end: lambda _: event("ping", end=end), ends),
    st.sampled_from(
        [
            b"data: [DONE]\n\n",
            b"\n",
            b"\r",
            b"\r\n",
            b": x\n\n",
            b"data: {\n\n",
            b"data:\n\n",
            b"id: 1\n\n",
            b"event: error\n",
            b"event: ping\n",
            b'event: error\ndata: {"error":{"message":"x"}}\n\n',
            b'data: {"type":"response.failed","response":5}\n\n',
            b'data: {"type":"message_delta","usage":{"output_tokens":2}}\n\n',
            b'data: {"type":"message_delta","delta":{"stop_reason":"x"}}\n\n',
            b"\xef\xbb\xbf",
            b"data: \xff\n\n",
            b"error",
        ]
    ).map(lambda piece: lambda _: piece),
)


@settings(max_examples=300)
@given(dialects, st.lists(makers, max_size=8), st.lists(st.integers(0, 900)))
def test_cuts_change_nothing(dialect, made, cuts):
    """However a stream is cut, the client gets the same bytes and the same facts are read."""
    stream = b"".join(make(dialect) for make in made)
    whole, passed = read(dialect, stream)
    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    reader, got = read(dialect, *[stream[a:b] for a, b in pairwise(places)])
    assert got == passed
    assert facts(reader) == facts(whole)


@given(dialects, st.binary(max_size=60) | st.lists(ends, max_size=6).map(b"".join))
def test_no_bytes_make_it_raise(dialect, noise):
    """Any bytes are read or dropped, and what passes is whole events only."""
    begun = words(dialect, "a")
    reader, passed = read(dialect, begun + noise)
    assert passed.startswith(begun)
    again, same = read(dialect, passed)
    assert same == passed
    assert again.events == reader.events


shapes = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | texts,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "delta", "text", "usage", "message", "response", "item"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
kinds = st.sampled_from(
    [
        "content_block_delta",
        "content_block_start",
        "message_start",
        "message_delta",
        "response.output_text.delta",
        "response.output_item.added",
        "response.completed",
        "response.failed",
        "response.audio.delta",
    ]
)
fields = st.dictionaries(
    st.sampled_from(["delta", "content_block", "message", "usage", "response", "item"]), shapes
)


@given(dialects, kinds, fields)
@pytest.mark.uncounted
def test_no_shape_makes_it_raise(dialect, kind, fields):
    """Whatever an event of a known type holds, it is read or skipped."""
    reader, passed = read(dialect, event(kind, **fields))
    assert reader.content_bytes >= 0
    assert passed in (b"", event(kind, **fields))
