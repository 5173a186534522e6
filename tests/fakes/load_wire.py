"""One request of the load over a kept connection, and everything its answer showed."""

import asyncio
import json
import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httptools


@dataclass(slots=True)
class Outcome:
    """What came back. `broken` is None when the answer was complete by its framing, else
    refused | reset | eof | protocol | stopped."""

    status: int = 0
    request_id: str | None = None
    reused: bool = False  # went over a connection that had served before
    bytes_received: int = 0
    tokens: int = 0  # events with content, or the tokens of a whole answer
    last: int | None = None  # the number in the last content, when it is one
    ordered: bool = True  # the numbers came without gap or repetition
    done: bool = False  # `[DONE]` came
    errors: int = 0  # error events in a stream
    usage: dict[str, Any] | None = None
    code: str | None = None  # of an error body
    broken: str | None = None
    retry_after_s: float | None = None


@dataclass(slots=True, eq=False)
class Address:
    """Where to connect, and the connections that wait for their next request."""

    host: str
    port: int
    tls: ssl.SSLContext | None
    idle: "list[Connection]"

    @classmethod
    def of(cls, url: str, ca_file: str | None = None) -> "Address":
        """From a base URL."""
        parts = urlsplit(url)
        assert parts.hostname is not None
        secure = parts.scheme == "https"
        tls = ssl.create_default_context(cafile=ca_file) if secure else None
        return cls(parts.hostname, parts.port or (443 if secure else 80), tls, [])

    async def connection(self) -> "Connection":
        """A waiting one, or a new one. Raises `OSError`."""
        if self.idle:
            return self.idle.pop()
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(
            lambda: Connection(self), self.host, self.port, ssl=self.tls
        )
        return connection

    def close(self) -> None:
        """End the waiting connections."""
        for connection in list(self.idle):
            connection.transport.abort()
        self.idle.clear()


async def ask(address: Address, request: bytes, outcome: Outcome) -> None:
    """Send and receive one; the outcome is filled as things happen, and never raises for them."""
    try:
        connection = await address.connection()
    except OSError as error:
        outcome.broken = "refused" if isinstance(error, ConnectionRefusedError) else "reset"
        return
    try:
        await connection.exchange(request, outcome)
    finally:
        connection.release()


class Connection(asyncio.Protocol):
    """A client connection that reads one answer at a time."""

    def __init__(self, address: Address) -> None:
        self.transport: asyncio.Transport
        self._address = address
        self._served = 0
        self._alive = True
        self._reusable = False
        self._held = b""
        self._body = b""
        self._streaming = False
        self._outcome: Outcome | None = None
        self._ended: asyncio.Future[None] | None = None

    async def exchange(self, request: bytes, outcome: Outcome) -> None:
        """Send the request and wait for the end of its answer, good or bad."""
        self._outcome = outcome
        self._reusable = self._streaming = False
        self._held = self._body = b""
        self._ended = asyncio.get_running_loop().create_future()
        self._parser = httptools.HttpResponseParser(self)
        outcome.reused = self._served > 0
        self._served += 1
        if not self._alive:
            self._end("eof")
        else:
            self.transport.write(request)
        await self._ended

    def release(self) -> None:
        """The answer is over or was given up."""
        self._outcome = None
        if self._reusable and self._alive:
            self._address.idle.append(self)
        else:
            self.transport.abort()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if self._outcome is None:
            self.transport.abort()  # bytes nobody asked for
            return
        self._outcome.bytes_received += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._end("protocol")

    def connection_lost(self, error: Exception | None) -> None:
        self._alive = False
        if self in self._address.idle:
            self._address.idle.remove(self)
        self._end("eof" if error is None else "reset")

    # httptools

    def on_header(self, name: bytes, value: bytes) -> None:
        assert self._outcome is not None
        if name.lower() == b"x-request-id":
            self._outcome.request_id = value.decode("latin-1")
        elif name.lower() == b"content-type":
            self._streaming = value.startswith(b"text/event-stream")
        elif name.lower() == b"retry-after":
            self._outcome.retry_after_s = float(value)

    def on_headers_complete(self) -> None:
        assert self._outcome is not None
        self._outcome.status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        if not self._streaming:
            self._body += body
            return
        *events, self._held = (self._held + body).split(b"\n\n")
        for event in events:
            self._event(event)

    def on_message_complete(self) -> None:
        if self._outcome is None or self._outcome.status < 200:
            return
        if not self._streaming:
            self._whole()
        self._reusable = self._parser.should_keep_alive()
        self._end(None)

    # What it means.

    def _event(self, event: bytes) -> None:
        outcome = self._outcome
        assert outcome is not None
        if not event.startswith(b"data: "):
            return
        if event == b"data: [DONE]":
            outcome.done = True
            return
        fields = json.loads(event[6:])
        if "error" in fields:
            outcome.errors += 1
            outcome.code = str((fields["error"] or {}).get("code"))
        outcome.usage = fields.get("usage") or outcome.usage
        for choice in fields.get("choices") or ():
            content = (choice.get("delta") or {}).get("content") or choice.get("text")
            if content:
                self._content(outcome, content)

    def _content(self, outcome: Outcome, content: str) -> None:
        outcome.tokens += 1
        if content.strip().isdigit():
            outcome.last = int(content)
            outcome.ordered &= outcome.last == outcome.tokens % 1000

    def _whole(self) -> None:
        outcome = self._outcome
        assert outcome is not None
        try:
            fields = json.loads(self._body)
        except ValueError:
            return
        outcome.usage = fields.get("usage")
        outcome.tokens = (outcome.usage or {}).get("completion_tokens", 0)
        outcome.code = (fields.get("error") or {}).get("code")

    def _end(self, broken: str | None) -> None:
        if self._ended is not None and not self._ended.done():
            assert self._outcome is not None
            self._outcome.broken = broken
            self._ended.set_result(None)
