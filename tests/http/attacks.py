"""Rows of the attack table's part D (HTTP layer) that are one message: number, name, bytes, status.
Each must be answered so and the connection closed, however the bytes are cut into packets.
"""

from tests.http.serving import BODY_LIMIT, HOST, chunked

_POST = b"POST /x HTTP/1.1\r\n" + HOST
_GET = b"GET /x HTTP/1.1\r\n"
_SMUGGLED = b"GET /smuggled HTTP/1.1\r\n" + HOST + b"\r\n"


def _post(headers: bytes, body: bytes = b"hello") -> bytes:
    return _POST + headers + b"\r\n\r\n" + body + _SMUGGLED


def _get(headers: bytes) -> bytes:
    return _GET + HOST + headers + b"\r\n\r\n"


def _line(line: bytes) -> bytes:
    return line + b"\r\n" + HOST + b"\r\n"


_BODIES = [
    ("CL.TE", _post(b"Content-Length: 5\r\nTransfer-Encoding: chunked", b"0\r\n\r\n"), 400),
    ("TE.CL", _post(b"Transfer-Encoding: chunked\r\nContent-Length: 5", b"0\r\n\r\n"), 400),
    ("TE.TE", _post(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x", b"0\r\n\r\n"), 400),
    ("TE twice", _post(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"), 400),
    ("TE gzip, chunked", _post(b"Transfer-Encoding: gzip, chunked", b"0\r\n\r\n"), 400),
    ("TE chunked, identity", _post(b"Transfer-Encoding: chunked, identity"), 400),
    ("TE xchunked", _post(b"Transfer-Encoding: xchunked", b"0\r\n\r\n"), 400),
    ("TE Chunked", _post(b"Transfer-Encoding: Chunked", b"0\r\n\r\n"), 400),
    ("TE quoted", _post(b'Transfer-Encoding: "chunked"', b"0\r\n\r\n"), 400),
    ("TE with VT", _post(b"Transfer-Encoding: \x0bchunked", b"0\r\n\r\n"), 400),
    ("TE with a space before the colon", _post(b"Transfer-Encoding : chunked"), 400),
    ("TE empty", _post(b"Transfer-Encoding:"), 400),
    ("CL twice, equal", _post(b"Content-Length: 5\r\nContent-Length: 5"), 400),
    ("CL twice, other", _post(b"Content-Length: 5\r\nContent-Length: 6"), 400),
    ("CL list", _post(b"Content-Length: 5, 5"), 400),
    ("CL +5", _post(b"Content-Length: +5"), 400),
    ("CL -5", _post(b"Content-Length: -5"), 400),
    ("CL 0x5", _post(b"Content-Length: 0x5"), 400),
    ("CL 5_0", _post(b"Content-Length: 5_0"), 400),
    ("CL 1e12", _post(b"Content-Length: 1e12"), 400),
    ("CL '5 '", _post(b"Content-Length: 5 "), 400),
    ("CL '5<tab>'", _post(b"Content-Length: 5\t"), 400),
    ("CL '5 5'", _post(b"Content-Length: 5 5"), 400),
    ("CL with a space before the colon", _post(b"Content-Length : 5"), 400),
    ("CL empty", _post(b"Content-Length:"), 400),
    ("CL unicode digit", _post(b"Content-Length: \xd9\xa5"), 400),
    ("CL overflow", _post(b"Content-Length: 18446744073709551621"), 400),
]
_VERSIONS = [
    ("HTTP/1.0 with TE", b"POST /x HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("HTTP/0.9", b"GET /x\r\n", 400),
    ("HTTP/0.9 named", _line(b"GET /x HTTP/0.9"), 400),
    ("HTTP/1.2", _line(b"GET /x HTTP/1.2"), 400),
    ("HTTP/1.10", _line(b"GET /x HTTP/1.10"), 400),
    ("HTTP/2.0", _line(b"GET /x HTTP/2.0"), 400),
    ("http/1.1", _line(b"GET /x http/1.1"), 400),
    ("HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", 400),
    ("TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    ("CONNECT", b"CONNECT gateway:443 HTTP/1.1\r\nHost: gateway:443\r\n\r\n", 405),
    ("TRACE", _line(b"TRACE /x HTTP/1.1"), 405),
    ("unknown method", _line(b"STEAL /x HTTP/1.1"), 405),
    ("lower-case method", _line(b"get /x HTTP/1.1"), 405),
    ("method with a bad character", _line(b"G(T /x HTTP/1.1"), 400),
]
_HEADS = [
    ("bare LF everywhere", b"GET /x HTTP/1.1\nHost: gateway\n\n", 400),
    ("bare LF after the request line", b"GET /x HTTP/1.1\nHost: gateway\r\n\r\n", 400),
    ("bare LF after a header", _GET + b"Host: gateway\nX: y\r\n\r\n", 400),
    ("bare LF as the empty line", _GET + HOST + b"\n", 400),
    ("bare CR in a value", _get(b"X: a\rb"), 400),
    ("obs-fold with space", _get(b"X: a\r\n b"), 400),
    ("obs-fold with tab", _get(b"X: a\r\n\tb"), 400),
    ("fold before the first header", _GET + b" X: a\r\n" + HOST + b"\r\n", 400),
    ("header name with space", _get(b"X y: z"), 400),
    ("space before the colon", _get(b"X : z"), 400),
    ("header name with a bad character", _get(b"X(y): z"), 400),
    ("header name with a high byte", _get(b"X\xe9: z"), 400),
    ("header without a name", _get(b": z"), 400),
    ("header without a colon", _get(b"nothing"), 400),
    ("NUL in a value", _get(b"X: a\0b"), 400),
    ("NUL in a name", _get(b"X\0: a"), 400),
    ("control in a value", _get(b"X: a\x01b"), 400),
    ("DEL in a value", _get(b"X: a\x7fb"), 400),
    ("two empty lines first", b"\r\n\r\n" + _line(b"GET /x HTTP/1.1"), 400),
    ("10k headers", _get(b"\r\n".join(b"X: y" for _ in range(10_000))), 431),
    ("101 headers", _get(b"\r\n".join(b"X: y" for _ in range(100))), 431),
    ("1 MB header", _get(b"X: " + b"y" * 1_000_000), 431),
    ("URL above 8 KiB", _line(b"GET /" + b"x" * 8_192 + b" HTTP/1.1"), 414),
    ("query above 8 KiB", _line(b"GET /?" + b"x" * 8_191 + b" HTTP/1.1"), 414),
    ("1 MB URL", _line(b"GET /" + b"x" * 1_000_000 + b" HTTP/1.1"), 414),
    ("100k trailers", chunked(b"0\r\n", b"T: y\r\n" * 100_000, b"\r\n"), 431),
    ("bad trailer", chunked(b"0\r\n", b"T y: z\r\n\r\n"), 400),
]
_TARGETS = [
    ("absolute form", _line(b"GET http://gateway/x HTTP/1.1"), 400),
    ("asterisk form", _line(b"OPTIONS * HTTP/1.1"), 400),
    ("no slash", _line(b"GET x HTTP/1.1"), 400),
    ("fragment", _line(b"GET /x#y HTTP/1.1"), 400),
    ("two spaces before the target", _line(b"GET  /x HTTP/1.1"), 400),
    ("two spaces after the target", _line(b"GET /x  HTTP/1.1"), 400),
    ("space in the target", _line(b"GET /x y HTTP/1.1"), 400),
    ("space after the version", _line(b"GET /x HTTP/1.1 "), 400),
    ("tab in the request line", _line(b"GET\t/x HTTP/1.1"), 400),
    ("control in the path", _line(b"GET /x\x01 HTTP/1.1"), 400),
    ("NUL in the path", _line(b"GET /x\0 HTTP/1.1"), 400),
    ("non-ASCII path", _line("GET /é HTTP/1.1".encode()), 400),
    ("non-ASCII query", _line("GET /x?é HTTP/1.1".encode()), 400),
    ("no Host", _GET + b"\r\n", 400),
    ("two Hosts", _GET + HOST + HOST + b"\r\n", 400),
    ("empty Host", _GET + b"Host:\r\n\r\n", 400),
    ("Host with a path", _GET + b"Host: good/admin?\r\n\r\n", 400),
    ("Host with user info", _GET + b"Host: a@b\r\n\r\n", 400),
    ("Host with a space", _GET + b"Host: a b\r\n\r\n", 400),
    ("Host with two ports", _GET + b"Host: a:1:2\r\n\r\n", 400),
    ("Host with a word for a port", _GET + b"Host: a:http\r\n\r\n", 400),
    ("bad Host in HTTP/1.0", b"GET /x HTTP/1.0\r\nHost: a@b\r\n\r\n", 400),
    ("two Authorizations", _get(b"Authorization: Bearer a\r\nAuthorization: Bearer b"), 400),
    ("unknown expectation", _get(b"Expect: miracles"), 417),
]
_CHUNKS = [
    ("chunk size +5", chunked(b"+5\r\nhello\r\n0\r\n\r\n"), 400),
    ("chunk size 0x5", chunked(b"0x5\r\nhello\r\n0\r\n\r\n"), 400),
    ("chunk size -5", chunked(b"-5\r\nhello\r\n0\r\n\r\n"), 400),
    ("chunk size with space", chunked(b"5 \r\nhello\r\n0\r\n\r\n"), 400),
    ("chunk size empty", chunked(b"\r\nhello\r\n0\r\n\r\n"), 400),
    ("chunk size overflow", chunked(b"10000000000000005\r\nhello\r\n0\r\n\r\n"), 400),
    ("chunk size with bare LF", chunked(b"5\nhello\r\n0\r\n\r\n"), 400),
    ("chunk longer than its size", chunked(b"5\r\nhelloX\r\n0\r\n\r\n"), 400),
    ("chunk ended by bare LF", chunked(b"5\r\nhello\n0\r\n\r\n"), 400),
    ("chunk extension with bare LF", chunked(b"5;a\nb\r\nhello\r\n0\r\n\r\n"), 400),
    ("chunk extension with NUL", chunked(b"5;\0\r\nhello\r\n0\r\n\r\n"), 400),
    ("chunk extension without end", chunked(b"5;" + b"a" * 100_000), 400),
    (
        "more framing than data",
        chunked(b"1;" + b"a" * 60 + b"\r\nx\r\n") + b"1\r\nx\r\n" * 30_000,
        400,
    ),
    ("last chunk ended by bare LF", chunked(b"0\n\r\n"), 400),
]
_SIZES = [
    ("CL above the cap", _post(b"Content-Length: %d" % (BODY_LIMIT + 1)), 413),
    ("CL 1000000000000", _post(b"Content-Length: 1000000000000"), 413),
    ("chunk above the cap", chunked(b"%x\r\n" % (BODY_LIMIT + 1)), 413),
    ("gzip body", _post(b"Content-Length: 5\r\nContent-Encoding: gzip"), 415),
    ("br body", chunked(b"5\r\nhello\r\n0\r\n\r\n", headers=b"Content-Encoding: br\r\n"), 415),
]
ROWS: list[tuple[int, str, bytes, int]] = [
    *((52, *row) for row in _BODIES),
    *((54, *row) for row in _VERSIONS),
    *((55, *row) for row in _HEADS),
    *((28, *row) for row in _TARGETS),
    *((55, *row) for row in _CHUNKS),
    *((33, *row) for row in _SIZES),
]
IDS = [f"{number}-{name}" for number, name, _, _ in ROWS]
