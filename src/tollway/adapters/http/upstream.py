"""The `Upstream` of every provider reached over HTTP/1.1. The usual call finds an idle connection,
writes the request in one piece without awaiting anything, and is woken once, when it is over.
"""

import asyncio
from contextlib import ExitStack
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from tollway.adapters.http.access_tokens import AccessTokens
from tollway.adapters.http.connection import UpstreamConnection
from tollway.adapters.http.credentials import CredentialError, Secrets
from tollway.adapters.http.dialing import Dialer, DialError
from tollway.adapters.http.head import HeadError, RequestHeads
from tollway.adapters.http.options import Deadlines, UpstreamOptions, deadlines_for
from tollway.adapters.http.pool import Pool
from tollway.adapters.http.resolver import Lookup, Resolver, system_lookup
from tollway.adapters.http.run import Run
from tollway.app.ports import ResponseSink, SecretBox, UpstreamCall
from tollway.domain.brand import COMMAND
from tollway.domain.failure import Cause, Failure, Phase
from tollway.domain.origin import Origin, parse_base_url
from tollway.domain.provider import ProviderKind, ProviderRecord
from tollway.domain.result import Err
from tollway.domain.vertex import place_of

_MAX_ROUTES = 4096
_CLOSING = "The gateway is shutting down."
_DRAINED = Failure(Phase.CONNECT, Cause.DRAINED, _CLOSING)
_PoolKey = tuple[str, Origin, bool]


class _Route:
    """Where a provider's calls go and what holds for them, worked out once per record."""

    __slots__ = ("deadlines", "heads", "origin", "owner", "pool", "provider")

    def __init__(
        self, provider: ProviderRecord, origin: Origin, pool: Pool, *, deadlines: Deadlines
    ) -> None:
        self.provider = provider
        self.origin = origin
        self.owner = provider.tenant_id
        self.pool = pool
        self.deadlines = deadlines
        self.heads = RequestHeads(origin, _agent())


