"""Making a connection: resolve, check, connect, encrypt. Each step has its own deadline and its own
failure; no byte of a request is sent before all of them are done.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import ExitStack

from tollway.adapters.http.connection import UpstreamConnection
from tollway.adapters.http.guard import any_forbidden
from tollway.adapters.http.options import UpstreamOptions
from tollway.adapters.http.proxy import TunnelError, open_tunnel
from tollway.adapters.http.resolver import Resolver
from tollway.adapters.http.tls import client_context, encrypt
from tollway.domain.failure import Cause, Failure, Phase
from tollway.domain.origin import Origin, parse_base_url
from tollway.domain.result import Err

Make = Callable[[], UpstreamConnection]


class DialError(Exception):
    """No connection; `failure` says why."""

    def __init__(self, cause: Cause, message: str) -> None:
        super().__init__(message)
        self.failure = Failure(Phase.CONNECT, cause, message)


class Dialer:
    """Opens connections to origins, directly or through a proxy's CONNECT."""

    def __init__(self, options: UpstreamOptions, resolver: Resolver) -> None:
        """Raises ValueError when the CA file or the proxy's URL cannot be used."""
        self._options = options
        self._resolver = resolver
        self._context: ssl.SSLContext | None = None
        if options.ca_file is not None:
            self._context = client_context(options.ca_file)
        self._proxy: Origin | None = None
        if options.proxy_url is not None:
            parsed = parse_base_url(options.proxy_url, tenant_owned=False)
            if isinstance(parsed, Err) or parsed.value.tls or parsed.value.path:
                raise ValueError("The proxy's URL must look like http://host:port.")
            self._proxy = parsed.value

    async def dial(
        self, origin: Origin, make: Make, *, owner: str | None, connect_timeout_s: float
    ) -> UpstreamConnection:
        """A ready connection. An `owner` is a tenant: forbidden addresses are refused to it.
        Raises `DialError`."""
        proxy = self._proxy if origin.tls else None
        context = await self._tls() if origin.tls else None
        host = origin.host
        if proxy is None or owner is not None:
            addresses = await self._resolve(origin, owner)
            host = addresses[0]
        if proxy is not None:
            addresses = await self._resolve(proxy, None)
        port = origin.port if proxy is None else proxy.port
        connected = await self._connect(addresses, port, connect_timeout_s)
        with ExitStack() as undo:
            undo.callback(connected.close)
            if proxy is not None:
                await self._tunnel(connected, host, origin.port, timeout_s=connect_timeout_s)
            elif owner is not None:
                _check_not_ourselves(connected)
            undo.pop_all()
        return await self._attach(connected, origin, make, context)

    async def _tls(self) -> ssl.SSLContext:
        if self._context is None:
            # Reading the system's authorities takes long enough to be felt by every stream.
            self._context = await asyncio.to_thread(client_context, None)
        return self._context

    async def _resolve(self, origin: Origin, owner: str | None) -> list[str]:
        try:
            addresses = await self._resolver.resolve(
                origin.host, origin.port, owner=owner, timeout_s=self._options.dns_timeout_s
            )
        except TimeoutError:
            raise DialError(
                Cause.DNS, "The provider's name could not be resolved in time."
            ) from None
        except OSError:
            raise DialError(Cause.DNS, "The provider's name could not be resolved.") from None
        if not addresses:
            raise DialError(Cause.DNS, "The provider's name has no address.")
        if owner is not None and any_forbidden(addresses):
            raise DialError(Cause.FORBIDDEN_ADDRESS, _FORBIDDEN)
        return addresses

    async def _connect(self, addresses: list[str], port: int, timeout_s: float) -> socket.socket:
        """The first address that accepts; each has its share of the time that is left."""
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout_s
        cause, message = Cause.REFUSED, _REFUSED
        for position, address in enumerate(addresses):
            share_s = (end - loop.time()) / (len(addresses) - position)
            with ExitStack() as undo:
                try:
                    attempt = _new_socket(address)
                    undo.callback(attempt.close)
                    async with asyncio.timeout(share_s):
                        await loop.sock_connect(attempt, (address, port))
                    undo.pop_all()
                    return attempt
                except TimeoutError:
                    cause = Cause.TIMEOUT
                    message = "The provider did not accept a connection in time."
                except ConnectionError:
                    continue
                except OSError as error:  # no route, no such address family, no free descriptor
                    message = f"No connection to the provider can be made: {error.strerror}."
        raise DialError(cause, message)

    async def _tunnel(
        self, connected: socket.socket, host: str, port: int, *, timeout_s: float
    ) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                await open_tunnel(connected, host, port)
        except TimeoutError:
            raise DialError(Cause.TIMEOUT, "The proxy did not answer in time.") from None
        except TunnelError as error:
            raise DialError(error.cause, str(error)) from error

    async def _attach(
        self, connected: socket.socket, origin: Origin, make: Make, context: ssl.SSLContext | None
    ) -> UpstreamConnection:
        """From a socket to a connection that can be sent on, encrypted if there is a context. The
        socket is its transport's from now on: to close it here as well would close a number that
        may be somebody else's by then."""
        if context is None:
            loop = asyncio.get_running_loop()
            _, connection = await loop.create_connection(make, sock=connected)
            return connection
        connection = make()
        timeout_s = self._options.tls_timeout_s
        try:
            await encrypt(connected, connection, context, host=origin.host, timeout_s=timeout_s)
        except TimeoutError:
            raise DialError(
                Cause.TIMEOUT, "The provider did not complete the TLS handshake in time."
            ) from None
        except ssl.SSLError as error:
            reason = getattr(error, "verify_message", "") or error.reason or "handshake failed"
            raise DialError(
                Cause.TLS, f"The provider's TLS certificate or handshake is not valid: {reason}."
            ) from error
        except OSError as error:
            raise DialError(Cause.TLS, "The provider broke off the TLS handshake.") from error
        return connection


_FORBIDDEN = "A tenant's provider may not be at this address."
_REFUSED = "The provider refused the connection."


def _check_not_ourselves(connected: socket.socket) -> None:
    """Our own machine may have addresses that no table can list. Raises `DialError`."""
    try:
        own, other = connected.getsockname()[0], connected.getpeername()[0]
    except OSError:  # reset already
        raise DialError(Cause.RESET, "The provider closed the connection at once.") from None
    if own == other:
        raise DialError(Cause.FORBIDDEN_ADDRESS, _FORBIDDEN)


def _new_socket(address: str) -> socket.socket:
    made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    made.setblocking(False)
    # Asyncio sets it only on sockets it made itself. Without it the tail of a request waits for
    # the acknowledgement of what went before.
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made
