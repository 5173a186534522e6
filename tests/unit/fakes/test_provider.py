"""The simulated provider does what its scripts say, and its log is never behind its bytes."""

import asyncio
import json
import socket
import ssl
from collections import Counter
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.fakes.certificates import Certificates
from tests.fakes.provider import ProviderProcess, SimulatedProvider, refusing_port
from tests.fakes.provider_faults import FAULTS
from tests.fakes.provider_script import read_ask
from tests.fakes.provider_shapes import EventMaker
from tests.fakes.truth import TruthLog, read_truth
from tollway.dialects.stream import StreamReader
from tollway.domain.estimate import estimated_output


def request_bytes(
    prompt: str, *, stream: bool = True, usage: bool = True, path: str = "/v1/chat/completions"
) -> bytes:
    fields: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": prompt}]}
    if stream:
        fields |= {"stream": True, "stream_options": {"include_usage": usage}}
    body = json.dumps(fields).encode()
    return b"POST %s HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%s" % (
        path.encode(),
        len(body),
        body,
    )


class Peer:
    """A raw client connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.seen = b""

    async def until(self, mark: bytes) -> bytes:
        """Everything received, once it holds the mark."""
        async with asyncio.timeout(5):
            while mark not in self.seen:
                data = await self.reader.read(65536)
                assert data, self.seen[-2000:]
                self.seen += data
        return self.seen

    async def to_end(self) -> tuple[bytes, str]:
        """Everything until the connection ends, and how: fin or reset."""
        async with asyncio.timeout(5):
            while True:
                try:
                    data = await self.reader.read(65536)
                except ConnectionResetError:
                    return self.seen, "reset"
                if not data:
                    return self.seen, "fin"
                self.seen += data

    async def silent(self, seconds: float = 0.05) -> bytes:
        """Everything received until nothing more comes for a moment."""
        while True:
            try:
                async with asyncio.timeout(seconds):
                    data = await self.reader.read(65536)
            except TimeoutError:
                return self.seen
            assert data, "the connection ended"
            self.seen += data

    def leave(self) -> None:
        self.writer.close()


async def connect(provider: SimulatedProvider, data: bytes = b"", **tls: Any) -> Peer:
    reader, writer = await asyncio.open_connection("localhost", provider.port, limit=1 << 25, **tls)
    writer.write(data)
    return Peer(reader, writer)


async def eventually(check: Any) -> None:
    async with asyncio.timeout(5):
        while not check():
            await asyncio.sleep(0.005)


async def test_the_official_client_understands_it() -> None:
    """Chats, streams, tools, embeddings, models and errors are what the OpenAI client expects."""
    async with SimulatedProvider(api_key="k") as provider:
        client = openai.AsyncOpenAI(base_url=provider.base_url, api_key="k", max_retries=0)
        messages: Any = [{"role": "user", "content": "hi [[id=n1 tokens=3]]"}]
        chat = await client.chat.completions.create(model="m", messages=messages)
        assert chat.choices[0].message.content == "001 002 003 "
        stream = await client.chat.completions.create(
            model="m", messages=messages, stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]
        text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
        assert text == "001 002 003 "
        assert chunks[-1].usage is not None
        assert chunks[-1].usage.completion_tokens == 3
        tool: Any = [{"role": "user", "content": "[[tool=look tokens=2]]"}]
        called = await client.chat.completions.create(model="m", messages=tool)
        assert called.choices[0].message.tool_calls is not None
        plain = await client.completions.create(model="m", prompt="a b")
        assert plain.usage is not None
        assert plain.usage.prompt_tokens == 2
        vectors = await client.embeddings.create(model="m", input=["a", "b"])
        assert [one.embedding for one in vectors.data] == [[0.5, -0.25, 0.125]] * 2
        assert [model.id async for model in client.models.list()] == ["small", "large"]
        with pytest.raises(openai.RateLimitError):
            bad: Any = [{"role": "user", "content": "[[status=429 retry_after=1]]"}]
            await client.chat.completions.create(model="m", messages=bad)
        with pytest.raises(openai.AuthenticationError):
            await client.with_options(api_key="other").models.list()
        await client.close()
        seen = provider.truth.by_nonce()["n1"]
        assert [one.tokens for one in seen] == [3, 3]
        assert seen[0].usage == {"prompt_tokens": 3, "completion_tokens": 3, "total_tokens": 6}


@pytest.mark.parametrize("path", ["chat", "completions"])
async def test_an_estimate_never_exceeds_what_was_emitted(path: str) -> None:
    """However a stream is cut, events and bytes suggest exactly the tokens in it."""
    body = {"model": "m", "prompt": "x", "messages": [{"content": "x [[tokens=1200]]"}]}
    events = EventMaker(read_ask(path, json.dumps(body).encode(), Counter()))
    reader = StreamReader(forward_usage=False)
    reader.feed(events.opening())
    assert estimated_output(reader.events, reader.content_bytes) == 0
    for position in range(1, 1201):
        reader.feed(events.token(position))
        assert estimated_output(reader.events, reader.content_bytes) == position
    reader.feed(events.finish())
    assert estimated_output(reader.events, reader.content_bytes) == 1200


async def test_a_connection_serves_requests_in_order() -> None:
    """Keep-alive and pipelining work, and the log tells the connections apart."""
    async with SimulatedProvider() as provider:
        ask = request_bytes("[[id=a tokens=1]]", stream=False)
        peer = await connect(provider, ask + ask.replace(b"id=a", b"id=b"))
        while (await peer.silent()).count(b"200 X") < 2:
            await asyncio.sleep(0)
        requests = list(provider.truth.requests.values())
        assert [one.nonce for one in requests] == ["a", "b"]
        assert requests[0].connection == requests[1].connection
        assert all(one.answered for one in requests)
        peer.leave()


async def test_the_log_is_ahead_of_the_bytes(tmp_path: Path) -> None:
    """At every moment the file says at least as many tokens as have been received."""
    log = tmp_path / "truth"
    async with SimulatedProvider(log) as provider:
        peer = await connect(provider, request_bytes("[[id=a tokens=40 gap_ms=1]]"))
        while b"[DONE]" not in peer.seen:
            peer.seen += await peer.reader.read(65536)
            received = peer.seen.count(b'{"content": "0')
            assert read_truth(log).by_nonce()["a"][0].tokens >= received
        assert read_truth(log).by_nonce()["a"][0].tokens == received == 40
        peer.leave()


async def test_a_client_that_leaves_is_seen(tmp_path: Path) -> None:
    """The log says who ended the connection, when, and how far the answer was."""
    async with SimulatedProvider(tmp_path / "truth") as provider:
        peer = await connect(provider, request_bytes("[[id=a tokens=1000 gap_ms=2]]"))
        await peer.until(b'"003 "')
        peer.leave()
        await eventually(lambda: provider.truth.by_nonce()["a"][0].closed_by)
        one = provider.truth.by_nonce()["a"][0]
        assert (one.closed_by, one.answered) == ("peer", False)
        assert 3 <= one.tokens < 1000
        assert one.closed_s is not None
        assert one.closed_s >= one.started_s


async def test_burst_puts_tokens_in_one_write() -> None:
    """`burst` bundles events; the log then moves in the same steps."""
    async with SimulatedProvider() as provider:
        peer = await connect(provider, request_bytes("[[id=a tokens=10 burst=4 stall=8]]"))
        await peer.until(b'"008 "')
        steps = [json.loads(line) for line in provider._log.lines]
        assert [one["n"] for one in steps if one["ev"] == "tokens"] == [4, 8]
        peer.leave()


async def test_a_stall_inside_a_burst_is_exact() -> None:
    """A fault in the middle of a bundle sends what came before it."""
    async with SimulatedProvider() as provider:
        peer = await connect(provider, request_bytes("[[id=a tokens=10 burst=4 stall=6]]"))
        seen = await peer.until(b'"006 "')
        assert b'"007 "' not in seen
        assert provider.truth.by_nonce()["a"][0].tokens == 6
        peer.leave()


async def test_a_block_can_hold_for_the_first_requests_only() -> None:
    """`times` lets a retry succeed."""
    async with SimulatedProvider() as provider:
        ask = request_bytes("[[id=a status=503 times=2]]", stream=False)
        peer = await connect(provider, ask * 3)
        seen = await peer.until(b"200 X")
        assert seen.count(b"503 X") == 2
        peer.leave()


@pytest.mark.parametrize(
    ("script", "mark", "absent"),
    [
        ("fault=stall at=head", None, b"HTTP"),
        ("fault=stall at=first", b"\r\n\r\n", b"data:"),
        ("stall=2", b'"002 "', b'"003 "'),
        ("fault=stall at=usage", b'"005 "', b"usage"),
        ("fault=stall at=done", b'"usage"', b"[DONE]"),
        ("fault=stall at=end", b"[DONE]\n\n\r\n", b"0\r\n\r\n"),
        ("fault=comments at=first", b": still there\n\n\r\nf\r\n: still", b"data:"),
        ("fault=long_line at=first size=200000", b"x" * 65536, b'"}'),
        ("fault=garbage at=head", b"not http", b"HTTP"),
        ("fault=garbage at=2", b"not http", b'"003 "'),
        ("fault=length_long", b"[DONE]", b"0\r\n\r\n"),
    ],
)
async def test_faults_that_never_end(script: str, mark: bytes | None, absent: bytes) -> None:
    """The connection stays open, with what was scripted on it and nothing more, until we leave."""
    async with SimulatedProvider() as provider:
        peer = await connect(provider, request_bytes(f"[[id=a {script}]]"))
        if mark is not None:
            await peer.until(mark)
        if "comments" not in script:
            await peer.silent()
        assert absent not in peer.seen
        peer.leave()
        await eventually(lambda: not provider.connections)
        assert provider.truth.by_nonce()["a"][0].closed_by == "peer"


@pytest.mark.parametrize(
    ("script", "ending", "mark", "absent"),
    [
        ("fault=reset at=head", "reset", b"", b"HTTP"),
        ("cut=2", "reset", b"", b'"003 "'),
        ("fault=fin at=head", "fin", b"", b"HTTP"),
        ("fault=fin at=first", "fin", b"event-stream", b"data:"),
        ("fault=fin at=2", "fin", b'"002 "', b'"003 "'),
        ("fault=fin at=done", "fin", b"usage", b"[DONE]"),
        ("fault=close_delimited", "fin", b"[DONE]", b"chunked"),
        ("fault=http10", "fin", b"HTTP/1.0", b"chunked"),
    ],
)
async def test_faults_that_end_the_connection(
    script: str, ending: str, mark: bytes, absent: bytes
) -> None:
    """FIN and RST come where the script says."""
    async with SimulatedProvider() as provider:
        peer = await connect(provider, request_bytes(f"[[id=a {script}]]"))
        seen, how = await peer.to_end()
        assert (how, mark in seen, absent in seen) == (ending, True, False)
        assert provider.truth.by_nonce()["a"][0].closed_by == "provider"
        peer.leave()


@pytest.mark.parametrize(
    ("script", "mark"),
    [
        ("fault=malformed at=2", b'"bro\n\n'),
        ("fault=binary at=2", b"\xff\xfe"),
        ("fault=interleaved", b": keep-alive\n\ndata:"),
        ("fault=crlf", b"}\r\n\r\n"),
        ("fault=fields", b"event: message\nid: 7\nretry: 1\ndata:"),
        ("fault=spaceless", b'data:{"id"'),
        ("fault=trailers", b"0\r\nx-trailer: 1\r\n\r\n"),
        ("fault=second", b"0\r\n\r\nHTTP/1.1 200 OK"),
        ("fault=gzip", b"content-encoding: gzip"),
        ("fault=te_and_cl", b"content-length: 5"),
        ("fault=huge_header size=100000", b"a" * 100000),
        ("fault=many_headers", b"x-4999: 1"),
        ("fault=continues at=head", b"100 Continue\r\n\r\nHTTP/1.1 200"),
        ("fault=dribble tokens=1", b"1\r\nd\r\n1\r\na\r\n1\r\nt\r\n"),
        ("fault=no_done", b'"usage"'),
        ("fault=no_type", b"data:"),
        ("fault=length_short", b"content-length:"),
    ],
)
async def test_answers_that_are_odd_but_end(script: str, mark: bytes) -> None:
    """The scripted oddity is in an answer whose log says it was given in full."""
    async with SimulatedProvider() as provider:
        peer = await connect(provider, request_bytes(f"[[id=a {script}]]"))
        await peer.until(mark)
        await eventually(lambda: provider.truth.by_nonce()["a"][0].answered)
        if "no_done" in script:
            assert b"DONE" not in await peer.silent()
        peer.leave()


@pytest.mark.parametrize(
    ("script", "marks"),
    [
        ("error_event=2", [b'"002 "', b'data: {"error"']),
        ("fault=error_event at=first", [b"event-stream", b'data: {"error"']),
        ("fault=html", [b"200 X", b"<html>"]),
        ("fault=html status=502", [b"502 X", b"<html>"]),
        ("status=204", [b"204 X"]),
        ("status=302 location=http://elsewhere/", [b"302 X", b"location: http://elsewhere/"]),
        ("status=600", [b"600 X", b"simulated_600"]),
        ("status=429 retry_after=7", [b"429 X", b"retry-after: 7"]),
        ("fault=nonsense", [b"400 X"]),
    ],
)
async def test_answers_that_say_no(script: str, marks: list[bytes]) -> None:
    """Errors in a stream, statuses of every kind, HTML where JSON belongs."""
    async with SimulatedProvider() as provider:
        peer = await connect(provider, request_bytes(f"[[id=a {script}]]"))
        for mark in marks:
            await peer.until(mark)
        assert b"[DONE]" not in await peer.silent()
        peer.leave()


@pytest.mark.parametrize(
    ("script", "ending"),
    [("fault=reset at=1", "reset"), ("fault=fin at=first", "fin"), ("fault=fin at=2", "fin")],
)
async def test_whole_answers_break_too(script: str, ending: str) -> None:
    """Without a stream the same faults cut the body."""
    async with SimulatedProvider() as provider:
        peer = await connect(provider, request_bytes(f"[[id=a {script}]]", stream=False))
        seen, how = await peer.to_end()
        assert (how, b'"usage"' in seen) == (ending, False)
        assert provider.truth.by_nonce()["a"][0].tokens == 5
        peer.leave()


async def test_usage_can_lie() -> None:
    """The log keeps what was reported beside what was emitted."""
    async with SimulatedProvider() as provider:
        for number, mode in enumerate(("none", "zero", "half", "details")):
            ask = request_bytes(f"a b c [[id={mode} tokens=4 usage={mode}]]", stream=number % 2 > 0)
            peer = await connect(provider, ask)
            await eventually(lambda mode=mode: mode in provider.truth.by_nonce())
            await eventually(lambda mode=mode: provider.truth.by_nonce()[mode][0].answered)
            peer.leave()
        truth = provider.truth.by_nonce()
        assert truth["none"][0].usage is None
        assert truth["zero"][0].usage["completion_tokens"] == 0
        assert truth["half"][0].usage["completion_tokens"] == 2
        assert truth["details"][0].usage["completion_tokens_details"]["reasoning_tokens"] == 2
        assert {one[0].tokens for one in truth.values()} == {4}


@pytest.mark.parametrize("kind", ["good", "expired", "wrong_name", "unknown_ca"])
async def test_tls_is_as_right_or_wrong_as_asked(kind: str, tmp_path: Path) -> None:
    """A client that checks accepts the good certificate and no other."""
    certificates = Certificates(tmp_path)
    async with SimulatedProvider(tls=certificates.server_context(kind)) as provider:
        context = certificates.client_context()
        if kind != "good":
            with pytest.raises(ssl.SSLCertVerificationError):
                await connect(provider, ssl=context)
            return
        peer = await connect(provider, request_bytes("[[cut=2]]"), ssl=context)
        seen, how = await peer.to_end()
        assert (how, b'"003 "' in seen) == ("reset", False)
        peer.leave()


async def test_garbage_can_greet_who_connects() -> None:
    """Before any request there may already be bytes: no TLS, or a stolen answer's beginning."""
    async with SimulatedProvider(greeting=b"220 smtp ready\r\n") as provider:
        peer = await connect(provider)
        assert await peer.until(b"\r\n") == b"220 smtp ready\r\n"
        peer.leave()


