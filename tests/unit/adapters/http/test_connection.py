"""One request, one well-framed answer: every way in which a provider can get that wrong."""

import asyncio
import socket
import ssl

import pytest

from tests.fakes.certificates import Certificates
from tests.unit.adapters.http.scripted import (
    CHUNKED,
    GOOD,
    Peer,
    Sink,
    against,
    answers,
    chunk,
    client,
    provider,
)
from tollway.domain.failure import Cause, Phase

OK = b"HTTP/1.1 200 OK\r\n"


def once(answer: bytes, *, then_close: bool = False):
    """Each request gets this answer; then the provider closes, or waits to be closed."""

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            peer.write(answer)
            if then_close:
                await peer.drain()
                return

    return script


async def test_the_answer_arrives_as_it_was_sent() -> None:
    """Status, names in lower case, stripped values and the body reach the sink, in one piece."""
    head = b"HTTP/1.1 201 Created\r\nContent-Type:  application/json \t\r\nX-Empty:\r\n"
    async with against(once(head + b"Content-Length: 5\r\n\r\nhello")) as (http, at, _):
        failure, sink = await http.ask(at)
    assert failure is None
    assert sink.status == 201
    assert sink.headers == [
        (b"content-type", b"application/json"),
        (b"x-empty", b""),
        (b"content-length", b"5"),
    ]
    assert sink.pieces == [b"hello"]


async def test_one_read_event_is_one_piece() -> None:
    """However many chunks a read event brought, the sink is called once."""
    body = CHUNKED + b"".join(chunk(b"data: %d\n\n" % number) for number in range(100)) + chunk(b"")
    async with against(once(body)) as (http, at, _):
        failure, sink = await http.ask(at)
    assert failure is None
    assert len(sink.pieces) == 1
    assert sink.body == b"".join(b"data: %d\n\n" % number for number in range(100))


@pytest.mark.parametrize(
    ("answer", "status", "body"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        (b"HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\n", 204, b""),
        (b"HTTP/1.1 304 Not Modified\r\ncontent-length: 500\r\n\r\n", 304, b""),
        (OK + b"content-length: 0\r\n\r\n", 200, b""),
        (b"HTTP/1.1 302 Found\r\nlocation: /x\r\ncontent-length: 2\r\n\r\nhi", 302, b"hi"),
        (b"HTTP/1.1 500\r\ncontent-length: 2\r\n\r\nhi", 500, b"hi"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 8 + GOOD, 200, b"hi"),
        (b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + GOOD, 200, b"hi"),
        (b"HTTP/1.1 199 Unknown\r\nlink: x\r\n\r\n" + GOOD, 200, b"hi"),
        (CHUNKED + b"2;name=value\r\nhi\r\n0\r\nx-trailer: 1\r\nx-more: 2\r\n\r\n", 200, b"hi"),
        (OK + b"content-encoding: identity\r\ncontent-length: 2\r\n\r\nhi", 200, b"hi"),
        (OK + b"upgrade: h2c\r\nconnection: upgrade\r\ncontent-length: 2\r\n\r\nhi", 200, b"hi"),
    ],
)
async def test_good_answers(answer: bytes, status: int, body: bytes) -> None:
    """Whatever HTTP allows is complete, and its connection serves the next call too."""
    async with against(once(answer)) as (http, at, server):
        for _ in range(3):
            failure, sink = await http.ask(at)
            assert failure is None
            assert (sink.status, sink.body) == (status, body)
        assert server.accepted == 1
        assert all(name != b"link" for name, _ in sink.headers)


