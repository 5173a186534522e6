"""The inbound HTTP/1.1 server: it takes connections, caps them, sweeps their deadlines and drains.

Written for throughput: per request there is one pass of callbacks, one call of the handler and one
write, and no timer. What HTTP is strict about is decided in `framing.py` and `reader.py`.
"""

import asyncio
import resource
import socket
import ssl
from collections import Counter
from contextlib import suppress
from email.utils import formatdate

from tollway.web.gateway.connection import Connection
from tollway.web.gateway.host import Guest, Handler, State
from tollway.web.gateway.options import ServerOptions

# Descriptors for everything that is no client, and one upstream connection per client.
_SPARE_DESCRIPTORS = 128


class GatewayServer:
    """Serves one listening socket. `refusals` counts protocol refusals by code."""

    def __init__(self, handler: Handler, options: ServerOptions) -> None:
        self.handler = handler
        self.options = options
        self.draining = False
        self.now = 0.0
        self.date_line = b""
        self.refusals: Counter[str] = Counter()
        self._capacity = _capacity(options)
        self._guests: set[Guest] = set()
        self._unseeing: set[Guest] = set()
        self._per_peer: Counter[str] = Counter()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listener: asyncio.Server | None = None
        self._socket: socket.socket | None = None
        self._tls: ssl.SSLContext | None = None
        self._sweep: asyncio.TimerHandle | None = None
        self._settled = asyncio.Event()

    @property
    def open_connections(self) -> int:
        """Connections that are open, idle ones included."""
        return len(self._guests)

    @property
    def busy_connections(self) -> int:
        """Connections with a request or an answer on them."""
        return sum(1 for guest in self._guests if guest.busy)

    async def start(self, sock: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        """Listen on a bound socket. The server works on a copy: the caller's stays open, and with
        it the queue of those who connect while no worker listens."""
        self._loop = loop = asyncio.get_running_loop()
        self._tls = tls
        self._socket = sock.dup()
        self._tick()
        timeout_s = self.options.tls_handshake_timeout_s if tls else None
        self._listener = await loop.create_server(
            self._connect,
            sock=sock.dup(),
            ssl=tls,
            backlog=self.options.backlog,
            ssl_handshake_timeout=timeout_s,
        )

    async def drain(self, deadline_s: float) -> int:
        """Take who is in the queue already, refuse nobody, end what is idle, wait for the rest.

        Returns how many answers still run at the deadline; ending them is the caller's part.
        """
        assert self._loop is not None
        loop = self._loop
        end = loop.time() + deadline_s
        self.draining = True
        await self._take_queue()
        for guest in self._guests:
            # Not at once: its next request may be on its way, and is answered, with `close`.
            guest.hurry()
        while any(guest.state < State.LINGERING for guest in self._guests):
            left_s = end - loop.time()
            if left_s <= 0:
                break
            await self._wait_settled(min(left_s, self.options.sweep_s))
        return self.busy_connections

    async def close(self) -> None:
        """End everything that is left."""
        self.draining = True
        self._stop_listening()
        for guest in list(self._guests):
            guest.kill()
        while self._guests:
            await self._wait_settled(self.options.sweep_s)
        if self._sweep is not None:
            self._sweep.cancel()

    # `host.Host`: what connections ask.

    def admit(self, guest: Guest, *, exempt: bool) -> bool:
        """Register a connection unless the server, or its peer's share of it, is full."""
        peer_ip = guest.peer_ip
        if len(self._guests) >= self._capacity:
            self.count("too_many_connections")
            return False
        if not exempt and self._per_peer[peer_ip] >= self.options.max_connections_per_peer:
            self.count("too_many_connections_per_peer")
            return False
        self._guests.add(guest)
        self._per_peer[peer_ip] += 1
        return True

    def release(self, guest: Guest) -> None:
        """Forget a connection."""
        if guest not in self._guests:
            return
        self._guests.remove(guest)
        self._unseeing.discard(guest)
        self._per_peer[guest.peer_ip] -= 1
        if not self._per_peer[guest.peer_ip]:
            del self._per_peer[guest.peer_ip]
        self._settled.set()

    def settled(self) -> None:
        """Let a drain look again."""
        self._settled.set()

    def cannot_see(self, guest: Guest) -> None:
        """Look after a connection whose socket is not being read."""
        self._unseeing.add(guest)

    def count(self, code: str) -> None:
        """Count a refusal."""
        self.refusals[code] += 1

    def _connect(self) -> Connection:
        assert self._loop is not None
        return Connection(self, self._loop)

    def _tick(self) -> None:
        """One look at every deadline: the only timer there is."""
        assert self._loop is not None
        now = self._loop.time()
        late_s = now - self.now - self.options.sweep_s
        self.now = now
        self.date_line = b"date: %b\r\n" % formatdate(usegmt=True).encode()
        self._sweep = self._loop.call_later(self.options.sweep_s, self._tick)
        if late_s > 1.0:
            return  # we were stopped, not the clients: let what they sent be read first
        for guest in [guest for guest in self._guests if guest.deadline <= now]:
            guest.expire(now)
        if self._unseeing:
            self._unseeing = {guest for guest in self._unseeing if guest.check_peer()}

    async def _wait_settled(self, timeout_s: float) -> None:
        """Until an answer is complete or a connection is gone, or for so long."""
        self._settled.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._settled.wait(), timeout_s)

    async def _take_queue(self) -> None:
        """Stop listening, then accept everyone whose handshake the kernel has completed."""
        listening, self._socket = self._socket, None
        self._stop_listening()
        if listening is None:
            return
        assert self._loop is not None
        listening.setblocking(False)
        with listening:
            waiting = _accept_all(listening)
        timeout_s = self.options.tls_handshake_timeout_s if self._tls else None
        handshakes = [
            self._loop.connect_accepted_socket(
                self._connect, accepted, ssl=self._tls, ssl_handshake_timeout=timeout_s
            )
            for accepted in waiting
        ]
        await asyncio.gather(*handshakes, return_exceptions=True)
        # The loop has accepted some that it has not told us of: plain ones it tells at its next
        # turns, those over TLS when their handshakes are done.
        await asyncio.sleep(self.options.drain_grace_s if self._tls else 0)
        await asyncio.sleep(0)

    def _stop_listening(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _accept_all(listening: socket.socket) -> list[socket.socket]:
    accepted: list[socket.socket] = []
    while True:
        try:
            accepted.append(listening.accept()[0])
        except ConnectionAbortedError:
            continue
        except OSError:  # nobody waits, or no descriptor is left
            break
        accepted[-1].setblocking(False)
    return accepted


def _capacity(options: ServerOptions) -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return options.max_connections
    return min(options.max_connections, max((soft - _SPARE_DESCRIPTORS) // 2, 16))
