"""One connection to a provider: a request out, its answer into the sink as bytes arrive. Anything
that is not exactly one well-framed answer to one request ends the connection.
"""

import asyncio
import ssl
from typing import Protocol, cast

import httptools

from tollway.adapters.http.options import UpstreamOptions
from tollway.adapters.http.run import Run
from tollway.app.ports import Header
from tollway.domain.failure import Cause, Failure, Phase


class Owner(Protocol):
    """The pool, as a connection sees it."""

    def give_back(self, connection: "UpstreamConnection") -> None:
        """It may serve another call."""

    def forget(self, connection: "UpstreamConnection") -> None:
        """It is gone."""


class RefusedAnswerError(Exception):
    """The answer breaks a rule of ours; the message says which."""


_FRAMING = frozenset({b"content-length", b"transfer-encoding", b"content-encoding"})
_BAD_HTTP = "The provider's answer is not valid HTTP."
_TOO_LONG = "The provider's answer has too many or too long headers."
_CUT = "The provider closed the connection before its answer was complete."


class UpstreamConnection(asyncio.Protocol):
    """Serves one call at a time. The parser's callbacks are its own methods."""

    __slots__ = (
        "_answered",
        "_complete",
        "_ended_by_peer",
        "_framing",
        "_headers",
        "_interim",
        "_options",
        "_overhead",
        "_owner",
        "_parser",
        "_pieces",
        "_reusable",
        "_run",
        "_seen",
        "_transport",
        "_wire",
        "closed",
        "idle_since",
        "kept",
    )

    def __init__(self, owner: Owner, options: UpstreamOptions) -> None:
        self._owner = owner
        self._options = options
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._wire: asyncio.Transport | None = None  # under the encryption
        self._run: Run | None = None
        self._headers: list[Header] = []
        self._framing: list[Header] = []  # of the headers, those that say how long the body is
        self._pieces: list[bytes] = []
        self._overhead = 0  # bytes since the last piece of a body: heads, trailers
        self._interim = 0
        self._seen = False  # a byte of the answer came
        self._answered = False  # the final head was passed on
        self._complete = False
        self._reusable = False
        self._ended_by_peer = False
        self.closed = False
        self.kept = False  # was idle once, so its other end may be gone already
        self.idle_since = 0.0

    def send(self, run: Run, request: bytes) -> None:
        """Begin a call, in one write."""
        transport = self._transport
        assert transport is not None
        self._run = run
        self._overhead = self._interim = 0
        self._seen = self._answered = self._complete = False
        if transport.is_closing():  # lost, but not told yet
            self.end()
            if self.kept:
                run.lost_stale()
            else:
                run.fail(Failure(Phase.CONNECT, Cause.RESET, _CUT))
            return
        run.sent(self)
        transport.write(request)

    # `run.Line`

    def pause(self) -> None:
        """Stop reading."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def end(self) -> None:
        """Close at once, whatever is under way."""
        self._run = None
        if not self.closed:
            self.closed = True
            self._owner.forget(self)
            if self._transport is not None:
                self._transport.abort()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected."""
        self._transport = cast("asyncio.Transport", transport)

    def encrypted(self, transport: asyncio.Transport, wire: asyncio.Transport) -> None:
        """Connected, with encryption between us and the transport that has the socket."""
        self._transport = transport
        self._wire = wire

    def data_received(self, data: bytes) -> None:
        """One read event: parse all of it, then pass its body on in one piece."""
        run = self._run
        if run is None:  # nothing was asked: whatever it is, it answers no request of ours
            self.end()
            return
        try:
            self._read(run, data)
        except Exception as error:  # noqa: BLE001 - the sink's bug ends its call, not the loop
            run.crash(error)

    def eof_received(self) -> None:
        """The provider will send no more; what that means `connection_lost` decides."""
        if self._run is None:
            self.end()
        elif self._transport is not None:
            self._ended_by_peer = _was_said(self._transport.get_extra_info("ssl_object"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Closed by the provider or the network (our own closing has no run any more)."""
        if not self.closed:
            self.closed = True
            self._owner.forget(self)
        run, self._run = self._run, None
        if run is None:
            return
        run.line = None
        if self._answered and self._ended_by_peer and exc is None and self._ends_with_connection():
            run.complete()
        elif self._is_stale(run, exc):
            run.lost_stale()
        else:
            run.broken(Cause.RESET, _CUT)

    # httptools callbacks

    def on_message_begin(self) -> None:
        """A head begins: the answer, an interim one before it, or one too many."""
        if self._complete:
            self._reusable = False
        else:
            self._headers = []
            self._framing = []

    def on_header(self, name: bytes, value: bytes) -> None:
        """One field of the head; trailers are dropped, nobody was promised them."""
        if self._answered:
            return
        header = (name.lower(), value.strip())
        self._headers.append(header)
        if header[0] in _FRAMING:
            self._framing.append(header)

    def on_headers_complete(self) -> None:
        """The head is whole: check its framing, then hand it on."""
        run = self._run
        if run is None or self._answered:
            return
        status = self._parser.get_status_code()
        if status < 200:
            self._interim += 1
            # With a length, the parser would wait for a body after most of them, and what comes
            # would be taken for the beginning of the answer's.
            wrong = status < 100 or status == 101 or self._framing
            if wrong or self._interim > self._options.interim_answers:
                raise RefusedAnswerError("The provider sent an interim answer nobody asked for.")
            return
        self._check_size()
        if self._framing:
            self._check_framing()
        self._answered = True
        run.headed()
        run.sink.head(status, self._headers)
        if run.bodiless:  # the parser cannot be told, and now waits for a body
            self._complete = True
            self._reusable = False

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        if not self._complete:
            self._pieces.append(body)

    def on_message_complete(self) -> None:
        """The answer's end, or an interim one's. Later the parser has forgotten keep-alive."""
        if self._answered and not self._complete:
            self._complete = True
            self._reusable = self._parser.should_keep_alive()
        elif self._complete:
            self._reusable = False

    # The parts of a read event.

    def _read(self, run: Run, data: bytes) -> None:
        self._seen = True
        self._overhead += len(data)
        problem: str | None = None
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            problem = _explain(error)
        pieces = self._pieces
        if pieces:
            self._overhead = 0
            self._pieces = []
            if self._run is run:
                run.read()
                run.sink.data(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        elif self._overhead > self._options.head_bytes and not self._complete:
            problem = _TOO_LONG
        if self._run is not run:
            return  # the sink ended the call while it was fed
        if self._complete:
            self._finish(run, clean=problem is None)
        elif problem is not None:
            run.broken(Cause.PROTOCOL, problem)

    def _finish(self, run: Run, *, clean: bool) -> None:
        """The answer is complete. What follows it in the same read answers no request of ours."""
        transport = self._transport
        assert transport is not None
        self._run = None
        paused = run.paused
        run.complete()
        reusable = clean and self._reusable and not self.closed and not transport.is_closing()
        # An answer may come before the request has left; the rest of that would still leave.
        if reusable and self._is_flushed(transport):
            if paused:
                transport.resume_reading()
            self._owner.give_back(self)
        else:
            self.end()

    def _is_flushed(self, transport: asyncio.Transport) -> bool:
        """Whether the whole request is with the kernel. Encryption does not count what it has
        passed on to the transport below."""
        wire = self._wire
        return transport.get_write_buffer_size() == 0 and (
            wire is None or wire.get_write_buffer_size() == 0
        )

    def _is_stale(self, run: Run, error: Exception | None) -> bool:
        """Whether the provider cannot have begun on the request: it had closed a kept connection
        before that came. It says so within a round trip; who goes later may have worked on it."""
        return (
            self.kept
            and not self._seen
            and (error is None or isinstance(error, ConnectionError))
            and run.just_sent(self._options.stale_s)
        )

    def _check_size(self) -> None:
        options = self._options
        if len(self._headers) > options.head_fields:
            raise RefusedAnswerError(_TOO_LONG)
        if self._overhead > options.head_bytes:  # with the body of the same read: look closer
            size = sum(len(name) + len(value) + 4 for name, value in self._headers)
            if size > options.head_bytes:
                raise RefusedAnswerError(_TOO_LONG)

    def _check_framing(self) -> None:
        """Stricter than the parser, which lets codings pass that we did not ask for."""
        lengths = codings = 0
        for name, value in self._framing:
            if name == b"content-length":
                lengths += 1
            elif name == b"transfer-encoding":
                codings += 1
                if value.lower() != b"chunked" or self._parser.get_http_version() != "1.1":
                    raise RefusedAnswerError("The provider's answer has an unknown coding.")
            elif value.lower() not in (b"identity", b""):
                raise RefusedAnswerError(
                    "The provider compressed its answer although it was not asked to."
                )
        if lengths + codings > 1:
            raise RefusedAnswerError("The provider's answer has two lengths.")

    def _ends_with_connection(self) -> bool:
        """Neither length nor chunks: the body ends where the connection ends (RFC 9112, 6.3)."""
        return all(name == b"content-encoding" for name, _ in self._framing)


def _was_said(encryption: ssl.SSLObject | None) -> bool:
    """Whether the end of the stream is the provider's own word. Over TLS it must say so under
    encryption (RFC 9112, 9.8): the end of a TCP connection can be forged on the way."""
    if encryption is None:
        return True
    try:
        return encryption.read(1) == b""
    except ssl.SSLZeroReturnError:
        return True
    except (ssl.SSLError, ValueError):
        return False


def _explain(error: Exception) -> str:
    """What the parser stopped at. Raises what the sink raised inside of it."""
    inner = error.__context__
    if inner is None:
        return _BAD_HTTP
    if isinstance(inner, RefusedAnswerError):
        return str(inner)
    if isinstance(error, httptools.HttpParserCallbackError):
        raise inner
    return _BAD_HTTP
