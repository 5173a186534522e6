"""What the events of pictures, speech and transcriptions say."""

import json
import tracemalloc

import pytest

from tests.fakes.promptly import within
from tollway.dialects.stream_media import (
    MAX_PICTURE_EVENT_BYTES,
    PictureReader,
    SpeechReader,
    TranscriptReader,
)
from tollway.domain.usage import Usage

DRAWN = {
    "total_tokens": 300,
    "input_tokens": 50,
    "output_tokens": 250,
    "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
}
SPOKEN = {"input_tokens": 14, "output_tokens": 101, "total_tokens": 115}
HEARD = {
    "type": "tokens",
    "input_tokens": 14,
    "input_token_details": {"text_tokens": 4, "audio_tokens": 10},
    "output_tokens": 9,
    "total_tokens": 23,
}


def named(kind, **fields):
    """With a line that names it."""
    return b"event: " + kind.encode() + b"\n" + unnamed(kind, **fields)


def unnamed(kind, **fields):
    return b"data: " + json.dumps({"type": kind, **fields}).encode() + b"\n\n"


def pictures(event, kind="image_generation"):
    return [
        event(f"{kind}.partial_image", b64_json="QUJD" * 9, partial_image_index=0, size="1x1"),
        event(f"{kind}.partial_image", b64_json="REVG" * 9, partial_image_index=1),
        event(f"{kind}.completed", b64_json="R0hJ" * 9, usage=DRAWN),
    ]


def speech(event):
    return [
        event("speech.audio.delta", audio="QUJD" * 9),
        event("speech.audio.delta", audio="REVG" * 9),
        event("speech.audio.done", usage=SPOKEN),
    ]


def transcript(event):
    return [
        event("transcript.text.delta", delta="Grüße ", logprobs=[{"token": "Gr", "bytes": [1]}]),
        event("transcript.text.segment", id="seg_1", text="Grüße data: x", start=0.0, end=1.5),
        event("transcript.text.delta", delta="data: x"),
        event("transcript.text.done", text="Grüße data: x", usage=HEARD),
    ]


# By name: the reader, its events, and what it reads: events, content bytes, usage.
STREAMS = {
    "generations": (PictureReader, pictures, (3, 800, Usage(10, None, None, 250, None, None, 40))),
    "edits": (
        PictureReader,
        lambda event: pictures(event, "image_edit"),
        (3, 800, Usage(10, None, None, 250, None, None, 40)),
    ),
    "speech": (SpeechReader, speech, (2, 2, Usage(14, output=101))),
    "transcript": (
        TranscriptReader,
        transcript,
        (2, len("Grüße data: x".encode()), Usage(4, None, None, 9, None, 10)),
    ),
}
FORMS = {
    "named": lambda data: data,
    "CRLF": lambda data: data.replace(b"\n", b"\r\n"),
    "commented": lambda data: data.replace(b"data: {", b": note\ndata: {"),
}


def read(reader, *pieces):
    passed = b"".join([reader.feed(piece) for piece in pieces])
    return passed + reader.end()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("event", [named, unnamed])
@pytest.mark.parametrize("name", STREAMS)
def test_every_cut_of_a_whole_stream(name, event, form):
    """At once, and cut at each byte, it passes unchanged and reads the same."""
    make, events, facts = STREAMS[name]
    whole = FORMS[form](b"".join(events(event)))
    for cut in range(len(whole) + 1):
        reader = make()
        assert read(reader, whole[:cut], whole[cut:]) == whole
        assert (reader.events, reader.content_bytes, reader.usage) == facts
        assert (reader.done, reader.finished, reader.error) == (True, True, None)
        assert reader.counted == facts[:2]
        assert reader.read == len(events(event))


@pytest.mark.parametrize("event", [named, unnamed])
@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_that_ends_early(name, event):
    """Wherever it ends it is not whole, and whole events alone have passed."""
    make, events, _ = STREAMS[name]
    pieces = events(event)
    whole = b"".join(pieces)
    ends = [len(b"".join(pieces[:count])) for count in range(len(pieces) + 1)]
    for cut in range(len(whole) - 2):
        reader = make()
        passed = reader.feed(whole[:cut])
        assert passed == whole[: max(end for end in ends if end <= cut)]
        assert not reader.finished
        assert reader.usage is None


@pytest.mark.parametrize("name", STREAMS)
def test_what_follows_the_end_is_nobodys(name):
    """Also a `[DONE]`, which some servers say."""
    make, events, _ = STREAMS[name]
    whole = b"".join(events(named))
    reader = make()
    assert read(reader, whole + b"data: [DONE]\n\n", whole) == whole