async def test_every_cut_reads_the_same() -> None:
    """An answer cut into two at any byte, or into single bytes, is the same answer."""
    answer = CHUNKED + chunk(b"data: one\n\n") + chunk(b"data: two\n\n") + b"0\r\nx-t: 1\r\n\r\n"
    cuts = list(range(1, len(answer)))

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            if cuts:
                pieces = [answer[: cuts[0]], answer[cuts.pop(0) :]]
            else:
                pieces = [answer[at : at + 1] for at in range(len(answer))]
            for piece in pieces:
                peer.write(piece)
                await asyncio.sleep(0)
                await asyncio.sleep(0)

    async with against(script) as (http, at, server):
        for _ in range(len(answer)):
            failure, sink = await http.ask(at)
            assert failure is None
            assert sink.body == b"data: one\n\ndata: two\n\n"
        assert server.accepted == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"\x16\x03\x01\x00\xffnot http\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"HTTP/3.7 200 OK\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 20 OK\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 099 Low\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 9,
        b"HTTP/1.1 100 Continue\r\ncontent-length: 4\r\n\r\nevil" + GOOD,
        b"HTTP/1.1 103 Early\r\ntransfer-encoding: chunked\r\n\r\n4\r\nevil\r\n0\r\n\r\n" + GOOD,
        b"HTTP/1.1 199 What\r\ncontent-length: 4\r\n\r\nevil" + GOOD,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 1000 + GOOD,
        OK + b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        OK + b"transfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        OK + b"content-length: 2\r\ncontent-length: 2\r\n\r\nhi",
        OK + b"content-length: 2\r\ncontent-length: 3\r\n\r\nhi!",
        OK + b"content-length: 2, 2\r\n\r\nhi",
        OK + b"content-length: -2\r\n\r\nhi",
        OK + b"content-length: +2\r\n\r\nhi",
        OK + b"content-length: 99999999999999999999999\r\n\r\nhi",
        OK + b"content-length : 2\r\n\r\nhi",
        OK + b"transfer-encoding: gzip\r\n\r\nhi",
        OK + b"transfer-encoding: gzip, chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        OK + b"transfer-encoding: chunked, gzip\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        OK + b"transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        OK + b"transfer-encoding: identity\r\n\r\nhi",
        b"HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        OK + b"content-encoding: gzip\r\ncontent-length: 2\r\n\r\nhi",
        OK + b"content-encoding: identity\r\ncontent-encoding: br\r\ncontent-length: 2\r\n\r\nhi",
        OK + b"x-folded: a\r\n b\r\ncontent-length: 2\r\n\r\nhi",
        OK + b"x-nul: a\x00b\r\ncontent-length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\ncontent-length: 2\n\nhi",
        OK + b"x: y\r\n" * 201 + b"content-length: 2\r\n\r\nhi",
        OK + b"x: " + b"y" * 70_000 + b"\r\ncontent-length: 2\r\n\r\nhi",
        OK + b"x: " + b"y" * 70_000,
        OK + b"x" * 70_000,
        b"HTTP/1.1 200 " + b"O" * 70_000,
    ],
)
async def test_no_answer(answer: bytes) -> None:
    """What is not exactly one answer of the kind we asked for fails before the sink hears of it."""
    async with against(once(answer)) as (http, at, _):
        failure, sink = await http.ask(at)
        assert failure is not None
        assert (failure.phase, failure.cause) == (Phase.HEADERS, Cause.PROTOCOL)
        assert not sink.status
        assert http.http.open_connections == 0


@pytest.mark.parametrize(
    "rest",
    [
        b"-2\r\nhi\r\n0\r\n\r\n",
        b"zz\r\nhi\r\n",
        b"2\nhi\n0\n\n",
        b"2\r\nhi!\r\n",
        b"fffffffffffffffffff\r\n",
        b"0\r\nx: " + b"y" * 70_000,
        b"0\r\nx: " + b"y" * 40_000 + b"\r\nx: " + b"y" * 40_000,
        b"0\r\nno colon\r\n\r\n",
    ],
)
async def test_a_broken_body(rest: bytes) -> None:
    """Bytes before the fault reach the sink; then the call fails and the connection is closed."""

    async def script(peer: Peer) -> None:
        await peer.request()
        peer.write(CHUNKED + chunk(b"data: 1\n\n"))
        await peer.drain()
        await started.wait()
        peer.write(rest)
        await peer.gone()

    started = asyncio.Event()

    def progress(sink: Sink, data: bytes) -> None:
        sink.flow.progress()
        started.set()

    async with against(script) as (http, at, _):
        failure, sink = await http.ask(at, Sink(on_data=progress), stream=True)
        assert failure is not None
        assert (failure.phase, failure.cause) == (Phase.BODY, Cause.PROTOCOL)
        assert sink.body.startswith(b"data: 1\n\n")
        assert http.http.open_connections == 0


