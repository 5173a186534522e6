"""Deadlines, phases, and what a sink can do with its handle on the call."""

import asyncio
import time
from dataclasses import replace
from typing import Any

import pytest

from tests.fakes.promptly import within
from tests.unit.adapters.http.scripted import (
    CHUNKED,
    GOOD,
    Peer,
    Script,
    Sink,
    against,
    answers,
    chunk,
)
from tollway.domain.failure import Cause, Failure, Phase

GONE = Failure(Phase.BODY, Cause.CLIENT_GONE, "The client left.")
EVENT = chunk(b"data: 1\n\n")
COMMENT = chunk(b": still there\n\n")
SLACK_S = 0.25


def events_only(sink: Sink, data: bytes) -> None:
    if b"data:" in data:
        sink.flow.progress()


async def _silent(peer: Peer) -> None:
    await peer.request()
    await peer.gone()


async def _dripping_head(peer: Peer) -> None:
    await peer.request()
    peer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        peer.write(b"x: y\r\n")
        await asyncio.sleep(0.01)


async def _headed(peer: Peer) -> None:
    await peer.request()
    peer.write(CHUNKED)
    await peer.gone()


async def _commenting(peer: Peer) -> None:
    await peer.request()
    peer.write(CHUNKED)
    while True:
        peer.write(COMMENT)
        await asyncio.sleep(0.01)


async def _one_event(peer: Peer) -> None:
    await peer.request()
    peer.write(CHUNKED + EVENT)
    await peer.gone()


async def _one_event_then_comments(peer: Peer) -> None:
    await peer.request()
    peer.write(CHUNKED + EVENT)
    while True:
        peer.write(COMMENT)
        await asyncio.sleep(0.01)


async def _endless(peer: Peer) -> None:
    await peer.request()
    peer.write(CHUNKED)
    gone = asyncio.ensure_future(peer.gone())
    while not gone.done():
        peer.write(EVENT)
        await asyncio.wait([gone], timeout=0.01)


async def _half_a_body(peer: Peer) -> None:
    await peer.request()
    peer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf")
    await peer.gone()


LATE: list[tuple[str, Script, bool, Phase]] = [
    ("headers", _silent, False, Phase.HEADERS),
    ("headers", _silent, True, Phase.HEADERS),
    ("headers", _dripping_head, False, Phase.HEADERS),
    ("first_token", _headed, True, Phase.FIRST_EVENT),
    ("first_token", _commenting, True, Phase.FIRST_EVENT),
    ("idle", _headed, False, Phase.FIRST_EVENT),
    ("idle", _half_a_body, False, Phase.FIRST_EVENT),
    ("idle", _one_event, True, Phase.BODY),
    ("idle", _one_event_then_comments, True, Phase.BODY),
    ("total", _endless, True, Phase.BODY),
    ("total", _endless, False, Phase.FIRST_EVENT),
    ("total", _silent, False, Phase.HEADERS),
]


async def expire(name: str, script: Script, stream: bool, *, own: bool) -> Failure:
    """Let a deadline pass that the server or the provider sets; how late it is, is checked."""
    limit_s = 0.08
    options: dict[str, Any] = {} if own else {name: limit_s}
    async with against(script, sweep_s=0.05, **options) as (http, at, _):
        at = replace(at, **({name: limit_s} if own else {}))
        sink = Sink(on_data=events_only if stream else None)
        with within(limit_s + SLACK_S, least_s=limit_s - 0.005):  # uvloop counts in milliseconds
            failure, _ = await http.ask(at, sink, stream=stream)
        assert failure is not None
        assert http.http.open_connections == 0
        return failure


@pytest.mark.parametrize(("which", "script", "stream", "phase"), LATE)
async def test_timeouts(which: str, script: Script, stream: bool, phase: Phase) -> None:
    """Each deadline fires on its own account, in its phase, never early and within 250 ms."""
    failure = await expire(f"{which}_timeout_s", script, stream, own=False)
    assert (failure.phase, failure.cause) == (phase, Cause.TIMEOUT)


@pytest.mark.parametrize("late", [LATE[0], LATE[3], LATE[7], LATE[9]], ids=lambda late: late[0])
async def test_a_providers_own_timeouts(late: tuple[str, Script, bool, Phase]) -> None:
    """The provider's own deadline goes before the server's."""
    which, script, stream, phase = late
    failure = await expire(f"{which}_timeout_s", script, stream, own=True)
    assert (failure.phase, failure.cause) == (phase, Cause.TIMEOUT)


