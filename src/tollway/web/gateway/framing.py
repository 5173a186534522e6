"""What the server refuses before a request exists: the checks on a head that llhttp leaves open,
and where the body ends. Pure: bytes in, values out, `RefusedError` for what must not be served.

Sources: RFC 9112 (messages), RFC 9110 section 5 (fields). Where those let a recipient be lenient
this one refuses, since two readers who are lenient in different ways are how requests are smuggled.
"""

import re

from tollway.app.ports import Header

# One space, one `/`-rooted target of printable ASCII without a fragment, HTTP/1.0 or 1.1.
# llhttp 9 also takes several spaces, absolute targets, HTTP/0.9 and HTTP/2.0.
_REQUEST_LINE = re.compile(
    rb"([!#-'*+\-.0-9A-Z^-z|~]++) (/[!\"$->@-~]*+)(?:\?([!\"$-~]*+))? HTTP/1\.([01])\r\n"
)
_ANY_LINE = re.compile(rb"([!#-'*+\-.0-9A-Z^-z|~]++) ++([^ \r\n]*+)(?: ++([^\r\n]*+))?\r?\n")
_BROKEN_LINE = re.compile(rb"\x00|(?<!\r)\n|\r[^\n]")
_HOST = re.compile(rb"(?:[A-Za-z0-9._-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
_SERVED = frozenset({b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS"})
_ALLOW: list[Header] = [(b"allow", b", ".join(sorted(_SERVED)))]
# Fields that say who asks or where the message ends: one opinion, or none.
_SINGLE = frozenset(
    {
        b"authorization",
        b"content-encoding",
        b"content-length",
        b"content-type",
        b"expect",
        b"host",
        b"transfer-encoding",
        b"x-api-key",
    }
)
CHUNKED = -1

# Plain tuples on the hot path: a named one costs a quarter of a microsecond.
RequestLine = tuple[bytes, bytes, bytes, bool]  # method, path, query, HTTP/1.1 and not 1.0


class RefusedError(Exception):
    """This connection's next request will not be served: answer with this and close."""

    def __init__(
        self, status: int, code: str, message: str, headers: list[Header] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers or []


_TLS = b"\x16\x03"  # how a hello begins, RFC 8446, 5.1


def malformed(message: str) -> RefusedError:
    """The refusal for bytes that are not strict HTTP/1.1."""
    return RefusedError(400, "malformed_request", message)


def read_request_line(head: bytes, at: int, url_bytes: int) -> RequestLine:
    """The complete request line that begins at `at`; `RefusedError` when it is not strict."""
    match = _REQUEST_LINE.match(head, at)
    if match is None:
        raise _judge_line(head, at, url_bytes)
    method, path, query, minor = match.groups(b"")
    if method not in _SERVED:
        raise _not_served(method)
    if len(path) > url_bytes or (query and len(path) + len(query) >= url_bytes):
        raise _too_long(url_bytes)
    return method, path, query, minor == b"1"


def check_partial(data: bytes, seen: int, url_bytes: int) -> None:
    """Refuse a head that is not complete yet but already wrong. `seen` bytes were checked before.

    Without this, what lacks its CRs would be a wait for the deadline instead of an answer.
    """
    if data[:2] == _TLS:
        raise malformed("This port speaks plain HTTP: 'http://', not 'https://'.")
    if _BROKEN_LINE.search(data, max(seen - 1, 0)):
        raise malformed("Lines end in CRLF and hold no NUL.")
    if b"\n" in data:
        read_request_line(data, 0, url_bytes)
    elif len(data) > url_bytes + 64:
        raise _too_long(url_bytes)
    elif not (data[:1].isalpha() or data[:1] == b"\r"):
        raise malformed("This is not an HTTP request.")


def check_host(host: bytes | None, http_1_1: bool) -> None:
    """Refuse a Host that is missing (allowed in HTTP/1.0 only) or more than host and port."""
    if host is None:
        if http_1_1:
            raise malformed("An HTTP/1.1 request has exactly one Host.")
    elif not _HOST.fullmatch(host):
        raise malformed("Host is not a host with an optional port.")


def read_body_bytes(first: dict[bytes, bytes], http_1_1: bool) -> int:
    """How long the body is, or CHUNKED when the chunks say. `first` has passed `first_values`."""
    body_bytes = 0
    length = first.get(b"content-length")
    if length is not None:
        if not length.isdigit() or len(length) > 18:
            raise malformed("Content-Length is not a plain number.")
        body_bytes = int(length)
    coding = first.get(b"transfer-encoding")
    if coding is not None:
        if coding != b"chunked" or length is not None or not http_1_1:
            raise malformed("Transfer-Encoding is 'chunked', in HTTP/1.1, without Content-Length.")
        body_bytes = CHUNKED
    return body_bytes


def expects_continue(first: dict[bytes, bytes], http_1_1: bool) -> bool:
    """Whether the sender waits for `100 Continue` before it sends the body."""
    expect = first.get(b"expect")
    if expect is None:
        return False
    if expect.lower() != b"100-continue":
        raise RefusedError(417, "expectation_failed", "The only expectation met is 100-continue.")
    return http_1_1


def check_coding(first: dict[bytes, bytes]) -> None:
    """Refuse compressed bodies: nothing here inflates what a stranger deflated."""
    if first.get(b"content-encoding", b"identity").lower() != b"identity":
        raise RefusedError(
            415, "unsupported_content_encoding", "Send the body without compression."
        )


def first_values(headers: list[Header]) -> dict[bytes, bytes]:
    """Each header's first value; `RefusedError` when one that must be single is repeated."""
    first = dict(headers)
    if len(first) != len(headers):
        first = {}
        for name, value in headers:
            if first.setdefault(name, value) is not value and name in _SINGLE:
                raise malformed(f"The header '{name.decode('ascii')}' is repeated.")
    return first


def strip_values(headers: list[Header]) -> list[Header]:
    """The headers without trailing whitespace, which llhttp leaves on; none on a length."""
    for name, value in headers:
        if name == b"content-length" and not value.isdigit():
            raise malformed("Content-Length is not a plain number.")
    return [(name, value.rstrip(b" \t")) for name, value in headers]


def _judge_line(head: bytes, at: int, url_bytes: int) -> RefusedError:
    match = _ANY_LINE.match(head, at)
    if match is None:
        return malformed("The request line is malformed.")
    method, target, version = match.groups()
    if len(target) > url_bytes:
        return _too_long(url_bytes)
    if version is None or version not in (b"HTTP/1.1", b"HTTP/1.0"):
        return malformed("This server speaks HTTP/1.1 and HTTP/1.0.")
    if method not in _SERVED:
        return _not_served(method)
    if not target.startswith(b"/"):
        return malformed("The request target is not a path.")
    return malformed("The request line is malformed.")


def _not_served(method: bytes) -> RefusedError:
    name = method[:32].decode("ascii")
    return RefusedError(405, "method_not_allowed", f"The method {name} is not served.", _ALLOW)


def _too_long(url_bytes: int) -> RefusedError:
    return RefusedError(414, "url_too_long", f"The URL is longer than {url_bytes} bytes.")
