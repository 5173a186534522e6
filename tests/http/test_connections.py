"""Connections over time: pipelining, deadlines, clients that leave by every door, backpressure."""

import socket
from dataclasses import replace
from ipaddress import ip_network

import pytest

from tests.http.serving import HOST, JSON, LOOPS, Running, chunked, get, post, running
from tollway.web.gateway.options import ServerOptions

FAST = ServerOptions(sweep_s=0.02)


@pytest.fixture(scope="module", params=sorted(LOOPS))
def served(request):
    with running(loop=request.param) as served:
        yield served


@pytest.fixture(autouse=True)
def _forget(request):
    if "served" in request.fixturenames:
        handler = request.getfixturevalue("served").handler
        handler.requests.clear()
        handler.held.clear()


def _hold(served: Running, raw: bytes = get(b"/hold")):
    """A client whose request runs, and the answer it waits for."""
    client = served.client()
    client.send(raw)
    assert served.handler.arrived.acquire(timeout=5)
    served.spin(lambda: bool(served.handler.held))
    return client, served.handler.held[-1]


@pytest.mark.parametrize("path", [b"/x", b"/later", b"/stream"])
def test_pipelined_requests_are_answered_in_order(served: Running, path):
    """1,000 requests sent at once get 1,000 answers in their order, at once or later answered."""
    client = served.client()
    client.send(b"".join(get(path + b"?%d" % number) for number in range(1_000)))
    bodies = [client.answer().body for _ in range(1_000)]
    assert [request.query for request in served.handler.requests] == [
        b"%d" % number for number in range(1_000)
    ]
    if path == b"/later":
        assert bodies == [b"%d" % number for number in range(1_000)]


def test_pipelined_then_gone(served: Running):
    """A client that pipelines 1,000 requests and resets: the running one ends, no other starts."""
    client, answer = _hold(served, get(b"/hold") + get(b"/x") * 999)
    client.reset()
    assert served.handler.gone.acquire(timeout=5)
    assert answer.gone
    assert len(served.handler.requests) == 1


def test_one_request_runs_at_a_time(served: Running):
    """A pipelined request waits for the answer before it."""
    client, answer = _hold(served, get(b"/hold") + get(b"/next"))
    assert len(served.handler.requests) == 1
    served.call(answer.respond, 200, JSON, b"first")
    assert client.answer().body == b"first"
    assert client.answer().body == b"/next"


def test_pipelined_bytes_are_bounded(served: Running):
    """Behind a running answer the server buffers about 64 KiB and then stops reading."""
    client, _ = _hold(served)
    client.sock.settimeout(0.3)
    sent = 0
    with pytest.raises(TimeoutError):
        while sent < 100_000_000:
            sent += client.sock.send(get(b"/x") * 1_000)
    [guest] = [guest for guest in served.server._guests if guest.busy]
    assert guest._reader.held_bytes < 600_000
    client.reset()
    assert served.handler.gone.acquire(timeout=5), "a reset is noticed although nothing is read"


def test_http_1_0(served: Running):
    """HTTP/1.0 closes unless asked to stay; a stream has no chunks and ends with the close."""
    client = served.client()
    client.send(get(b"/x", b"Connection: keep-alive", version=b"1.0"))
    assert client.answer().headers["connection"] == "keep-alive"
    client.send(get(b"/stream", b"Connection: keep-alive", version=b"1.0"))
    answer = client.answer()
    assert "transfer-encoding" not in answer.headers
    assert answer.headers["connection"] == "close"
    assert answer.body == b"onetwo"


def test_connection_close(served: Running):
    """A client's `Connection: close` is honoured, and what it pipelined behind it dropped."""
    client = served.client()
    client.send(get(b"/x", b"Connection: foo, Close") + get(b"/dropped"))
    assert client.answer().headers["connection"] == "close"
    assert client.closed()
    assert [request.path for request in served.handler.requests] == [b"/x"]


def test_stream_frames(served: Running):
    """The head leaves with the first piece, each piece is one chunk, an empty one is nothing."""
    client = served.client()
    client.send(get(b"/stream"))
    assert b"\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n" in client.until(b"0\r\n\r\n")


def test_abort_cuts_visibly(served: Running):
    """An aborted stream delivers what was written and then ends without the last chunk."""
    client, answer = _hold(served)
    served.call(answer.start, 200, JSON)
    served.call(answer.write, b"half")
    served.call(answer.abort)
    served.call(answer.write, b"never")
    assert client.rest().endswith(b"\r\n\r\n4\r\nhalf\r\n")


