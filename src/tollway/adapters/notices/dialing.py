"""From a name to a connection: looked up once, judged, and connected to at the very address that
was judged, so that a second answer (DNS rebinding) is never asked for.

A look-up cannot be cancelled; a stalled one keeps its thread. Hence tenants and the platform have
places of their own, and a tenant has two: its slow name server delays its own notices only.
"""

import socket
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from ipaddress import ip_address
from queue import Empty, SimpleQueue
from threading import Lock, Thread

from tollway.adapters.notices.deadline import Deadline

Lookup = Callable[[str, int], list[str]]
AnyForbidden = Callable[[list[str]], bool]

_PLACES = 32  # of the platform, and of all tenants together
_PER_TENANT = 2


class UnreachableError(Exception):
    """There is no connection; the text says why and may be shown."""

    def __init__(self, reason: str, *, retryable: bool = True) -> None:
        super().__init__(reason)
        self.retryable = retryable


class Dialer:
    """Connects to names. `lookup` is the system's look-up (blocking, raises OSError); a tenant is
    refused a name of whose addresses `any_forbidden` finds one. Thread-safe."""

    def __init__(self, *, lookup: Lookup, any_forbidden: AnyForbidden) -> None:
        self._lookup = lookup
        self._any_forbidden = any_forbidden
        self._lock = Lock()
        self._taken: Counter[str | None] = Counter()

    def dial(self, host: str, port: int, *, owner: str | None, deadline: Deadline) -> socket.socket:
        """A connected socket, for a tenant or (None) the platform. Raises UnreachableError, and
        TimeoutError at the deadline."""
        addresses = self._resolve(host, port, owner, deadline)
        if not addresses:
            raise UnreachableError("its name has no address")
        if owner is not None and self._any_forbidden(addresses):
            raise UnreachableError(_FORBIDDEN, retryable=False)
        wire = _connect(addresses, port, deadline)
        # Our own machine may have addresses that no table can list.
        if owner is not None and _leads_back(wire):
            wire.close()
            raise UnreachableError(_FORBIDDEN, retryable=False)
        return wire

    def _resolve(self, host: str, port: int, owner: str | None, deadline: Deadline) -> list[str]:
        try:
            return [str(ip_address(host))]
        except ValueError:
            pass
        self._take_place(owner)
        found: SimpleQueue[list[str] | None] = SimpleQueue()
        # A daemon: a stalled look-up must not hold up the end of the process.
        Thread(target=self._look_up, args=(host, port, owner, found), daemon=True).start()
        try:
            addresses = found.get(timeout=deadline.left_s())
        except Empty:
            raise TimeoutError from None
        if addresses is None:
            raise UnreachableError("its name could not be resolved")
        return addresses

    def _take_place(self, owner: str | None) -> None:
        limit = _PLACES if owner is None else _PER_TENANT
        with self._lock:
            tenants = self._taken.total() - self._taken[None]
            if self._taken[owner] >= limit or (owner is not None and tenants >= _PLACES):
                raise UnreachableError("too many names are being looked up at once")
            self._taken[owner] += 1

    def _look_up(
        self,
        host: str,
        port: int,
        owner: str | None,
        found: "SimpleQueue[list[str] | None]",
    ) -> None:
        addresses: list[str] | None = None
        try:
            addresses = self._lookup(host, port)
        except (OSError, UnicodeError):  # UnicodeError: a label the IDNA codec does not take
            pass
        finally:
            with self._lock:
                self._taken[owner] -= 1
                if not self._taken[owner]:
                    del self._taken[owner]
            found.put(addresses)


_FORBIDDEN = "a tenant's webhook may not be at this address"


def _connect(addresses: list[str], port: int, deadline: Deadline) -> socket.socket:
    """The first address that accepts; each has its share of the time that is left."""
    reason = "the connection was refused"
    for position, address in enumerate(addresses):
        share_s = deadline.left_s() / (len(addresses) - position)
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with ExitStack() as undo:
            try:
                wire = undo.enter_context(socket.socket(family, socket.SOCK_STREAM))
                wire.settimeout(share_s)
                wire.connect((address, port))
                wire.settimeout(deadline.left_s())
                undo.pop_all()
                return wire
            except TimeoutError:
                reason = "no connection was accepted in time"
            except ConnectionError:
                continue
            except OSError as error:  # no route, no such address family, no free descriptor
                reason = f"no connection can be made ({error.strerror})"
    raise UnreachableError(reason)


def _leads_back(wire: socket.socket) -> bool:
    try:
        return bool(wire.getsockname()[0] == wire.getpeername()[0])
    except OSError:  # reset already: nothing more can be sent on it
        return False
