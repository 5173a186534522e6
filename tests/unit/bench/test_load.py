import asyncio
import json
import os
import sys
from dataclasses import asdict

import pytest

from bench.chat import request_body, request_bytes, stream_events
from bench.load import Order
from bench.mock import Provider
from bench.proof import prove
from bench.subject import DIRECT, StartError, Subject, mock_provider

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a kernel timer")


@pytest.fixture
async def provider():
    """The mock's port, in this loop."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Provider(loop), "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


async def drive(port, **order):
    """The outcome of a short order."""
    full = Order(**{"port": port, "key": "k", "warm_s": 0.05, "window_s": 0.3, **order})
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.load"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate(json.dumps(asdict(full)).encode() + b"\n")
    events = [json.loads(line) for line in output.splitlines()]
    assert [event["event"] for event in events] == ["begin", "end", "outcome"]
    return events[-1]


async def test_the_rate_is_kept_and_every_answer_counted(provider):
    """200 a second for 0.3 s are 60 answers, give or take the machine's mood."""
    outcome = await drive(provider, rate=200)
    assert outcome["errors"] == {}
    assert 40 <= outcome["answered"] <= 80
    assert 0 < outcome["p50_ms"] <= outcome["p99_ms"] <= outcome["max_ms"]


async def test_streams_are_counted_to_the_last_event(provider):
    """All events, usage and [DONE] included; the first byte comes before the last."""
    outcome = await drive(provider, rate=50, chunks=20, gap_ms=1)
    assert outcome["errors"] == {}
    assert outcome["answered"] > 0
    assert outcome["first_p50_ms"] < outcome["p50_ms"]


async def test_latency_counts_from_when_a_request_was_due():
    """A server that stalls once delays all requests that were due meanwhile, not just one."""
    loop = asyncio.get_running_loop()

    class Stalling(Provider):
        """Its first answer comes after 0.2 s."""

        __slots__ = ()
        stalled = False

        def data_received(self, data):
            if not Stalling.stalled:
                Stalling.stalled = True
                loop.call_later(0.2, super().data_received, data)
            else:
                super().data_received(data)

    server = await loop.create_server(lambda: Stalling(loop), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    outcome = await drive(port, rate=100, connections=1, warm_s=0)
    server.close()
    assert outcome["max_ms"] > 190
    assert outcome["p50_ms"] > 20  # about twenty of thirty were due during the stall or its tail


async def test_a_wrong_status_is_an_error(provider):
    """An answer that is not what was ordered is counted as such, with what it said."""
    outcome = await drive(provider, rate=100, status=401)
    assert outcome["answered"] == 0
    assert any(reason.startswith("status 200") for reason in outcome["errors"])


async def test_the_mock_answers_pipelined_and_cut_requests(provider):
    """A request in two pieces and two in one piece are answered one by one."""
    reader, writer = await asyncio.open_connection("127.0.0.1", provider)
    request = request_bytes(request_body(), "k")
    writer.write(request[:100])
    await writer.drain()
    writer.write(request[100:] + request)
    for _ in range(2):
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        assert b'"usage"' in await reader.readexactly(length)
    writer.close()
    await writer.wait_closed()


def test_the_mock_proves_itself_and_a_shorter_stream_would_not(monkeypatch):
    """The proof that guards every run accepts the mock, and sees a missing event."""
    with mock_provider(min(os.sched_getaffinity(0))) as port:
        direct = Subject(DIRECT, "", port, port, "k")
        notes = []
        prove(direct, notes.append)
        assert notes == []
        monkeypatch.setattr("bench.proof.stream_events", lambda count: stream_events(count + 1))
        with pytest.raises(StartError, match="events instead of"):
            prove(direct, notes.append)
