"""TLS towards providers: verification is always on, and there is no setting to turn it off."""

import asyncio
import socket
import ssl
from contextlib import ExitStack

from tollway.adapters.http.connection import UpstreamConnection


def client_context(ca_file: str | None) -> ssl.SSLContext:
    """Trusts the system's authorities, and those in `ca_file` (PEM) besides. Takes about 20 ms.

    Raises ValueError when the file cannot be read.
    """
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if ca_file is not None:
        try:
            context.load_verify_locations(ca_file)
        except (OSError, ssl.SSLError) as error:
            raise ValueError(f"{ca_file} holds no certificate authorities in PEM form.") from error
    return context


async def encrypt(
    connected: socket.socket,
    connection: UpstreamConnection,
    context: ssl.SSLContext,
    *,
    host: str,
    timeout_s: float,
) -> None:
    """Shake hands on a connected socket and hand the result to the connection. The socket is closed
    on any failure. Raises TimeoutError, ssl.SSLError or OSError.

    `create_connection(ssl=...)` would do it in one step, but cancelled before the handshake's first
    byte it leaves its transport open (CPython 3.11, uvloop 0.23).
    """
    loop = asyncio.get_running_loop()
    wire, before = await loop.create_connection(_BeforeHandshake, sock=connected)
    with ExitStack() as undo:
        undo.callback(wire.abort)
        if before.spoke or wire.is_closing():
            raise ConnectionResetError
        async with asyncio.timeout(timeout_s):
            encrypted = await loop.start_tls(
                wire,
                connection,
                context,
                server_hostname=host,
                ssl_handshake_timeout=timeout_s + 60.0,  # ours comes first
            )
        if encrypted is None or connection.closed:
            raise ConnectionResetError
        connection.encrypted(encrypted, wire)
        undo.pop_all()


class _BeforeHandshake(asyncio.Protocol):
    """Has a new connection for one or two turns of the loop. The provider speaks second in TLS."""

    def __init__(self) -> None:
        self.spoke = False

    def data_received(self, data: bytes) -> None:
        """Whatever it is, it is no TLS."""
        self.spoke = True
