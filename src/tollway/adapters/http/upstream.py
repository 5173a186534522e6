"""The `Upstream` of every provider reached over HTTP/1.1. The usual call finds an idle connection,
writes the request in one piece without awaiting anything, and is woken once, when it is over.
"""

import asyncio
from collections.abc import Sequence
from math import inf

from tollway.adapters.http.connection import UpstreamConnection
from tollway.adapters.http.credentials import CredentialError, Secrets
from tollway.adapters.http.dialing import Dialer, DialError
from tollway.adapters.http.guard import Origin, parse_base_url
from tollway.adapters.http.options import UpstreamOptions
from tollway.adapters.http.pool import Pool
from tollway.adapters.http.resolver import Lookup, Resolver, system_lookup
from tollway.adapters.http.run import Run, Waits, waits_of
from tollway.app.ports import Header, ResponseSink, UpstreamCall
from tollway.domain.brand import COMMAND
from tollway.domain.failure import Cause, Failure, Phase
from tollway.domain.provider import ProviderRecord
from tollway.domain.result import Err

_AGENT = f"user-agent: {COMMAND}\r\naccept-encoding: identity\r\n"
_MAX_ROUTES = 4096
_MAX_FIELDS = 64  # header sets kept ready; clients choose the rest


class _Route:
    """Where a provider's calls go, worked out once per provider record."""

    __slots__ = ("fields", "heads", "origin", "pool", "provider", "waits")

    def __init__(self, provider: ProviderRecord, origin: Origin, pool: Pool, waits: Waits) -> None:
        self.provider = provider
        self.origin = origin
        self.pool = pool
        self.waits = waits
        self.fields: dict[Sequence[Header], bytes] = {}
        self.heads: dict[tuple[str, str], tuple[str, bytes]] = {}