def test_header_values_cannot_break_lines(served: Running):
    """A header whose value holds a line break is not sent."""
    client, answer = _hold(served)
    served.call(answer.respond, 200, [(b"x-a", b"1\r\nx-evil: 1"), (b"x-b", b"2")], b"")
    head = client.answer().headers
    assert head["x-b"] == "2"
    assert "x-evil" not in head
    assert "x-a" not in head


# Half-close and reset.


@pytest.mark.parametrize("path", [b"/x", b"/later?x", b"/stream"])
def test_half_close_after_the_request(served: Running, path):
    """A client that sends its request and half-closes is still served, then closed."""
    client = served.client()
    client.send(get(path))
    client.half_close()
    assert client.answer().status == 200
    assert client.closed()


def test_half_close_behind_pipelined_requests(served: Running):
    """All complete requests before a half-close are answered."""
    client = served.client()
    client.send(get(b"/later") * 50)
    client.half_close()
    assert {client.answer().status for _ in range(50)} == {200}
    assert client.closed()


@pytest.mark.parametrize("streaming", [False, True])
def test_half_closed_client_reads_a_slow_answer(served: Running, streaming):
    """The bytes that test whether a half-closed client still reads do not change its answer."""
    client, answer = _hold(served)
    if streaming:
        served.call(answer.start, 200, JSON)
        served.call(answer.write, b"one")
    client.half_close()
    served.spin(lambda: any(guest._eof for guest in served.server._guests))
    assert not answer.gone
    if streaming:
        served.call(answer.write, b"two")
        served.call(answer.finish)
        assert client.answer().body == b"onetwo"
    else:
        served.call(answer.respond, 200, JSON, b"whole")
        assert client.answer().body == b"whole"
    assert client.closed()


@pytest.mark.parametrize("streaming", [False, True])
def test_close_while_waiting_is_noticed(served: Running, streaming):
    """A client that closes is gone within a second although not one more byte is due to it."""
    client, answer = _hold(served)
    if streaming:
        served.call(answer.start, 200, JSON)
        served.call(answer.write, b"one")
        client.until(b"one\r\n")
    client.close()
    assert served.handler.gone.acquire(timeout=1)
    assert answer.gone
    served.call(answer.write, b"dropped")
    served.call(answer.finish)


def test_reset_while_waiting_is_noticed(served: Running):
    """A reset ends the request at once."""
    client, answer = _hold(served)
    client.reset()
    assert served.handler.gone.acquire(timeout=1)
    late = []
    served.call(answer.watch, lambda: late.append(1), lambda: None)
    assert late == [1], "who watches after the fact is told at once"


@pytest.mark.parametrize("cut", [10, 60, 90])
def test_reset_during_upload(served: Running, cut):
    """A reset in the middle of a request leaves nothing behind and calls no handler."""
    client = served.client()
    client.send(post(b"x" * 100)[:cut])
    served.spin(lambda: served.server.busy_connections == 1)
    client.reset()
    served.spin(lambda: served.server.busy_connections == 0)
    assert served.handler.requests == []


def test_half_close_inside_a_request(served: Running):
    """A request that can no longer become complete is refused, not waited for."""
    for raw in (get()[:-3], post(b"hello")[:-1], chunked(b"5\r\nhello\r\n")):
        client = served.client()
        client.send(raw)
        client.half_close()
        assert client.answer().status == 400
        assert client.closed()


# Deadlines.


@pytest.mark.parametrize(
    "raw",
    [get()[:-2], b"G", post(b"hello")[:-1], chunked(b"5\r\nhel")],
    ids=["head", "first byte", "body", "chunk"],
)
def test_silence_inside_a_request(raw):
    """Headers or a body that stop coming are a 408 when their time is over."""
    options = replace(FAST, head_timeout_s=0.15, body_timeout_s=0.15)
    with running(options=options) as served:
        client = served.client()
        client.send(raw)
        assert client.answer().status == 408
        assert client.closed()
        assert served.server.refusals["request_timeout"] == 1


def test_silence_after_continue():
    """Row 57: a client that asks for `100 Continue` and sends nothing gets a 408."""
    with running(options=replace(FAST, body_timeout_s=0.15)) as served:
        client = served.client()
        client.send(
            b"POST /x HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\nExpect: 100-continue\r\n\r\n"
        )
        assert client.answer().status == 100
        assert client.answer().status == 408