async def test_a_steady_stream_outlives_its_idle_timeout() -> None:
    """Every event begins the idle time anew."""

    async def script(peer: Peer) -> None:
        await peer.request()
        peer.write(CHUNKED)
        for _ in range(12):
            peer.write(EVENT)
            await asyncio.sleep(0.03)
        peer.write(chunk(b""))
        await peer.gone()

    async with against(script, idle_timeout_s=0.15, first_token_timeout_s=0.15) as (http, at, _):
        failure, sink = await http.ask(at, Sink(on_data=events_only), stream=True)
        assert failure is None
        assert sink.body.count(b"data:") == 12


async def test_a_slow_whole_answer_outlives_its_idle_timeout() -> None:
    """Every read of a whole answer begins the idle time anew."""

    async def script(peer: Peer) -> None:
        await peer.request()
        peer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\n")
        for _ in range(12):
            peer.write(b"x")
            await asyncio.sleep(0.05)
        await peer.gone()

    async with against(script, idle_timeout_s=0.4) as (http, at, _):
        failure, sink = await http.ask(at)
        assert failure is None
        assert len(sink.body) == 12


@pytest.mark.parametrize("stream", [True, False])
async def test_timers_stand_still_while_paused(stream: bool) -> None:
    """A slow client is not a slow provider: paused time counts for nothing but the total."""

    def pause(sink: Sink, data: bytes) -> None:
        sink.flow.progress()
        sink.flow.pause()

    limits = {"idle_timeout_s": 0.1, "first_token_timeout_s": 0.1}
    async with against(_one_event, **limits) as (http, at, _):
        sink = Sink(on_data=pause)
        asking = asyncio.ensure_future(http.ask(at, sink, stream=stream))
        await asyncio.wait([asking], timeout=0.25)
        assert not asking.done()
        began = time.monotonic()
        sink.flow.resume()
        failure, _ = await asking
        assert failure is not None
        assert failure.cause is Cause.TIMEOUT
        assert 0.05 <= time.monotonic() - began < 2  # far from every other deadline


async def test_pause_bounds_what_is_read() -> None:
    """A paused call holds at most what one read and the kernel hold; resumed, nothing is lost."""
    size = 64 * 1024 * 1024
    written = 0

    async def script(peer: Peer) -> None:
        nonlocal written
        await peer.request()
        peer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
        while written < size:
            peer.write(b"x" * 65536)
            written += 65536
            await peer.drain()
        await peer.gone()

    def pause(sink: Sink, data: bytes) -> None:
        if len(sink.pieces) == 1:
            sink.flow.pause()

    async with against(script) as (http, at, _):
        sink = Sink(on_data=pause)
        asking = asyncio.ensure_future(http.ask(at, sink, stream=True))
        await sink.arrived.wait()
        before = -1
        while before != written:  # until the writer stands still
            before = written
            await asyncio.sleep(0.05)
        assert sum(map(len, sink.pieces)) <= 512 * 1024
        assert written < size // 2
        sink.flow.resume()
        failure, _ = await asking
        assert failure is None
        assert sum(map(len, sink.pieces)) == size


async def test_paused_at_the_end() -> None:
    """A sink that paused on the last piece still gets its end, and the connection goes on."""
    async with against(answers) as (http, at, server):
        for _ in range(3):
            failure, sink = await http.ask(at, Sink(on_data=lambda sink, _: sink.flow.pause()))
            assert failure is None
            sink.flow.resume()  # too late, and harmless
        assert server.accepted == 1


async def test_paused_before_it_was_sent() -> None:
    """A call whose client is congested from the start does not read."""
    async with against(answers) as (http, at, _):
        sink = Sink(on_attach=lambda sink: sink.flow.pause())
        asking = asyncio.ensure_future(http.ask(at, sink))
        await asyncio.wait([asking], timeout=0.1)
        assert not sink.status
        sink.flow.resume()
        assert (await asking)[0] is None


