"""A provider whose every byte a test chooses: it records each request as it came, and a script
writes the answer to the socket. For what the simulated provider is too well-behaved to send.
"""

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import NamedTuple

JSON_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
EVENTS_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"


class RawRequest(NamedTuple):
    """One request: the connection's number, the head with its empty line, the body."""

    connection: int
    head: bytes
    body: bytes


Script = Callable[[socket.socket, RawRequest], None]
Reader = Callable[[socket.socket, int], RawRequest | None]


class RawProvider:
    """Listens on loopback, until it is stopped or the block is left; one thread for each
    connection."""

    def __init__(self, script: Script | None = None) -> None:
        self.requests: list[RawRequest] = []
        self.script: Script = script or (lambda connection, _: answer(connection, b"{}"))
        self.read: Reader = read_request
        self.connections = 0
        self.ended: dict[int, threading.Event] = {}  # by connection: the gateway closed it
        self._open: set[socket.socket] = set()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self.base_url = f"http://127.0.0.1:{self.port}/v1"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> "RawProvider":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop listening and end every connection."""
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            self.connections += 1
            self.ended[self.connections] = threading.Event()
            self._open.add(connection)
            threading.Thread(
                target=self._serve, args=(connection, self.connections), daemon=True
            ).start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        with connection, contextlib.suppress(OSError):
            while (request := self.read(connection, number)) is not None:
                self.requests.append(request)
                self.script(connection, request)
        self._open.discard(connection)
        self.ended[number].set()


def answer(connection: socket.socket, body: bytes, head: bytes = JSON_HEAD) -> None:
    """One whole answer with its length."""
    connection.sendall(head + b"content-length: %d\r\n\r\n" % len(body) + body)


def read_request(connection: socket.socket, number: int) -> RawRequest | None:
    """The next request; None at the end of the connection."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return None
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    (length,) = (
        int(line.partition(b":")[2])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length:")
    )
    while len(body) < length:
        body += connection.recv(65536)
    return RawRequest(number, head + b"\r\n\r\n", body)
