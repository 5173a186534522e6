"""Table F of the attack list over real sockets, where the provider does not speak Chat Completions
or its client does not: the same bytes below, so the same bounds, and the client's own shape above.
`test_attacks_providers.py` has the rest of the table; `tests/attacks` tries what needs no socket.
"""

import contextlib
import json
import socket
import time
import zlib
from collections.abc import Callable, Iterator

import pytest

from tests.conftest import Show
from tests.fakes.hostile import CLIENTS, SIDES, TEXT, USAGES, USED, told_once
from tests.fakes.raw_provider import EVENTS_HEAD, JSON_HEAD, RawProvider, RawRequest, answer
from tests.fakes.stage import Reply, Stage
from tests.journeys.test_attacks_providers import flood, resident_bytes, say, sized

TIMEOUTS = {"headers_timeout_s": 0.5, "first_token_timeout_s": 0.5, "idle_timeout_s": 0.5}
KINDS = {"chat": "openai_compatible", "messages": "anthropic", "gemini": "gemini"}
PAIRS = [("messages", "messages"), ("chat", "messages"), ("messages", "chat")]
PAIRS += [("chat", "gemini"), ("messages", "gemini"), ("responses", "gemini")]
PAIRS += [("ollama", "messages"), ("ollama", "chat")]
CHUNKED = b"transfer-encoding: chunked\r\n\r\n"
JSON_TYPE = b"content-type: application/json\r\n"
BOMB = zlib.compress(b" " * (64 << 20), 9)


@pytest.fixture(scope="module")
def raw() -> Iterator[RawProvider]:
    made = RawProvider()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, raw: RawProvider) -> Iterator[Stage]:
    made = Stage(tmp_path_factory.mktemp("dialects"))
    for side, kind in KINDS.items():
        made.add_provider(side, raw.base_url, kind=kind, **TIMEOUTS)
    made.begin()
    yield made
    made.close()


def good(side: str) -> bytes:
    """Its whole answer."""
    return SIDES[side].whole(USAGES[side])


def ask(stage: Stage, client: str, side: str, *, stream: bool) -> Reply:
    """One request of this client's dialect to the provider of that."""
    path, body = CLIENTS[client]
    return stage.post(path.decode(), {"model": side, "stream": stream, **body})


def error_of(client: str, reply: Reply) -> str:
    """The message of an error in this client's shape."""
    value = json.loads(reply.body)
    assert (value.get("type") == "error") is (client == "messages")
    return str(value["error"] if client == "ollama" else value["error"]["message"])


@pytest.fixture(autouse=True)
def serves_on(stage: Stage, raw: RawProvider) -> Iterator[None]:
    """After each attack the same providers' good answers arrive, and nothing else."""
    yield
    for side in KINDS:
        raw.script = lambda connection, _, side=side: answer(connection, good(side))
        reply = ask(stage, "messages", side, stream=False)
        assert reply.status == 200
        assert json.loads(reply.body)["content"][0]["text"] == TEXT


# Rows 83, 88, 91 and 93, around an answer that would be good.
FRAMES: dict[str, Callable[[bytes], bytes]] = {
    "302": lambda _: b"HTTP/1.1 302 X\r\nlocation: http://127.0.0.1/\r\ncontent-length: 0\r\n\r\n",
    "gzip, announced": lambda body: sized(
        zlib.compress(body), JSON_TYPE + b"content-encoding: gzip\r\n"
    ),
    "gzip, but is not": lambda body: sized(body, JSON_TYPE + b"content-encoding: gzip\r\n"),
    "a bomb": lambda _: sized(BOMB, JSON_TYPE + b"content-encoding: deflate\r\n"),
    "two lengths": lambda body: sized(body, JSON_TYPE + b"content-length: 5\r\n"),
    "length and chunks": lambda body: sized(body, JSON_TYPE + b"transfer-encoding: chunked\r\n"),
    "a bad chunk": lambda body: JSON_HEAD + CHUNKED + b"zz\r\n" + body,
    "a minus chunk": lambda body: JSON_HEAD + CHUNKED + b"-1\r\n" + body,
    "a huge chunk": lambda body: JSON_HEAD + CHUNKED + b"f" * 20 + b"\r\n" + body,
    "a cut chunk": lambda body: JSON_HEAD + CHUNKED + b"%x\r\n" % (len(body) + 1) + body,
    "NUL in a header": lambda body: sized(body, JSON_TYPE + b"x: a\0b\r\n"),
    "a bare CR in a header": lambda body: sized(body, JSON_TYPE + b"x: a\rset-cookie: b\r\n"),
    "HTTP/0.9": lambda body: body,
    "HTML": lambda _: sized(b"<html><title>Login</title>", b"content-type: text/html\r\n"),
    "half": lambda body: sized(body[:-1], JSON_TYPE),
}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("name", FRAMES)
@pytest.mark.parametrize(("client", "side"), PAIRS)
def test_an_answer_that_is_none(
    stage: Stage, raw: RawProvider, client: str, side: str, name: str, stream: bool
) -> None:
    """Rows 83, 88, 91 and 93: 502 in the client's shape, one row that bills nothing."""
    say(raw, FRAMES[name](good(side)), close=True)
    reply = ask(stage, client, side, stream=stream)
    assert reply.status == 502
    assert error_of(client, reply)
    assert not {"location", "set-cookie", "content-encoding"} & set(reply.headers)
    assert b"<" not in reply.body
    row = stage.row(reply.nonce)
    assert (row["payer"], row["input"], row["output"]) == ("failed", 0, 0)


