"""Table F of the attack list: the provider, or the tenant who names it, is the attacker. Whatever
its bytes, the client gets a right status or one error event, memory stays flat, and nothing of one
answer reaches another request.
"""

import contextlib
import json
import os
import socket
import time
import zlib
from collections.abc import Callable, Iterator

import pytest

from tests.conftest import Show
from tests.fakes.raw_provider import EVENTS_HEAD, JSON_HEAD, RawProvider, RawRequest, answer
from tests.fakes.stage import Reply, Stage
from tollway.app.admin.checks import check_base_url

TIMEOUTS = {"headers_timeout_s": 0.5, "first_token_timeout_s": 0.5, "idle_timeout_s": 0.5}
CHUNKED = b"transfer-encoding: chunked\r\n\r\n"
GOOD = b'{"choices":[{"index":0,"message":{"content":"good"},"finish_reason":"stop"}]}'
EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"good"}}]}\n\n'
END = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
FLOOD_BYTES = 64 << 20

# Where a tenant's own provider may not be. PORT is one on which somebody would answer.
INSIDE = [
    "https://127.0.0.1:PORT/v1",
    "https://127.1:PORT/v1",
    "https://2130706433:PORT/v1",
    "https://0x7f.1:PORT/v1",
    "https://0177.0.0.1:PORT/v1",
    "https://0.0.0.0:PORT/v1",
    "https://[::]:PORT/v1",
    "https://[::1]:PORT/v1",
    "https://[::ffff:127.0.0.1]:PORT/v1",
    "https://[2002:7f00:1::]:PORT/v1",
    "https://[64:ff9b::7f00:1]:PORT/v1",
    "https://[fe80::1]:PORT/v1",
    "https://localhost:PORT/v1",
    "https://localhost.:PORT/v1",
    "https://LOCALHOST:PORT/v1",
    "https://x.localhost:PORT/v1",
    "https://user@127.0.0.1:PORT/v1",
    "https://127.0.0.1:PORT#.example.com/v1",
    "https://example.com:PORT@127.0.0.1/v1",
    "https://１２７.0.0.1:PORT/v1",  # noqa: RUF001 - full-width digits are the attack
    "https://127。0。0。1:PORT/v1",
    "http://127.0.0.1:PORT/v1",
    "https://169.254.169.254/v1",
    "https://100.64.0.1/v1",
    "https://10.0.0.1/v1",
    "https://192.168.0.1/v1",
    "https://168.63.129.16/v1",
    "http://example.com/v1",
    "file:///etc/passwd",
    "gopher://127.0.0.1:PORT/v1",
]
# Nothing in these names says where they lead.
NAMES_INSIDE = ["https://ip6-localhost:PORT/v1", f"https://{socket.gethostname()}:PORT/v1"]


@pytest.fixture(scope="module")
def raw() -> Iterator[RawProvider]:
    made = RawProvider()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def inside() -> Iterator[RawProvider]:
    """Something that only we can reach."""
    made = RawProvider()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def stage(
    tmp_path_factory: pytest.TempPathFactory, raw: RawProvider, inside: RawProvider
) -> Iterator[Stage]:
    made = Stage(tmp_path_factory.mktemp("providers"), upstream_dns_timeout_s=1)
    made.add_provider("raw", raw.base_url, **TIMEOUTS)
    made.add_provider("dripping", raw.base_url, **TIMEOUTS, total_timeout_s=2)
    for number, url in enumerate(NAMES_INSIDE):
        url = url.replace("PORT", str(inside.port))
        made.add_provider(f"inside{number}", url, tenant="acme", **TIMEOUTS)
        made.manifest["models"][-1]["tenant"] = "acme"
    made.begin()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def serves_on(stage: Stage, raw: RawProvider) -> Iterator[None]:
    """After each attack the same provider's good answer arrives, and nothing else."""
    yield
    raw.script = lambda connection, _: answer(connection, GOOD)
    reply = stage.chat(model="raw")
    assert (reply.status, reply.body) == (200, GOOD)


def say(raw: RawProvider, data: bytes, *, close: bool = False) -> None:
    """The next answers are these bytes."""

    def script(connection: socket.socket, _: RawRequest) -> None:
        connection.sendall(data)
        if close:
            connection.shutdown(socket.SHUT_RDWR)

    raw.script = script