def test_slow_headers_do_not_extend_their_time():
    """Row 58: a byte now and then does not keep a head's deadline away."""
    with running(options=replace(FAST, head_timeout_s=0.2)) as served:
        client = served.client()
        client.sock.settimeout(0.03)
        data = b""
        for byte in b"GET /" + b"x" * 500:
            try:
                client.send(bytes([byte]))
                data += client.sock.recv(4096)
            except TimeoutError:
                continue
            except OSError:
                break
            if data:
                break
        assert data.startswith(b"HTTP/1.1 408")


def test_slow_body_must_keep_a_rate():
    """A body below the minimum rate is ended, one above it may take longer than the timeout."""
    options = replace(FAST, body_timeout_s=0.1, min_rate_bytes_s=10_000)
    with running(options=options) as served:
        slow, steady = served.client(), served.client()
        slow.send(post(b"x" * 200, b"X: y")[:-150])
        steady.send(post(b"x" * 8_000)[:-3_000])  # 5,000 bytes grant half a second more
        assert slow.answer().status == 408
        steady.send(b"x" * 3_000)
        assert steady.answer().status == 200


def test_idle_connections_end_silently():
    """A connection without a request is closed without a word: new ones and kept ones."""
    options = replace(FAST, head_timeout_s=0.1, idle_timeout_s=0.1)
    with running(options=options) as served:
        fresh, kept = served.client(), served.client()
        kept.send(get())
        assert kept.answer().status == 200
        assert fresh.closed()
        assert kept.closed()


def test_running_answer_has_no_deadline():
    """However long the handler takes, the server's own deadlines do not end the request."""
    options = replace(FAST, head_timeout_s=0.05, idle_timeout_s=0.05, body_timeout_s=0.05)
    with running(options=options) as served:
        client, answer = _hold(served)
        end = served.server.now + 0.3
        served.spin(lambda: served.server.now > end)
        served.call(answer.respond, 200, JSON, b"late")
        assert client.answer().body == b"late"


# Backpressure.


def _fill(served: Running, answer) -> int:
    """Write until the client's share is full; returns how much was written."""
    written = 0
    while not answer.congested and written < 100_000_000:
        served.call(answer.write, b"x" * 16_384)
        written += 16_384
    return written


@pytest.mark.parametrize("loop", sorted(LOOPS))
def test_slow_reader_is_congestion(loop):
    """A client that does not read makes the answer congested with bounded memory; reading on ends
    it, and says so."""
    with running(loop=loop) as served:
        client = served.client(buffers=4096)
        client.send(get(b"/hold"))
        assert served.handler.arrived.acquire(timeout=5)
        [answer] = served.handler.held
        served.call(answer.start, 200, JSON)
        _fill(served, answer)
        [guest] = served.server._guests
        waiting = served.call(guest._transport.get_write_buffer_size)
        assert 64 * 1024 < waiting < 64 * 1024 + 2 * 16_384 + 100
        assert not served.handler.writable.acquire(blocking=False)
        served.call(answer.write, b"end")
        served.call(answer.finish)
        assert client.answer().body.endswith(b"xend")


def test_writable_again(served: Running):
    """`on_writable` is called when a congested client has caught up, and the stream goes on."""
    client, answer = _hold(served)
    served.call(answer.start, 200, JSON)
    written = _fill(served, answer)
    client.until(b"\r\n\r\n")
    read = 0
    while read < written:
        size = int(client.until(b"\r\n"), 16)
        client.exactly(size + 2)
        read += size
    assert served.handler.writable.acquire(timeout=5)
    assert not answer.congested
    served.call(answer.write, b"on")
    served.call(answer.finish)
    assert client.until(b"0\r\n\r\n") == b"2\r\non\r\n0\r\n\r\n"


def test_pipelined_answers_do_not_pile_up(served: Running):
    """While a client does not take one answer, its next request is not even begun."""
    client = served.client(buffers=4096)
    client.send(get(b"/big?8000000") * 3)
    assert served.handler.arrived.acquire(timeout=5)
    served.spin(lambda: any(guest.state == 2 for guest in served.server._guests))
    assert len(served.handler.requests) == 1
    assert [len(client.answer().body) for _ in range(3)] == [8_000_000] * 3


def test_write_stall():
    """Row 58, slow read: a client that takes nothing for the write timeout is ended."""
    with running(options=replace(FAST, write_timeout_s=0.2)) as served:
        client, answer = _hold(served)
        served.call(answer.start, 200, JSON)
        _fill(served, answer)
        assert served.handler.gone.acquire(timeout=5)
        assert served.server.refusals["write_timeout"] == 1
        client.close()