@pytest.mark.parametrize("name", STREAMS)
def test_a_word_that_ends_it_without_an_end(name):
    """`[DONE]` alone ends a stream that had begun; its usage was not told."""
    make, events, _ = STREAMS[name]
    reader = make()
    first = events(unnamed)[0]
    assert read(reader, first, b"data: [DONE]\n\n") == first
    assert (reader.done, reader.usage) == (True, None)


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize(
    "told",
    [
        {"type": "error", "error": {"message": "no", "code": "moderation_blocked"}},
        {"error": {"message": "no", "code": "moderation_blocked"}},
    ],
)
def test_an_error_inside(name, told):
    """Before and after the first event."""
    make, events, _ = STREAMS[name]
    fault = b"data: " + json.dumps(told).encode() + b"\n\n"
    for before in (b"", events(named)[0]):
        reader = make()
        assert read(reader, before + fault) == before
        assert (reader.error.message, reader.error.code) == ("no", "moderation_blocked")


def test_an_error_in_an_event_that_is_ordinary_otherwise():
    """It is no piece."""
    reader = TranscriptReader()
    reader.feed(unnamed("transcript.text.delta", delta="x", error={"message": "no"}))
    assert reader.error.message == "no"


@pytest.mark.parametrize("name", STREAMS)
def test_malformed_events(name):
    """One is skipped, two in a row end it; a name that is not the type's stays here."""
    make, events, _ = STREAMS[name]
    good = events(unnamed)
    reader = make()
    assert read(reader, good[0] + b'data: {"type":\n\n' + b"".join(good[1:])) == b"".join(good)
    assert (reader.malformed, reader.error) == (1, None)
    reader = make()
    read(reader, good[0] + b"data: \xff\n\ndata: []\n\n")
    assert reader.error.code == "malformed_stream"
    reader = make()
    assert read(reader, b"event: evil\n" + good[0]) == good[0]


def test_shapes_nobody_knows():
    """A delta that is no text passes, and is counted as far as it holds some."""
    reader = TranscriptReader()
    odd = unnamed("transcript.text.delta", delta=[{"text": "abc"}])
    assert read(reader, odd) == odd
    assert (reader.events, reader.content_bytes) == (1, 3)
    odd = unnamed("transcript.text.done", text=5)
    reader = TranscriptReader()
    assert read(reader, odd) == odd
    assert (reader.done, reader.usage) == (True, None)


def test_a_transcript_that_comes_at_once():
    """Its last event alone is an answer; what it says counts where no delta did."""
    reader = TranscriptReader()
    last = unnamed("transcript.text.done", text="Grüße", usage={"type": "duration", "seconds": 3})
    assert read(reader, last) == last
    assert (reader.events, reader.content_bytes, reader.usage) == (1, 7, None)


def test_speech_without_sound_is_none():
    """An end without a beginning."""
    reader = SpeechReader()
    assert read(reader, unnamed("speech.audio.done", usage=SPOKEN)) == b""
    assert reader.error.code == "empty_stream"


def test_nothing_restarts_a_timer_without_an_event():
    """Pings pass once it has begun, and are no progress."""
    reader = PictureReader()
    ping = unnamed("keepalive")
    assert reader.feed(ping) == b""
    first = pictures(named)[0]
    assert reader.feed(first) + reader.feed(ping) == first + ping
    assert reader.read == 1


@pytest.mark.parametrize("event", [named, unnamed])
def test_a_large_picture(event):
    """Twenty megabytes in pieces of a read: within time and a bound on what is copied."""
    whole = b"".join(pictures(event)[:1]) + event(
        "image_generation.completed", b64_json="A" * (20 << 20), usage=DRAWN
    )
    pieces = [whole[place : place + 65536] for place in range(0, len(whole), 65536)]
    reader = PictureReader()
    tracemalloc.start()
    try:
        with within(10):
            size = sum([len(reader.feed(piece)) for piece in pieces])
        assert tracemalloc.get_traced_memory()[1] < 130 << 20
    finally:
        tracemalloc.stop()
    assert (size, reader.done, reader.usage.output) == (len(whole), True, 250)


def test_pictures_are_bounded():
    """What is larger than any picture is not gathered; speech has the bound of typed events."""
    for reader, most in ((PictureReader(), MAX_PICTURE_EVENT_BYTES), (SpeechReader(), 8 << 20)):
        fed, piece = 0, b"A" * (1 << 20)
        reader.feed(b'data: {"type": "x", "b64_json": "')
        while not reader.overflow:
            reader.feed(piece)
            fed += len(piece)
            assert fed <= most + len(piece)
