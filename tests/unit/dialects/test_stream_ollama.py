"""What the lines of an Ollama stream say, however they are cut; and whole answers."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tollway.dialects.event_stream import StreamError
from tollway.dialects.reply_ollama import read_chat, read_embedded, read_generated
from tollway.dialects.stream_ollama import OllamaReader
from tollway.dialects.typed_stream import MAX_TYPED_EVENT_BYTES
from tollway.domain.usage import Usage

COUNTS = {"prompt_eval_count": 5, "eval_count": 2}
CALL = {"function": {"name": "look", "arguments": {"at": "x"}}}


def line(message=None, end=b"\n", **more):
    said = {"model": "m", "created_at": "2025-07-07T20:32:53Z", **more}
    if message is not None:
        said["message"] = {"role": "assistant", "content": "", **message}
    return json.dumps({"done": False, **said}).encode() + end


END = line({}, done=True, done_reason="stop", **COUNTS)
WHOLE = (
    line({"thinking": "hm"})
    + line({"content": "Grüße"})
    + line({"tool_calls": [CALL]})
    + line({})
    + END
)


def read(*pieces):
    reader = OllamaReader()
    passed = b"".join([reader.feed(piece) for piece in pieces])
    return reader, passed + reader.end()


def facts(reader):
    return {
        name: getattr(reader, name)
        for name in (
            "began", "read", "events", "content_bytes", "usage", "input_usage", "error", "done",
            "overflow", "malformed", "finished",
        )
    }  # fmt: skip


def test_a_whole_stream():
    """Words, thoughts and calls are content; the last line has the counts."""
    reader, passed = read(WHOLE)
    assert passed == WHOLE
    assert (reader.done, reader.finished, reader.error) == (True, True, None)
    assert (reader.events, reader.read) == (3, 5)
    assert reader.content_bytes == len("hmGrüßelookx".encode())
    assert reader.usage == Usage(5, output=2)


STREAMS = {
    "whole": WHOLE,
    "a mark, other line ends and empty lines": b"\xef\xbb\xbf\n"
    + line({"content": "a"}, b"\r\n")
    + b"\r\n  \n"
    + END,
    "no last end": line({"content": "a"}) + END.rstrip(),
    "one bad line": line({"content": "a"}) + b"no\n" + line({"content": "b"}) + END,
    "two bad lines": line({"content": "a"}) + b"no\n[]\n" + END,
    "an error": line({"content": "a"}) + b'{"error":"it broke"}\n' + END,
    "an error without words": b'{"error":{}, "done": true}\n{"error": 5}\n',
    "more than the end": WHOLE + line({"content": "x"}),
    "cut": line({"content": "a"}),
    "other types": line({"content": 5}, done="true") + b'{"message": 7}\n{}\n' + END,
    "nothing": b"",
    "not text": b'{"message": "\xff"}\n' + END,
}


@pytest.mark.parametrize("name", STREAMS)
def test_however_it_is_cut(name):
    """In two at every byte, and byte by byte, the same passes and the same is read."""
    data = STREAMS[name]
    reader, passed = read(data)
    expected = facts(reader), passed
    found, told = read(*[data[at : at + 1] for at in range(len(data))])
    assert (facts(found), told) == expected
    for at in range(len(data)):
        found, told = read(data[:at], data[at:])
        assert (facts(found), told) == expected


def test_what_is_held_back():
    """Bad lines, empty ones and what comes after the last."""
    reader, passed = read(STREAMS["one bad line"])
    assert passed == line({"content": "a"}) + line({"content": "b"}) + END
    assert (reader.malformed, reader.error) == (1, None)
    assert read(STREAMS["more than the end"])[1] == WHOLE
    assert read(STREAMS["no last end"])[1] == line({"content": "a"}) + END


def test_what_breaks_a_stream():
    """An error in the provider's words, and two lines that are none; nothing of them passes."""
    reader, passed = read(STREAMS["an error"])
    assert reader.error == StreamError(None, "it broke", None)
    assert (passed, reader.finished) == (line({"content": "a"}), False)
    reader, _ = read(STREAMS["two bad lines"])
    assert reader.error.code == "malformed_stream"
    reader, _ = read(STREAMS["an error without words"])
    assert reader.error.message == "The provider reported an error."
    assert not reader.began


