"""Encryption between us and a provider: what it hides from a plain transport's eyes."""

import asyncio

import pytest

from tests.fakes.certificates import Certificates
from tests.fakes.promptly import within
from tests.unit.adapters.http.scripted import (
    GOOD,
    Peer,
    Server,
    Sink,
    against,
    answers,
    client,
    make_call,
    provider,
)
from tests.unit.adapters.http.test_pool import until
from tollway.domain.failure import Cause, Failure, Phase

GONE = Failure(Phase.CONNECT, Cause.CLIENT_GONE, "The client left.")


@pytest.mark.parametrize("tls", [False, True])
async def test_a_cancel_at_any_moment(certificates: Certificates, tls: bool) -> None:
    """In whichever turn of the loop a dialing call is cancelled, its socket is closed, its slot is
    free, and the number of its socket serves the next one without confusion."""
    context = certificates.server_context() if tls else None
    # The server's side of a broken handshake is reported to the loop.
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    options = {"ca_file": str(certificates.ca_file), "lookup": lambda host, port: ["127.0.0.1"]}
    async with against(answers, tls=context, **options) as (http, at, server):
        assert (await http.ask(at))[0] is None
        http.http.drain()
        (pool,) = http.http._pools.values()
        for turns in range(30):
            asking = asyncio.ensure_future(http.http.call(make_call(at), Sink()))
            for _ in range(turns):
                await asyncio.sleep(0)
            asking.cancel()
            (outcome,) = await asyncio.gather(asking, return_exceptions=True)
            assert outcome is None or isinstance(outcome, asyncio.CancelledError)
        await until(lambda: pool.unused and not server.open)
        assert (await http.ask(at))[0] is None


@pytest.mark.parametrize("how", ["flow", "task", "close"])
async def test_a_stalled_handshake_is_let_go(how: str) -> None:
    """A call that ends while the handshake stalls closes the socket within 100 ms."""
    spoken = bytearray()
    ended = asyncio.Event()

    async def script(peer: Peer) -> None:
        while data := await peer._reader.read(65536):
            spoken.extend(data)
        ended.set()

    async with Server(script) as server, client() as http:
        sink = Sink()
        at = provider(f"https://localhost:{server.port}/v1")
        asking = asyncio.ensure_future(http.ask(at, sink, body=b"the request"))
        await until(lambda: spoken)
        with within(0.1):
            if how == "task":
                asking.cancel()
            elif how == "flow":
                sink.flow.cancel(GONE)
            else:
                await http.http.close()
            (outcome,) = await asyncio.gather(asking, return_exceptions=True)
            await asyncio.wait_for(ended.wait(), 5)
        if how == "task":
            assert isinstance(outcome, asyncio.CancelledError)
        else:
            assert outcome[0].cause is (Cause.CLIENT_GONE if how == "flow" else Cause.DRAINED)
        assert b"the request" not in spoken
        assert all(pool.unused for pool in http.http._pools.values())


async def test_an_answer_before_the_request_has_left(certificates: Certificates) -> None:
    """Encryption passes a request on to the transport below it, where it still waits to leave: such
    a connection is not kept."""
    stop = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer._reader.readuntil(b"\r\n\r\n")  # and no further: the rest has to wait
        peer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno")
        await stop.wait()

    ca_file = str(certificates.ca_file)
    async with against(script, tls=certificates.server_context(), ca_file=ca_file) as (http, at, _):
        failure, sink = await http.ask(at, body=b"x" * 20_000_000)
        assert failure is None
        assert sink.status == 413
        assert http.http.open_connections == 0
        stop.set()


async def test_pause_bounds_what_is_read(certificates: Certificates) -> None:
    """As without encryption: a paused call holds a bounded part, and loses nothing."""
    size = 24 * 1024 * 1024
    written = 0

    async def script(peer: Peer) -> None:
        nonlocal written
        await peer.request()
        peer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % size)
        while written < size:
            peer.write(b"x" * 65536)
            written += 65536
            await peer.drain()
        peer.close()
        await peer.gone()

    def pause(sink: Sink, data: bytes) -> None:
        if len(sink.pieces) == 1:
            sink.flow.pause()

    ca_file = str(certificates.ca_file)
    async with against(script, tls=certificates.server_context(), ca_file=ca_file) as (http, at, _):
        sink = Sink(on_data=pause)
        asking = asyncio.ensure_future(http.ask(at, sink, stream=True))
        await sink.arrived.wait()
        before = -1
        while before != written:  # until the writer stands still
            before = written
            await asyncio.sleep(0.05)
        assert sum(map(len, sink.pieces)) <= 1024 * 1024
        assert written < size * 3 // 4
        sink.flow.resume()
        failure, _ = await asking
        assert failure is None
        assert sum(map(len, sink.pieces)) == size


async def test_an_end_while_paused(certificates: Certificates) -> None:
    """The provider sends the rest, says good-bye and leaves while the call is paused: nothing of
    the answer is lost."""
    ended = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        peer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 300000\r\n\r\nx")
        await sink.arrived.wait()
        peer.write(b"x" * 299_999)
        await peer.drain()
        peer.close()
        ended.set()
        await peer.gone()

    def pause(sink: Sink, data: bytes) -> None:
        if len(sink.pieces) == 1:
            sink.flow.pause()

    sink = Sink(on_data=pause)
    ca_file = str(certificates.ca_file)
    async with against(script, tls=certificates.server_context(), ca_file=ca_file) as (http, at, _):
        asking = asyncio.ensure_future(http.ask(at, sink))
        await asyncio.wait_for(ended.wait(), 5)
        await asyncio.wait([asking], timeout=0.05)
        assert not asking.done()
        sink.flow.resume()
        failure, _ = await asking
        assert failure is None
        assert len(sink.body) == 300_000


async def test_stale_under_encryption(certificates: Certificates) -> None:
    """A kept connection that the provider ends in the moment it is used is replaced once."""

    async def script(peer: Peer) -> None:
        await peer.request()
        peer.write(GOOD)
        await peer.request()
        peer.close()

    ca_file = str(certificates.ca_file)
    tls = certificates.server_context()
    async with against(script, tls=tls, ca_file=ca_file) as (http, at, server):
        for number in range(1, 4):
            assert (await http.ask(at))[0] is None
            assert server.accepted == number


async def test_a_greeting_before_the_handshake() -> None:
    """Who speaks first does not speak TLS: a failure of the handshake, whatever the timing."""

    async def script(peer: Peer) -> None:
        peer.write(b"220 mail.example ESMTP\r\n")
        await peer.gone()

    async with Server(script) as server, client() as http:
        for _ in range(5):
            failure, _ = await http.ask(provider(f"https://localhost:{server.port}/v1"))
            assert failure is not None
            assert (failure.phase, failure.cause) == (Phase.CONNECT, Cause.TLS)
