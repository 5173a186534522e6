"""A provider that costs next to nothing: HTTP parsed by hand, answers made beforehand. What its
clients may send is known, so it parses no more than that; it is no server for anything else.

A stream's events leave one by one, each in a write of its own, also without a gap between them:
so does a provider that flushes every token. Only `bench_burst` joins them.
"""

import argparse
import asyncio
import contextlib
import gc
import re

import uvloop

from bench.chat import DISTINCT_EVENTS, answer_body, content_event, stream_events
from bench.machine import pin

_FIELD = re.compile(rb'"bench_(chunks|gap_ms|hold|burst)":\s*(\d+)')


def _framed(piece: bytes) -> bytes:
    return f"{len(piece):x}\r\n".encode() + piece + b"\r\n"


_ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Request-Id: req_b4nchmark\r\n"
    b"Content-Length: %d\r\n\r\n" % len(answer_body())
) + answer_body()
_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
    b"Cache-Control: no-cache\r\nX-Request-Id: req_b4nchmark\r\nTransfer-Encoding: chunked\r\n\r\n"
)
_FIRST = _STREAM_HEAD + _framed(content_event(0))
# By position modulo the count; the first event differs from its later likes (it names the role).
_EVENTS = [_framed(content_event(DISTINCT_EVENTS + i)) for i in range(DISTINCT_EVENTS)]
_USAGE, _DONE = (_framed(event) for event in stream_events(1)[1:])
_LAST = _DONE + b"0\r\n\r\n"


class Provider(asyncio.Protocol):
    """One connection: one request at a time."""

    __slots__ = ("_buffer", "_chunks", "_gap_s", "_hold", "_loop", "_position", "_transport")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._buffer = b""
        self._position = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]  # a TCP one

    def data_received(self, data: bytes) -> None:
        if self._buffer:
            data = self._buffer + data
        while data:
            end = _request_end(data)
            if end == 0 or end > len(data):
                break
            self._answer(data[:end])
            data = data[end:]
        self._buffer = data

    def _answer(self, request: bytes) -> None:
        if b'"bench_chunks"' not in request:
            self._transport.write(_ANSWER)
            return
        asked = {name: int(value) for name, value in _FIELD.findall(request)}
        self._chunks = asked[b"chunks"]
        self._gap_s = asked.get(b"gap_ms", 0) / 1000
        self._hold = b"hold" in asked
        if b"burst" in asked:
            body = b"".join(_EVENTS[i % DISTINCT_EVENTS] for i in range(1, self._chunks))
            self._transport.write(_FIRST + body + _USAGE + _LAST)
            return
        self._position = 0
        self._send_next()

    def _send_next(self) -> None:
        position, transport = self._position, self._transport
        if transport.is_closing():
            return
        self._position = position + 1
        if position == 0:
            transport.write(_FIRST)
        elif position < self._chunks:
            transport.write(_EVENTS[position % DISTINCT_EVENTS])
        elif self._hold:
            return
        elif position == self._chunks:
            transport.write(_USAGE)
        else:
            transport.write(_LAST)
            return
        if self._gap_s and self._position < self._chunks:
            self._loop.call_later(self._gap_s, self._send_next)
        else:
            self._loop.call_soon(self._send_next)


def _request_end(data: bytes) -> int:
    """Where the first request ends, beyond the data if it is cut; 0 while its head is."""
    head_end = data.find(b"\r\n\r\n")
    if head_end < 0:
        return 0
    head = data[:head_end].lower()
    at = head.find(b"\r\ncontent-length:")
    if at < 0:
        return head_end + 4
    line_end = head.find(b"\r\n", at + 2)
    length = head[at + 17 : line_end if line_end > 0 else head_end]
    return head_end + 4 + int(length)


async def serve(port: int) -> None:
    """Serve until killed; prints the port once it accepts."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Provider(loop), "127.0.0.1", port, backlog=4096)
    gc.collect()
    gc.freeze()
    gc.disable()  # connections are no garbage, and there is nothing else
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    """The process."""
    parser = argparse.ArgumentParser(prog="bench.mock")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--core", type=int)
    given = parser.parse_args()
    if given.core is not None:
        pin(given.core)
    with (
        contextlib.suppress(KeyboardInterrupt),
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        runner.run(serve(given.port))


if __name__ == "__main__":
    main()
