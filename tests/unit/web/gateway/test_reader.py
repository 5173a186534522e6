"""The reader without sockets: however bytes are cut, the same requests or the same refusal."""

import pytest

from tests.http.attacks import IDS, ROWS
from tests.http.serving import BODY_LIMIT, HOST, chunked, get, post
from tollway.web.gateway.framing import RefusedError
from tollway.web.gateway.options import ServerOptions
from tollway.web.gateway.reader import Phase, RequestReader

GOOD = {
    "get": get(b"/x?y=1", b"A: b", b"a: c "),
    "post": post(b"hello", b"Content-Type: application/json"),
    "post after an empty line": b"\r\n" + post(b"hello"),
    "empty post": post(b""),
    "chunked": chunked(b"5;a=b\r\nhello\r\n", b"06\r\n world\r\n", b"0\r\nT: y\r\n\r\n"),
    "http/1.0": get(version=b"1.0"),
    "upgrade": post(b"hello", b"Connection: Upgrade", b"Upgrade: h2c"),
    "pipelined": post(b"one") + chunked(b"3\r\ntwo\r\n0\r\n\r\n") + get(b"/three"),
}


def _reader() -> RequestReader:
    return RequestReader(ServerOptions(), lambda method, path: BODY_LIMIT, "192.0.2.1")


def _outcome(*parts: bytes):
    """The requests that come out of these packets, and the status of a refusal."""
    reader = _reader()
    requests = []
    try:
        for part in parts:
            reader.feed(part)
            while (request := reader.next_request()) is not None:
                requests.append(
                    (
                        request.method,
                        request.path,
                        request.query,
                        tuple(request.headers),
                        request.body,
                        reader.keep_alive,
                        reader.http_1_1,
                    )
                )
    except RefusedError as refused:
        return requests, refused.status
    return requests, None


@pytest.mark.parametrize("raw", GOOD.values(), ids=GOOD.keys())
def test_good_requests_split_at_every_byte(raw):
    """Two packets with any cut, and one packet for each byte, give what one packet gives."""
    whole = _outcome(raw)
    assert whole[0] and whole[1] is None
    for cut in range(1, len(raw)):
        assert _outcome(raw[:cut], raw[cut:]) == whole
    assert _outcome(*(raw[at : at + 1] for at in range(len(raw)))) == whole


