"""Table F over real sockets for the one dialect that a test's own process must serve: Amazon's,
whose host names its region. Binary frames in chunks, from a server that means harm.
"""

import asyncio
import contextlib
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from tests.fakes import amazon
from tests.fakes.hostile import CLIENTS, SIDES, TEXT, USAGES, USED, Quiet, ask, told_once
from tests.fakes.pipeline import Bench, make_bench, provider, snapshot
from tests.unit.adapters.http.scripted import Peer, Server, chunk, client
from tollway.domain.failure import Failure, client_status
from tollway.domain.ids import ProviderId
from tollway.domain.provider import ProviderKind

HOST = "bedrock-runtime.eu-central-1.example"
SIDE = SIDES["bedrock"]
EVENTS = b"HTTP/1.1 200 OK\r\ncontent-type: application/vnd.amazon.eventstream\r\n"
JSON = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
CHUNKED = b"transfer-encoding: chunked\r\n\r\n"
BEGUN = SIDE.start + SIDE.words(TEXT)
LIMITS = {f"{name}_timeout_s": 0.5 for name in ("headers", "first_token", "idle")}
FLOOD_BYTES = 32 << 20

Script = Callable[[Peer], Any]


async def served(script: Script, who: str, *, stream: bool) -> tuple[Any, Any, Bench, Server]:
    """One request through a whole pipeline and the real outbound client."""
    lookup = {"lookup": lambda host, port: ["127.0.0.1"]}
    async with Server(script) as server, client(**LIMITS, **lookup) as http:
        url = f"http://{HOST}:{server.port}"
        record = provider("one", kind=ProviderKind.BEDROCK, base_url=url)
        made = make_bench(config=snapshot(providers={ProviderId("prv_one"): record}))
        made.gateway.upstreams[ProviderKind.BEDROCK] = http.http
        by, verdict = await ask(made, who, stream=stream, by=Quiet())
        return by, verdict, made, server


def saying(data: bytes, piece: bytes = b"", *, wait: bool = False) -> Script:
    """A server that answers so, then sends the piece again and again until nobody listens."""

    async def script(peer: Peer) -> None:
        await peer.request()
        peer.write(data)
        with contextlib.suppress(ConnectionError):
            sent = 0
            while piece and sent < FLOOD_BYTES:
                peer.write(piece)
                sent += len(piece)
                await peer.drain()
        if wait:
            await peer.gone()
        peer.close()

    return script


def sized(body: bytes, fields: bytes = b"") -> bytes:
    return JSON + fields + b"content-length: %d\r\n\r\n%b" % (len(body), body)


WHOLE = SIDE.whole(USAGES["bedrock"])
# An announced frame of 4 GiB, and one whose headers are longer than itself.
HUGE = (0xFFFFFFFF).to_bytes(4, "big") + bytes(4)
HUGE += zlib.crc32(HUGE).to_bytes(4, "big")
NONE: dict[str, tuple[bytes, bool]] = {
    "a redirect": (b"HTTP/1.1 302 X\r\nlocation: http://x/\r\ncontent-length: 0\r\n\r\n", True),
    "gzip": (sized(zlib.compress(WHOLE), b"content-encoding: gzip\r\n"), False),
    "two lengths": (sized(WHOLE, b"content-length: 3\r\n"), False),
    "length and chunks": (sized(WHOLE, b"transfer-encoding: chunked\r\n"), False),
    "half": (sized(WHOLE[:-1]), False),
    "frames as JSON": (sized(b"".join(SIDE.sound)), False),
    "JSON as frames": (EVENTS + CHUNKED + chunk(WHOLE) + chunk(b""), True),
    "events as frames": (EVENTS + CHUNKED + chunk(b"data: {}\n\n" * 3) + chunk(b""), True),
    "a huge frame": (EVENTS + CHUNKED + chunk(HUGE), True),
    "a damaged frame": (EVENTS + CHUNKED + chunk(SIDE.start[:-1] + b"\0"), True),
    "half a frame": (EVENTS + CHUNKED + chunk(SIDE.start[:-1]) + chunk(b""), True),
    "a bad chunk": (EVENTS + CHUNKED + b"zz\r\n" + SIDE.start, True),
}