def chunked(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


FLOODS: dict[str, tuple[bytes, bool]] = {
    "endless line": (b"x" * 60_000, True),
    "endless event": (b"data: x\n" * 5000, True),
    "endless short lines": (b"d\n" * 30_000, True),
    "endless empty lists": (b"[]," * 20_000, False),
    "endless body": (b" " * 60_000, False),
}


@pytest.mark.parametrize("name", FLOODS)
@pytest.mark.parametrize(("client", "side"), PAIRS)
def test_floods(
    stage: Stage, raw: RawProvider, client: str, side: str, name: str, show: Show
) -> None:
    """Row 87: cut at a cap; the worker's memory and processor time stay flat."""
    piece, stream = FLOODS[name]
    head = EVENTS_HEAD if stream else JSON_HEAD
    begin = b"" if stream or name == "endless body" else chunked(good(side)[:-1] + b', "x": [')
    sent = flood(raw, head + CHUNKED + begin, chunked(piece))
    (pid,) = stage.tree.worker_pids
    before, spent_s = resident_bytes(pid), processor_s(pid)
    reply = ask(stage, client, side, stream=stream)
    grown, took_s = resident_bytes(pid) - before, processor_s(pid) - spent_s
    show(f"{name}, {client} at {side}: {took_s * 1000:.0f} ms, + {grown / 1024:.0f} KiB")
    assert reply.status == 502
    assert error_of(client, reply)
    assert sent["bytes"] < 32 << 20
    assert grown < 48 << 20
    assert took_s < 2
    assert stage.row(reply.nonce)["payer"] == "failed"


def processor_s(pid: int) -> float:
    """Seconds of the processor that a process has had."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


@pytest.mark.parametrize("piece", [b": x\n\n", b"data:\n\n", b"event: ping\n\n"])
@pytest.mark.parametrize(("client", "side"), PAIRS)
def test_events_without_content(
    stage: Stage, raw: RawProvider, client: str, side: str, piece: bytes
) -> None:
    """Rows 87 and 96: comments and empty events let the token timer run out."""

    def script(connection: socket.socket, _: RawRequest) -> None:
        begin = SIDES[side].start + SIDES[side].words(TEXT)
        connection.sendall(EVENTS_HEAD + CHUNKED + chunked(begin))
        with contextlib.suppress(OSError):
            while True:
                connection.sendall(chunked(piece))
                time.sleep(0.01)

    raw.script = script
    reply = ask(stage, client, side, stream=True)
    assert reply.status == 200
    assert told_once(client, reply.body)
    row = stage.row(reply.nonce)
    assert (row["payer"], row["error"], row["output"]) == ("cut", "body:timeout", 2)


@pytest.mark.parametrize("at", ["head", "first"])
@pytest.mark.parametrize(("client", "side"), PAIRS)
def test_stalls(stage: Stage, raw: RawProvider, client: str, side: str, at: str) -> None:
    """Row 96: before the head and before the first token: 504."""
    said = b"" if at == "head" else EVENTS_HEAD + CHUNKED + chunked(b": x\n\n")
    raw.script = lambda connection, _: connection.sendall(said)
    reply = ask(stage, client, side, stream=True)
    assert reply.status == 504
    assert error_of(client, reply)
    phase = "headers" if at == "head" else "first_event"
    assert stage.row(reply.nonce)["error"] == f"{phase}:timeout"


@pytest.mark.parametrize(("client", "side"), PAIRS)
def test_a_stream_that_drips(stage: Stage, raw: RawProvider, client: str, side: str) -> None:
    """G-60: head, chunks and events a byte at a time: the whole answer, as counted."""
    data = b"".join([chunked(piece) for piece in SIDES[side].sound]) + b"0\r\n\r\n"

    def script(connection: socket.socket, _: RawRequest) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in EVENTS_HEAD + CHUNKED + data:
            connection.send(bytes([byte]))

    raw.script = script
    reply = ask(stage, client, side, stream=True)
    assert (reply.status, reply.whole) == (200, True)
    assert TEXT.encode() in reply.body
    row = stage.row(reply.nonce)
    assert (row["payer"], row["input"], row["output"]) == ("reported", *USED)


@pytest.mark.parametrize("rest", ["nothing", "a second answer"])
@pytest.mark.parametrize(("client", "side"), PAIRS)
def test_after_the_end(stage: Stage, raw: RawProvider, client: str, side: str, rest: str) -> None:
    """Rows 97 and 98: who does not close, or answers twice, loses the connection; the client has
    one answer."""
    sound = chunked(b"".join(SIDES[side].sound))
    if rest == "a second answer" or not SIDES[side].last:
        sound += b"0\r\n\r\n"
    injected = sized(good(side).replace(TEXT.encode(), b"injected"), JSON_TYPE)
    data = EVENTS_HEAD + CHUNKED + sound + (injected if rest == "a second answer" else b"")
    raw.script = lambda connection, _: connection.sendall(data)
    reply = ask(stage, client, side, stream=True)
    assert (reply.status, reply.whole) == (200, True)
    assert b"injected" not in reply.body
    used = raw.requests[-1].connection
    if rest == "a second answer" or SIDES[side].last:
        assert raw.ended[used].wait(3), "the connection is closed"
    assert stage.row(reply.nonce)["outcome"] == "finished"
