"""What the simulated provider can do wrong, by name (`fault=NAME` in the prompt).

Faults at a point (`POINTED`): stall, reset, fin, garbage, binary, malformed, long_line, comments,
error_event, continues. Faults of the whole answer are read where its parts are made
(`provider_answer.py`): html, gzip, no_done, second, trailers, length_long, length_short,
close_delimited, http10, te_and_cl, huge_header, many_headers, no_type; and variants that are no
fault: dribble, crlf, fields, interleaved, spaceless.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from tests.fakes.provider_script import ProviderScript
from tests.fakes.provider_shapes import error_body

SECOND_RESPONSE = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 21\r\n\r\n"
    b'{"injected": "answer"'[:20]
    + b"}"
)


class Wire(Protocol):
    """What a fault can reach."""

    script: ProviderScript

    async def raw(self, data: bytes) -> None:
        """Bytes past the framing."""

    async def body(self, data: bytes) -> None:
        """Bytes of the body, framed as the head announced."""

    async def finish(self) -> None:
        """The end of the body."""

    async def until_closed(self) -> None:
        """Wait for the peer to go."""

    def reset(self) -> None:
        """End the connection with RST."""

    def close(self) -> None:
        """End the connection with FIN."""


Fault = Callable[[Wire], Awaitable[bool]]  # whether the answer goes on


async def _stall(wire: Wire) -> bool:
    await wire.until_closed()
    return False


async def _reset(wire: Wire) -> bool:
    wire.reset()
    return False


async def _fin(wire: Wire) -> bool:
    wire.close()
    return False


async def _garbage(wire: Wire) -> bool:
    await wire.raw(b"\x16\x03\x01\x00\xffnot http\r\n\r\n\x00\xff" * 8)
    await wire.until_closed()
    return False


async def _binary(wire: Wire) -> bool:
    await wire.body(b"data: \xff\xfe\x00\x80\n\n\x00\x01\x02\n\n")
    return True


async def _malformed(wire: Wire) -> bool:
    await wire.body(b'data: {"choices": [{"delta": {"content": "bro\n\n')
    return True


async def _long_line(wire: Wire) -> bool:
    """One line without an end, `size` bytes of it, then silence."""
    await wire.body(b'data: {"choices": [{"delta": {"content": "')
    left = wire.script.size
    while left > 0:
        await wire.body(b"x" * min(left, 65536))
        left -= 65536
    await wire.until_closed()
    return False


async def _comments(wire: Wire) -> bool:
    """Signs of life without an event: a token timer must not be fooled."""
    closed = asyncio.ensure_future(wire.until_closed())
    while not closed.done():
        await wire.body(b": still there\n\n")
        await asyncio.wait([closed], timeout=0.01)
    return False


async def _error_event(wire: Wire) -> bool:
    await wire.body(b"data: " + error_body(500, "simulated mid-stream error") + b"\n\n")
    await wire.finish()
    return False


async def _continues(wire: Wire) -> bool:
    await wire.raw(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)
    return True


POINTED: dict[str, Fault] = {
    "stall": _stall,
    "reset": _reset,
    "fin": _fin,
    "garbage": _garbage,
    "binary": _binary,
    "malformed": _malformed,
    "long_line": _long_line,
    "comments": _comments,
    "error_event": _error_event,
    "continues": _continues,
}

VARIANTS: dict[str, Callable[[bytes], bytes]] = {
    "crlf": lambda event: event.replace(b"\n", b"\r\n"),
    "fields": lambda event: b"event: message\nid: 7\nretry: 1\n" + event,
    "interleaved": lambda event: b": keep-alive\n\n" + event,
    "spaceless": lambda event: event.replace(b"data: ", b"data:", 1),
}

SHAPES = frozenset(
    {
        "html",
        "gzip",
        "no_type",
        "no_done",
        "second",
        "trailers",
        "te_and_cl",
        "huge_header",
        "many_headers",
        "length_long",
        "length_short",
        "close_delimited",
        "http10",
        "dribble",
    }
)
FAULTS = frozenset(POINTED) | frozenset(VARIANTS) | SHAPES