class HttpUpstream:
    """One per worker; owns all pools, the resolver and the sweep."""

    def __init__(
        self,
        options: UpstreamOptions,
        box: SecretBox | None = None,
        *,
        lookup: Lookup = system_lookup,
    ) -> None:
        """The box opens sealed credentials. Raises ValueError when the CA file or the proxy's URL
        cannot be used."""
        self._options = options
        self._secrets = Secrets(box)
        self._resolver = Resolver(lookup)
        self._dialer = Dialer(options, self._resolver)
        self._tokens = AccessTokens(self.call)
        self._routes: dict[str, _Route] = {}
        self._pools: dict[_PoolKey, Pool] = {}
        self._running: set[Run] = set()
        self._sweep: asyncio.TimerHandle | None = None
        self._obtaining: set[asyncio.Future[UpstreamConnection]] = set()
        self._draining = self._closed = False

    async def call(self, call: UpstreamCall, sink: ResponseSink) -> Failure | None:
        """Send the request, feed the answer to the sink. Raises only what the sink raised."""
        prepared = self._prepare(call)
        if isinstance(prepared, Failure):
            return prepared
        route, request, secret = prepared
        loop = asyncio.get_running_loop()
        run = Run(call, sink, route.deadlines, loop, secret=secret)
        self._running.add(run)
        if self._sweep is None:
            self._sweep = loop.call_later(self._options.sweep_s, self._tick)
        try:
            sink.attach(run)
            fresh = False
            if request is None:
                request = await self._authorized(route, run, call)
            while run.failure is None:
                connection = None if fresh else route.pool.take_idle()
                if connection is None:
                    connection = await self._obtain(route, run, fresh=fresh)
                if connection is None:
                    break
                connection.send(run, request)
                await run.done
                if not run.stale:
                    break
                # The provider has not seen the request: once more, on a connection of its own.
                fresh = True
                run.restart(loop)
        finally:
            self._running.discard(run)
            if run.line is not None:  # our own task was cancelled
                run.line.end()
        if run.error is not None:
            raise run.error
        return run.failure

    def drain(self) -> None:
        """From now on no connection is kept after its call."""
        self._draining = True
        for pool in self._pools.values():
            pool.retire()

    async def close(self) -> None:
        """Close every connection. Calls under way fail, and so do later ones."""
        self._closed = True
        self._routes.clear()
        self.drain()
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        for run in list(self._running):
            run.fail(Failure(run.phase, Cause.DRAINED, _CLOSING))
        for pool in self._pools.values():
            pool.close()
        for obtaining in list(self._obtaining):
            obtaining.cancel()
        if self._obtaining:
            await asyncio.wait(self._obtaining)
        await self._tokens.close()
        self._resolver.close()
        # A transport closes its socket in the turn after `abort`, and tells its encryption, which
        # tells us in the one after that.
        for _ in range(3):
            await asyncio.sleep(0)

    @property
    def open_connections(self) -> int:
        """Of all pools, busy and idle."""
        return sum(pool.open_connections for pool in self._pools.values())

    def _prepare(self, call: UpstreamCall) -> tuple[_Route, bytes | None, str] | Failure:
        """The way, the request and the secret in it. Without a request: the secret is a service
        account, and its token must be fetched."""
        provider = call.provider
        route = self._routes.get(provider.id)
        if route is None or route.provider is not provider:
            made = self._make_route(provider)
            if isinstance(made, Failure):
                return made
            route = made
        try:
            secret = self._secrets.resolve(provider, call.credential)
            if provider.kind is ProviderKind.VERTEX:
                token = self._tokens.at_hand(provider, secret)
                if token is None:
                    return route, None, secret
                if isinstance(token, Failure):
                    return token
                secret = token
            return route, route.heads.render(call, secret), secret
        except CredentialError as error:
            return Failure(Phase.CONNECT, Cause.CREDENTIAL, str(error))
        except HeadError as error:
            return Failure(Phase.CONNECT, Cause.PROTOCOL, str(error))

    async def _authorized(self, route: _Route, run: Run, call: UpstreamCall) -> bytes:
        """The request with an access token in it; nothing when the call is cancelled first, or
        fails for want of one."""
        obtaining = self._tokens.obtain(call.provider, run.secret)
        await asyncio.wait((obtaining, run.done), return_when=asyncio.FIRST_COMPLETED)
        if run.done.done():
            return b""
        token = _DRAINED if obtaining.cancelled() else obtaining.result()
        if isinstance(token, Failure):
            run.fail(token)
            return b""
        run.secret = token
        try:
            return route.heads.render(call, token)
        except HeadError as error:
            run.fail(Failure(Phase.CONNECT, Cause.PROTOCOL, str(error)))
            return b""

    def _make_route(self, provider: ProviderRecord) -> _Route | Failure:
        if self._closed:
            return _DRAINED
        guarded = provider.tenant_id is not None
        base_url = provider.base_url
        if provider.kind is ProviderKind.VERTEX:
            base_url = place_of(base_url)
        parsed = parse_base_url(base_url, tenant_owned=guarded)
        if isinstance(parsed, Err):
            return Failure(Phase.CONNECT, Cause.FORBIDDEN_ADDRESS, parsed.error)
        if len(self._routes) >= _MAX_ROUTES:
            self._forget_unused()
        key = (provider.id, parsed.value, guarded)
        pool = self._pools.get(key)
        if pool is None:
            pool = self._pools[key] = Pool(self._options)
            if self._draining:
                pool.retire()
        deadlines = deadlines_for(provider, self._options)
        route = _Route(provider, parsed.value, pool, deadlines=deadlines)
        self._routes[provider.id] = route
        return route

    def _forget_unused(self) -> None:
        self._routes.clear()
        for key, pool in list(self._pools.items()):
            if pool.unused:
                pool.retire()  # should a call still hold it, nothing is kept where no sweep looks
                del self._pools[key]

    async def _obtain(self, route: _Route, run: Run, *, fresh: bool) -> UpstreamConnection | None:
        """A connection, unless the call is cancelled or dialing fails first."""
        pool = route.pool
        obtaining = asyncio.ensure_future(
            pool.obtain(
                lambda make: self._dialer.dial(
                    route.origin,
                    make,
                    owner=route.owner,
                    connect_timeout_s=route.deadlines.connect_s,
                ),
                fresh=fresh,
            )
        )
        self._obtaining.add(obtaining)
        obtaining.add_done_callback(self._obtaining.discard)
        with ExitStack() as undo:
            undo.callback(_abandon, obtaining, pool)
            await asyncio.wait((obtaining, run.done), return_when=asyncio.FIRST_COMPLETED)
            if run.done.done():
                return None
            undo.pop_all()
        try:
            return obtaining.result()
        except DialError as error:
            run.fail(error.failure)
            return None

    def _tick(self) -> None:
        """The one timer: deadlines of calls, and connections idle for too long. It stands still
        while there is nothing to watch."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        late = [run for run in self._running if now >= run.deadline or now >= run.total_deadline]
        for run in late:
            run.expire()
        watched = bool(self._running)
        for pool in self._pools.values():
            pool.close_idle(now - self._options.keepalive_s)
            watched = watched or pool.has_idle
        self._sweep = loop.call_later(self._options.sweep_s, self._tick) if watched else None


@cache
def _agent() -> str:
    try:
        return f"{COMMAND}/{version(COMMAND)}"
    except PackageNotFoundError:  # run from a source tree that is not installed
        return COMMAND


def _abandon(obtaining: "asyncio.Future[UpstreamConnection]", pool: Pool) -> None:
    """Nobody wants the connection any more; one that comes anyway goes to the pool."""

    def keep(done: "asyncio.Future[UpstreamConnection]") -> None:
        if not done.cancelled() and done.exception() is None and not done.result().closed:
            pool.give_back(done.result())

    obtaining.add_done_callback(keep)
    if not obtaining.done():
        obtaining.cancel()
