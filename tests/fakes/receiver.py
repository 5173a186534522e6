"""A webhook's receiver on a real socket that says exactly what a test wants, and keeps what it was
sent. It serves one connection after the other.
"""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@dataclass
class Received:
    """One request."""

    line: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """`answer` is called for each request and gives the pieces of what is said."""

    answer: Callable[[], Iterable[bytes]] = lambda: [OK]
    tls: ssl.SSLContext | None = None
    address: str = "127.0.0.1"
    port: int = 0
    connections: int = 0
    requests: list[Received] = field(default_factory=list)


def answering(status: int, headers: str = "", body: bytes = b"") -> Callable[[], list[bytes]]:
    """An answer with this status; each of the headers ends in CRLF."""
    head = f"HTTP/1.1 {status} Told\r\ncontent-length: {len(body)}\r\n{headers}\r\n"
    return lambda: [head.encode() + body]


@contextmanager
def running_receiver(receiver: Receiver) -> Iterator[Receiver]:
    """Listens until the block is left."""
    with socket.create_server((receiver.address, 0)) as listener:
        receiver.port = listener.getsockname()[1]
        thread = threading.Thread(target=_serve, args=(listener, receiver))
        thread.start()
        try:
            yield receiver
        finally:
            listener.shutdown(socket.SHUT_RDWR)  # `close` alone does not wake `accept`
            thread.join(10)
            assert not thread.is_alive()


def _serve(listener: socket.socket, receiver: Receiver) -> None:
    while True:
        try:
            peer, _ = listener.accept()
        except OSError:
            return
        receiver.connections += 1
        peer.settimeout(10)
        with contextlib.suppress(OSError), peer:
            if receiver.tls is not None:
                peer = receiver.tls.wrap_socket(peer, server_side=True)
            with peer:
                request = _read(peer)
                if request is not None:
                    receiver.requests.append(request)
                    for piece in receiver.answer():
                        peer.sendall(piece)


def _read(peer: socket.socket) -> Received | None:
    with peer.makefile("rb") as stream:
        line = stream.readline().decode().strip()
        headers: dict[str, str] = {}
        while text := stream.readline().decode("latin-1").strip():
            name, _, value = text.partition(":")
            headers[name.lower()] = value.strip()
        body = stream.read(int(headers.get("content-length", "0")))
    return Received(line, headers, body) if line else None