def flood(raw: RawProvider, start: bytes, piece: bytes) -> dict[str, int]:
    """The next answers begin so and go on with the same piece until the gateway has had enough."""
    sent = {"bytes": 0}
    many = piece * max(1, 65536 // len(piece))

    def script(connection: socket.socket, _: RawRequest) -> None:
        sent["bytes"] = 0
        connection.sendall(start)
        with contextlib.suppress(OSError):
            while sent["bytes"] < FLOOD_BYTES:
                connection.sendall(many)
                sent["bytes"] += len(many)

    raw.script = script
    return sent


@pytest.mark.parametrize("url", INSIDE)
def test_a_tenants_base_url_inside_our_network(url: str) -> None:
    """Row 85: refused when it is saved, and by the client if it were in a snapshot all the same
    (both ask the same rule)."""
    wrong = check_base_url(url.replace("PORT", "8443"), tenant_owned=True)
    assert wrong is not None
    assert wrong.field == "base_url"


@pytest.mark.parametrize("number", range(len(NAMES_INSIDE)), ids=NAMES_INSIDE)
def test_a_tenants_provider_inside_our_network(
    stage: Stage, inside: RawProvider, number: int
) -> None:
    """Rows 84 and 85: a name that leads inside is refused before anything connects."""
    reply = stage.chat(model=f"inside{number}")
    assert (reply.status, reply.error["code"]) == (502, "upstream_unreachable")
    assert str(inside.port).encode() not in reply.body
    row = stage.row(reply.nonce)
    assert row["error"] in ("connect:forbidden_address", "connect:dns")
    assert inside.connections == 0


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(
    stage: Stage, raw: RawProvider, inside: RawProvider, status: int, stream: bool
) -> None:
    """Row 83: 502, no call to the other place, no `location` for the client."""
    place = f"location: {inside.base_url}/chat/completions\r\ncontent-length: 0\r\n\r\n"
    say(raw, f"HTTP/1.1 {status} Moved\r\n{place}".encode())
    reply = stage.chat(model="raw", stream=stream)
    assert reply.status == 502
    assert reply.error
    assert "location" not in reply.headers
    assert inside.connections == 0


def sized(body: bytes, fields: bytes = b"", status: int = 200) -> bytes:
    return b"HTTP/1.1 %d X\r\n%bcontent-length: %d\r\n\r\n%b" % (status, fields, len(body), body)


JSON_TYPE = b"content-type: application/json\r\n"
SQUEEZED = zlib.compress(GOOD)
ANSWERS = {
    # Row 93: answers that are none.
    "nothing": (sized(b"", JSON_TYPE), 502),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", 502),
    "304": (b"HTTP/1.1 304 Not Modified\r\n\r\n", 502),
    "101": (b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n", 502),
    "600": (sized(b"{}", JSON_TYPE, 600), 502),
    "999": (sized(b"{}", JSON_TYPE, 999), 502),
    "not an object": (sized(b"[1]", JSON_TYPE), 502),
    "no choices": (sized(b"{}", JSON_TYPE), 502),
    "half JSON": (sized(GOOD[:-1], JSON_TYPE), 502),
    "two documents": (sized(GOOD + GOOD, JSON_TYPE), 502),
    "deep JSON": (sized(b'{"choices":' + b"[" * 100_000, JSON_TYPE), 502),
    "not UTF-8": (sized(GOOD.replace(b"good", b"\xff\xfe"), JSON_TYPE), 502),
    "an error as 200": (sized(b'{"error":{"message":"no"}}', JSON_TYPE), 502),
    "HTML": (sized(b"<html><title>Login</title>", b"content-type: text/html\r\n"), 502),
    "HTML as 500": (sized(b"<html><script>x</script>", b"content-type: text/html\r\n", 500), 500),
    "418": (sized(b"teapot", b"", 418), 418),
    # Row 91: framing that lies.
    "gzip, not announced": (sized(SQUEEZED, JSON_TYPE), 502),
    "gzip, announced": (sized(SQUEEZED, JSON_TYPE + b"content-encoding: gzip\r\n"), 502),
    "gzip, but is not": (sized(GOOD, JSON_TYPE + b"content-encoding: gzip\r\n"), 502),
    "gzip as a coding": (JSON_HEAD + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 502),
    "two lengths": (sized(GOOD, JSON_TYPE + b"content-length: 5\r\n"), 502),
    "length and chunks": (sized(GOOD, JSON_TYPE + b"transfer-encoding: chunked\r\n"), 502),
    "a length that is none": (JSON_HEAD + b"content-length: -1\r\n\r\n" + GOOD, 502),
    "a huge length": (JSON_HEAD + b"content-length: 99999999999999999999\r\n\r\n" + GOOD, 502),
    "a bad chunk": (JSON_HEAD + CHUNKED + b"zz\r\n" + GOOD, 502),
    "folded header": (sized(GOOD, JSON_TYPE + b"x: a\r\n b\r\n"), 502),
    "NUL in a header": (sized(GOOD, JSON_TYPE + b"x: a\0b\r\n"), 502),
    "space before the colon": (sized(GOOD, b"content-length : 5\r\n"), 502),
    "HTTP/2.0": (b"HTTP/2.0 200 OK\r\ncontent-length: 2\r\n\r\n{}", 502),
    "no status": (b"HTTP/1.1 OK\r\n\r\n", 502),
    "HTTP/0.9": (GOOD, 502),
}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_that_is_none(stage: Stage, raw: RawProvider, name: str, stream: bool) -> None:
    """Its right status in our shape, nothing of its head or markup, one row that bills nothing."""
    data, status = ANSWERS[name]
    say(raw, data, close=True)
    reply = stage.chat(model="raw", stream=stream)
    assert reply.status == status, reply.body
    assert reply.error
    assert b"<" not in reply.body
    row = stage.row(reply.nonce)
    assert (row["payer"], row["output"], row["status"]) == ("failed", 0, status)


def test_headers_that_are_not_for_clients(stage: Stage, raw: RawProvider) -> None:
    """Row 91: cookies, permissions, our account's limits, our own names."""
    foreign = (
        b"set-cookie: a=b\r\nlocation: /\r\nx-ratelimit-remaining: 1\r\nx-request-id: theirs\r\n"
        b"access-control-allow-origin: *\r\nconnection: keep-alive, x-secret\r\nx-secret: 1\r\n"
        b"openai-organization: org\r\nx-tollway-provider: fake\r\nopenai-processing-ms: 12\r\n"
        b"strict-transport-security: max-age=1\r\nrefresh: 0; url=/\r\n"
    )
    for stream in (False, True):
        if stream:
            say(raw, EVENTS_HEAD + foreign + CHUNKED + _chunk(EVENT + END) + b"0\r\n\r\n")
        else:
            say(raw, sized(GOOD, b"content-type: text/html\r\n" + foreign))
        reply = stage.chat(model="raw", stream=stream)
        assert reply.status == 200
        ours = {"content-type", "date", "x-request-id", "x-tollway-provider"}
        framing = {"content-length", "transfer-encoding", "cache-control", "x-accel-buffering"}
        assert set(reply.headers) - framing == ours | {"openai-processing-ms"}
        assert reply.headers["x-tollway-provider"] == "raw"
        assert reply.headers["x-request-id"].startswith("req_")
        assert reply.headers["content-type"].startswith(
            "text/event-stream" if stream else "application/json"
        )


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def test_lines_that_steer_a_client(stage: Stage, raw: RawProvider) -> None:
    """Row 92: `event:`, `id:` and `retry:` are filtered, whatever line ends they use."""
    injected = b"id: 1\nevent: evil\nretry: 1\n" + EVENT + b"retry: 99999999\n\n: note\n\n"
    injected += b'event: x\r\ndata: {"choices":[]}\r\n\r\nid: 2\r' + EVENT.replace(b"\n", b"\r")
    say(raw, EVENTS_HEAD + CHUNKED + _chunk(injected + END) + b"0\r\n\r\n")
    reply = stage.chat(model="raw", stream=True)
    assert reply.status == 200
    for line in reply.body.replace(b"\r", b"\n").split(b"\n"):
        assert line[:5] == b"data:" or line[:1] == b":" or not line
    assert reply.body.count(b"good") == 2
    assert reply.body.endswith(b"data: [DONE]\n\n")


USAGES = [
    '{"prompt_tokens":-5,"completion_tokens":-7}',
    '{"prompt_tokens":1e30,"completion_tokens":1e400}',
    '{"prompt_tokens":99999999999999999999999,"completion_tokens":9223372036854775807}',
    '{"prompt_tokens":"3","completion_tokens":true}',
    '{"prompt_tokens":{},"completion_tokens":[]}',
    "[]",
    '"x"',
    "null",
    "{}",
]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("usage", USAGES)
def test_usage_that_cannot_be_true(
    stage: Stage, raw: RawProvider, usage: str, stream: bool
) -> None:
    """Row 90: it counts as not reported; the row is estimated, never negative, never lost."""
    if stream:
        told = b'data: {"choices":[],"usage":%b}\n\n' % usage.encode()
        say(raw, EVENTS_HEAD + CHUNKED + _chunk(EVENT + told + END) + b"0\r\n\r\n")
    else:
        say(raw, sized(GOOD[:-1] + b',"usage":%b}' % usage.encode(), JSON_TYPE))
    reply = stage.chat(model="raw", stream=stream)
    row = stage.row(reply.nonce)
    if reply.status == 200:
        assert (row["payer"], row["usage_source"], row["output"]) == ("estimated", "estimated", 1)
        assert row["input"] > 0
    else:
        assert (reply.status, row["payer"]) == (502, "failed")


FLOODS: dict[str, tuple[bytes, bytes, bool]] = {
    "endless line": (EVENTS_HEAD + CHUNKED, _chunk(b"x" * 60_000), True),
    "endless event": (EVENTS_HEAD + CHUNKED, _chunk(b"data: x\n" * 5000), True),
    "endless bytes 1 by 1": (EVENTS_HEAD + CHUNKED, b"1\r\nx\r\n", True),
    "endless body": (JSON_HEAD + CHUNKED, _chunk(b" " * 60_000), False),
    "endless body until close": (JSON_HEAD + b"\r\n", b" " * 60_000, False),
    "endless error": (b"HTTP/1.1 500 X\r\n" + CHUNKED, _chunk(b" " * 60_000), False),
    "a header of a gigabyte": (b"HTTP/1.1 200 OK\r\nx: ", b"x" * 60_000, False),
    "a million headers": (b"HTTP/1.1 200 OK\r\n", b"x: y\r\n", False),
    "endless 100 Continue": (b"", b"HTTP/1.1 100 Continue\r\n\r\n", False),
    "endless 103": (b"", b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n", False),
    "endless trailers": (JSON_HEAD + CHUNKED + _chunk(GOOD) + b"0\r\n", b"x: y\r\n", False),
    "endless chunk extension": (JSON_HEAD + CHUNKED + b"5;", b"x" * 60_000, False),
    "endless reason": (b"HTTP/1.1 200 ", b"x" * 60_000, False),
}


@pytest.mark.parametrize("name", FLOODS)
def test_floods(stage: Stage, raw: RawProvider, name: str, show: Show) -> None:
    """Rows 87 and 88: cut at a cap, long before the flood ends; memory stays flat."""
    start, piece, stream = FLOODS[name]
    sent = flood(raw, start, piece)
    (pid,) = stage.tree.worker_pids
    before, began = resident_bytes(pid), time.monotonic()
    reply = stage.chat(model="raw", stream=stream)
    took_s, grown = time.monotonic() - began, resident_bytes(pid) - before
    show(f"{name}: {reply.status} after {took_s * 1000:.0f} ms, worker + {grown / 1024:.0f} KiB")
    assert reply.status in (502, 500)
    assert reply.error
    assert sent["bytes"] < FLOOD_BYTES / 2
    assert grown < 48 << 20
    assert took_s < 3
    assert stage.row(reply.nonce)["payer"] == "failed"


def resident_bytes(pid: int) -> int:
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_endless_events_that_are_good(stage: Stage, raw: RawProvider) -> None:
    """Only content counts as progress: comments and empty events let the token timer run out."""
    for piece in (b": x\n\n", b"\n\n", b"data:\n\n", b"id: 1\n\n"):

        def script(connection: socket.socket, _: RawRequest, piece: bytes = piece) -> None:
            connection.sendall(EVENTS_HEAD + CHUNKED + _chunk(EVENT))
            with contextlib.suppress(OSError):
                while True:
                    connection.sendall(_chunk(piece))
                    time.sleep(0.01)

        raw.script = script
        reply = stage.chat(model="raw", stream=True)
        assert reply.body.startswith(EVENT)
        assert reply.body.count(b'"error"') == 1
        row = stage.row(reply.nonce)
        assert (row["payer"], row["error"], row["output"]) == ("cut", "body:timeout", 1)


DRIPS: dict[str, tuple[bytes, bytes, bool]] = {
    "a head": (b"", b"HTTP/1.1 200 OK\r\nx: " + b"y" * 3000, False),
    "a head of interim answers": (
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 103 X\r\nx: " + b"y" * 3000,
        True,
    ),
    "a whole body": (JSON_HEAD + b"content-length: 4000\r\n\r\n", b" " * 4000, False),
    "a body until close": (JSON_HEAD + b"\r\n", b" " * 4000, False),
    "an event": (EVENTS_HEAD + b"\r\n", b"data: " + b"x" * 4000, True),
    "comments": (EVENTS_HEAD + b"\r\n", b": x\n\n" * 1000, True),
}


@pytest.mark.parametrize("name", DRIPS)
def test_a_drip_that_never_gets_done(stage: Stage, raw: RawProvider, name: str) -> None:
    """Rows 87 and 96: a byte now and then keeps no timer from running out; of a whole answer, where
    each is progress, the total time is the bound."""
    start, rest, stream = DRIPS[name]
    sent = {"bytes": 0}

    def script(connection: socket.socket, _: RawRequest) -> None:
        connection.sendall(start)
        with contextlib.suppress(OSError):
            for byte in rest:
                connection.sendall(bytes([byte]))
                sent["bytes"] += 1
                time.sleep(0.02)

    raw.script = script
    reply = stage.chat(model="dripping", stream=stream)
    assert (reply.status, reply.error["code"]) == (504, "upstream_timeout")
    assert sent["bytes"] < len(rest)
    row = stage.row(reply.nonce)
    assert (row["payer"], row["output"], row["status"]) == ("failed", 0, 504)


Sender = Callable[[socket.socket], None]


@pytest.mark.parametrize("late_s", [0, 0.05])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_an_answer_nobody_asked_for(
    stage: Stage, raw: RawProvider, stream: bool, late_s: float
) -> None:
    """Row 98: a second answer, at once or when the connection is idle: it is dropped with its
    connection and reaches no later request."""
    injected = sized(b'{"choices":[{"message":{"content":"injected"}}]}', JSON_TYPE)
    first = sized(GOOD, JSON_TYPE)
    if stream:
        first = EVENTS_HEAD + CHUNKED + _chunk(EVENT + END) + b"0\r\n\r\n"

    def script(connection: socket.socket, request: RawRequest) -> None:
        if late_s:
            connection.sendall(first)
            time.sleep(late_s)
            connection.sendall(injected)
        else:
            connection.sendall(first + injected)

    raw.script = script
    reply = stage.chat(model="raw", stream=stream)
    assert reply.status == 200
    used = raw.requests[-1].connection
    assert raw.ended[used].wait(2), "the connection is closed"
    raw.script = lambda connection, _: answer(connection, GOOD)
    replies: list[Reply] = [stage.chat(model="raw") for _ in range(5)]
    assert {one.body for one in replies} == {GOOD}
    assert used not in {request.connection for request in raw.requests[-5:]}


def test_a_prompt_and_an_answer_that_look_like_our_framing(stage: Stage, raw: RawProvider) -> None:
    """Row 50: text that looks like events or heads is text."""
    text = 'x\r\n\r\ndata: [DONE]\n\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\ndata: {"error":1}'
    event = json.dumps({"choices": [{"index": 0, "delta": {"content": text}}]}).encode()
    say(raw, EVENTS_HEAD + CHUNKED + _chunk(b"data: " + event + b"\n\n" + END) + b"0\r\n\r\n")
    reply = stage.chat(model="raw", stream=True, user=text)
    assert reply.body == b"data: " + event + b"\n\n" + END
    assert stage.row(reply.nonce)["outcome"] == "finished"
