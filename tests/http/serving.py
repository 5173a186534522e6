"""A real `GatewayServer` on a loop of its own thread, and a client that is nothing but a socket."""

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import uvloop

from tollway.web.gateway.answer import Answer
from tollway.web.gateway.host import Handler
from tollway.web.gateway.options import ServerOptions
from tollway.web.gateway.request import Request
from tollway.web.gateway.server import GatewayServer

T = TypeVar("T")
LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "uvloop": uvloop.new_event_loop,
    "asyncio": asyncio.new_event_loop,
}
JSON = [(b"content-type", b"application/json")]
HOST = b"Host: gateway\r\n"
BODY_LIMIT = 64 * 1024


class ScriptedHandler:
    """Answers by path; `/hold` leaves the answer to the test. Records what it saw."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.held: list[Answer] = []
        self.arrived = threading.Semaphore(0)  # one count per request
        self.gone = threading.Semaphore(0)  # one count per client that left a held answer
        self.writable = threading.Semaphore(0)

    def body_limit(self, method: bytes, path: bytes) -> int:
        return 16 if path == b"/small" else BODY_LIMIT

    def handle(self, request: Request, client: Answer) -> None:
        self.requests.append(request)
        path = request.path
        if path == b"/boom":
            raise ValueError("a secret in a traceback")
        if path == b"/boom-late":
            client.start(200, JSON)
            client.write(b"begun")
            raise ValueError("too late")
        if path == b"/hold":
            self.held.append(client)
            client.watch(self.gone.release, self.writable.release)
        elif path == b"/stream":
            client.start(200, JSON)
            for piece in (b"one", b"", b"two"):
                client.write(piece)
            client.finish()
        elif path == b"/later":
            loop = asyncio.get_running_loop()
            loop.call_soon(client.respond, 200, JSON, request.query)
        elif path == b"/big":
            client.respond(200, JSON, b"x" * int(request.query))
        else:
            client.respond(200, JSON, request.body or request.path)
        self.arrived.release()


@dataclass
class Running:
    """A server that runs until its context ends."""

    server: GatewayServer
    loop: asyncio.AbstractEventLoop
    port: int
    handler: Any
    tls: ssl.SSLContext | None = None
    _clients: list["RawClient"] = field(default_factory=list)

    def call(self, function: Callable[..., T], *args: Any) -> T:
        """Run a plain function on the server's loop."""

        async def run() -> T:
            return function(*args)

        return self.wait(run())

    def wait(self, work: Coroutine[Any, Any, T], timeout_s: float = 60) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout_s)

    def spin(self, condition: Callable[[], bool], timeout_s: float = 60) -> None:
        """Let the loop run until something is true of it."""

        async def run() -> None:
            async with asyncio.timeout(timeout_s):
                while not condition():
                    await asyncio.sleep(0.005)

        self.wait(run(), timeout_s + 5)

    def client(self, *, source: str = "127.0.0.1", buffers: int = 0) -> "RawClient":
        sock = socket.socket()
        sock.settimeout(10)
        if buffers:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffers)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.bind((source, 0))
        sock.connect(("127.0.0.1", self.port))
        if self.tls is not None:
            sock = self.tls.wrap_socket(sock, server_hostname="localhost")
        client = RawClient(sock)
        self._clients.append(client)
        return client

    def talk(self, *parts: bytes) -> "RawAnswer":
        """Send and read one answer."""
        client = self.client()
        client.send(*parts)
        return client.answer()


@contextmanager
def running(
    *,
    handler: Handler | None = None,
    options: ServerOptions | None = None,
    tls: ssl.SSLContext | None = None,
    client_tls: ssl.SSLContext | None = None,
    loop: str = "uvloop",
) -> Iterator[Running]:
    """Serve on a free port of loopback."""
    handler = handler or ScriptedHandler()
    server = GatewayServer(handler, options or ServerOptions(sweep_s=0.05))
    ready = threading.Event()
    found: list[asyncio.AbstractEventLoop] = []
    stop: list[asyncio.Event] = []
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", 0))

    async def main() -> None:
        found.append(asyncio.get_running_loop())
        stop.append(asyncio.Event())
        await server.start(sock, tls)
        ready.set()
        await stop[0].wait()
        await server.close()

    def run() -> None:
        with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
            runner.run(main())

    thread = threading.Thread(target=run)
    thread.start()
    assert ready.wait(10)
    served = Running(server, found[0], sock.getsockname()[1], handler, client_tls)
    sock.close()
    try:
        yield served
    finally:
        found[0].call_soon_threadsafe(stop[0].set)
        thread.join(20)
        for client in served._clients:
            client.close()
        assert not thread.is_alive()


@dataclass
class RawAnswer:
    status: int
    headers: dict[str, str]
    body: bytes


class RawClient:
    """A socket and what was read from it."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._data = b""

    def send(self, *parts: bytes) -> None:
        for part in parts:
            self.sock.sendall(part)

    def answer(self, *, head_only: bool = False) -> RawAnswer:
        """Read one answer, by its framing."""
        head = self.until(b"\r\n\r\n").decode("latin-1")
        line, *lines = head[:-4].split("\r\n")
        headers = {name: value for name, _, value in (item.partition(": ") for item in lines)}
        status = int(line.split(" ")[1])
        if head_only or status < 200 or status in (204, 304):
            body = b""
        elif "content-length" in headers:
            body = self.exactly(int(headers["content-length"]))
        elif headers.get("transfer-encoding") == "chunked":
            body = self._chunks()
        else:
            body = self.rest()
        return RawAnswer(status, headers, body)

    def until(self, mark: bytes) -> bytes:
        while mark not in self._data:
            self._read()
        at = self._data.index(mark) + len(mark)
        taken, self._data = self._data[:at], self._data[at:]
        return taken

    def exactly(self, size: int) -> bytes:
        while len(self._data) < size:
            self._read()
        taken, self._data = self._data[:size], self._data[size:]
        return taken

    def rest(self) -> bytes:
        """Everything until the server closes. A reset is an error."""
        while data := self.sock.recv(65536):
            self._data += data
        taken, self._data = self._data, b""
        return taken

    def closed(self) -> bool:
        """Whether the server closes now, without another byte."""
        return self.rest() == b""

    def half_close(self) -> None:
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Close with RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.sock.close()

    def close(self) -> None:
        self.sock.close()

    def _chunks(self) -> bytes:
        body = b""
        while size := int(self.until(b"\r\n"), 16):
            body += self.exactly(size)
            assert self.exactly(2) == b"\r\n"
        assert self.exactly(2) == b"\r\n"
        return body

    def _read(self) -> None:
        data = self.sock.recv(65536)
        if not data:
            raise EOFError(f"closed after {self._data!r}")
        self._data += data


def get(path: bytes = b"/x", *headers: bytes, version: bytes = b"1.1") -> bytes:
    lines = b"".join(header + b"\r\n" for header in headers)
    return b"GET %b HTTP/%b\r\n%b%b\r\n" % (path, version, HOST, lines)


def post(body: bytes, *headers: bytes, path: bytes = b"/x", version: bytes = b"1.1") -> bytes:
    lines = b"".join(header + b"\r\n" for header in headers)
    head = b"POST %b HTTP/%b\r\n%bContent-Length: %d\r\n%b\r\n"
    return head % (path, version, HOST, len(body), lines) + body


def chunked(*lines: bytes, headers: bytes = b"") -> bytes:
    """A POST whose chunked body is exactly these bytes."""
    head = b"POST /x HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n" + headers + b"\r\n"
    return head + b"".join(lines)