@pytest.mark.parametrize("where", ["attach", "head", "data"])
async def test_cancel_inside_the_sink(where: str) -> None:
    """The call ends with the sink's failure, nothing more is called, the socket is closed; a call
    that was cancelled before it left was never sent."""
    asked: list[bytes] = []

    async def script(peer: Peer) -> None:
        _, _, body = await peer.request()
        asked.append(body)
        peer.write(GOOD)
        await peer.gone()

    def cancel(sink: Sink, *_: object) -> None:
        sink.flow.cancel(GONE)

    async with against(script) as (http, at, _):
        failure, sink = await http.ask(at, Sink(**{f"on_{where}": cancel}))
        assert failure is GONE
        assert http.http.open_connections == 0
        assert bool(asked) is (where != "attach")
        assert bool(sink.pieces) is (where == "data")


async def test_cancel_in_attach_leaves_a_kept_connection_alone() -> None:
    """Nothing of a cancelled call reaches a provider, also where a connection was ready."""
    async with against(answers) as (http, at, server):
        assert (await http.ask(at))[0] is None
        cancelled = Sink(on_attach=lambda sink: sink.flow.cancel(GONE))
        assert (await http.ask(at, cancelled))[0] is GONE
        assert (await http.ask(at))[0] is None
        assert server.accepted == 1


@pytest.mark.parametrize("how", ["flow", "task"])
@pytest.mark.parametrize("script", [_silent, _headed, _one_event, _endless])
async def test_cancel_closes_the_socket(script: Script, how: str) -> None:
    """From the cancel to the provider's end of the connection pass at most 100 ms."""
    ended = asyncio.Event()
    reached = asyncio.Event()

    async def watched(peer: Peer) -> None:
        if script is _silent:
            await peer.request()
            reached.set()
            await peer.gone()
        else:
            await script(peer)
        ended.set()

    async with against(watched) as (http, at, _):
        sink = Sink(on_data=events_only)
        asking = asyncio.ensure_future(http.ask(at, sink, stream=True))
        await (reached if script is _silent else sink.arrived).wait()
        with within(0.1):
            if how == "flow":
                sink.flow.cancel(GONE)
                assert (await asking)[0] is GONE
            else:
                asking.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await asking
            assert http.http.open_connections == 0
            await asyncio.wait_for(ended.wait(), 5)


async def test_satisfied_ends_with_the_body() -> None:
    """A sink that has all it needs ends with the body, and the connection is kept."""

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            peer.write(CHUNKED + EVENT)
            await asyncio.sleep(0.03)
            peer.write(chunk(b""))

    async with against(script) as (http, at, server):
        for _ in range(2):
            sink = Sink(on_data=lambda sink, _: sink.flow.satisfied())
            failure, _ = await http.ask(at, sink, stream=True)
            assert failure is None
        assert server.accepted == 1


@pytest.mark.parametrize("then", ["stall", "comments", "reset", "garbage"])
async def test_satisfied_does_not_wait_long(then: str) -> None:
    """What a provider does after the sink had all it needs is no failure of the call; at the
    latest after a second it ends, and the connection is not kept."""

    async def script(peer: Peer) -> None:
        await peer.request()
        peer.write(CHUNKED + EVENT)
        await sink.arrived.wait()
        if then == "reset":
            peer.reset()
        elif then == "garbage":
            peer.write(b"zz\r\n")
            await peer.gone()
        else:
            while True:
                if then == "comments":
                    peer.write(COMMENT)
                await asyncio.sleep(0.01)

    def satisfied(sink: Sink, data: bytes) -> None:
        if len(sink.pieces) == 1:
            sink.flow.satisfied()
        sink.flow.progress()  # no longer matters

    async with against(script, satisfied_s=0.1) as (http, at, _):
        sink = Sink(on_data=satisfied)
        began = time.monotonic()
        failure, _ = await http.ask(at, sink, stream=True)
        assert failure is None
        assert time.monotonic() - began < 2  # far from every other deadline
        assert http.http.open_connections == 0


async def test_satisfied_while_paused_reads_on() -> None:
    """A paused sink that has all it needs lets the body end."""

    def enough(sink: Sink, data: bytes) -> None:
        sink.flow.pause()
        sink.flow.satisfied()
        sink.flow.pause()

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            peer.write(CHUNKED + EVENT)
            await asyncio.sleep(0.02)
            peer.write(chunk(b""))

    async with against(script) as (http, at, server):
        for _ in range(2):
            assert (await http.ask(at, Sink(on_data=enough), stream=True))[0] is None
        assert server.accepted == 1
