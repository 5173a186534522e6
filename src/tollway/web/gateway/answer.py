"""One request's answer on its way out: the `Client` port over a connection.

An answer belongs to one request: when it is complete, or its client gone, every further call is
dropped, so nothing can reach the next request's client. What happens to the connection then is
decided in `connection.py`.
"""

from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Protocol

from tollway.app.ports import Header
from tollway.dialects.errors import error_body
from tollway.web.gateway.framing import RefusedError

STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus
}
_JSON = (b"content-type", b"application/json")
_INTERNAL_ERROR = error_body("openai", 500, "Internal error.", code="internal_error")
_PROBE_BYTES = len(b"HTTP/1.1 ")
_JOINED_BYTES = 64 * 1024  # up to here one copy is cheaper than a gathering write
_NEW, _STARTED, _STREAMING, _DONE = range(4)
_OPEN = (_STREAMING, _STARTED)


class Exit(Protocol):
    """What an answer needs of its connection."""

    congested: bool

    def send(self, data: bytes) -> None:
        """Write to the client."""

    def send_all(self, parts: list[bytes]) -> None:
        """Write to the client without joining."""

    def connection_field(self, *, delimited: bool) -> bytes:
        """The `date` and, where due, `connection` header lines of an answer that starts now."""

    def answered(self, *, delimited: bool) -> None:
        """The answer is complete. Not delimited: only the close tells the client so."""

    def sever(self) -> None:
        """The answer will not be complete: flush, then close."""


class Answer:
    """Implements `tollway.app.ports.Client`."""

    __slots__ = (
        "_bodiless",
        "_chunked",
        "_exit",
        "_head",
        "_on_gone",
        "_on_writable",
        "_probed",
        "_stage",
        "congested",
        "gone",
    )

    def __init__(self, exit_: Exit, *, head_only: bool, chunked: bool) -> None:
        self.gone = False
        self.congested = False
        self._exit = exit_
        self._bodiless = head_only
        self._chunked = chunked  # HTTP/1.0 knows no chunks: there the close ends a stream
        self._stage = _NEW
        self._head = b""  # waits for the first piece of the body
        self._probed = False  # the first bytes of the head have left already
        self._on_gone: Callable[[], None] | None = None
        self._on_writable: Callable[[], None] | None = None

    # The handler's side: the port.

    def watch(self, on_gone: Callable[[], None], on_writable: Callable[[], None]) -> None:
        """Call back when the client leaves and when congestion ends. The last call counts."""
        if self.gone:
            on_gone()
        elif self._stage != _DONE:
            self._on_gone = on_gone
            self._on_writable = on_writable

    def respond(self, status: int, headers: Sequence[Header], body: bytes) -> None:
        """A whole answer in one write."""
        if self._stage != _NEW or self.gone:
            return
        without_body = status in (204, 304)
        length = b"" if without_body else b"content-length: %d\r\n" % len(body)
        head = self._render(status, headers, length, delimited=True)
        if not body or without_body or self._bodiless:
            self._exit.send(head)
        elif len(body) <= _JOINED_BYTES:
            self._exit.send(head + body)
        else:
            self._exit.send_all([head, body])
        self._complete(delimited=True)

    def start(self, status: int, headers: Sequence[Header]) -> None:
        """The head of a streamed answer; leaves with the first piece."""
        if self._stage == _NEW and not self.gone:
            coding = b"transfer-encoding: chunked\r\n" if self._chunked else b""
            delimited = self._chunked or self._bodiless
            self._head = self._render(status, headers, coding, delimited=delimited)
            self._stage = _STARTED

    def write(self, data: bytes) -> None:
        """One piece of the body in one write. An empty piece is nothing: as a chunk it would be
        the end."""
        stage = self._stage
        if not data or self._bodiless or stage not in _OPEN or self.gone:
            return
        if self._chunked:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        if stage == _STARTED:
            data = self._head + data
            self._head = b""
            self._stage = _STREAMING
        self._exit.send(data)

    def finish(self) -> None:
        """The streamed body is complete."""
        if self._stage not in _OPEN or self.gone:
            return
        end = b"0\r\n\r\n" if self._chunked and not self._bodiless else b""
        if self._head or end:
            self._exit.send(self._head + end)
        self._complete(delimited=self._chunked or self._bodiless)

    def abort(self) -> None:
        """The body will not become complete."""
        if self._stage != _DONE and not self.gone:
            exit_ = self._exit
            self._detach()
            exit_.sever()

    # The connection's side.

    def fail(self) -> None:
        """The handler broke: say so if nothing was said yet, else cut what was begun."""
        if self._stage in (_NEW, _STARTED):
            self._stage = _NEW
            self.respond(500, [_JSON], _INTERNAL_ERROR)
        else:
            self.abort()

    def lost(self) -> None:
        """The client has left."""
        on_gone = self._on_gone
        self.gone = True
        self._detach()
        if on_gone is not None:
            on_gone()

    def blocked(self) -> None:
        """More waits for the client than should."""
        self.congested = True

    def writable(self) -> None:
        """The client has caught up."""
        self.congested = False
        if self._on_writable is not None:
            self._on_writable()

    def probe(self) -> None:
        """Send bytes of the answer early, to learn whether a client that sent FIN still reads.

        A FIN means "I have said all" and "I have left" alike. Bytes tell the two apart: the kernel
        of one that left answers with RST. Every head begins with these nine bytes, and a zero may
        lead any chunk size (RFC 9112, section 7.1), so the answer stays the same.
        """
        if self._stage in (_NEW, _STARTED) and not self._probed:
            self._probed = True
            self._exit.send(b"HTTP/1.1 ")
            self._head = self._head[_PROBE_BYTES:]
        elif self._stage == _STREAMING and self._chunked:
            self._exit.send(b"0")

    def _render(
        self, status: int, headers: Sequence[Header], framing: bytes, *, delimited: bool
    ) -> bytes:
        head = render_head(
            status, headers, self._exit.connection_field(delimited=delimited) + framing
        )
        return head[_PROBE_BYTES:] if self._probed else head

    def _complete(self, *, delimited: bool) -> None:
        exit_ = self._exit
        self._detach()
        exit_.answered(delimited=delimited)

    def _detach(self) -> None:
        self._stage = _DONE
        self._head = b""
        self._on_gone = self._on_writable = None


def render_head(status: int, headers: Sequence[Header], tail: bytes) -> bytes:
    """A whole response head. `tail` holds further header lines, each with its CRLF."""
    line = STATUS_LINES.get(status)
    parts = [line or b"HTTP/1.1 %d \r\n" % status]
    for name, value in headers:
        parts += (name, b": ", value, b"\r\n")
    parts += (tail, b"\r\n")
    head = b"".join(parts)
    if head.count(b"\n") != len(headers) + tail.count(b"\n") + 2:
        # A line break inside a header value would let whoever chose the value write headers.
        kept = [pair for pair in headers if not (_breaks(pair[0]) or _breaks(pair[1]))]
        return render_head(status, kept, tail)
    return head


def refusal_bytes(refused: RefusedError, fields: bytes, *, head_only: bool) -> bytes:
    """The whole answer to what will not be served. `fields` are further header lines."""
    body = error_body("openai", refused.status, refused.message, code=refused.code)
    tail = b"%bcontent-length: %d\r\n" % (fields, len(body))
    head = render_head(refused.status, [_JSON, *refused.headers], tail)
    return head if head_only else head + body


def _breaks(text: bytes) -> bool:
    return b"\n" in text or b"\r" in text
