"""A server whose every connection runs a script, and a sink that records: what the tests of the
outbound client stand on. Sockets are real, on loopback."""

import asyncio
import os
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from types import TracebackType
from typing import Any

from tollway.adapters.http.options import UpstreamOptions
from tollway.adapters.http.upstream import HttpUpstream
from tollway.app.ports import Flow, Header, UpstreamCall
from tollway.domain.failure import Failure
from tollway.domain.ids import CredentialId, ProviderId
from tollway.domain.provider import CredentialRecord, ProviderKind, ProviderRecord

OPTIONS = UpstreamOptions(sweep_s=0.02)
JSON = (b"content-type", b"application/json")
GOOD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
NOBODY = CredentialRecord(CredentialId("crd_0"))


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


class Peer:
    """One accepted connection, as its script drives it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.ended = asyncio.Event()

    async def request(self) -> tuple[str, dict[str, str], bytes]:
        """The next request: its first line, its fields, its body."""
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.rstrip("\r\n").split("\r\n")
        pairs = [line.split(": ", 1) for line in lines]
        fields = dict(pairs)
        assert len(fields) == len(pairs), "a field was sent twice"
        body = await self._reader.readexactly(int(fields.get("content-length", "0")))
        return first, fields, body

    def write(self, data: bytes) -> None:
        if not self._writer.is_closing():  # uvloop raises, asyncio does not
            self._writer.write(data)

    async def drain(self) -> None:
        await self._writer.drain()

    @property
    def buffered(self) -> int:
        return self._writer.transport.get_write_buffer_size()

    async def gone(self) -> None:
        """Wait until the other side has ended the connection."""
        try:
            while await self._reader.read(65536):
                pass
        except OSError:
            pass

    def close(self) -> None:
        self._writer.close()

    def reset(self) -> None:
        peer = self._writer.get_extra_info("socket")
        with socket.socket(fileno=os.dup(peer.fileno())) as handle:
            handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


Script = Callable[[Peer], Awaitable[None]]


class Server:
    """Listens until its context ends, and then raises what a script raised."""

    def __init__(self, script: Script, tls: ssl.SSLContext | None = None) -> None:
        self._script = script
        self._tls = tls
        self._tasks: set[asyncio.Task[None]] = set()
        self._failed: list[BaseException] = []
        self.accepted = 0
        self.open: set[Peer] = set()
        self.port = 0

    async def __aenter__(self) -> "Server":
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()
        if error is None and self._failed:
            raise self._failed[0]

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://localhost:{self.port}/v1"

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.accepted += 1
        peer = Peer(reader, writer)
        self.open.add(peer)
        try:
            await self._script(peer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client left
        except Exception as problem:
            self._failed.append(problem)
        finally:
            peer.ended.set()
            self.open.discard(peer)
            self._tasks.discard(task)
            writer.transport.abort()


class Sink:
    """Records, and does what a test asks of it at each step."""

    def __init__(
        self,
        *,
        on_attach: Callable[["Sink"], None] | None = None,
        on_head: Callable[["Sink"], None] | None = None,
        on_data: Callable[["Sink", bytes], None] | None = None,
    ) -> None:
        self._hooks = (on_attach, on_head, on_data)
        self.status = 0
        self.headers: list[Header] = []
        self.pieces: list[bytes] = []
        self.arrived = asyncio.Event()  # the head, or more of the body
        self.flow: Flow | None = None
        self.over = False

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    def attach(self, flow: Flow) -> None:
        assert self.flow is None
        self.flow = flow
        if self._hooks[0] is not None:
            self._hooks[0](self)

    def head(self, status: int, headers: Sequence[Header]) -> None:
        assert self.flow is not None
        assert not self.over
        assert not self.status, "one answer has one head"
        self.status = status
        self.headers = list(headers)
        self.arrived.set()
        if self._hooks[1] is not None:
            self._hooks[1](self)

    def data(self, data: bytes) -> None:
        assert self.status
        assert not self.over
        assert data
        self.pieces.append(data)
        self.arrived.set()
        if self._hooks[2] is not None:
            self._hooks[2](self, data)


def provider(url: str, **changes: Any) -> ProviderRecord:
    record = ProviderRecord(ProviderId("prv_1"), "one", ProviderKind.OPENAI_COMPATIBLE, url)
    return replace(record, **changes)


def make_call(at: ProviderRecord, body: bytes = b"{}", **changes: Any) -> UpstreamCall:
    call = UpstreamCall(at, NOBODY, "POST", "/chat/completions", (JSON,), body, False)
    return call._replace(**changes)


class Client:
    """An `HttpUpstream`, and the shortest way to use it."""

    def __init__(self, http: HttpUpstream) -> None:
        self.http = http

    async def ask(
        self, at: ProviderRecord, sink: Sink | None = None, **changes: Any
    ) -> tuple[Failure | None, Sink]:
        sink = sink or Sink()
        failure = await asyncio.wait_for(self.http.call(make_call(at, **changes), sink), 10)
        sink.over = True
        return failure, sink


@asynccontextmanager
async def client(options: UpstreamOptions = OPTIONS, **changes: Any) -> AsyncIterator[Client]:
    """Closed at the end, when nothing may be left open."""
    lookup = changes.pop("lookup", None)
    options = replace(options, **changes)
    http = HttpUpstream(options) if lookup is None else HttpUpstream(options, lookup=lookup)
    try:
        yield Client(http)
    finally:
        await http.close()
        assert http.open_connections == 0
        await asyncio.sleep(0)  # transports' last callbacks
        await asyncio.sleep(0)


@asynccontextmanager
async def against(
    script: Script, *, tls: ssl.SSLContext | None = None, **changes: Any
) -> AsyncIterator[tuple[Client, ProviderRecord, Server]]:
    """A server that runs the script, a client with small deadlines, and the provider between."""
    async with Server(script, tls) as server, client(**changes) as http:
        yield http, provider(server.url), server


async def answers(peer: Peer, answer: bytes = GOOD) -> None:
    """The script of a good server: one answer per request, as long as the connection lasts."""
    while True:
        await peer.request()
        peer.write(answer)
