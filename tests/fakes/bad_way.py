"""A way to a server that can be made bad: refused, silent, slow, or with a server behind it that
says it is loading its data. Over TCP, to a Unix socket.
"""

import asyncio
import threading
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

import hiredis

_READ_BYTES = 65_536
_LOADING = b"-LOADING Valkey is loading the dataset in memory\r\n"


class BadWay:
    """Listens on a port of its own in a thread. `how` is `open`, `refused`, `silent`, `slow` or
    `loading`."""

    def __init__(self, path: str, *, slow_s: float = 0.5) -> None:
        self._path = path
        self._slow_s = slow_s
        self._how = "open"
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server: asyncio.Server | None = None
        self.port = 0
        self._do(self._listen())

    def become(self, how: str) -> None:
        """From now on, for connections that stand as well."""
        self._do(self._become(how))

    def stop(self) -> None:
        """Close everything."""
        self._do(self._shut())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _become(self, how: str) -> None:
        was, self._how = self._how, how
        if how == "refused":
            await self._shut()
        elif was == "refused":
            await self._listen()

    async def _shut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with suppress(OSError, asyncio.CancelledError):
                inner_reader, inner_writer = await asyncio.open_unix_connection(self._path)
                try:
                    await asyncio.gather(
                        self._pipe(reader, inner_writer, writer), self._pipe(inner_reader, writer)
                    )
                finally:
                    inner_writer.close()
        finally:
            writer.close()
            self._tasks.discard(task)

    async def _pipe(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        back: asyncio.StreamWriter | None = None,
    ) -> None:
        while data := await reader.read(_READ_BYTES):
            if back is not None and self._how == "loading":
                back.write(_LOADING * _commands(data))
                continue
            while self._how == "silent":
                await asyncio.sleep(0.02)
            if self._how == "slow":
                await asyncio.sleep(self._slow_s)
            writer.write(data)
        writer.close()


def _commands(data: bytes) -> int:
    """How many commands were sent. They are small and come whole."""
    commands, count = hiredis.Reader(), 0
    commands.feed(data)
    while commands.gets() is not False:
        count += 1
    return count