@pytest.mark.parametrize("name", NONE)
@pytest.mark.parametrize("who", CLIENTS)
async def test_an_answer_that_is_none(who: str, name: str) -> None:
    """Rows 83, 88, 91 and 93: 502, and one row that bills nothing."""
    data, stream = NONE[name]
    by, verdict, made, _ = await served(saying(data), who, stream=stream)
    assert (by.status, by.body) == (None, b"")
    assert isinstance(verdict, Failure)
    assert client_status(verdict) == 502
    [row] = made.journal.receipts
    assert (row.payer, row.input, row.output) == ("failed", 0, 0)


@pytest.mark.parametrize("who", CLIENTS)
async def test_frames_that_drip(who: str) -> None:
    """G-60: a byte at a time, in chunks of one."""
    data = EVENTS + CHUNKED
    data += b"".join([b"1\r\n%c\r\n" % byte for piece in SIDE.sound for byte in piece])

    async def script(peer: Peer) -> None:
        await peer.request()
        for at in range(0, len(data), 3):
            peer.write(data[at : at + 3])
            await peer.drain()
        peer.write(b"0\r\n\r\n")
        await peer.gone()

    by, verdict, made, _ = await served(script, who, stream=True)
    assert (verdict, by.ended) == (None, "finished")
    [row] = made.journal.receipts
    assert (row.payer, row.input, row.output) == ("reported", *USED)


EMPTY = amazon.delta(0, text="")
FLOODS: dict[str, bytes] = {
    "frames that say nothing": EMPTY * 200,
    "blocks that begin": b"".join(amazon.called(n, f"c{n}", "f") for n in range(200)),
    "words": amazon.delta(0, text="x" * 50_000),
    "zeros": bytes(60_000),
}


@pytest.mark.parametrize("name", FLOODS)
@pytest.mark.parametrize("who", CLIENTS)
async def test_floods(who: str, name: str) -> None:
    """Row 87: after its beginning a stream that never ends is cut, and memory stays flat."""
    script = saying(EVENTS + CHUNKED + chunk(BEGUN), chunk(FLOODS[name]))
    tracemalloc.start()
    try:
        by, _, made, _ = await served(script, who, stream=True)
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()
    [row] = made.journal.receipts
    if by.status is None:  # it broke in the same read in which it began: still a status
        assert (row.payer, row.output) == ("failed", 0)
    else:
        assert by.ended == "aborted"
        assert told_once(who, by.body[by.body.find(b"\n\n") + 2 :])
        assert row.payer == "cut"


@pytest.mark.parametrize("begun", [b"", EVENTS + CHUNKED, EVENTS + CHUNKED + chunk(BEGUN)])
async def test_stalls(begun: bytes) -> None:
    """Row 96: 504, or one error event."""
    by, verdict, made, _ = await served(saying(begun, wait=True), "messages", stream=True)
    [row] = made.journal.receipts
    if by.status is None:
        assert client_status(verdict) == 504
        assert row.payer == "failed"
    else:
        assert told_once("messages", by.body)
        assert (row.payer, row.error) == ("cut", "body:timeout")


async def test_who_does_not_close_or_answers_twice() -> None:
    """Rows 97 and 98: one answer, and the connection is given up."""
    sound = EVENTS + CHUNKED + chunk(b"".join(SIDE.sound)) + chunk(b"")
    by, verdict, made, server = await served(saying(sound + sized(WHOLE)), "chat", stream=True)
    assert (verdict, by.ended, by.body.count(b'"content":"hello"')) == (None, "finished", 1)
    assert server.accepted == 1
    assert made.journal.receipts[0].payer == "reported"
    await asyncio.sleep(0)
    assert not server.open
