"""The tie between the supervisor and a child: a socket pair. The child reads its settings from it,
reports on it, and takes its end as the supervisor's death; no settings stand in a command line.
"""

import asyncio
import signal
import socket
from collections.abc import Callable
from typing import Any

import msgspec

_MAX_LINE_BYTES = 1024 * 1024
# What only a supervisor tells its children: a worker to end what still runs, the keeper to ship
# what is left and leave. SIGTERM will not do: an init system may send it to all of a service's
# processes at once, beside the supervisor's own.
FINISH = signal.SIGUSR1


def heed_no_more(loop: asyncio.AbstractEventLoop, *numbers: signal.Signals) -> None:
    """A process that has done all it had to is asked in vain. A loop's handlers end with the loop:
    asked again after that, it would die of leaving."""
    for number in numbers:
        loop.remove_signal_handler(number)
        signal.signal(number, signal.SIG_IGN)


class ChildLifeline:
    """The child's end, made from the descriptor it inherited."""

    def __init__(self, fd: int) -> None:
        self._socket = socket.socket(fileno=fd)
        self._lines = self._socket.makefile("rb")

    def settings(self) -> dict[str, Any]:
        """The one line the supervisor sends first. Blocks until it came."""
        line = self._lines.readline(_MAX_LINE_BYTES)
        return msgspec.json.decode(line, type=dict[str, Any])

    def report(self, event: str, **facts: Any) -> None:
        """Tell the supervisor. If it is gone, `watch` says so; nothing is raised here."""
        try:
            self._socket.sendall(msgspec.json.encode({"event": event, **facts}) + b"\n")
        except OSError:
            return

    def watch(self, loop: asyncio.AbstractEventLoop, on_end: Callable[[], None]) -> None:
        """Call `on_end` once when the supervisor is gone."""
        self._socket.setblocking(False)

        def readable() -> None:
            try:
                data = self._socket.recv(4096)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                loop.remove_reader(self._socket)
                on_end()

        loop.add_reader(self._socket, readable)

    def close(self) -> None:
        """Let go of the supervisor."""
        self._lines.close()
        self._socket.close()


class ParentLifeline:
    """The supervisor's end: sends the settings, yields the child's reports."""

    def __init__(self) -> None:
        self._socket, self.child_end = socket.socketpair()

    async def begin(self, settings: dict[str, Any]) -> None:
        """Call after the child was started: gives it its settings and drops our copy of its end."""
        self.child_end.close()
        self._socket.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(self._socket, msgspec.json.encode(settings) + b"\n")

    async def reports(self, on_report: Callable[[dict[str, Any]], None]) -> None:
        """Hand every report to `on_report` until the child is gone."""
        loop = asyncio.get_running_loop()
        held = b""
        while True:
            try:
                data = await loop.sock_recv(self._socket, 65536)
            except OSError:
                return
            if not data:
                return
            *lines, held = (held + data).split(b"\n")
            for line in lines:
                on_report(msgspec.json.decode(line, type=dict[str, Any]))

    def close(self) -> None:
        """Let go of the child."""
        self._socket.close()
