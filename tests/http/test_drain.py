"""Draining: nobody is refused, nothing is cut before the deadline, idle connections end."""

import asyncio
import socket
import threading
from dataclasses import replace

import pytest

from tests.http.serving import JSON, LOOPS, Running, get, post, running
from tollway.web.gateway.options import ServerOptions
from tollway.web.gateway.server import GatewayServer

FAST = ServerOptions(sweep_s=0.02, drain_grace_s=0.2)


def _drain(served: Running, deadline_s: float = 10):
    return asyncio.run_coroutine_threadsafe(served.server.drain(deadline_s), served.loop)


@pytest.mark.parametrize("loop", sorted(LOOPS))
def test_drain_under_load_refuses_nobody(loop):
    """Clients that never stop asking on kept connections all get answers until told to close."""
    with running(options=FAST, loop=loop) as served:
        counts: list[int] = []
        failures: list[BaseException] = []
        started = threading.Barrier(17)

        def ask() -> None:
            client = served.client()
            started.wait(10)
            done = 0
            try:
                while True:
                    client.send(post(b"hello"))
                    answer = client.answer()
                    assert answer.body == b"hello"
                    done += 1
                    if answer.headers.get("connection") == "close":
                        break
            except BaseException as error:
                failures.append(error)
            counts.append(done)

        threads = [threading.Thread(target=ask) for _ in range(16)]
        for thread in threads:
            thread.start()
        started.wait(10)
        served.spin(lambda: len(served.handler.requests) > 200)
        drained = _drain(served)
        for thread in threads:
            thread.join(20)
        assert failures == []
        assert drained.result(10) == 0
        assert sum(counts) == len(served.handler.requests)


def test_the_accept_queue_is_served():
    """Connections the kernel has completed and the loop has not yet accepted are served."""
    with running(options=FAST) as served:
        blocked, go_on = threading.Event(), threading.Event()

        async def drain_after_a_block() -> int:
            blocked.set()
            go_on.wait(10)
            return await served.server.drain(10)

        drained = asyncio.run_coroutine_threadsafe(drain_after_a_block(), served.loop)
        assert blocked.wait(10)
        clients = [served.client() for _ in range(50)]
        for client in clients:
            client.send(get())
        go_on.set()
        for client in clients:
            answer = client.answer()
            assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert drained.result(10) == 0


def test_running_answers_are_waited_for():
    """A stream that ends within the deadline is not cut; the drain ends as soon as it does."""
    with running(options=FAST) as served:
        client = served.client()
        client.send(get(b"/hold"))
        assert served.handler.arrived.acquire(timeout=5)
        [answer] = served.handler.held
        drained = _drain(served)
        served.spin(lambda: served.server.draining)
        served.call(answer.start, 200, JSON)
        served.call(answer.write, b"whole")
        assert not drained.done()
        served.call(answer.finish)
        got = client.answer()
        assert (got.body, got.headers["connection"]) == (b"whole", "close")
        assert drained.result(5) == 0


def test_what_a_head_said_is_kept():
    """A stream whose head did not say `close` leaves its connection open for one more request,
    though the drain began while it ran: a client that asks on is not refused."""
    with running(options=FAST) as served:
        client = served.client()
        client.send(get(b"/hold"))
        assert served.handler.arrived.acquire(timeout=5)
        [answer] = served.handler.held
        served.call(answer.start, 200, JSON)
        served.call(answer.write, b"one")
        drained = _drain(served)
        served.spin(lambda: served.server.draining)
        end = served.server.now + 2 * FAST.drain_grace_s
        served.spin(lambda: served.server.now > end)
        served.call(answer.finish)
        assert "connection" not in client.answer().headers
        client.send(get(b"/next"))
        assert client.answer().headers["connection"] == "close"
        assert drained.result(5) == 0


def test_what_still_runs_at_the_deadline_is_reported():
    """At the deadline the count of running answers comes back, and `close` ends them."""
    with running(options=FAST) as served:
        for _ in range(3):
            served.client().send(get(b"/hold"))
            assert served.handler.arrived.acquire(timeout=5)
        assert _drain(served, 0.3).result(5) == 3
        served.wait(served.server.close())
        assert all(answer.gone for answer in served.handler.held)
        assert served.server.open_connections == 0


def test_idle_connections_are_closed_after_the_grace():
    """Idle connections, new and kept, end without an answer when the grace is over."""
    with running(options=FAST) as served:
        fresh, kept = served.client(), served.client()
        kept.send(get())
        assert kept.answer().status == 200
        served.spin(lambda: served.server.open_connections == 2)
        assert _drain(served).result(5) == 0
        assert fresh.closed()
        assert kept.closed()


def test_drain_without_connections_is_immediate():
    """There is nobody to wait for."""
    with running(options=replace(FAST, drain_grace_s=60)) as served:
        assert _drain(served, 60).result(5) == 0


def test_an_upload_is_waited_for():
    """A request whose body is still coming is served."""
    with running(options=FAST) as served:
        client = served.client()
        raw = post(b"hello")
        client.send(raw[:-2])
        served.spin(lambda: served.server.busy_connections == 1)
        drained = _drain(served)
        served.spin(lambda: served.server.draining)
        client.send(raw[-2:])
        assert client.answer().body == b"hello"
        assert drained.result(5) == 0


def test_the_callers_socket_keeps_the_queue():
    """Who connects while a worker is replaced waits in the queue and is served by the next one."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    with running(options=FAST) as served:
        first = served.server
        second = GatewayServer(served.handler, FAST)
        served.wait(_handed_over(first, second, sock))
        sock.close()


async def _handed_over(first: GatewayServer, second: GatewayServer, sock: socket.socket) -> None:
    old = GatewayServer(first.handler, FAST)
    await old.start(sock)
    assert await old.drain(1) == 0
    await old.close()
    reader, writer = await asyncio.open_connection("127.0.0.1", sock.getsockname()[1])
    writer.write(get())
    await second.start(sock)
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    writer.close()
    await second.drain(1)
    await second.close()