@pytest.mark.parametrize("ending", ["close", "reset"])
@pytest.mark.parametrize(
    ("answer", "phase"),
    [
        (b"", Phase.HEADERS),
        (b"HTTP/1.1 2", Phase.HEADERS),
        (b"HTTP/1.1 100 Continue\r\n\r\n", Phase.HEADERS),
        (OK + b"content-length: 2\r\n", Phase.HEADERS),
        (OK + b"content-length: 5\r\n\r\nhi", Phase.FIRST_EVENT),
        (CHUNKED, Phase.FIRST_EVENT),
        (CHUNKED + chunk(b"hi"), Phase.FIRST_EVENT),
        (CHUNKED + chunk(b"hi") + b"0\r\n", Phase.FIRST_EVENT),
        (CHUNKED + b"5\r\nhi", Phase.FIRST_EVENT),
    ],
)
async def test_cut_short(ending: str, answer: bytes, phase: Phase) -> None:
    """An answer that ends too early is a reset in the phase it had come to."""

    async def script(peer: Peer) -> None:
        await peer.request()
        peer.write(answer)
        await peer.drain()
        if phase is Phase.FIRST_EVENT:
            await sink.arrived.wait()
        peer.close() if ending == "close" else peer.reset()

    sink = Sink()
    async with against(script) as (http, at, server):
        failure, _ = await http.ask(at, sink)
        assert failure is not None
        assert (failure.phase, failure.cause) == (phase, Cause.RESET)
        assert server.accepted == 1, "a fresh connection is never retried"


@pytest.mark.parametrize("version", [b"HTTP/1.1", b"HTTP/1.0"])
async def test_a_body_that_ends_with_the_connection(version: bytes) -> None:
    """With neither length nor chunks, the end of the connection is the end of the answer."""
    answer = version + b" 200 OK\r\ncontent-type: text/plain\r\n\r\n"

    async def script(peer: Peer) -> None:
        await peer.request()
        peer.write(answer + b"one ")
        await sink.arrived.wait()
        peer.write(b"two")

    sink = Sink()
    async with against(script) as (http, at, server):
        failure, _ = await http.ask(at, sink)
        assert failure is None
        assert sink.body == b"one two"
        sink = Sink()
        assert (await http.ask(at, sink))[0] is None
        assert server.accepted == 2


async def test_such_a_body_must_not_end_in_a_reset() -> None:
    """A reset is no end of a body, also when its length was not announced."""

    async def script(peer: Peer) -> None:
        await peer.request()
        peer.write(OK + b"\r\none ")
        await sink.arrived.wait()
        peer.reset()

    sink = Sink()
    async with against(script) as (http, at, _):
        failure, _ = await http.ask(at, sink)
        assert failure is not None
        assert failure.cause is Cause.RESET


