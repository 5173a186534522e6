"""Amazon's frames: the same ones however the bytes are cut, and nothing of a damaged one."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.amazon import event, frame, header
from tollway.dialects.amazon_frames import Frame, FrameBuffer, FrameError
from tollway.dialects.sse import MAX_EVENT_BYTES

# From the vectors that Amazon's own libraries are tested with.
EMPTY = bytes.fromhex("000000100000000005c248eb7d98c8ff")
BARE = bytes.fromhex("0000001d00000000fd528c5a7b27666f6f273a27626172277dc3653936")
TYPED = bytes.fromhex(
    "0000003d0000002007fd83960c636f6e74656e742d747970650700106170706c69636174696f6e2f6a736f6e"
    "7b27666f6f273a27626172277d8d9c08b1"
)
ALL_SORTS = frame(
    header("t", b"", 0)
    + header("f", b"", 1)
    + header("byte", b"\xff", 2)
    + header("short", b"\x00\x01", 3)
    + header("int", bytes(4), 4)
    + header("long", bytes(8), 5)
    + header("blob", b"\x00\x01\x02", 6)
    + header("text", "größe")
    + header("time", bytes(8), 8)
    + header("uuid", bytes(16), 9),
    b"x",
)


def taken(*pieces):
    """The frames in these reads, and what broke them off."""
    buffer, frames = FrameBuffer(), []
    try:
        for piece in pieces:
            buffer.add(piece)
            while (found := buffer.take()) is not None:
                frames.append(found)
    except FrameError as error:
        return frames, str(error)
    return frames, None


def test_published_vectors():
    """Without anything, with a payload, with a header; of headers only texts are kept."""
    assert taken(EMPTY + BARE + TYPED + ALL_SORTS) == (
        [
            Frame({}, b""),
            Frame({}, b"{'foo':'bar'}"),
            Frame({"content-type": "application/json"}, b"{'foo':'bar'}"),
            Frame({"text": "größe"}, b"x"),
        ],
        None,
    )


LARGE = MAX_EVENT_BYTES - 16
DAMAGED = "The provider sent a damaged frame."
NO_HEADERS = "The provider sent a frame whose headers cannot be read."
BROKEN = {
    "a length": (b"\x00\x00\x01\x10" + EMPTY[4:], DAMAGED),
    "its check": (EMPTY[:8] + b"\x00" + EMPTY[9:], DAMAGED),
    "a payload": (BARE[:14] + b"?" + BARE[15:], DAMAGED),
    "the last byte": (TYPED[:-1] + b"\x00", DAMAGED),
    "too short": (bytes.fromhex("0000000f00000000e77248b8"), DAMAGED),
    "type": (
        frame(header("a", b"", 10), b""),
        "The provider sent a frame with a header of no known type.",
    ),
    "longer than it is": (frame(b"\x01a\x07\x00\x09x", b""), NO_HEADERS),
    "cut in a name": (frame(b"\x09a", b""), NO_HEADERS),
    "cut in a size": (frame(b"\x01a\x07\x00", b""), NO_HEADERS),
    "no text": (frame(b"\x01a\x07\x00\x01\xff", b""), NO_HEADERS),
    "too large": (
        frame(b"", bytes(LARGE + 1))[:12],
        "The provider sent an event that is too large.",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_damage(name):
    """Those before it are read, none behind it, wherever the bytes are cut."""
    broken, words = BROKEN[name]
    data = BARE + broken + BARE
    expected = ([Frame({}, b"{'foo':'bar'}")], words)
    assert taken(data) == expected
    assert taken(*[data[at : at + 1] for at in range(len(data))]) == expected
    for at in range(len(data)):
        assert taken(data[:at], data[at:]) == expected


def test_the_largest():
    """Is read; one byte more is known by its first 12."""
    assert taken(frame(b"", bytes(LARGE))) == ([Frame({}, bytes(LARGE))], None)
    buffer = FrameBuffer()
    buffer.add(frame(b"", bytes(LARGE + 1))[:12])
    with pytest.raises(FrameError) as caught:
        buffer.take()
    assert caught.value.too_large


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_changed_bit_never_passes(data):
    """A check finds each of them: no frame comes that was not sent."""
    good = event("messageStart", role="assistant")
    at = data.draw(st.integers(0, len(good) * 8 - 1))
    bad = bytearray(good)
    bad[at // 8] ^= 1 << at % 8
    frames, error = taken(bytes(bad))
    assert frames == []
    assert error is not None


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60), st.binary(max_size=60))
def test_no_bytes_make_it_raise_anything_else(headers, rest):
    """Whatever a provider sends."""
    taken(frame(headers, b"x") + rest)
    taken(rest)
