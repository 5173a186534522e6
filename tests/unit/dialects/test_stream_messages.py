"""What the events of a Messages stream say."""

import json

import pytest

from tollway.dialects.stream_messages import MessagesReader
from tollway.domain.usage import Usage


def event(kind, **fields):
    body = json.dumps({"type": kind, **fields}).encode()
    return b"event: " + kind.encode() + b"\ndata: " + body + b"\n\n"


def delta(**fields):
    return event("content_block_delta", index=0, delta=fields)


def start(usage=None):
    message = {"id": "msg_1", "type": "message", "role": "assistant", "content": []}
    if usage is not None:
        message["usage"] = usage
    return event("message_start", message=message)


def ended(usage=None, reason="end_turn"):
    return event("message_delta", delta={"stop_reason": reason, "stop_sequence": None}, usage=usage)


STOP = event("message_stop")
READ = {"input_tokens": 3, "cache_read_input_tokens": 50, "cache_creation_input_tokens": 7}
# As documented: text, thinking with a signature, a tool's arguments in pieces, a ping.
WHOLE = b"".join(
    (
        start({**READ, "output_tokens": 1}),
        event("content_block_start", index=0, content_block={"type": "thinking", "thinking": ""}),
        event("ping"),
        delta(type="thinking_delta", thinking="Hmm."),
        delta(type="signature_delta", signature="EqQBCgIYAhIM1gbcDa9GJwZA2b3h"),
        event("content_block_stop", index=0),
        event("content_block_start", index=1, content_block={"type": "text", "text": ""}),
        delta(type="text_delta", text="Grüße"),
        delta(type="citations_delta", citation={"cited_text": "not the model's"}),
        event("content_block_stop", index=1),
        event(
            "content_block_start",
            index=2,
            content_block={"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}},
        ),
        delta(type="input_json_delta", partial_json=""),
        delta(type="input_json_delta", partial_json='{"city": "Bern"}'),
        event("content_block_stop", index=2),
        ended({"output_tokens": 40}, "tool_use"),
        STOP,
    )
)


def read(*pieces):
    reader = MessagesReader()
    passed = b"".join([reader.feed(piece) for piece in pieces])
    return reader, passed + reader.end()


def test_a_whole_stream():
    """Words, thoughts, names and arguments of tools are content; signatures and quotes are not."""
    reader, passed = read(WHOLE)
    assert passed == WHOLE
    assert (reader.done, reader.finished) == (True, True)
    assert reader.events == 4
    assert reader.content_bytes == len("Hmm.Grüßeweather".encode()) + len('{"city": "Bern"}')
    assert reader.usage == Usage(3, 50, 7, 40)
    assert reader.read == WHOLE.count(b"\n\n") - 1  # the ping


def test_every_cut_of_it():
    """Cut at each byte it reads the same."""
    whole, _ = read(WHOLE)
    for cut in range(len(WHOLE) + 1):
        reader, passed = read(WHOLE[:cut], WHOLE[cut:])
        assert passed == WHOLE
        assert (reader.events, reader.content_bytes) == (whole.events, whole.content_bytes)
        assert (reader.usage, reader.input_usage) == (whole.usage, whole.input_usage)
        assert (reader.read, reader.done) == (whole.read, True)


def test_what_came_first_is_not_the_usage_of_an_answer():
    """Until the end only the input is known: a cut answer is not billed the one token it began
    with."""
    reader, _ = read(start({**READ, "output_tokens": 1}), delta(type="text_delta", text="x" * 400))
    assert reader.usage is None
    assert reader.input_usage == Usage(3, 50, 7, 1)


@pytest.mark.parametrize(
    ("first", "then", "usage"),
    [
        (None, {"input_tokens": 9, "output_tokens": 4}, Usage(9, output=4)),
        ({"input_tokens": 0, "output_tokens": 0}, {"input_tokens": 9, "output_tokens": 4}, None),
        (READ, {"output_tokens": 4}, Usage(3, 50, 7, 4)),
        (READ, {**READ, "input_tokens": 8, "output_tokens": 4}, Usage(8, 50, 7, 4)),
        (READ, None, "none"),
        (5, 5, "none"),
    ],
)
def test_usage_of_both_ends(first, then, usage):
    """Counts are cumulative, and what the end leaves out the beginning has said."""
    reader, _ = read(start(first) + ended(then) + STOP)
    expected = Usage(9, output=4) if usage is None else usage
    assert reader.usage == (None if expected == "none" else expected)


def test_a_reason_to_stop_is_an_end():
    """A server that closes without a last event has still finished."""
    reader, _ = read(start() + ended())
    assert (reader.done, reader.finished) == (False, True)
    assert not read(start() + ended(reason=None))[0].finished


def test_the_end_alone_is_no_answer():
    """A stream that begins with its last event holds none."""
    reader, passed = read(STOP)
    assert (passed, reader.done, reader.error.code) == (b"", False, "empty_stream")


def test_blocks_that_begin_with_content():
    """Some servers put the first words, or all, into the block's beginning."""
    block = event("content_block_start", index=0, content_block={"type": "text", "text": "Hel"})
    assert read(start() + block)[0].content_bytes == 3
    compacted = delta(type="compaction_delta", content="short")
    assert read(start() + compacted)[0].content_bytes == 5


def test_the_ordinary_error():
    """As Anthropic tells it in mid-stream."""
    error = event(
        "error", error={"type": "overloaded_error", "message": "Overloaded"}, request_id="req_1"
    )
    reader, passed = read(start() + error)
    assert passed == start()
    assert reader.error == (503, "Overloaded", "overloaded_error")
