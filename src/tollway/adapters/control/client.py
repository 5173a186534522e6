"""Asking another process of this machine through its control socket, from a loop or from a plain
script. A process that does not answer in time is an error, never a wait.
"""

import asyncio
import socket
from typing import Any

import msgspec

from tollway.adapters.control.socket_path import reachable

_MAX_LINE_BYTES = 64 * 1024 * 1024


class ControlError(Exception):
    """The process cannot be reached, did not answer in time, or says no."""


async def ask(path: str, do: str, *, timeout_s: float = 2.0, **fields: Any) -> dict[str, Any]:
    """The answer to one ask, from inside a loop."""
    try:
        async with asyncio.timeout(timeout_s):
            with reachable(path) as address:
                reader, writer = await asyncio.open_unix_connection(address, limit=_MAX_LINE_BYTES)
            try:
                writer.write(_line(do, fields))
                return _read(await reader.readline())
            finally:
                writer.close()
    except (OSError, TimeoutError, ValueError) as error:
        raise ControlError(f"{path}: {error or type(error).__name__}") from error


def ask_now(path: str, do: str, *, timeout_s: float = 5.0, **fields: Any) -> dict[str, Any]:
    """The answer to one ask, blocking."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout_s)
            with reachable(path) as address:
                connection.connect(address)
            connection.sendall(_line(do, fields))
            with connection.makefile("rb") as lines:
                return _read(lines.readline(_MAX_LINE_BYTES))
    except OSError as error:
        raise ControlError(f"{path}: {error or type(error).__name__}") from error


def _line(do: str, fields: dict[str, Any]) -> bytes:
    return msgspec.json.encode({"do": do, **fields}) + b"\n"


def _read(line: bytes) -> dict[str, Any]:
    if not line:
        raise ControlError("the process closed its control socket")
    answer = msgspec.json.decode(line, type=dict[str, Any])
    if not answer.get("ok"):
        raise ControlError(str(answer.get("error", "refused")))
    return answer