def test_write_stall_of_a_complete_answer():
    """A whole answer that nobody reads does not hold its connection, kept or closing."""
    with running(options=replace(FAST, write_timeout_s=0.2, linger_timeout_s=0.1)) as served:
        clients = [served.client(), served.client()]
        clients[0].send(get(b"/big?8000000"))
        clients[1].send(get(b"/big?8000000", b"Connection: close"))
        served.spin(lambda: served.server.open_connections == 2)
        served.spin(lambda: served.server.open_connections == 0)
        assert served.server.refusals["write_timeout"] == 2


def test_slow_but_steady_reader_gets_everything():
    """A reader above the minimum rate is not ended, though the answer takes many timeouts."""
    options = replace(FAST, write_timeout_s=0.1, min_rate_bytes_s=1_000, linger_timeout_s=0.05)
    with running(options=options) as served:
        for header in (b"X: y", b"Connection: close"):
            client = served.client(buffers=65_536)
            client.send(get(b"/big?16000000", header))
            client.until(b"\r\n\r\n")
            for _ in range(16):
                end = served.server.now + 0.04
                client.exactly(1_000_000)
                served.spin(lambda end=end: served.server.now > end)
        assert served.server.refusals["write_timeout"] == 0


# Caps and addresses.


def test_connections_per_peer_are_capped():
    """Row 60: one address cannot take more than its share; others are served meanwhile."""
    options = replace(FAST, max_connections_per_peer=5)
    with running(options=options) as served:
        flood = [served.client() for _ in range(20)]
        served.spin(lambda: served.server.refusals["too_many_connections_per_peer"] == 15)
        assert served.server.open_connections == 5
        turned_away = 0
        for client in flood:
            client.sock.settimeout(0.02)
            try:
                turned_away += client.answer().status == 503
            except TimeoutError:
                continue
        assert turned_away == 15
        good = served.client(source="127.0.0.2")
        good.send(get())
        assert good.answer().status == 200
        for client in flood:
            client.close()
        served.spin(lambda: served.server.open_connections == 1)
        assert served.talk(get()).status == 200


def test_all_connections_are_capped():
    """Beyond the total, newcomers are turned away with a 503 that says when to come back."""
    with running(options=replace(FAST, max_connections=3)) as served:
        kept = [served.client() for _ in range(3)]
        served.spin(lambda: served.server.open_connections == 3)
        answer = served.client().answer()
        assert answer.status == 503
        assert answer.headers["retry-after"] == "1"
        kept[0].send(get())
        assert kept[0].answer().status == 200


def test_spoofed_forwarding(served: Running):
    """Row 62: without trusted proxies X-Forwarded-For is only a header."""
    served.talk(get(b"/x", b"X-Forwarded-For: 10.1.1.1"))
    assert served.handler.requests[-1].peer_ip == "127.0.0.1"


def test_trusted_proxy():
    """A trusted proxy names the client: the right-most address that is no proxy."""
    proxies = (ip_network("127.0.0.0/8"), ip_network("10.0.0.0/8"))
    options = replace(FAST, trusted_proxies=proxies, max_connections_per_peer=1)
    with running(options=options) as served:
        first, second = served.client(), served.client()
        for client in (first, second):
            client.send(get(b"/x", b"X-Forwarded-For: 1.1.1.1, 9.9.9.9, 10.0.0.7"))
            assert client.answer().status == 200
        assert served.handler.requests[-1].peer_ip == "9.9.9.9"


def test_no_cors(served: Running):
    """Row 64: a preflight gets no permission from the server."""
    raw = b"OPTIONS /x HTTP/1.1\r\n" + HOST + b"Origin: https://evil.example\r\n\r\n"
    assert not any(name.startswith("access-control") for name in served.talk(raw).headers)


def test_byte_by_byte(served: Running):
    """A request that comes one byte per packet is the same request."""
    client = served.client()
    for raw, body in ((post(b"hello"), b"hello"), (chunked(b"5\r\nhello\r\n0\r\n\r\n"), b"hello")):
        client.send(*(bytes([byte]) for byte in raw))
        assert client.answer().body == body


def test_many_silent_connections():
    """Row 60: hundreds of silent connections do not keep a good client from its answer."""
    with running(options=replace(FAST, head_timeout_s=0.5)) as served:
        silent = [socket.create_connection(("127.0.0.1", served.port)) for _ in range(400)]
        assert served.talk(get()).status == 200
        served.spin(lambda: served.server.open_connections <= 1)
        for sock in silent:
            sock.close()
