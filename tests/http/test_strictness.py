"""The attack table's part D over real sockets: each row its status, an OpenAI-shaped body, a close,
and nothing behind it served."""

import json

import pytest

from tests.http.attacks import IDS, ROWS
from tests.http.serving import BODY_LIMIT, HOST, Running, chunked, get, post, running


@pytest.fixture(scope="module")
def served():
    with running() as served:
        yield served


@pytest.mark.parametrize(("number", "name", "raw", "status"), ROWS, ids=IDS)
def test_attack_row(served: Running, number, name, raw, status):
    """The row is refused with its status, in the error shape, and the connection ends."""
    served.handler.requests.clear()
    client = served.client()
    client.send(raw)
    answer = client.answer()
    assert answer.status == status
    assert answer.headers["connection"] == "close"
    assert answer.headers["content-type"] == "application/json"
    error = json.loads(answer.body)["error"]
    assert error["type"] == "invalid_request_error" or status in (404, 429)
    assert error["code"] and error["message"]
    assert client.closed()
    assert served.handler.requests == []


def test_refusals_are_counted(served: Running):
    """Every protocol refusal is counted under its code."""
    before = served.server.refusals["malformed_request"]
    served.talk(b"GET /x HTTP/9\r\n\r\n")
    assert served.server.refusals["malformed_request"] == before + 1


@pytest.mark.parametrize(
    ("raw", "body"),
    [
        (get(), b"/x"),
        (get(version=b"1.0"), b"/x"),
        (b"\r\n" + get(), b"/x"),
        (post(b"hello"), b"hello"),
        (post(b"hello", b"Content-Encoding: identity"), b"hello"),
        (post(b"hello", b"Expect: 100-continue"), b"hello"),
        (post(b"", b"X: \xe9 ", b"Empty:"), b"/x"),
        (post(b"x" * BODY_LIMIT), b"x" * BODY_LIMIT),
        (b"POST /x HTTP/1.1\r\nHost: [::1]:5001\r\ncontent-length:005\r\n\r\nhello", b"hello"),
        (
            chunked(b"5;a=b\r\nhello\r\n", b"06\r\n world\r\n", b"00\r\nT: y\r\n\r\n"),
            b"hello world",
        ),
        (chunked(b"0\r\n\r\n"), b"/x"),
        (post(b"hello", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c"), b"hello"),
        (
            chunked(b"5\r\nhello\r\n0\r\n\r\n", headers=b"Connection: upgrade\r\nUpgrade: x\r\n"),
            b"hello",
        ),
        (get(b"/" + b"x" * 8191), b"/" + b"x" * 8191),
    ],
    ids=lambda value: repr(value[:40]),
)
def test_good_request(served: Running, raw, body):
    """What the rules allow is served, with the body it framed."""
    answer = served.talk(raw)
    assert (answer.status, answer.body) == (200, body)


def test_upgrade_keeps_the_connection(served: Running):
    """A declined upgrade is an ordinary request: its body is a body, and the next request works."""
    client = served.client()
    client.send(post(b"hello", b"Connection: Upgrade", b"Upgrade: h2c") + get(b"/next"))
    assert client.answer().body == b"hello"
    assert client.answer().body == b"/next"


def test_body_limit_of_the_route(served: Running):
    """The handler's limit for a route counts, for lengths and for chunks."""
    assert served.talk(post(b"x" * 16, path=b"/small")).status == 200
    assert served.talk(post(b"x" * 17, path=b"/small")).status == 413
    head = b"POST /small HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
    assert served.talk(head + b"10\r\n" + b"x" * 16 + b"\r\n0\r\n\r\n").status == 200
    assert served.talk(head + b"8\r\n" + b"x" * 8 + b"\r\n9\r\n").status == 413


def test_endless_body_is_answered_and_not_read_for_ever(served: Running):
    """A client that sends on after a 413 gets the answer, and then the end, not an open sink."""
    client = served.client()
    client.send(b"POST /x HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n")
    sent = 0
    piece = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"
    try:
        while sent < 400 * 1024 * 1024:
            client.send(piece)
            sent += len(piece)
    except OSError:
        pass
    assert sent < 100 * 1024 * 1024


def test_refused_upload_can_read_its_answer(served: Running):
    """A client that sends its whole too large body before it reads still finds the 413."""
    client = served.client()
    client.send(
        b"POST /x HTTP/1.1\r\n" + HOST + b"Content-Length: 8000000\r\n\r\n", b"x" * 8_000_000
    )
    assert client.answer().status == 413
    assert client.closed()


def test_head_has_no_body(served: Running):
    """HEAD gets the head that GET would, and no body, streamed or not."""
    client = served.client()
    client.send(b"HEAD /x HTTP/1.1\r\n" + HOST + b"\r\n")
    assert client.answer(head_only=True).headers["content-length"] == "2"
    client.send(b"HEAD /stream HTTP/1.1\r\n" + HOST + b"\r\n" + get(b"/after"))
    assert client.answer(head_only=True).headers["transfer-encoding"] == "chunked"
    assert client.answer().body == b"/after"


def test_expect_continue(served: Running):
    """`100 Continue` comes once the head has passed every check, and only while the body waits."""
    client = served.client()
    head = b"POST /x HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\nExpect: 100-continue\r\n\r\n"
    client.send(head % 5)
    assert client.answer().status == 100
    client.send(b"hello")
    assert client.answer().body == b"hello"
    client.send(head % (BODY_LIMIT + 1))
    assert client.answer().status == 413


def test_handler_that_raises(served: Running, caplog):
    """A bug in the handler is one 500 without a traceback, logged once; the server goes on."""
    client = served.client()
    client.send(get(b"/boom") + get(b"/after"))
    answer = client.answer()
    assert answer.status == 500
    assert b"secret" not in answer.body
    assert json.loads(answer.body)["error"]["code"] == "internal_error"
    assert client.answer().body == b"/after"
    assert len([record for record in caplog.records if record.exc_info]) == 1


def test_handler_that_raises_after_it_began(served: Running):
    """A stream cut by a bug is visibly cut: no last chunk, then the close."""
    client = served.client()
    client.send(get(b"/boom-late"))
    assert client.rest().endswith(b"5\r\nbegun\r\n")