class HttpUpstream:
    """One per worker; owns all pools, the resolver and the sweep."""

    def __init__(self, options: UpstreamOptions, *, lookup: Lookup = system_lookup) -> None:
        self._options = options
        self._secrets = Secrets()
        self._resolver = Resolver(lookup)
        self._dialer = Dialer(options, self._resolver)
        self._routes: dict[str, _Route] = {}
        self._pools: dict[tuple[str, Origin, bool], Pool] = {}
        self._running: set[Run] = set()
        self._sweep: asyncio.TimerHandle | None = None

    async def call(self, call: UpstreamCall, sink: ResponseSink) -> Failure | None:
        """Send the request, feed the answer to the sink."""
        loop = asyncio.get_running_loop()
        try:
            route = self._route(call.provider)
            request = self._request(route, call)
        except CredentialError as error:
            return Failure(Phase.CONNECT, Cause.CREDENTIAL, str(error))
        except ValueError as error:
            return Failure(Phase.CONNECT, Cause.PROTOCOL, str(error))
        run = Run(sink, route.waits, loop, stream=call.stream)
        self._running.add(run)
        if self._sweep is None:
            self._sweep = loop.call_later(self._options.sweep_s, self._tick)
        try:
            sink.attach(run)
            connection = route.pool.take_idle()
            if connection is None:
                connection = await self._obtain(route.pool, run)
            if connection is None:
                return run.failure
            connection.send(run, request)
            await run.done
            if run.stale:
                return await self._again(route.pool, run, request)
            return run.failure
        finally:
            self._running.discard(run)
            if run.line is not None:  # our own task was cancelled, or the sink raised
                run.line.end()

    async def close(self) -> None:
        """Close every connection. Calls under way end as reset."""
        if self._sweep is not None:
            self._sweep.cancel()
        for pool in self._pools.values():
            pool.close()
        self._resolver.close()

    @property
    def open_connections(self) -> int:
        """Of all pools, busy and idle."""
        return sum(pool.open_connections for pool in self._pools.values())

    async def _again(self, pool: Pool, run: Run, request: bytes) -> Failure | None:
        """A kept connection turned out to be closed before it gave a byte: the request was not
        seen, so it may be sent once more, on a fresh connection."""
        run.stale = False
        run.done = asyncio.get_running_loop().create_future()
        run.phase, run.deadline = Phase.CONNECT, inf
        connection = await self._obtain(pool, run, fresh=True)
        if connection is None:
            return run.failure
        connection.used = False
        connection.send(run, request)
        await run.done
        return run.failure

    async def _obtain(
        self, pool: Pool, run: Run, *, fresh: bool = False
    ) -> UpstreamConnection | None:
        """A connection, unless the call is cancelled or dialing fails first."""
        obtaining = asyncio.ensure_future(pool.obtain_fresh() if fresh else pool.obtain())
        done = run.done
        try:
            await asyncio.wait((obtaining, done), return_when=asyncio.FIRST_COMPLETED)
        except BaseException:
            _abandon(obtaining, pool)
            raise
        if done.done():
            _abandon(obtaining, pool)
            return None
        try:
            return obtaining.result()
        except DialError as error:
            run.fail(error.failure)
            return None

    def _route(self, provider: ProviderRecord) -> _Route:
        route = self._routes.get(provider.id)
        if route is not None and route.provider is provider:
            return route
        guarded = provider.tenant_id is not None
        parsed = parse_base_url(provider.base_url, tenant_owned=guarded)
        if isinstance(parsed, Err):
            raise ValueError(f"The provider's base URL cannot be used. {parsed.error}")
        origin = parsed.value
        key = (provider.id, origin, guarded)
        pool = self._pools.get(key)
        if pool is None:
            timeout_s = provider.connect_timeout_s
            pool = self._pools[key] = Pool(
                lambda make: self._dialer.dial(
                    origin, make, guarded=guarded, connect_timeout_s=timeout_s
                ),
                self._options,
            )
        if len(self._routes) >= _MAX_ROUTES:
            self._routes.clear()
        route = self._routes[provider.id] = _Route(
            provider, origin, pool, waits_of(provider, self._options)
        )
        return route

    def _request(self, route: _Route, call: UpstreamCall) -> bytes:
        """The whole request. The head's constant part is kept per path and secret."""
        reference = "" if call.credential is None else call.credential.reference
        secret = self._secrets.resolve(reference)
        known = route.heads.get((call.path, reference))
        if known is not None and known[0] == secret:
            head = known[1]
        else:
            origin = route.origin
            text = (
                f"{call.method} {origin.path}{call.path} HTTP/1.1\r\nhost: {origin.authority}\r\n"
            )
            text += _AGENT
            if secret:
                text += f"authorization: Bearer {secret}\r\n"
            head = text.encode("ascii")
            route.heads[(call.path, reference)] = (secret, head)
        fields = route.fields.get(call.headers)
        if fields is None:
            fields = _render(call.headers)
            if len(route.fields) < _MAX_FIELDS:
                route.fields[call.headers] = fields
        return b"%b%bcontent-length: %d\r\n\r\n%b" % (head, fields, len(call.body), call.body)

    def _tick(self) -> None:
        """The one timer: deadlines of calls, and connections idle for too long."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        for run in [run for run in self._running if now >= run.deadline]:
            run.expire(now)
        for run in [run for run in self._running if now >= run.total_deadline]:
            run.expire(now)
        for pool in self._pools.values():
            pool.close_idle(now - self._options.keepalive_s)
        self._sweep = loop.call_later(self._options.sweep_s, self._tick)


def _render(headers: Sequence[Header]) -> bytes:
    fields = b"".join([b"%b: %b\r\n" % header for header in headers])
    if fields.count(b"\n") != len(headers) or fields.count(b"\r") != len(headers):
        raise ValueError("A header value has a line break.")
    return fields


def _abandon(obtaining: "asyncio.Future[UpstreamConnection]", pool: Pool) -> None:
    """Nobody wants the connection any more; one that comes anyway goes to the pool."""

    def keep(done: "asyncio.Future[UpstreamConnection]") -> None:
        if not done.cancelled() and done.exception() is None and not done.result().closed:
            pool.give_back(done.result())

    obtaining.add_done_callback(keep)
    if not obtaining.done():
        obtaining.cancel()