def test_a_cut_stream_is_not_whole():
    """Without the last line nothing says that it is."""
    reader, _ = read(STREAMS["cut"])
    assert (reader.finished, reader.done, reader.usage) == (False, False, None)


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_a_line_that_is_too_large(end):
    """Whether it ends or not, it ends the stream, and memory is not taken for more."""
    reader = OllamaReader()
    reader.feed(line({"content": "a"}))
    for _ in range(9):
        reader.feed(b"x" * (MAX_TYPED_EVENT_BYTES // 8))
    passed = reader.feed(end + END)
    assert (passed, reader.overflow, reader.end()) == (b"", True, b"")
    whole = OllamaReader()
    assert whole.feed(b"x" * (MAX_TYPED_EVENT_BYTES + 1) + b"\n" + END) == b""
    assert whole.overflow


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=80), st.integers(0, 80))
def test_no_bytes_make_it_raise(data, cut):
    """Whatever comes, and a cut changes nothing."""
    reader, passed = read(data)
    found, told = read(data[:cut], data[cut:])
    assert (facts(found), told) == (facts(reader), passed)


@pytest.mark.parametrize(
    ("body", "valid", "usage", "size"),
    [
        (line({"content": "hi"}, done=True, **COUNTS), True, Usage(5, output=2), 0),
        (line({"content": "hi"}, done=True), True, None, 2),
        (line({"content": "hi"}), False, None, 0),
        (line(done=True), False, None, 0),
        (b'{"error":"no such model"}', False, None, 0),
        (b"no", False, None, 0),
    ],
)
def test_a_whole_answer(body, valid, usage, size):
    """It says that it is done; what does not is none."""
    reply = read_chat(body)
    assert (reply.valid, reply.usage, reply.content_bytes) == (valid, usage, size)
    if body.startswith(b'{"error"'):
        assert reply.message == "no such model"


def test_a_text_that_goes_on():
    """Its words stand beside the rest; they are counted like a message's."""
    said = line(response="Grüße", thinking="hm") + line(response="", done=True, **COUNTS)
    reader, passed = read(said)
    assert (passed, reader.usage) == (said, Usage(5, output=2))
    assert (reader.events, reader.content_bytes) == (1, len("Grüßehm".encode()))


@pytest.mark.parametrize(
    ("body", "valid", "usage", "size"),
    [
        (line(response="hi", done=True, **COUNTS), True, Usage(5, output=2), 0),
        (line(response="hi", thinking="hm", done=True), True, None, 4),
        (line(response="hi"), False, None, 0),
        (line({}, done=True), False, None, 0),
        (b'{"error":"no such model"}', False, None, 0),
    ],
)
def test_a_whole_text(body, valid, usage, size):
    """It says that it is done; a message is none."""
    reply = read_generated(body)
    assert (reply.valid, reply.usage, reply.content_bytes) == (valid, usage, size)


@pytest.mark.parametrize(
    ("body", "valid", "usage"),
    [
        (b'{"model":"m","embeddings":[[0.1]],"prompt_eval_count":8}', True, Usage(8, output=0)),
        (b'{"embeddings":[]}', True, None),
        (b'{"embeddings":{}}', False, None),
        (b'{"embeddings":[],"error":"x"}', False, None),
        (b'{"error":"x"}', False, None),
        (b"[]", False, None),
    ],
)
def test_embeddings(body, valid, usage):
    """They are a list; the input's tokens are all that is used."""
    reply = read_embedded(body)
    assert (reply.valid, reply.usage) == (valid, usage)
