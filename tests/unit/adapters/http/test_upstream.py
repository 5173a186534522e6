"""The client as a whole: what the usual call costs, and what stays after many unusual ones."""

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.fakes.certificates import Certificates
from tests.unit.adapters.http.scripted import (
    GOOD,
    Client,
    Peer,
    Server,
    Sink,
    against,
    answers,
    client,
    make_call,
    provider,
)
from tollway.adapters.http import dialing, upstream
from tollway.adapters.http.connection import UpstreamConnection
from tollway.domain.failure import Cause, Phase


class CountedTransport:
    """What a connection did with its transport."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.writes: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.writes.append(data)
        self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


def kept(http: Client) -> UpstreamConnection:
    (pool,) = http.http._pools.values()
    (connection,) = pool._idle
    return connection


async def test_the_usual_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a kept connection the whole request leaves in one write before anything is awaited, no
    thread is asked, and the calling task wakes once."""
    async with against(answers) as (http, at, _):
        assert (await http.ask(at))[0] is None
        connection = kept(http)
        counted = connection._transport = CountedTransport(connection._transport)  # type: ignore
        monkeypatch.setattr(ThreadPoolExecutor, "submit", None)
        coroutine = http.http.call(make_call(at, b"x" * 50_000), Sink())
        awaited = coroutine.send(None)  # as far as it goes without waiting
        assert asyncio.isfuture(awaited)
        (written,) = counted.writes
        assert written.startswith(b"POST ")
        assert written.endswith(b"\r\n\r\n" + b"x" * 50_000)
        while not awaited.done():
            await asyncio.sleep(0)
        with pytest.raises(StopIteration) as ended:
            coroutine.send(None)
        assert ended.value.value is None


async def test_one_timer_for_all_calls() -> None:
    """However many calls are under way, one sweep watches them; without any it stands still."""
    hold = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await hold.wait()
        peer.write(GOOD)
        await peer.gone()

    async with against(script, keepalive_s=0.01) as (http, at, _):
        loop = asyncio.get_running_loop()
        timers = 0
        call_later = loop.call_later

        def counted(delay: float, callback: Any, *args: Any, **kwargs: Any) -> asyncio.TimerHandle:
            nonlocal timers
            timers += callback == http.http._tick
            return call_later(delay, callback, *args, **kwargs)

        with pytest.MonkeyPatch.context() as patch:
            try:
                patch.setattr(loop, "call_later", counted)
            except AttributeError:  # uvloop's cannot be replaced
                timers = 1
            asking = [asyncio.ensure_future(http.ask(at)) for _ in range(20)]
            for _ in range(3):
                await asyncio.sleep(0)
            assert timers == 1
        hold.set()
        assert {failure for failure, _ in await asyncio.gather(*asking)} == {None}
        while http.http._sweep is not None:
            await asyncio.sleep(0.01)
        assert http.http.open_connections == 0


async def test_many_at_once() -> None:
    """Calls at the same time get each its own answer."""

    async def script(peer: Peer) -> None:
        while True:
            _, _, body = await peer.request()
            peer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))

    async with against(script) as (http, at, _):
        bodies = [b"%d" % number for number in range(90)]  # a listener's queue is 100 long
        results = await asyncio.gather(*(http.ask(at, body=body) for body in bodies))
        assert [failure for failure, _ in results] == [None] * 90
        assert [sink.body for _, sink in results] == bodies


async def test_providers_that_come_and_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """Configurations change for ever; what is kept for old ones is let go, what is used is not."""
    monkeypatch.setattr(upstream, "_MAX_ROUTES", 8)
    async with Server(answers) as server, client() as http:
        at = provider(server.url)
        assert (await http.ask(at))[0] is None
        for number in range(40):
            nowhere = provider("http://127.0.0.1:1/v1", id=f"prv_{number + 10}")
            failure, _ = await http.ask(nowhere)
            assert failure is not None
            assert failure.cause is Cause.REFUSED
            assert len(http.http._routes) <= 8
            assert len(http.http._pools) <= 9
        assert (await http.ask(at))[0] is None
        assert server.accepted == 1


async def test_a_connection_lost_unheard(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fresh connection that is closing when its request would leave: nothing was sent."""
    async with against(answers) as (http, at, _):
        taken = UpstreamConnection.send

        def closing(self: UpstreamConnection, run: Any, request: bytes) -> None:
            assert self._transport is not None
            self._transport.abort()
            taken(self, run, request)

        monkeypatch.setattr(UpstreamConnection, "send", closing)
        failure, _ = await http.ask(at)
        assert failure is not None
        assert (failure.phase, failure.cause) == (Phase.CONNECT, Cause.RESET)


async def test_after_close() -> None:
    """A late call fails; it opens nothing and starts no timer."""
    async with against(answers) as (http, at, server):
        assert (await http.ask(at))[0] is None
        await http.http.close()
        failure, sink = await http.ask(at)
        assert failure is not None
        assert (failure.phase, failure.cause) == (Phase.CONNECT, Cause.DRAINED)
        assert sink.flow is None
        assert http.http._sweep is None
        assert server.accepted == 1


@pytest.mark.parametrize("tls", [False, True])
async def test_close_leaves_no_socket(certificates: Certificates, tls: bool) -> None:
    """When `close` returns, every socket is closed: idle, busy and half made ones."""

    async def script(peer: Peer) -> None:
        while True:
            _, _, body = await peer.request()
            if body == b"stall":
                await peer.gone()
            peer.write(GOOD)

    sockets: list[socket.socket] = []
    new_socket = dialing._new_socket

    def noted(address: str) -> socket.socket:
        sockets.append(new_socket(address))
        return sockets[-1]

    context = certificates.server_context() if tls else None
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dialing, "_new_socket", noted)
        async with against(script, tls=context, ca_file=str(certificates.ca_file)) as (http, at, _):
            busy = [asyncio.ensure_future(http.ask(at, body=b"stall")) for _ in range(3)]
            assert (await http.ask(at))[0] is None
            while http.http.open_connections < 4:
                await asyncio.sleep(0.001)
            half_made = asyncio.ensure_future(http.ask(provider(at.base_url, id="prv_2")))
            while len([one for one in sockets if one.fileno() >= 0]) < 5:
                await asyncio.sleep(0)
            await http.http.close()
            assert [one.fileno() for one in sockets if one.fileno() >= 0] == []
            for failure, _ in await asyncio.gather(*busy, half_made):
                assert failure is not None
                assert failure.cause is Cause.DRAINED
