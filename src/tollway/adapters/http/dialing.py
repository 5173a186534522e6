"""Making a connection: resolve, check, connect, encrypt. Each step has its own deadline and its own
failure; no byte of a request is sent before all of them are done.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable
from ipaddress import ip_address

from tollway.adapters.http.connection import UpstreamConnection
from tollway.adapters.http.guard import Origin, is_forbidden, parse_base_url
from tollway.adapters.http.options import UpstreamOptions
from tollway.adapters.http.resolver import Resolver
from tollway.domain.failure import Cause, Failure, Phase
from tollway.domain.result import Err

_MAX_PROXY_HEAD_BYTES = 8192


class DialError(Exception):
    """No connection; `failure` says why."""

    def __init__(self, cause: Cause, message: str) -> None:
        super().__init__(message)
        self.failure = Failure(Phase.CONNECT, cause, message)


class Dialer:
    """Opens connections to origins, directly or through a proxy's CONNECT."""

    def __init__(self, options: UpstreamOptions, resolver: Resolver) -> None:
        self._options = options
        self._resolver = resolver
        self._tls: ssl.SSLContext | None = None
        self._proxy: Origin | None = None
        if options.proxy_url is not None:
            parsed = parse_base_url(options.proxy_url, tenant_owned=False)
            if isinstance(parsed, Err):
                raise ValueError(f"proxy_url: {parsed.error}")
            self._proxy = parsed.value

    async def dial(
        self,
        origin: Origin,
        make: Callable[[], UpstreamConnection],
        *,
        guarded: bool,
        connect_timeout_s: float | None,
    ) -> UpstreamConnection:
        """A ready connection. `guarded` refuses forbidden addresses. Raises `DialError`."""
        near = self._proxy or origin
        addresses = await self._resolve(near)
        if guarded and self._proxy is None:
            addresses = [one for one in addresses if not is_forbidden(ip_address(one))]
            if not addresses:
                raise DialError(
                    Cause.FORBIDDEN_ADDRESS, "The provider's address is not an allowed one."
                )
        timeout_s = connect_timeout_s or self._options.connect_timeout_s
        connected = await self._connect(addresses, near.port, timeout_s)
        try:
            if self._proxy is not None:
                await self._tunnel(connected, origin, timeout_s)
            return await self._wrap(connected, origin, make)
        except BaseException:
            connected.close()
            raise

    async def _resolve(self, origin: Origin) -> list[str]:
        try:
            return await self._resolver.resolve(
                origin.host, origin.port, self._options.dns_timeout_s
            )
        except TimeoutError:
            raise DialError(
                Cause.DNS, "The provider's name could not be resolved in time."
            ) from None
        except OSError:
            raise DialError(Cause.DNS, "The provider's name could not be resolved.") from None

    async def _connect(self, addresses: list[str], port: int, timeout_s: float) -> socket.socket:
        """The first address that accepts, all of them within the one deadline."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout_s):
                for address in addresses:
                    family = socket.AF_INET6 if ":" in address else socket.AF_INET
                    attempt = socket.socket(family, socket.SOCK_STREAM)
                    attempt.setblocking(False)
                    try:
                        await loop.sock_connect(attempt, (address, port))
                    except OSError:
                        attempt.close()
                        continue
                    except BaseException:
                        attempt.close()
                        raise
                    return attempt
        except TimeoutError:
            raise DialError(
                Cause.TIMEOUT, "The provider did not accept a connection in time."
            ) from None
        raise DialError(Cause.REFUSED, "The provider refused the connection.")

    async def _tunnel(self, connected: socket.socket, origin: Origin, timeout_s: float) -> None:
        host = f"[{origin.host}]" if ":" in origin.host else origin.host
        target = f"{host}:{origin.port}"
        loop = asyncio.get_running_loop()
        head = b""
        try:
            async with asyncio.timeout(timeout_s):
                request = f"CONNECT {target} HTTP/1.1\r\nhost: {target}\r\n\r\n"
                await loop.sock_sendall(connected, request.encode())
                while b"\r\n\r\n" not in head and len(head) < _MAX_PROXY_HEAD_BYTES:
                    # One byte at a time: what follows the head belongs to the tunnel.
                    data = await loop.sock_recv(connected, 1)
                    if not data:
                        break
                    head += data
        except (OSError, TimeoutError):
            head = b""
        if not head.startswith((b"HTTP/1.1 200", b"HTTP/1.0 200")):
            raise DialError(Cause.REFUSED, "The proxy did not open a tunnel to the provider.")

    async def _wrap(
        self, connected: socket.socket, origin: Origin, make: Callable[[], UpstreamConnection]
    ) -> UpstreamConnection:
        loop = asyncio.get_running_loop()
        try:
            if not origin.tls:
                _, connection = await loop.create_connection(make, sock=connected)
                return connection
            _, connection = await loop.create_connection(
                make,
                sock=connected,
                ssl=self._context(),
                server_hostname=origin.host,
                ssl_handshake_timeout=self._options.tls_timeout_s,
            )
        except (ssl.SSLError, ssl.CertificateError) as error:
            reason = getattr(error, "verify_message", "") or error.reason or "handshake failed"
            raise DialError(
                Cause.TLS, f"The provider's TLS certificate or handshake is not valid: {reason}."
            ) from error
        except (TimeoutError, ConnectionError) as error:
            raise DialError(
                Cause.TLS, "The provider did not complete the TLS handshake."
            ) from error
        except OSError as error:
            raise DialError(Cause.REFUSED, "The connection to the provider failed.") from error
        return connection

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            context = ssl.create_default_context()
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.set_alpn_protocols(["http/1.1"])
            if self._options.ca_file is not None:
                context.load_verify_locations(self._options.ca_file)
            self._tls = context
        return self._tls
