"""Listening sockets: bound once by the supervisor, kept across worker restarts and handed down, so
that a restart refuses nobody.
"""

import contextlib
import os
import socket
from pathlib import Path

from tollway.config import SettingsError

BACKLOG = 4096


def bind_shared(host: str, port: int, count: int, *, setting: str) -> list[socket.socket]:
    """`count` listening sockets on one address, each with its own queue (`SO_REUSEPORT`).

    Raises `SettingsError` that names who holds a busy port and which setting to change.
    """
    first = _bind(host, port, setting=setting, shared=False)
    if count == 1:
        first.listen(BACKLOG)
        return [first]
    # The first bind was exclusive and so proved that nobody else has the port: another process of
    # the same user could otherwise share it unnoticed.
    port = first.getsockname()[1]
    first.close()
    sockets = [_bind(host, port, setting=setting, shared=True) for _ in range(count)]
    for listener in sockets:
        listener.listen(BACKLOG)
    return sockets


def url_of(listener: socket.socket, *, scheme: str = "http") -> str:
    """The address a client on this machine can use."""
    host, port = listener.getsockname()[:2]
    if host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        host = "127.0.0.1"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _bind(host: str, port: int, *, setting: str, shared: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise SettingsError(
            f"Port {port} on {host} cannot be used: {error.strerror}{_holder(port)}. "
            f"Stop that program, or set {setting} to another port."
        ) from error
    listener.setblocking(False)
    return listener


def _holder(port: int) -> str:
    """Who listens on this port, as far as /proc tells us."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                inodes.add(f"socket:[{fields[9]}]")
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # another user's process, or one that just ended
            if inodes & _open_files(process):
                name = (process / "comm").read_text(encoding="utf-8").strip()
                return f" (held by {name}, process {process.name})"
    return ""


def _open_files(process: Path) -> set[str]:
    held = set()
    for fd in (process / "fd").iterdir():
        with contextlib.suppress(OSError):  # closed since it was listed
            held.add(os.readlink(fd))
    return held
