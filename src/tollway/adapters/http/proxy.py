"""An HTTP proxy's tunnel: CONNECT, one answer, then the connection belongs to the origin."""

import asyncio
import re
import socket

from tollway.domain.failure import Cause

_MAX_HEAD_BYTES = 8192
_OPENED = re.compile(rb"HTTP/1\.[01] 2[0-9][0-9][ \r]")


class TunnelError(Exception):
    """No tunnel; `cause` says what went wrong."""

    def __init__(self, cause: Cause, message: str) -> None:
        super().__init__(message)
        self.cause = cause


async def open_tunnel(connected: socket.socket, host: str, port: int) -> None:
    """Ask the proxy for a tunnel to `host`, a name or an address. Raises `TunnelError`; the caller
    sets the deadline."""
    loop = asyncio.get_running_loop()
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    head = b""
    try:
        await loop.sock_sendall(
            connected, f"CONNECT {target} HTTP/1.1\r\nhost: {target}\r\n\r\n".encode("ascii")
        )
        # The origin's side of TLS speaks second, so nothing of it can follow the head by now.
        while b"\r\n\r\n" not in head:
            data = await loop.sock_recv(connected, 4096)
            head += data
            if not data or len(head) > _MAX_HEAD_BYTES:
                raise TunnelError(Cause.PROTOCOL, "The proxy's answer to CONNECT is not one.")
    except OSError as error:
        raise TunnelError(Cause.RESET, "The proxy closed the connection.") from error
    if not head.endswith(b"\r\n\r\n") or head.count(b"\r\n\r\n") > 1:
        raise TunnelError(Cause.PROTOCOL, "The proxy's answer to CONNECT is not one.")
    if not _OPENED.match(head):
        raise TunnelError(Cause.REFUSED, "The proxy did not open a tunnel to the provider.")