@pytest.mark.parametrize(("number", "name", "raw", "status"), ROWS, ids=IDS)
def test_attacks_split_at_every_byte(number, name, raw, status):
    """A refused message is refused with the same status however it is cut."""
    assert _outcome(raw) == ([], status)
    cuts = range(1, len(raw)) if len(raw) < 2_000 else range(1, len(raw), len(raw) // 50)
    for cut in cuts:
        assert _outcome(raw[:cut], raw[cut:]) == ([], status), cut
    if len(raw) < 20_000:
        assert _outcome(*(raw[at : at + 1] for at in range(len(raw)))) == ([], status)


@pytest.mark.parametrize("raw", GOOD.values(), ids=GOOD.keys())
def test_every_prefix_waits(raw):
    """A request that is cut short is neither served nor refused."""
    complete, _ = _outcome(raw)
    for cut in range(1, len(raw)):
        requests, status = _outcome(raw[:cut])
        assert status is None
        assert requests == complete[: len(requests)]
        assert len(requests) < len(complete)


@pytest.mark.parametrize("byte", range(256))
def test_any_byte_anywhere_never_smuggles(byte):
    """One byte of a request replaced by any other: refused, still incomplete, or served with the
    body its head frames; never a second request out of the first one's body."""
    raw = post(b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n", b"X: y")
    for at in range(len(raw)):
        requests, _ = _outcome(raw[:at] + bytes([byte]) + raw[at + 1 :])
        paths = [request[1] for request in requests]
        length_changed = raw[:at].endswith((b"Content-Length: ", b"Content-Length: 3"))
        if not length_changed and not _renames_length(raw, at):
            assert b"/smuggled" not in paths, (at, byte)


def _renames_length(raw: bytes, at: int) -> bool:
    """Whether the byte belongs to the name of Content-Length: without it there is no body."""
    begin = raw.index(b"Content-Length")
    return begin <= at < begin + len(b"Content-Length")


def test_phases():
    """The reader says what more bytes would continue."""
    reader = _reader()
    assert reader.phase is Phase.IDLE
    raw = post(b"hello")
    for part, phase in ((raw[:9], Phase.HEAD), (raw[9:-2], Phase.BODY)):
        reader.feed(part)
        assert reader.next_request() is None
        assert reader.phase is phase
    assert reader.body_bytes == 3
    reader.feed(raw[-2:])
    assert reader.next_request() is not None
    assert reader.phase is Phase.IDLE


def test_what_follows_stays_unread():
    """After a request its successor's bytes wait until the next request is asked for."""
    reader = _reader()
    second = get(b"/second")
    reader.feed(get(b"/first") + second)
    request = reader.next_request()
    assert request is not None
    assert request.path == b"/first"
    assert reader.held_bytes == len(second)
    reader.feed(b"GARBAGE")
    request = reader.next_request()
    assert request is not None
    assert request.path == b"/second"


def test_continue_is_due_only_while_the_body_is_missing():
    """A client that sends its body with the head needs no go-ahead."""
    raw = post(b"hello", b"Expect: 100-continue")
    reader = _reader()
    reader.feed(raw)
    assert reader.next_request() is not None
    assert not reader.continue_due
    reader.feed(raw[:-5])
    assert reader.next_request() is None
    assert reader.continue_due
    old = _reader()
    old.feed(raw[:-5].replace(b"HTTP/1.1", b"HTTP/1.0"))
    assert old.next_request() is None
    assert not old.continue_due, "HTTP/1.0 knows no interim answers"


@pytest.mark.parametrize(
    ("connection", "version", "kept"),
    [
        (None, b"1.1", True),
        (b"close", b"1.1", False),
        (b"Close", b"1.1", False),
        (b"foo, close", b"1.1", False),
        (b"keep-alive", b"1.1", True),
        (None, b"1.0", False),
        (b"keep-alive", b"1.0", True),
        (b"Keep-Alive", b"1.0", True),
        (b"close", b"1.0", False),
    ],
)
def test_keep_alive(connection, version, kept):
    """HTTP/1.1 stays unless told to close, HTTP/1.0 closes unless asked to stay."""
    reader = _reader()
    reader.feed(
        get(b"/x", *([b"Connection: " + connection] if connection else []), version=version)
    )
    assert reader.next_request() is not None
    assert reader.keep_alive is kept


def test_two_connection_headers():
    """A `close` in any of several Connection headers counts."""
    reader = _reader()
    reader.feed(get(b"/x", b"Connection: keep-alive", b"Connection: close"))
    assert reader.next_request() is not None
    assert not reader.keep_alive


def test_header_is_the_first_value():
    """`header` finds a value by its lower-case name; repeated ones keep all in the list."""
    reader = _reader()
    reader.feed(get(b"/x", b"X-A:  one ", b"x-a: two"))
    request = reader.next_request()
    assert request is not None
    assert request.header(b"x-a") == b"one"
    assert request.header(b"x-b") is None
    assert [value for name, value in request.headers if name == b"x-a"] == [b"one", b"two"]


def test_limits_are_exact():
    """The largest head, URL, header count and body pass; one more does not."""
    options = ServerOptions()
    base = b"GET /x HTTP/1.1\r\n" + HOST
    fits = options.head_bytes - len(base) - len(b"X: \r\n\r\n")
    assert _outcome(base + b"X: " + b"y" * fits + b"\r\n\r\n")[1] is None
    assert _outcome(base + b"X: " + b"y" * (fits + 1) + b"\r\n\r\n")[1] == 431
    assert _outcome(get(b"/" + b"x" * (options.url_bytes - 1)))[1] is None
    assert _outcome(get(b"/" + b"x" * options.url_bytes))[1] == 414
    assert _outcome(get(b"/x", *[b"A: b"] * (options.header_count - 1)))[1] is None
    assert _outcome(get(b"/x", *[b"A: b"] * options.header_count))[1] == 431
    assert _outcome(post(b"x" * BODY_LIMIT))[1] is None
    assert _outcome(post(b"x" * (BODY_LIMIT + 1)))[1] == 413


def test_many_small_chunks_are_allowed():
    """Thousands of one-byte chunks are a request; only framing without end is refused."""
    [request], status = _outcome(chunked(b"1\r\nx\r\n" * 10_000, b"0\r\n\r\n"))
    assert status is None
    assert request[4] == b"x" * 10_000


@pytest.mark.parametrize("size", [2, 3, 11])
def test_who_speaks_tls_hears_what_is_wrong(size):
    """`https://` at a port without certificates is the commonest of mistakes."""
    reader = _reader()
    reader.feed(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[:size])
    with pytest.raises(RefusedError, match="'http://', not 'https://'"):
        reader.next_request()
