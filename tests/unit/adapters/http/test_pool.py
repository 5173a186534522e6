"""Which connections are kept, who gets them, how many there are, and who waits how long."""

import asyncio
import random
import time

import pytest

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
from tollway.adapters.http.connection import UpstreamConnection
from tollway.adapters.http.dialing import DialError
from tollway.adapters.http.options import UpstreamOptions
from tollway.adapters.http.pool import Pool
from tollway.adapters.http.run import Run
from tollway.domain.failure import Cause, Failure, Phase


class Gate:
    """A server that answers when it is told to, and remembers who asked on which connection."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.waiting = 0
        self.most = 0
        self.arrived = asyncio.Event()

    async def __call__(self, peer: Peer) -> None:
        while True:
            await peer.request()
            self.waiting += 1
            self.most = max(self.most, self.waiting)
            self.arrived.set()
            await self.open.wait()
            self.waiting -= 1
            peer.write(GOOD)


async def until(true: object, seconds: float = 5.0) -> None:
    """Wait for a condition."""
    end = time.monotonic() + seconds
    while not true():  # type: ignore[operator]
        assert time.monotonic() < end, "it never came true"
        await asyncio.sleep(0.005)


async def test_calls_one_after_the_other_share_a_connection() -> None:
    """A kept connection serves the next call, and the one used last is taken first."""
    used: list[Peer] = []

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            used.append(peer)
            if len(used) == 1:
                await second.wait()
            second.set()
            peer.write(GOOD)

    second = asyncio.Event()
    async with against(script) as (http, at, server):
        results = await asyncio.gather(http.ask(at), http.ask(at))
        assert [failure for failure, _ in results] == [None, None]
        assert server.accepted == 2
        last = used[-1]
        for _ in range(5):
            assert (await http.ask(at))[0] is None
        assert server.accepted == 2
        assert len(set(used[2:])) == 1
        assert last in used[:2]


async def test_each_provider_has_connections_of_its_own() -> None:
    """Two providers at one origin never share a connection: it may carry another's account."""
    async with against(answers) as (http, at, server):
        other = provider(server.url, id="prv_2")
        for one in (at, other, at, other):
            assert (await http.ask(one))[0] is None
        assert server.accepted == 2


async def test_a_changed_record_keeps_its_connections() -> None:
    """A new record of the same provider and origin goes on where the old one stood; a new origin
    begins anew."""
    async with against(answers) as (http, at, server), Server(answers) as elsewhere:
        assert (await http.ask(at))[0] is None
        assert (await http.ask(provider(server.url, name="renamed")))[0] is None
        assert server.accepted == 1
        assert (await http.ask(provider(elsewhere.url)))[0] is None
        assert (server.accepted, elsewhere.accepted) == (1, 1)


async def test_an_idle_connection_is_closed_after_a_while() -> None:
    """The sweep closes what was not used for `keepalive_s`, and then stands still."""
    async with against(answers, keepalive_s=0.1) as (http, at, server):
        assert (await http.ask(at))[0] is None
        assert http.http.open_connections == 1
        await until(lambda: not server.open)
        assert http.http.open_connections == 0
        await until(lambda: http.http._sweep is None)
        assert (await http.ask(at))[0] is None
        assert server.accepted == 2


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_an_idle_connection_that_ends_is_dropped(how: str) -> None:
    """The provider's end of an idle connection is noticed while nobody uses it."""
    peers: list[Peer] = []

    async def script(peer: Peer) -> None:
        peers.append(peer)
        await answers(peer)

    async with against(script) as (http, at, server):
        assert (await http.ask(at))[0] is None
        getattr(peers[0], how)()
        await until(lambda: http.http.open_connections == 0)
        assert (await http.ask(at))[0] is None
        assert server.accepted == 2


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_stale_connection_is_retried_once(how: str) -> None:
    """A kept connection that ends before it gave a byte: the call is sent once more, on a fresh
    connection, and not a third time."""
    asked: list[bytes] = []

    async def script(peer: Peer) -> None:
        while True:
            _, _, body = await peer.request()
            asked.append(body)
            if body in (b"stale", b"dead") and (body == b"dead" or asked.count(body) == 1):
                getattr(peer, how)()
                return
            peer.write(GOOD)

    async with against(script) as (http, at, server):
        assert (await http.ask(at, body=b"first"))[0] is None
        failure, sink = await http.ask(at, body=b"stale")
        assert failure is None
        assert sink.body == b"hi"
        assert (asked, server.accepted) == ([b"first", b"stale", b"stale"], 2)
        failure, _ = await http.ask(at, body=b"dead")
        assert failure is not None
        assert (failure.phase, failure.cause) == (Phase.HEADERS, Cause.RESET)
        assert asked[3:] == [b"dead", b"dead"]


