"""What only the kernel knows about a connection: has it been reset, how much did the client take.

Every question has a harmless answer where the platform cannot tell.
"""

import asyncio
import fcntl
import socket
import struct
import termios


def limit_unsent(transport: asyncio.Transport, size_bytes: int) -> None:
    """Let the kernel take only so much that it cannot send yet. Its own choice is megabytes, which
    would hide a slow client from us until it has cost that much memory."""
    peer = _socket(transport)
    if peer is not None and peer.family != socket.AF_UNIX and hasattr(socket, "TCP_NOTSENT_LOWAT"):
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, size_bytes)


def unread_bytes(transport: asyncio.Transport) -> int:
    """What was written and the client's machine has not acknowledged, here and in the kernel.

    The kernel asks for more only when a good part of its buffer is free: without its share, a slow
    but steady client would look like one that takes nothing.
    """
    peer = _socket(transport)
    queued = 0
    if peer is not None:
        try:
            queued = struct.unpack("i", fcntl.ioctl(peer.fileno(), termios.TIOCOUTQ, b"\0" * 4))[0]
        except OSError:
            queued = 0
    return queued + transport.get_write_buffer_size()


def was_reset(transport: asyncio.Transport) -> bool:
    """Whether a RST came, for a socket that nobody reads."""
    peer = _socket(transport)
    return peer is not None and peer.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0


def _socket(transport: asyncio.Transport) -> socket.socket | None:
    peer: socket.socket | None = transport.get_extra_info("socket")
    return peer
