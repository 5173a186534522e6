"""A connection of the simulated provider: requests in order, bytes out, every kind of ending."""

import asyncio
import os
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import count

import httptools


@dataclass(slots=True)
class ReceivedRequest:
    """One request as it came over the wire; header names in lower case."""

    connection: int
    method: str = ""
    target: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""

    def header(self, name: str) -> str | None:
        """The first value of a header."""
        return next((value for key, value in self.headers if key == name), None)


class GoneError(Exception):
    """The connection ended while something was to be sent on it."""


Handler = Callable[["Connection", ReceivedRequest], Awaitable[None]]
_numbers = count(1)


class Connection(asyncio.Protocol):
    """Parses requests and has them answered one after the other."""

    def __init__(
        self,
        handler: Handler,
        on_closed: Callable[["Connection", str], None],
        *,
        greeting: bytes,
        among: "set[Connection]",
    ) -> None:
        self._among = among  # the open connections of a server
        self.number = next(_numbers)
        self.current: str | None = None  # the request that is being answered
        self._handler = handler
        self._on_closed = on_closed
        self._greeting = greeting
        self._parser = httptools.HttpRequestParser(self)
        self._request = ReceivedRequest(self.number)
        self._queue: asyncio.Queue[ReceivedRequest] = asyncio.Queue()
        self._writable = asyncio.Event()
        self._writable.set()
        self._closed = asyncio.Event()
        self._closed_by: str | None = None

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport: asyncio.Transport = transport
        self._among.add(self)
        if self._greeting:
            transport.write(self._greeting)
        self._task = asyncio.ensure_future(self._serve())

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.close()

    def eof_received(self) -> None:
        self._ended("peer")

    def connection_lost(self, error: Exception | None) -> None:
        self._ended("peer")
        self._writable.set()
        self._task.cancel()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    # httptools

    def on_message_begin(self) -> None:
        self._request = ReceivedRequest(self.number)

    def on_url(self, url: bytes) -> None:
        self._request.target += url.decode("latin-1")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._request.headers.append((name.decode("latin-1").lower(), value.decode("latin-1")))

    def on_body(self, body: bytes) -> None:
        self._request.body += body

    def on_message_complete(self) -> None:
        self._request.method = self._parser.get_method().decode()
        self._queue.put_nowait(self._request)

    # For answers.

    async def send(self, data: bytes) -> None:
        """Write and wait until the peer took enough. Raises `GoneError`."""
        if self._closed.is_set():
            raise GoneError
        if data:
            self._transport.write(data)
        if not self._writable.is_set():
            await self._writable.wait()
            if self._closed.is_set():
                raise GoneError

    async def until_closed(self) -> None:
        """Wait for the end of the connection."""
        await self._closed.wait()

    def close(self) -> None:
        """FIN after what was written."""
        self._ended("provider")
        self._transport.close()

    def reset(self) -> None:
        """RST: what is still unread at the peer may be lost."""
        self._ended("provider")
        raw = self._transport.get_extra_info("socket")
        with socket.socket(fileno=os.dup(raw.fileno())) as handle:
            handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    def _ended(self, by: str) -> None:
        if self._closed_by is None:
            self._closed_by = by
            self._among.discard(self)
            self._on_closed(self, by)
            self._closed.set()

    async def _serve(self) -> None:
        try:
            while not self._closed.is_set():
                await self._handler(self, await self._queue.get())
                self.current = None
        except GoneError:
            return