async def test_a_retry_does_not_take_another_kept_connection() -> None:
    """Where one kept connection was dead others may be: the retry dials."""
    gate = Gate()

    async def script(peer: Peer) -> None:
        if dying.is_set():
            await answers(peer)
        await peer.request()
        gate.waiting += 1
        await gate.open.wait()
        peer.write(GOOD)
        await peer.request()
        if not dying.is_set():
            dying.set()
            peer.reset()
        else:
            peer.write(GOOD)
            await peer.gone()

    dying = asyncio.Event()
    async with against(script) as (http, at, server):
        asking = [asyncio.ensure_future(http.ask(at)) for _ in range(3)]
        await until(lambda: gate.waiting == 3)
        gate.open.set()
        await asyncio.gather(*asking)
        assert (await http.ask(at))[0] is None
        assert server.accepted == 4
        assert http.http.open_connections == 3


@pytest.mark.parametrize("sent", [b"H", b"HTTP/1.1 2", b"HTTP/1.1 100 Continue\r\n\r\n"])
async def test_no_retry_after_a_byte(sent: bytes) -> None:
    """One byte of an answer means that the request was seen: it is never sent again."""
    asked = 0

    async def script(peer: Peer) -> None:
        nonlocal asked
        await peer.request()
        peer.write(GOOD)
        await peer.request()
        asked += 1
        peer.write(sent)
        await peer.drain()
        peer.close()

    async with against(script) as (http, at, _):
        assert (await http.ask(at))[0] is None
        failure, _ = await http.ask(at)
        assert failure is not None
        assert (failure.phase, failure.cause) == (Phase.HEADERS, Cause.RESET)
        assert asked == 1


async def test_no_retry_once_the_provider_had_time_to_work() -> None:
    """A kept connection that ends a while after the request left was not stale: the provider may
    have done the work, and doing it twice is for the caller to decide."""
    asked = 0

    async def script(peer: Peer) -> None:
        nonlocal asked
        await peer.request()
        peer.write(GOOD)
        await peer.request()
        asked += 1
        await asyncio.sleep(0.1)

    async with against(script, stale_s=0.05) as (http, at, _):
        assert (await http.ask(at))[0] is None
        failure, _ = await http.ask(at)
        assert failure is not None
        assert (failure.phase, failure.cause) == (Phase.HEADERS, Cause.RESET)
        assert asked == 1


async def test_a_connection_that_closes_with_its_answer() -> None:
    """A provider that says keep-alive and closes in the same moment costs a retry, never a call."""

    async def script(peer: Peer) -> None:
        await peer.request()
        peer.write(GOOD)

    async with against(script) as (http, at, _):
        for _ in range(50):
            failure, sink = await http.ask(at)
            assert failure is None
            assert sink.body == b"hi"
        results = await asyncio.gather(*(http.ask(at) for _ in range(50)))
        assert {failure for failure, _ in results} == {None}


async def test_no_retry_after_a_timeout() -> None:
    """A kept connection that says nothing is not stale: the provider may be at work."""
    asked = 0

    async def script(peer: Peer) -> None:
        nonlocal asked
        await peer.request()
        peer.write(GOOD)
        await peer.request()
        asked += 1
        await peer.gone()

    async with against(script, headers_timeout_s=0.1) as (http, at, _):
        assert (await http.ask(at))[0] is None
        failure, _ = await http.ask(at)
        assert failure is not None
        assert (failure.phase, failure.cause) == (Phase.HEADERS, Cause.TIMEOUT)
        assert asked == 1


