"""One connection to a provider: a request out, its answer into the sink as bytes arrive. Anything
that is not exactly one well-framed answer to one request ends the connection.
"""

import asyncio
from typing import Protocol, cast

import httptools

from tollway.adapters.http.options import UpstreamOptions
from tollway.adapters.http.run import Run
from tollway.app.ports import Header
from tollway.domain.failure import Cause


class Owner(Protocol):
    """The pool, as a connection sees it."""

    def give_back(self, connection: "UpstreamConnection") -> None:
        """It may serve another call."""

    def forget(self, connection: "UpstreamConnection") -> None:
        """It is gone."""


class _Refused(Exception):  # noqa: N818 - never leaves this module
    """The answer breaks a rule of ours; the message says which."""


class UpstreamConnection(asyncio.Protocol):
    """Serves one call at a time. The parser's callbacks are its own methods."""

    __slots__ = (
        "_answered",
        "_complete",
        "_headers",
        "_interim",
        "_kept",
        "_options",
        "_owner",
        "_parser",
        "_pieces",
        "_run",
        "_size",
        "_surplus",
        "_transport",
        "closed",
        "idle_since",
        "used",
    )

    def __init__(self, owner: Owner, options: UpstreamOptions) -> None:
        self._owner = owner
        self._options = options
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._run: Run | None = None
        self._headers: list[Header] = []
        self._pieces: list[bytes] = []
        self._size = 0
        self._interim = 0
        self._kept = False
        self._answered = False  # the final head was passed on
        self._complete = False
        self._surplus = False
        self.closed = False
        self.used = False  # has served a call before
        self.idle_since = 0.0

    def send(self, run: Run, request: bytes) -> None:
        """Begin a call."""
        transport = self._transport
        assert transport is not None
        self._run = run
        self._interim = 0
        self._answered = self._complete = False
        run.sent(self)
        if transport.is_closing():  # lost, but not told yet: nothing of the request was seen
            self.end()
            run.stale = True
            run.complete()
        else:
            transport.write(request)

    # `run.Line`

    def pause(self) -> None:
        """Stop reading."""
        if self._transport is not None and not self.closed:
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if self._transport is not None and not self.closed:
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
        """Connected, and encrypted where the origin says so."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """One read event: parse all of it, then pass its body on in one piece."""
        run = self._run
        if run is None:  # nothing was asked: whatever it is, it answers no request of ours
            self.end()
            return
        try:
            self._parser.feed_data(data)
        except _Refused as refused:
            self._pass_body(run)
            run.broken(Cause.PROTOCOL, str(refused))
            return
        except httptools.HttpParserError as error:
            inner = error.__context__
            if inner is not None and not isinstance(inner, _Refused | httptools.HttpParserError):
                run.broken(Cause.PROTOCOL, "The answer could not be handled.")
                raise inner from None
            if not self._complete:
                self._pass_body(run)
                message = str(inner) if isinstance(inner, _Refused) else _BAD_HTTP
                run.broken(Cause.PROTOCOL, message)
                return
            self._surplus = True  # complete, then garbage
        self._pass_body(run)
        if self._complete:
            self._finish(run)

    def eof_received(self) -> bool:
        """The provider will send no more; what that means `connection_lost` decides."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Closed by the provider or the network (our own closing has no run any more)."""
        was_closed, self.closed = self.closed, True
        if not was_closed:
            self._owner.forget(self)
        run, self._run = self._run, None
        if run is None:
            return
        run.line = None
        if self._answered and exc is None and self._ends_with_connection():
            run.complete()
        elif self.used and not self._answered and not self._interim:
            run.stale = True
            run.complete()
        else:
            run.broken(Cause.RESET, "The provider closed the connection before it had answered.")

    # httptools callbacks

    def on_message_begin(self) -> None:
        """A head begins: the answer, an interim one before it, or one too many."""
        if self._complete:
            self._surplus = True
        self._headers = []
        self._size = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """One field of the head (or a trailer, which is ignored)."""
        self._size += len(name) + len(value)
        if self._size > self._options.head_bytes or (
            len(self._headers) >= self._options.head_fields
        ):
            raise _Refused("The provider's answer has too many or too long headers.")
        if not self._answered:
            self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """The head is whole: check its framing, then hand it on."""
        if self._complete:
            return
        status = self._parser.get_status_code()
        if 100 <= status < 200:
            self._interim += 1
            if status == 101 or self._interim > self._options.interim_answers:
                raise _Refused("The provider answered with an interim status it was not asked for.")
            return
        _check_framing(self._headers)
        run = self._run
        if run is None:
            return
        self._answered = True
        run.headed()
        run.sink.head(status, self._headers)

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        if not self._complete:
            self._pieces.append(body)

    def on_message_complete(self) -> None:
        """The answer's end, or an interim one's."""
        if self._answered and not self._complete:
            self._complete = True
            # Only here: behind the callback the parser has forgotten the message.
            self._kept = self._parser.should_keep_alive()

    def _pass_body(self, run: Run) -> None:
        pieces = self._pieces
        if not pieces:
            return
        self._pieces = []
        if self._run is run:
            run.read()
            run.sink.data(pieces[0] if len(pieces) == 1 else b"".join(pieces))

    def _finish(self, run: Run) -> None:
        if self._run is not run:
            return  # the sink ended the call while it was fed
        self._run = None
        run.complete()
        if self._surplus or self.closed or run.paused or not self._kept:
            self.end()
        else:
            self.used = True
            self._owner.give_back(self)

    def _ends_with_connection(self) -> bool:
        """Neither length nor chunks: the body ends where the connection ends (RFC 9112, 6.3)."""
        names = {name for name, _ in self._headers}
        return not names & {b"content-length", b"transfer-encoding"}


_BAD_HTTP = "The provider's answer is not valid HTTP."


def _check_framing(headers: list[Header]) -> None:
    lengths = codings = 0
    for name, value in headers:
        if name == b"content-length":
            lengths += 1
        elif name == b"transfer-encoding":
            codings += 1
        elif name == b"content-encoding" and value.strip().lower() not in (b"identity", b""):
            raise _Refused("The provider compressed its answer although it was not asked to.")
    if lengths > 1 or (lengths and codings):
        raise _Refused("The provider's answer has two lengths.")
