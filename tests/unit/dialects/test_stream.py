"""Streams as clients see them, and what is read on the way."""

import json
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.fakes.promptly import within_cpu
from tollway.dialects.sse import MAX_EVENT_BYTES
from tollway.dialects.stream import StreamReader
from tollway.domain.usage import Usage


def event(content=None, *, finish=None, end=b"\n\n", index=0, **top):
    delta = {} if content is None else {"content": content}
    choice = {"index": index, "delta": delta, "finish_reason": finish}
    body = {"id": "c", "object": "chat.completion.chunk", "choices": [choice], **top}
    return b"data: " + json.dumps(body, ensure_ascii=False).encode() + end


def data(value, end=b"\n\n"):
    return b"data: " + (value if isinstance(value, bytes) else json.dumps(value).encode()) + end


DONE = b"data: [DONE]\n\n"
USAGE = data({"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 2}})


def read(*pieces, forward_usage=False, end=True):
    reader = StreamReader(forward_usage)
    passed = b"".join([reader.feed(piece) for piece in pieces])
    return reader, passed + (reader.end() if end else b"")


def facts(reader):
    return {
        name: getattr(reader, name)
        for name in (
            "began",
            "done",
            "finished",
            "read",
            "events",
            "content_bytes",
            "usage",
            "error",
            "overflow",
            "malformed",
            "dropped",
        )
    }


class TestOrdinaryStreams:
    def test_a_whole_stream(self):
        """Every event passes with its bytes; content is counted; the end is seen."""
        stream = event("") + event("Hel") + event("lö") + event(finish="stop") + DONE
        reader, passed = read(stream)
        assert passed == stream
        assert (reader.began, reader.done, reader.finished) == (True, True, True)
        assert (reader.events, reader.content_bytes, reader.read) == (2, 6, 4)
        assert reader.usage is None

    @pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n"])
    def test_an_ordinary_read_is_passed_as_the_same_object(self, end):
        """One event in one read is not copied."""
        reader, piece = StreamReader(False), event("x", end=end)
        assert reader.feed(piece) is piece
        many = event("a") + event("b") + event("c")
        assert reader.feed(many) is many

    def test_text_completions(self):
        """`text` counts as content."""
        reader, passed = read(data({"choices": [{"index": 0, "text": "abc"}]}) + DONE)
        assert reader.content_bytes == 3
        assert passed.endswith(DONE)

    def test_several_choices(self):
        """With n > 1 each piece counts, and all choices have to finish."""
        reader, _ = read(event("a", index=0), event("b", index=1), event(finish="stop", index=0))
        assert reader.events == 2
        assert not reader.finished
        reader.feed(event(finish="length", index=1))
        assert reader.finished
        assert not reader.done

    def test_a_cut_stream_is_not_finished(self):
        """Content without a finish reason and without [DONE] is no whole answer."""
        reader, passed = read(event("a"))
        assert passed == event("a")
        assert not reader.finished
        assert not read(event("a", finish=""))[0].finished

    def test_after_done_nothing_counts(self):
        """What follows [DONE] is not passed and not read, in the same read or later."""
        reader, passed = read(event("a") + DONE + event("b") + b"garbage\n\n", event("c"))
        assert passed == event("a") + DONE
        assert reader.events == 1
        assert reader.end() == b""

    @pytest.mark.parametrize(
        "done",
        [b"data:[DONE]\n\n", b"data:  [DONE] \n\n", b"data: [DONE]\r\n\r\n", b"data: [DONE]\r\r"],
    )
    def test_done_in_odd_spacing(self, done):
        """[DONE] is known with any spacing and any line ends, and passes as it came."""
        reader, passed = read(event("a"), done, end=False)
        assert reader.done
        assert passed == event("a") + done

    def test_done_without_an_empty_line(self):
        """Some servers close right after [DONE]: the empty line is supplied."""
        for tail in (b"data: [DONE]", b"data: [DONE]\n", b"data: [DONE]\r\n"):
            reader, passed = read(event("a"), tail)
            assert reader.done
            assert passed == event("a") + DONE

    def test_a_last_event_without_an_empty_line(self):
        """An event that is whole but for its empty line counts when the body is complete."""
        reader, passed = read(event("a"), event(finish="stop", end=b""))
        assert reader.finished
        assert passed == event("a") + event(finish="stop")

    def test_a_cut_event_is_dropped(self):
        """Half an event at the end is malformed and does not pass."""
        reader, passed = read(event("a"), event("b", end=b"")[:-3])
        assert passed == event("a")
        assert (reader.malformed, reader.dropped) == (1, 1)


class TestUsage:
    def test_the_usage_chunk_nobody_asked_for_is_dropped(self):
        """Usage that we asked for is read and kept from the client."""
        reader, passed = read(event("a") + USAGE + DONE)
        assert passed == event("a") + DONE
        assert reader.usage == Usage(input=5, output=2)
        assert reader.dropped == 1

    def test_the_usage_chunk_passes_when_asked_for(self):
        """The client's own wish is granted."""
        reader, passed = read(event("a") + USAGE + DONE, forward_usage=True)
        assert passed == event("a") + USAGE + DONE
        assert reader.usage == Usage(input=5, output=2)

    @pytest.mark.parametrize("choices", [{"choices": None}, {}])
    def test_servers_that_leave_choices_out(self, choices):
        """vLLM and others send usage with null or absent choices."""
        chunk = data({**choices, "usage": {"prompt_tokens": 5, "completion_tokens": 2}})
        assert read(event("a") + chunk + DONE)[1] == event("a") + DONE

    def test_usage_beside_content_passes(self):
        """Usage in an event with choices is read, and the event stays."""
        last = event("a", usage={"prompt_tokens": 5, "completion_tokens": 2})
        reader, passed = read(last + DONE)
        assert passed == last + DONE
        assert reader.usage == Usage(input=5, output=2)
        assert reader.events == 1

    def test_the_last_usage_counts(self):
        """Running totals: the newest replaces the older."""
        first = event("a", usage={"prompt_tokens": 5, "completion_tokens": 1})
        assert read(first + USAGE + DONE)[0].usage == Usage(input=5, output=2)

    def test_unreadable_usage_changes_nothing(self):
        """An insane usage is not reported; its event is an ordinary one."""
        reader, passed = read(event("a") + USAGE + data({"choices": [], "usage": 5}) + DONE)
        assert reader.usage == Usage(input=5, output=2)
        assert passed == event("a") + data({"choices": [], "usage": 5}) + DONE

    def test_azures_first_chunk_passes(self):
        """Empty choices without usage are an ordinary event."""
        first = data({"choices": [], "prompt_filter_results": [{"prompt_index": 0}], "usage": None})
        reader, passed = read(first + event("a") + DONE)
        assert passed == first + event("a") + DONE
        assert reader.events == 1


class TestErrors:
    @pytest.mark.parametrize(
        ("piece", "status", "message"),
        [
            (data({"error": {"message": "boom", "code": 500}}), 500, "boom"),
            (data({"object": "error", "message": "boom", "code": 400}), 400, "boom"),
            (b'error: {"code":400,"message":"boom"}\n\n', 400, "boom"),
            (b'event: error\ndata: {"message":"boom"}\n\n', None, "boom"),
            (event("", error={"message": "boom", "code": "server_error"}), None, "boom"),
            (data({"error": "boom"}), None, "boom"),
            (data({"error": {"x": 1}}), None, "The provider reported an error."),
        ],
    )
    @pytest.mark.parametrize("before", [b"", event("a")])
    def test_an_error_event_ends_the_stream(self, piece, status, message, before):
        """Its bytes do not pass, nothing after it counts, and it is told with its status."""
        reader, passed = read(before + piece + event("b") + DONE)
        assert passed == before
        assert reader.error[:2] == (status, message)
        assert (reader.done, reader.finished) == (False, False)
        assert reader.events == len(before[:1])

    @pytest.mark.parametrize("error", [None, "", {}])
    def test_an_empty_error_is_none(self, error):
        """`"error": null` and the like are part of some servers' ordinary events."""
        reader, passed = read(event("a", error=error) + DONE)
        assert reader.error is None
        assert passed == event("a", error=error) + DONE

    def test_an_error_among_numbers_out_of_range(self):
        """An error is an error whatever else stands in its event."""
        reader, _ = read(data(b'{"error":{"message":"boom"},"x":1e999}'))
        assert reader.error.message == "boom"
        reader, passed = read(event("a") + data(b'{"x":1e999}') + DONE)
        assert reader.error is None
        assert passed == event("a") + data(b'{"x":1e999}') + DONE

    def test_events_that_say_nothing_are_no_answer(self):
        """They wait for the first that does; without one the stream held none."""
        reader, passed = read(data(b"{}") + data(b'{"choices":[]}') + DONE)
        assert reader.error.code == "empty_stream"
        assert passed == b""
        reader, passed = read(data(b"{}") + event("a") + data(b"{}") + DONE)
        assert reader.error is None
        assert passed == data(b"{}") + event("a") + data(b"{}") + DONE

    def test_one_malformed_event_is_skipped(self):
        """One bad event among good ones is dropped and counted."""
        reader, passed = read(event("a") + data(b'{"x":') + event("b") + data(b"[]") + DONE)
        assert passed == event("a") + event("b") + DONE
        assert (reader.malformed, reader.dropped, reader.error) == (2, 2, None)

    def test_two_malformed_events_in_a_row_are_an_error(self):
        """A provider that talks garbage is cut off."""
        reader, passed = read(event("a") + data(b"<html>") + data(b"</html>") + event("b"))
        assert passed == event("a")
        assert reader.error.code == "malformed_stream"

    @pytest.mark.parametrize("bad", [b'{"x":"\xff"}', b'{"x":"\xed\xa0\x80"}', b"\x00", b"{}{}"])
    def test_bytes_that_are_no_text(self, bad):
        """Invalid UTF-8 is malformed even where nobody would have read it."""
        reader, passed = read(event("é") + data(bad) + event("b") + DONE)
        assert passed == event("é") + event("b") + DONE
        assert reader.malformed == 1

    def test_deep_events_are_malformed(self):
        """Nesting beyond the decoder's depth is not read."""
        assert read(event("a") + data(b"[" * 100_000) + DONE)[0].malformed == 1

    def test_a_stream_without_an_event_is_an_error(self):
        """[DONE] alone is no answer, so another target can be asked."""
        reader, passed = read(b": hi\n\n" + DONE)
        assert passed == b""
        assert reader.error.code == "empty_stream"
        assert not reader.done
        assert not read(b"")[0].began


class TestLines:
    def test_other_fields_are_dropped(self):
        """event, id, retry and unknown lines go; data lines keep their bytes."""
        body = b'{"choices":[{"delta":{"content":"a"}}]}'
        reader, passed = read(
            b"event: x\nid: 1\r\ndata: " + body + b"\nretry: 1\nfoo\n\nid: 2\n\n" + DONE
        )
        assert passed == b"data: " + body + b"\n\n" + DONE
        assert reader.events == 1
        assert reader.dropped == 1

    def test_line_ends_do_not_merge_over_a_dropped_line(self):
        """A CR before and an LF after a dropped line stay two line ends."""
        body = event("a", end=b"\r")
        assert read(body + b"id: 1\n\n" + DONE)[1] == body + b"\r" + DONE
        assert read(body + b"id: 1\r\n\r\n" + DONE)[1] == body + b"\r" + DONE

    def test_data_of_several_lines(self):
        """Lines are joined before they are read, and pass as they came."""
        piece = b'data: {"choices":[{"delta":\ndata:{"content":"ab"}}]}\n\n'
        reader, passed = read(piece + DONE)
        assert passed == piece + DONE
        assert reader.content_bytes == 2

    def test_a_line_break_inside_json_is_no_line_of_data(self):
        """JSON that goes on in a line without `data` is cut, as the client would see it."""
        broken = b'data: {"choices":\n[{"delta":{"content":"ab"}}]}\n\n'
        reader, passed = read(event("a") + broken + DONE)
        assert reader.malformed == 1
        assert passed == event("a") + DONE
        hidden = event("a", end=b"\r\n\n")[:-3].replace(b": [", b":\r [") + b"\n\n"
        assert read(hidden)[0].malformed == 1

    def test_comments_pass_but_count_for_nothing(self):
        """Keep-alives reach the client once the answer began; they are no events."""
        reader, passed = read(b": one\n\n", event("a"), b": two\n\n:\n\n", DONE)
        assert passed == event("a") + b": two\n\n:\n\n" + DONE
        assert (reader.read, reader.events) == (1, 1)

    def test_a_comment_before_the_first_event_does_not_begin_it(self):
        """Nothing passes before the first valid event."""
        reader, passed = read(b": one\n\n: two\n\n", end=False)
        assert passed == b""
        assert not reader.began
        assert reader.feed(b": with\n" + event("a")) == b": with\n" + event("a")

    def test_empty_data_is_dropped(self):
        """An event without data would break clients that parse it."""
        reader, passed = read(event("a") + b"data:\n\ndata: \n\n" + DONE)
        assert passed == event("a") + DONE
        assert (reader.malformed, reader.dropped) == (0, 2)

    def test_a_byte_order_mark_is_dropped_once(self):
        """At the very beginning it means nothing; elsewhere it spoils its line."""
        mark = b"\xef\xbb\xbf"
        assert read(mark + event("a") + DONE)[1] == event("a") + DONE
        assert read(event("a") + mark + event("b") + DONE)[1] == event("a") + DONE

    def test_a_prompt_that_looks_like_events_is_inert(self):
        """SSE text inside content is escaped by JSON and ends nothing."""
        text = "\r\n\r\ndata: [DONE]\n\ndata: {}\r\rerror: x\n\n"
        reader, passed = read(event(text) + event("b") + DONE)
        assert passed == event(text) + event("b") + DONE
        assert (reader.events, reader.error) == (2, None)


class TestSizes:
    def test_an_event_at_the_cap_passes(self):
        """One MiB is allowed, in one read or in many."""
        pad = MAX_EVENT_BYTES - len(event(""))
        full = event("x" * pad)
        assert len(full) == MAX_EVENT_BYTES
        for pieces in ([full], [full[:-1], full[-1:]], [full + DONE]):
            reader, passed = read(*pieces)
            assert passed.startswith(full)
            assert not reader.overflow

    @pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n"])
    def test_an_event_over_the_cap_is_an_overflow(self, end):
        """One byte more is refused; what came before it passes."""
        pad = MAX_EVENT_BYTES + 1 - len(event("", end=end))
        full = event("x" * pad, end=end)
        for pieces in ([full], [full[:-1], full[-1:]], [full + DONE], [event("a") + full]):
            reader, passed = read(*pieces)
            assert reader.overflow
            assert passed in (b"", event("a"))
            assert not reader.done

    def test_a_line_without_an_end_is_an_overflow(self):
        """Unterminated data is given up at one MiB, and whole events before it still pass."""
        reader, passed = read(event("a") + b"x" * MAX_EVENT_BYTES, end=False)
        assert passed == event("a")
        assert not reader.overflow
        assert reader.feed(b"x") == b""
        assert reader.overflow
        assert reader.feed(event("b")) == b""

    def test_done_before_a_flood_is_done(self):
        """What comes after [DONE] cannot make it an overflow."""
        reader, _ = read(event("a") + b"data: [DO", b"NE]\n\n" + b"x" * 2 * MAX_EVENT_BYTES)
        assert (reader.done, reader.overflow) == (True, False)

    def test_bytes_one_by_one_cost_linear_time(self):
        """A hundred thousand one-byte reads of one event take well under a second of CPU."""
        reader, full = StreamReader(False), event("x" * 100_000)
        with within_cpu(1):
            passed = b"".join([reader.feed(full[i : i + 1]) for i in range(len(full))])
        assert passed == full


STRANGE = (
    b"\xef\xbb\xbf: hi\r\n\r\n"
    + event("Hé", end=b"\r\n\r\n")
    + b": ping\n\n"
    + event("lo😀")
    + data(b'{"bad":')
    + b"event: x\nid: 7\n"
    + event("!", end=b"\n\r\n")
    + b'data: {"choices":[{"index":1,\r\ndata:"delta":{"content":["x"]}}]}\r\r'
    + b"\n\n"
    + event("z", end=b"\r\r")
    + USAGE
    + event(finish="stop")
    + b"data:[DONE]\r\n\r\n"
    + event("late")
)


def test_every_cut_of_a_strange_stream():
    """Cut at each byte, and into bytes, a stream of every peculiarity reads the same."""
    whole, passed = read(STRANGE)
    assert whole.done
    assert whole.malformed == 1
    for cut in range(len(STRANGE) + 1):
        reader, got = read(STRANGE[:cut], STRANGE[cut:])
        assert got == passed, cut
        assert facts(reader) == facts(whole), cut
    reader, got = read(*[STRANGE[i : i + 1] for i in range(len(STRANGE))])
    assert got == passed
    assert facts(reader) == facts(whole)


ends = st.sampled_from([b"\n\n", b"\r\n\r\n", b"\r\r", b"\n\r\n", b"\r\n\n"])
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
events = st.one_of(
    st.builds(lambda text, end: event(text, end=end), texts, ends),
    st.builds(lambda text, end: b": " + text + end, st.sampled_from([b"", b"x"]), ends),
    st.builds(lambda end: event(finish="stop", end=end), ends),
    st.sampled_from(
        [
            USAGE,
            DONE,
            b"\n",
            b"\r",
            b"\r\n",
            b"data: {\n\n",
            b"data:\n\n",
            b"id: 1\n\n",
            b"event: error\n",
            b'data: {"error":{"message":"x"}}\n\n',
            b'data: {"choices":[{"delta":{"content":[{"text":"x"}]}}]}\n\n',
            b"\xef\xbb\xbf",
            b"data: \xff\n\n",
            b"error",
        ]
    ),
)


@settings(max_examples=300)
@given(st.lists(events, max_size=8).map(b"".join), st.lists(st.integers(0, 600)), st.booleans())
def test_cuts_change_nothing(stream, cuts, forward_usage):
    """However a stream is cut, the client gets the same bytes and the same facts are read."""
    whole, passed = read(stream, forward_usage=forward_usage)
    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    pieces = [stream[a:b] for a, b in pairwise(places)]
    reader, got = read(*pieces, forward_usage=forward_usage)
    assert got == passed
    assert facts(reader) == facts(whole)


@given(st.binary(max_size=60) | st.lists(events | ends, max_size=6).map(b"".join))
@example(b":\r\x00")
def test_no_bytes_make_it_raise(noise):
    """Any bytes are read or dropped, and what passes is whole events only."""
    reader, passed = read(event("a") + noise)
    assert passed.startswith(event("a"))
    assert reader.began
    again, same = read(passed, forward_usage=True)
    assert same == passed
    assert again.events == reader.events