async def test_a_cancel_beats_the_retry(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that is cancelled when its connection turns out stale is not sent again."""
    asked = 0
    cancelled = Failure(Phase.HEADERS, Cause.CLIENT_GONE, "The client left.")

    async def script(peer: Peer) -> None:
        nonlocal asked
        while True:
            await peer.request()
            asked += 1
            if asked == 2:
                peer.reset()
                return
            peer.write(GOOD)

    async with against(script) as (http, at, _):
        assert (await http.ask(at))[0] is None
        lost_stale = Run.lost_stale

        def lose(run: Run) -> None:
            lost_stale(run)
            run.cancel(cancelled)

        monkeypatch.setattr(Run, "lost_stale", lose)
        failure, _ = await http.ask(at)
        assert failure is cancelled
        assert asked == 2


async def test_the_limit_holds_and_waiters_are_served_in_order() -> None:
    """No more connections than allowed; who waits gets the next that comes free."""
    gate = Gate()
    done: list[int] = []

    async with against(gate, connections=3) as (http, at, server):

        async def ask(number: int) -> None:
            assert (await http.ask(at))[0] is None
            done.append(number)

        asking = []
        for number in range(12):
            asking.append(asyncio.ensure_future(ask(number)))
            await asyncio.sleep(0)
        await until(lambda: gate.waiting == 3)
        gate.open.set()
        await asyncio.gather(*asking)
        assert gate.most == 3
        assert server.accepted == 3
        assert done[3:] == sorted(done[3:])


async def test_a_waiter_gets_the_slot_of_a_connection_that_is_gone() -> None:
    """When a busy connection breaks, a waiter dials in its place."""

    async def script(peer: Peer) -> None:
        await peer.request()
        if server.accepted == 1:
            await asyncio.wait_for(waiting.wait(), 5)
            peer.reset()
        else:
            peer.write(GOOD)
            await peer.gone()

    waiting = asyncio.Event()
    async with against(script, connections=1) as (http, at, server):
        first = asyncio.ensure_future(http.ask(at))
        await until(lambda: server.accepted == 1)
        second = asyncio.ensure_future(http.ask(at))
        await asyncio.sleep(0.01)
        waiting.set()
        failure, _ = await first
        assert failure is not None
        assert failure.cause is Cause.RESET
        assert (await second)[0] is None


async def test_waiting_is_bounded_in_time_and_number() -> None:
    """Who waited too long, or would be one too many, fails at once and without a trace."""
    gate = Gate()
    async with against(gate, connections=1, waiters=2, pool_timeout_s=0.1) as (http, at, server):
        first = asyncio.ensure_future(http.ask(at))
        await until(lambda: gate.waiting == 1)
        with within(0.35, least_s=0.095):  # uvloop counts in milliseconds
            waiting = [asyncio.ensure_future(http.ask(at)) for _ in range(2)]
            await asyncio.sleep(0.02)
            with within(0.08):  # one too many fails at once
                failure, _ = await http.ask(at)
            assert failure is not None
            assert (failure.phase, failure.cause) == (Phase.CONNECT, Cause.TIMEOUT)
            for failure, _ in await asyncio.gather(*waiting):
                assert failure is not None
                assert (failure.phase, failure.cause) == (Phase.CONNECT, Cause.TIMEOUT)
        gate.open.set()
        assert (await first)[0] is None
        assert (await http.ask(at))[0] is None
        assert server.accepted == 1


async def test_a_failed_dial_frees_its_slot() -> None:
    """However often dialing fails, the pool is as large as before."""
    async with Server(answers) as server:
        port = server.port
    async with client(connections=1, pool_timeout_s=0.1) as http:
        at = provider(f"http://127.0.0.1:{port}/v1")
        for _ in range(3):
            failure, _ = await http.ask(at)
            assert failure is not None
            assert (failure.phase, failure.cause) == (Phase.CONNECT, Cause.REFUSED)


async def test_an_idle_connection_is_dropped_at_its_end_or_first_byte() -> None:
    """At once, before the transport has got around to closing."""
    for event in ("eof", "byte"):
        pool = Pool(UpstreamOptions())

        async def dial(make: object) -> UpstreamConnection:
            return make()  # type: ignore[operator, no-any-return]

        connection = await pool.obtain(dial, fresh=False)
        pool.give_back(connection)
        connection.eof_received() if event == "eof" else connection.data_received(b"H")
        assert connection.closed
        assert pool.take_idle() is None
        assert pool.unused


async def test_what_a_cancelled_waiter_was_given_is_passed_on() -> None:
    """A waiter that is cancelled in the very moment it is served loses neither the connection nor
    the slot."""
    pool = Pool(UpstreamOptions(connections=1))
    made = 0

    async def dial(make: object) -> UpstreamConnection:
        nonlocal made
        made += 1
        return make()  # type: ignore[operator, no-any-return]

    connection = await pool.obtain(dial, fresh=False)
    for given in (connection, None):
        waiters = [asyncio.ensure_future(pool.obtain(dial, fresh=False)) for _ in range(2)]
        await asyncio.sleep(0)
        if given is None:
            connection.end()
        else:
            pool.give_back(connection)
        waiters[0].cancel()
        assert isinstance(
            (await asyncio.gather(*waiters, return_exceptions=True))[0], asyncio.CancelledError
        )
        connection = waiters[1].result()
    assert made == 2
    connection.end()
    assert pool.unused


async def test_a_retry_does_not_raise_the_limit() -> None:
    """A retry may go past the limit while others wait; what it took too much nobody inherits."""
    pool = Pool(UpstreamOptions(connections=1))

    async def dial(make: object) -> UpstreamConnection:
        return make()  # type: ignore[operator, no-any-return]

    first = await pool.obtain(dial, fresh=False)
    retried = await pool.obtain(dial, fresh=True)
    waiting = asyncio.ensure_future(pool.obtain(dial, fresh=False))
    await asyncio.sleep(0)
    retried.end()
    await asyncio.sleep(0)
    assert not waiting.done()
    assert pool.open_connections == 1
    first.end()
    (await waiting).end()
    assert pool.unused


async def test_a_connection_that_was_idle_may_be_stale() -> None:
    """Also one that no call has used yet: its call was given up while it was made."""
    async with against(answers) as (http, at, server):
        assert (await http.ask(at))[0] is None
        (pool,) = http.http._pools.values()
        dials = []

        async def dial(make: object) -> UpstreamConnection:
            dials.append(make)
            _, made = await asyncio.get_running_loop().create_connection(
                make, "127.0.0.1", server.port
            )
            return made

        unused = await pool.obtain(dial, fresh=True)
        pool.give_back(unused)
        unused._transport.abort()
        # Awaited directly: in a task of its own it would begin after the loss was told.
        assert await http.http.call(make_call(at), Sink()) is None
        assert len(dials) == 1


async def test_a_connection_that_ends_while_it_is_made_is_no_connection() -> None:
    """Closed by the provider between the handshake and its first use: a failure to connect."""
    pool = Pool(UpstreamOptions())

    async def dial(make: object) -> UpstreamConnection:
        connection: UpstreamConnection = make()  # type: ignore[operator]
        connection.connection_lost(None)
        return connection

    with pytest.raises(DialError) as caught:
        await pool.obtain(dial, fresh=False)
    assert caught.value.failure.cause is Cause.RESET
    assert pool.unused


async def test_drain_keeps_nothing() -> None:
    """After `drain` idle connections are closed at once and busy ones after their call."""
    gate = Gate()
    async with against(gate) as (http, at, server):
        gate.open.set()
        assert (await http.ask(at))[0] is None
        assert http.http.open_connections == 1
        gate.open.clear()
        asking = [asyncio.ensure_future(http.ask(at)) for _ in range(2)]
        await until(lambda: gate.waiting == 2)
        http.http.drain()
        assert http.http.open_connections == 2
        gate.open.set()
        assert [failure for failure, _ in await asyncio.gather(*asking)] == [None, None]
        assert http.http.open_connections == 0
        assert (await http.ask(at))[0] is None, "a late call is still served"
        assert (await http.ask(provider(server.url, id="prv_new")))[0] is None
        assert http.http.open_connections == 0


async def test_close_ends_what_is_under_way() -> None:
    """Calls under way, waiting or dialing fail; nothing is left open."""
    gate = Gate()
    async with against(gate, connections=1) as (http, at, _):
        asking = [asyncio.ensure_future(http.ask(at)) for _ in range(3)]
        await until(lambda: gate.waiting == 1)
        await http.http.close()
        for failure, _ in await asyncio.gather(*asking):
            assert failure is not None
            assert failure.cause is Cause.DRAINED
        assert http.http.open_connections == 0


@pytest.mark.parametrize("connections", [4, 10_000])
async def test_a_cancel_storm(connections: int) -> None:
    """Calls are cancelled at random moments, by the sink or by their task: every other call gets
    the answer to its own request, and no connection or slot is lost."""
    dice = random.Random(7)

    async def script(peer: Peer) -> None:
        while True:
            _, _, body = await peer.request()
            answer = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
            cut = dice.randrange(len(answer))
            peer.write(answer[:cut])
            for _ in range(dice.randrange(4)):
                await asyncio.sleep(0)
            peer.write(answer[cut:])

    right = cancelled = 0

    async def one(number: int) -> None:
        nonlocal right, cancelled
        nonce = b"nonce-%d" % number
        sink = Sink()
        asking = asyncio.ensure_future(http.http.call(make_call(at, nonce), sink))
        way = dice.randrange(4)
        if way < 2:
            for _ in range(dice.randrange(12)):
                await asyncio.sleep(0)
            if way == 0:
                asking.cancel()
            elif sink.flow is not None:
                sink.flow.cancel(Failure(Phase.BODY, Cause.CLIENT_GONE, ""))
        try:
            failure = await asyncio.wait_for(asking, 10)
        except asyncio.CancelledError:
            cancelled += 1
        else:
            if failure is None:
                assert sink.body == nonce
                right += 1
            else:
                assert failure.cause is Cause.CLIENT_GONE
                cancelled += 1
        assert nonce.startswith(sink.body)

    async with against(script, connections=connections) as (http, at, server):
        for batch in range(100):
            await asyncio.gather(*(one(batch * 20 + number) for number in range(20)))
        assert right > 500
        assert cancelled > 150
        pool = next(iter(http.http._pools.values()))
        assert pool._slots == pool.open_connections == len(pool._idle) <= connections
        assert not http.http._running
        await until(lambda: len(server.open) == pool.open_connections)
        failure, _ = await http.ask(at)
        assert failure is None
