"""Bytes of one connection -> complete requests, one at a time. No I/O and no clock: the connection
feeds it and asks for the next request; what follows that request stays unread until asked again.

llhttp is given exactly one message at a time and judges every byte of it; `framing.py` adds what
llhttp leaves open. Both must agree on where a message ends, or it is refused.
"""

from collections.abc import Callable
from enum import IntEnum

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from tollway.app.ports import Header
from tollway.web.gateway.chunked import ChunkedBody, too_large
from tollway.web.gateway.framing import (
    CHUNKED,
    RefusedError,
    RequestLine,
    check_coding,
    check_host,
    check_partial,
    expects_continue,
    first_values,
    malformed,
    read_body_bytes,
    read_request_line,
    strip_values,
)
from tollway.web.gateway.options import ServerOptions
from tollway.web.gateway.request import Request

BodyLimit = Callable[[bytes, bytes], int]


class Phase(IntEnum):
    """What the reader is in the middle of."""

    IDLE = 0  # between requests: nothing of the next one has come
    HEAD = 1
    BODY = 2


class RequestReader:
    """`feed` bytes, then take requests with `next_request` until it returns None."""

    __slots__ = (
        "_at",
        "_body",
        "_body_limit",
        "_chunks",
        "_complete",
        "_data",
        "_fields",
        "_good_host",
        "_left",
        "_options",
        "_parser",
        "_peer_ip",
        "_request",
        "_seen",
        "_skipped",
        "continue_due",
        "http_1_1",
        "keep_alive",
        "method",
    )

    def __init__(self, options: ServerOptions, body_limit: BodyLimit, peer_ip: str) -> None:
        self._options = options
        self._body_limit = body_limit
        self._peer_ip = peer_ip
        self._parser = HttpRequestParser(self)
        self._data = b""
        self._at = 0  # what stands left of it is used up
        self._seen = 0  # how far the end of a head has been looked for
        self._skipped = False  # an empty line before the request line
        self._fields: list[Header] = []
        self._good_host: bytes | None = None  # a connection asks for the same one each time
        self._complete = False  # llhttp's word for it
        self._request: Request | None = None
        self._chunks: ChunkedBody | None = None
        self._body = bytearray()  # with a length, when it comes in several parts
        self._left = 0  # of a body with a length
        self.continue_due = False  # the client waits for `100 Continue`
        self.keep_alive = False  # of the last request
        self.method = b""
        self.http_1_1 = True

    @property
    def held_bytes(self) -> int:
        """Fed and not yet used."""
        return len(self._data) - self._at

    @property
    def body_bytes(self) -> int:
        """How much of the current body has come."""
        return len(self._chunks.body if self._chunks else self._body)

    @property
    def phase(self) -> Phase:
        """What more bytes would continue."""
        if self._request is not None:
            return Phase.BODY
        return Phase.HEAD if self._at < len(self._data) else Phase.IDLE

    def feed(self, data: bytes) -> None:
        """Take what was read."""
        at = self._at
        self._data = data if at == len(self._data) else self._data[at:] + data
        self._seen = max(self._seen - at, 0)
        self._at = 0

    def next_request(self) -> Request | None:
        """The next complete request, or None until more bytes come. After `RefusedError` nothing
        of this connection can be understood any more."""
        try:
            if self._request is None and not self._take_head():
                return None
            if self._chunks is not None:
                return self._take_chunks(self._chunks)
            return self._take_body()
        except HttpParserError as error:
            raise malformed(f"{error}.") from None

    def close(self) -> None:
        """Let go of what was read."""
        self._data = b""
        self._at = 0
        self._body = bytearray()
        self._chunks = self._request = None

    # llhttp's callbacks.

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header, or one trailer, which nobody reads."""
        self._fields.append((name.lower(), value))

    def on_message_complete(self) -> None:
        """The message ends here."""
        self._complete = True
        self.keep_alive = self._parser.should_keep_alive()

    def _take_head(self) -> bool:
        data, at = self._data, self._at
        if at == len(data):
            return False
        if data[at] == 13 and not self._skipped and data.startswith(b"\r\n", at):
            self._skipped = True  # RFC 9112, section 2.2: one such line is forgiven
            self._at = at = at + 2
        end = data.find(b"\r\n\r\n", max(at, self._seen - 3))
        if end < 0:
            self._await_head()
            return False
        end += 4
        line = read_request_line(data, at, self._options.url_bytes)
        if end - at > self._options.head_bytes:
            raise _head_too_large()
        self._at = end
        self._seen = 0
        self._skipped = False
        self._open(line, data[at:end])
        return True

    def _await_head(self) -> None:
        """The head is not complete: refuse at once what can no longer become one."""
        part = self._data[self._at :]
        if part:
            check_partial(part, self._seen - self._at, self._options.url_bytes)
        if len(part) > self._options.head_bytes:
            raise _head_too_large()
        self._data = part
        self._at = 0
        self._seen = len(part)

    def _open(self, line: RequestLine, head: bytes) -> None:
        self.method, _, _, http_1_1 = line
        self.http_1_1 = http_1_1
        self._complete = False
        headers = self._fields = []
        try:
            self._parser.feed_data(head)
        except HttpParserUpgrade:
            headers = self._decline_upgrade(line)
        self._fields = []
        if len(headers) > self._options.header_count:
            raise _head_too_large()
        if b" \r\n" in head or (b"\t" in head and b"\t\r\n" in head):
            headers = strip_values(headers)
        first = first_values(headers)
        host = first.get(b"host")
        if host is None or host != self._good_host:
            check_host(host, http_1_1)
            self._good_host = host
        body_bytes = read_body_bytes(first, http_1_1)
        waits = expects_continue(first, http_1_1)
        request = self._request = Request(line, headers, first, self._peer_ip)
        if body_bytes:
            self._open_body(request, first, body_bytes)
            self.continue_due = waits and self._at == len(self._data)

    def _open_body(self, request: Request, first: dict[bytes, bytes], body_bytes: int) -> None:
        check_coding(first)
        limit = self._body_limit(request.method, request.path)
        if body_bytes == CHUNKED:
            self._chunks = ChunkedBody(self._parser, limit)
        elif body_bytes > limit:
            raise too_large(limit)
        else:
            self._left = body_bytes

    def _decline_upgrade(self, line: RequestLine) -> list[Header]:
        """Read the head again as if no upgrade were offered: the offer may be ignored (RFC 9110,
        section 7.8), and llhttp would take the body for another protocol's bytes."""
        headers = [header for header in self._fields if header[0] != b"upgrade"]
        lines = b"".join(b"%b: %b\r\n" % header for header in headers)
        method, path, query, http_1_1 = line
        target = path + b"?" + query if query else path
        self._parser = HttpRequestParser(self)
        self._complete = False
        self._fields = []
        head = b"%b %b HTTP/1.%d\r\n%b\r\n" % (method, target, http_1_1, lines)
        self._parser.feed_data(head)
        return headers

    def _take_body(self) -> Request | None:
        left = self._left
        if left:
            data, at = self._data, self._at
            part = data[at : at + left]
            self._at = at + len(part)
            self._left = left = left - len(part)
            self._parser.feed_data(part)
            if self._body or left:
                self._body += part
                if left:
                    return None
                part = bytes(self._body)
                self._body = bytearray()
            return self._close(part)
        return self._close(b"")

    def _take_chunks(self, chunks: ChunkedBody) -> Request | None:
        data, at = self._data, self._at
        while at < len(data) and not self._complete:
            at = chunks.take(data, at)
        self._at = at
        self._fields = []
        if not self._complete:
            return None
        self._chunks = None
        return self._close(bytes(chunks.body))

    def _close(self, body: bytes) -> Request:
        request = self._request
        if not self._complete or request is None:
            raise malformed("The end of the body is in doubt.")
        self._request = None
        self.continue_due = False
        request.body = body
        return request


def _head_too_large() -> RefusedError:
    return RefusedError(431, "headers_too_large", "The headers are too large or too many.")
