"""Table D of the attack list over raw sockets with a real key: framing that two readers could read
in two ways, and clients that are slow, gone, or too many. Nothing of it reaches a provider, and the
gateway serves on.
"""

import contextlib
import itertools
import json
import socket
import struct
import threading
import time
from collections.abc import Iterator

import pytest

from tests.fakes.gateway import wait_until
from tests.fakes.stage import Stage
from tests.http.attacks import ROWS

PER_PEER = 50
NONCES = itertools.count(1)
CHAT = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
# These are written for a server with a small cap; the real one is tested below.
SMALL_CAP = {"CL above the cap", "chunk above the cap"}
MESSAGES = [row for row in ROWS if row[1] not in SMALL_CAP]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    made = Stage(
        tmp_path_factory.mktemp("http"),
        header_timeout_s=0.6,
        body_timeout_s=0.6,
        connections_per_ip=PER_PEER,
    )
    made.begin()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def serves_on(stage: Stage) -> Iterator[None]:
    """After each attack an ordinary request works, and has its row."""
    yield
    reply = stage.chat("tokens=1")
    assert reply.status == 200


def authorization(stage: Stage) -> bytes:
    return b"authorization: Bearer %b\r\n" % stage.tree.key.encode()


def ask(stage: Stage, script: str = "tokens=1", *, stream: bool = False) -> tuple[str, bytes]:
    """A good request as bytes, with its nonce."""
    nonce = f"d{next(NONCES)}"
    text = f"hi [[id={nonce} {script}]]"
    fields = {
        "model": "small",
        "stream": stream,
        "messages": [{"role": "user", "content": text}],
    }
    body = json.dumps(fields).encode()
    head = CHAT + authorization(stage) + b"x-request-id: %b\r\n" % nonce.encode()
    return nonce, head + b"content-length: %d\r\n\r\n" % len(body) + body


def connect(stage: Stage, source: str = "127.0.0.1") -> socket.socket:
    return socket.create_connection(stage.address, timeout=20, source_address=(source, 0))


def rest(connection: socket.socket) -> bytes:
    """Everything until the gateway closes."""
    got = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(65536):
            got += piece
    return got


@pytest.mark.parametrize(
    ("number", "name", "raw", "status"), MESSAGES, ids=[f"{row[0]}-{row[1]}" for row in MESSAGES]
)
def test_message(stage: Stage, number: int, name: str, raw: bytes, status: int) -> None:
    """The row's status in OpenAI's shape, a close, and one answer: what was smuggled behind it,
    with a good key, is not served."""
    before = len(stage.truth.requests)
    good = authorization(stage)
    raw = raw.replace(b"POST /x HTTP/1.1\r\n", b"POST /v1/chat/completions HTTP/1.1\r\n" + good)
    raw = raw.replace(b"GET /x HTTP/1.1\r\n", b"GET /v1/models HTTP/1.1\r\n" + good)
    raw = raw.replace(b"GET /smuggled HTTP/1.1\r\n", b"GET /v1/models HTTP/1.1\r\n" + good)
    with connect(stage) as connection:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(raw)
        got = rest(connection)
    head, _, body = got.partition(b"\r\n\r\n")
    assert int(head[9:12]) == status
    assert b"connection: close" in head.lower()
    assert got.count(b"\r\n\r\n") == 1
    assert b"Traceback" not in got
    assert json.loads(body)["error"]["message"]
    assert len(stage.truth.requests) == before


@pytest.mark.parametrize(
    "framing",
    [
        b"content-length: 10485761\r\n\r\n",
        b"content-length: 1000000000000\r\n\r\n",
        b"transfer-encoding: chunked\r\n\r\na00001\r\n",
        b"expect: 100-continue\r\ncontent-length: 10485761\r\n\r\n",
    ],
)
def test_a_body_above_the_cap(stage: Stage, framing: bytes) -> None:
    """413 as soon as its size is announced; nothing of it is awaited, or it would be 408."""
    with connect(stage) as connection:
        connection.sendall(CHAT + authorization(stage) + framing)
        assert connection.recv(65536).startswith(b"HTTP/1.1 413 ")


def test_an_endless_chunked_body(stage: Stage) -> None:
    """It ends at the cap, not when the client is tired."""
    sent = 0
    with connect(stage) as connection:
        connection.sendall(CHAT + authorization(stage) + b"transfer-encoding: chunked\r\n\r\n")
        connection.settimeout(5)
        chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
        with contextlib.suppress(OSError):
            while sent < 64 << 20:
                connection.sendall(chunk)
                sent += 65536
        assert rest(connection)[:12] in (b"HTTP/1.1 413", b"")
    assert 10 << 20 <= sent < 40 << 20


@pytest.mark.parametrize("cut", [1, 20, 60, 200], ids=lambda cut: f"byte-{cut}")
def test_a_request_that_stops(stage: Stage, cut: int) -> None:
    """Row 58: 408 in time, wherever it stops."""
    nonce, request = ask(stage)
    with connect(stage) as connection:
        began = time.monotonic()
        connection.sendall(request[:cut])
        assert rest(connection)[:12] == b"HTTP/1.1 408"
        assert 0.5 < time.monotonic() - began < 2.5
    assert stage.asked(nonce) == []