@pytest.mark.parametrize("clean", [True, False])
async def test_such_a_body_over_tls_needs_a_proper_end(
    certificates: Certificates, clean: bool
) -> None:
    """Over TLS the body is complete only if the provider said so under encryption (RFC 9112,
    9.8): anybody on the way can make a TCP connection end."""
    context = certificates.server_context()
    listener = socket.create_server(("127.0.0.1", 0))
    sink = Sink()
    loop = asyncio.get_running_loop()

    def serve() -> None:
        raw, _ = listener.accept()
        wrapped = context.wrap_socket(raw, server_side=True)
        wrapped.recv(65536)
        wrapped.sendall(OK + b"\r\nbody")
        if clean:
            try:
                wrapped.unwrap().close()
            except (ssl.SSLError, OSError):
                wrapped.close()
        else:
            wrapped.close()

    with listener:
        served = loop.run_in_executor(None, serve)
        async with client(ca_file=str(certificates.ca_file)) as http:
            at = provider(f"https://localhost:{listener.getsockname()[1]}/v1")
            failure, _ = await http.ask(at, sink)
        await served
    assert sink.body == b"body"
    assert (failure is None) is clean


@pytest.mark.parametrize(
    "answer",
    [
        GOOD + GOOD,
        GOOD + b"HTTP/1.1 200 OK\r\ncontent-le",
        GOOD + b"H",
        GOOD + b"garbage",
        CHUNKED + chunk(b"hi") + chunk(b"") + GOOD,
        b"HTTP/1.1 204 No Content\r\n\r\nbody",
        OK + b"connection: close\r\ncontent-length: 2\r\n\r\nhi",
        OK + b"connection: close\r\ncontent-length: 2\r\n\r\nhi" + GOOD,
        b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nhi",
    ],
)
async def test_what_follows_an_answer_ends_the_connection(answer: bytes) -> None:
    """Row 98: the answer counts; the connection does not serve another call, and nothing of the
    surplus is ever taken for an answer."""
    async with against(once(answer)) as (http, at, server):
        for number in range(1, 4):
            failure, sink = await http.ask(at)
            assert failure is None
            assert sink.body in (b"hi", b"")
            assert http.http.open_connections == 0
            assert server.accepted == number


async def test_a_late_second_answer_is_not_the_next_calls() -> None:
    """Bytes on an idle connection drop it at once."""

    async def script(peer: Peer) -> None:
        await peer.request()
        peer.write(GOOD)
        await answered.wait()
        if not poisoned.is_set():
            peer.write(OK + b"content-length: 4\r\n\r\nevil")
            await peer.gone()
            poisoned.set()

    answered, poisoned = asyncio.Event(), asyncio.Event()
    async with against(script) as (http, at, server):
        assert (await http.ask(at))[1].body == b"hi"
        assert http.http.open_connections == 1
        answered.set()
        await asyncio.wait_for(poisoned.wait(), 5)
        assert http.http.open_connections == 0
        assert (await http.ask(at))[1].body == b"hi"
        assert server.accepted == 2


async def test_an_answer_before_the_request_has_left() -> None:
    """When the provider answers without reading, the rest of the request must not meet another
    call: the connection is closed."""

    async def script(peer: Peer) -> None:
        peer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno")
        await stop.wait()

    stop = asyncio.Event()

    async def patient(peer: Peer) -> None:
        peer._reader._transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.sleep(0.02)
        await script(peer)

    async with against(patient) as (http, at, _):
        failure, sink = await http.ask(at, body=b"x" * 20_000_000)
        assert failure is None
        assert sink.status == 413
        assert http.http.open_connections == 0
        stop.set()


async def test_head_has_no_body() -> None:
    """The answer to HEAD announces a body that never comes."""
    async with against(once(OK + b"content-length: 500\r\n\r\n")) as (http, at, _):
        failure, sink = await http.ask(at, method="HEAD", body=b"")
        assert failure is None
        assert (sink.status, sink.body) == (200, b"")


@pytest.mark.parametrize("where", ["attach", "head", "data"])
async def test_a_sink_that_raises(where: str) -> None:
    """Its exception comes out of the call, and the connection is closed."""

    def boom(*_: object) -> None:
        raise LookupError("the sink's own bug")

    async with against(answers) as (http, at, _):
        with pytest.raises(LookupError, match="own bug"):
            await http.ask(at, Sink(**{f"on_{where}": boom}))
        assert http.http.open_connections == 0
        assert (await http.ask(at))[0] is None