def test_a_refusing_port_refuses() -> None:
    """Nobody listens there."""
    with socket.socket() as probe, pytest.raises(ConnectionRefusedError):
        probe.connect(("127.0.0.1", refusing_port()))


def test_it_runs_as_a_process(tmp_path: Path) -> None:
    """The process prints its port, logs to the file and ends when told."""
    provider = ProviderProcess(tmp_path / "truth")
    with socket.create_connection(("127.0.0.1", provider.port), timeout=5) as peer:
        peer.sendall(request_bytes("[[id=a tokens=2]]"))
        seen = b""
        while b"[DONE]" not in seen:
            seen += peer.recv(65536)
    provider.stop()
    one = provider.truth.by_nonce()["a"][0]
    assert (one.tokens, one.stream, one.path) == (2, True, "/v1/chat/completions")


def test_a_half_written_line_is_left_out(tmp_path: Path) -> None:
    """A reader may come at any moment."""
    path = tmp_path / "truth"
    log = TruthLog(path)
    log.note("request", req="1", conn=1, id="a", path="/", stream=True)
    log.tokens("1", 7)
    log.close()
    with path.open("ab") as file:
        file.write(b'{"ev":"tok')
    assert read_truth(path).requests["1"].tokens == 7
    assert read_truth(tmp_path / "absent").requests == {}


def test_every_fault_has_a_test() -> None:
    """A fault nobody tried is a fault nobody can rely on."""
    text = Path(__file__).read_text()
    shorts = {"stall", "reset", "error_event"}
    assert {name for name in FAULTS - shorts if f"fault={name}" not in text} == set()
