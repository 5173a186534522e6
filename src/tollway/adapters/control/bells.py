"""How a worker has another one look at something at once: a datagram with one number. Lost ones do
no harm, since everybody looks now and then anyway.
"""

import asyncio
import os
import socket
from collections.abc import Callable
from contextlib import suppress

from tollway.adapters.control.socket_path import reachable

_NUMBER_BYTES = 4
_MOST = 1024  # numbers taken in at a time


class Bells:
    """One worker's own, and the way to the others'."""

    def __init__(self, run_dir: str, number: int, on_ring: Callable[[int], None]) -> None:
        self._run_dir = run_dir
        self._number = number
        self._on_ring = on_ring
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    def open(self) -> None:
        """Hear from now on. Whatever file is there is replaced: its process is dead."""
        path = self._path(self._number)
        with suppress(FileNotFoundError):
            os.unlink(path)
        mask = os.umask(0o177)
        try:
            with reachable(path) as address:
                self._socket.bind(address)
        finally:
            os.umask(mask)
        asyncio.get_running_loop().add_reader(self._socket, self._hear)

    def ring(self, number: int, what: int) -> None:
        """Whoever is not there, or has too much to hear already, does not hear it."""
        with suppress(OSError), reachable(self._path(number)) as address:
            self._socket.sendto(what.to_bytes(_NUMBER_BYTES, "little"), address)

    def close(self) -> None:
        """Hear no more."""
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()
        with suppress(FileNotFoundError):
            os.unlink(self._path(self._number))

    def _hear(self) -> None:
        heard: dict[int, None] = {}
        with suppress(BlockingIOError):
            for _ in range(_MOST):
                heard[int.from_bytes(self._socket.recv(_NUMBER_BYTES), "little")] = None
        for what in heard:
            self._on_ring(what)

    def _path(self, number: int) -> str:
        return os.path.join(self._run_dir, f"{number}.bell")
