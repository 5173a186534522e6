"""TLS towards providers: verification is always on, and there is no setting to turn it off."""

import asyncio
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


class Quiet(asyncio.Protocol):
    """Holds a new connection until the handshake begins: what comes before stays in the kernel."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected, not encrypted."""
        assert isinstance(transport, asyncio.Transport)
        transport.pause_reading()


async def encrypt(
    wire: asyncio.Transport,
    connection: UpstreamConnection,
    context: ssl.SSLContext,
    *,
    host: str,
    timeout_s: float,
) -> None:
    """Shake hands on a connected transport and hand the result to the connection. On any failure
    the transport is closed. Raises TimeoutError, ssl.SSLError or OSError.

    `create_connection(ssl=...)` would do it in one step, but cancelled before the handshake's
    first byte it leaves the transport open (CPython 3.11 to 3.13, uvloop 0.23).
    """
    with ExitStack() as undo:
        undo.callback(wire.abort)
        async with asyncio.timeout(timeout_s):
            encrypted = await asyncio.get_running_loop().start_tls(
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
