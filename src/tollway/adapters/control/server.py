"""A process's control socket: one JSON object a line in, one out. For processes of the same owner
only (the socket's mode is 0600); never reachable from the network.

Ask: `{"do": name, ...}`. Answer: `{"ok": true, ...}` or `{"ok": false, "error": text}`.
"""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

import msgspec

from tollway.adapters.control.socket_path import reachable

Ask = dict[str, Any]
Action = Callable[[Ask], Awaitable[Ask]]

_log = logging.getLogger(__name__)
_MAX_LINE_BYTES = 1024 * 1024


class Declined(Exception):  # noqa: N818 - an answer, not a failure of ours
    """An action cannot be done right now, for a reason that is no bug."""


class ControlServer:
    """Serves named actions on one socket until closed."""

    def __init__(self, path: str, actions: Mapping[str, Action]) -> None:
        self._path = path
        self._actions = actions
        self._server: asyncio.Server | None = None
        self._inode = 0

    async def start(self) -> None:
        """Listen. Whatever file is there is replaced: its process is dead or about to leave."""
        with suppress(FileNotFoundError):
            os.unlink(self._path)
        mask = os.umask(0o177)
        try:
            with reachable(self._path) as address:
                self._server = await asyncio.start_unix_server(
                    self._serve, address, limit=_MAX_LINE_BYTES
                )
        finally:
            os.umask(mask)
        self._inode = os.stat(self._path).st_ino

    async def close(self) -> None:
        """Stop listening and remove the socket's file, unless a successor's stands there."""
        with suppress(FileNotFoundError):
            if os.stat(self._path).st_ino == self._inode:
                os.unlink(self._path)
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                writer.write(msgspec.json.encode(await self._answer(line)) + b"\n")
                await writer.drain()
        except (ConnectionError, ValueError):
            pass  # the asker left, or sent a line above the limit
        finally:
            writer.close()

    async def _answer(self, line: bytes) -> Ask:
        try:
            ask = msgspec.json.decode(line, type=dict[str, Any])
        except msgspec.DecodeError as error:
            return {"ok": False, "error": f"not a JSON object: {error}"}
        action = self._actions.get(str(ask.get("do")))
        if action is None:
            return {"ok": False, "error": f"no action {ask.get('do')!r}"}
        try:
            return {"ok": True, **await action(ask)}
        except Declined as error:
            return {"ok": False, "error": str(error)}
        except Exception as error:  # noqa: BLE001 - the edge: a bug must not end the control
            _log.exception("control action failed", extra={"action": ask.get("do")})
            return {"ok": False, "error": f"{type(error).__name__}: {error}"}
