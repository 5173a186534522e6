"""One deadline over everything that a delivery does. A socket's own time-out begins anew with every
byte, so a receiver that drips would never meet it.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from socket import SHUT_RDWR, socket
from threading import Timer


class Deadline:
    """So many seconds from now."""

    def __init__(self, timeout_s: float) -> None:
        self._end = time.monotonic() + timeout_s

    @property
    def passed(self) -> bool:
        """Whether no time is left."""
        return time.monotonic() >= self._end

    def left_s(self) -> float:
        """Seconds left, more than none. Raises TimeoutError."""
        left_s = self._end - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        return left_s

    @contextmanager
    def cutting(self, wire: socket) -> Iterator[None]:
        """Cuts this connection when the time is up, whatever is read or written on it, and also
        when it has become a TLS connection since. Raises TimeoutError if it already is."""
        # A descriptor of our own for the same connection: a handshake detaches `wire`, and to shut
        # an SSLSocket down would first make a plain one of it, in the middle of a write.
        handle = wire.dup()
        try:
            timer = Timer(self.left_s(), _cut, (handle,))
            timer.daemon = True
            timer.start()
            try:
                yield
            finally:
                timer.cancel()
                timer.join()
        finally:
            handle.close()


def _cut(handle: socket) -> None:
    with suppress(OSError):  # the other side was quicker
        handle.shutdown(SHUT_RDWR)