def test_silence(stage: Stage) -> None:
    """Row 57 and 60: after `100 Continue` and nothing, 408; after no byte at all, a close."""
    with connect(stage) as silent, connect(stage) as waiting:
        began = time.monotonic()
        head = CHAT + authorization(stage) + b"expect: 100-continue\r\ncontent-length: 5\r\n\r\n"
        waiting.sendall(head)
        got = rest(waiting)
        assert got.startswith(b"HTTP/1.1 100 ")
        assert b"\r\n\r\nHTTP/1.1 408 " in got
        assert rest(silent)[:12] in (b"HTTP/1.1 408", b"")
        assert time.monotonic() - began < 2.5


def test_drops_of_headers_and_body(stage: Stage) -> None:
    """Row 58: a byte now and then does not keep the timers from running out."""
    _, request = ask(stage)
    begun = request.index(b"\r\n\r\n") + 4
    for first in (30, begun + 5):
        with connect(stage) as connection:
            connection.sendall(request[:first])
            began = time.monotonic()
            connection.settimeout(0.1)
            got = b""
            for byte in request[first:]:
                with contextlib.suppress(OSError):
                    connection.sendall(bytes([byte]))
                try:
                    got = connection.recv(65536)
                    break
                except TimeoutError:
                    continue
            assert got[:12] == b"HTTP/1.1 408"
            assert time.monotonic() - began < 2.5


def test_a_half_closed_client_is_served(stage: Stage) -> None:
    """Row 59: FIN after the request means only that nothing more will be asked."""
    for stream in (False, True):
        nonce, request = ask(stage, "tokens=5 gap_ms=20", stream=stream)
        with connect(stage) as connection:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            got = rest(connection)
        assert got.startswith(b"HTTP/1.1 200 ")
        assert got.endswith(b"0\r\n\r\n") if stream else got.endswith(b"}")
        assert stage.row(nonce)["payer"] == "reported"


def test_a_client_that_resets(stage: Stage) -> None:
    """Row 59: at once after the request, or during the upload; the provider's work ends too."""
    nonce, request = ask(stage, "tokens=1 delay_ms=20000")
    for cut in (len(request), len(request) - 10):
        connection = connect(stage)
        connection.sendall(request[:cut])
        if cut == len(request):
            wait_until(lambda: bool(stage.asked(nonce)))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
    row = stage.row(nonce)
    assert (row["payer"], row["status"], row["output"]) == ("client_gone", 499, 0)
    wait_until(lambda: stage.asked(nonce)[0].closed_by == "peer", 2)


def test_idle_connections_of_one_peer(stage: Stage) -> None:
    """Row 60: one address has its share of connections; others are served meanwhile."""
    idle: list[socket.socket] = []
    refused = 0
    try:
        for _ in range(PER_PEER + 20):
            connection = connect(stage, "127.0.0.2")
            connection.sendall(b"GET ")
            idle.append(connection)
        assert stage.chat("tokens=1").status == 200
        for connection in idle:
            connection.setblocking(False)
            try:
                refused += connection.recv(65536)[:12] in (b"", b"HTTP/1.1 503", b"HTTP/1.1 429")
            except ConnectionResetError:
                refused += 1
            except BlockingIOError:
                pass
    finally:
        for connection in idle:
            connection.close()
    assert refused >= 20


def test_a_thousand_pipelined_requests_and_a_client_that_leaves(stage: Stage) -> None:
    """Row 61: what reached the provider has exactly one row each, what did not has none."""
    asked = [ask(stage) for _ in range(1000)]
    with connect(stage) as connection:
        writer = threading.Thread(target=_send, args=(connection, b"".join(r for _, r in asked)))
        writer.start()
        got = b""
        while got.count(b"HTTP/1.1 200 ") < 50:
            got += connection.recv(65536)
        connection.shutdown(socket.SHUT_RDWR)
        writer.join()
    stage.chat("tokens=1")  # behind the last of them
    reached = [nonce for nonce, _ in asked if stage.asked(nonce)]
    assert 50 <= len(reached) < 1000
    assert reached == [nonce for nonce, _ in asked[: len(reached)]]
    for nonce in reached:
        assert stage.row(nonce)["payer"] in ("reported", "client_gone")
    (booked,) = stage.tree.sql(
        "SELECT count(*) AS n FROM ledger_entries WHERE client_request_id IN"
        f" ({','.join('?' * len(asked))})",
        [nonce for nonce, _ in asked],
    )
    assert booked["n"] == len(reached)


def _send(connection: socket.socket, data: bytes) -> None:
    with contextlib.suppress(OSError):
        connection.sendall(data)


def test_pipelined_answers_come_in_order(stage: Stage) -> None:
    """A slow first answer holds the second back; both are whole."""
    scripts = ["tokens=3 delay_ms=100", "tokens=2", "tokens=1"]
    with connect(stage) as connection:
        connection.sendall(b"".join(ask(stage, script)[1] for script in scripts))
        got = b""
        while got.count(b'"usage"') < 3:
            got += connection.recv(65536)
    counts = [int(part.split(b",")[0].split(b"}")[0]) for part in got.split(b'_tokens": ')[3::3]]
    assert counts == [3, 2, 1]


@pytest.mark.parametrize("method", [b"OPTIONS", b"GET", b"HEAD"])
def test_a_page_of_elsewhere_gets_no_permission(stage: Stage, method: bytes) -> None:
    """Row 64: no answer carries `access-control-allow-origin`."""
    request = b"%b /v1/chat/completions HTTP/1.1\r\nhost: x\r\norigin: https://evil\r\n" % method
    request += b"access-control-request-method: POST\r\nconnection: close\r\n\r\n"
    with connect(stage) as connection:
        connection.sendall(request)
        got = rest(connection)
    assert got.startswith(b"HTTP/1.1 405 ")
    assert b"access-control" not in got.lower()
