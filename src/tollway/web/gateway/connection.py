"""One client connection: bytes to requests, one at a time and in order, and their answers back.

Nothing here judges HTTP (`reader.py`, `framing.py`) or counts connections (`server.py`). A deadline
is one number that the server's sweep looks at: no timer per request.
"""

import asyncio
import logging
from math import inf
from typing import cast

from tollway.web.gateway.answer import Answer, refusal_bytes
from tollway.web.gateway.framing import RefusedError
from tollway.web.gateway.host import Host, State
from tollway.web.gateway.peers import client_ip, is_trusted, plain_ip
from tollway.web.gateway.reader import Phase, RequestReader
from tollway.web.gateway.request import Request
from tollway.web.gateway.sockets import limit_unsent, unread_bytes, was_reset

_log = logging.getLogger(__name__)
_BURST = 32  # requests served from one read before other connections have their turn
_CLOSE = b"connection: close\r\n"
_KEEP = b"connection: keep-alive\r\n"  # only HTTP/1.0 needs to be told


class Connection(asyncio.Protocol):
    """The asyncio protocol, and the exit of its answers (`answer.Exit`)."""

    __slots__ = (
        "_answer",
        "_armed",
        "_closing",
        "_dropped",
        "_eof",
        "_host",
        "_loop",
        "_paused",
        "_reader",
        "_serving",
        "_since",
        "_stalled_bytes",
        "_tls",
        "_transport",
        "_trusted",
        "congested",
        "deadline",
        "peer_ip",
        "state",
    )

    _reader: RequestReader
    _transport: asyncio.Transport

    def __init__(self, host: Host, loop: asyncio.AbstractEventLoop) -> None:
        self._host = host
        self._loop = loop
        self._answer: Answer | None = None
        self._closing = False  # the running answer's head said so
        self._armed: Phase | None = None  # the phase whose deadline runs
        self._dropped = 0
        self._eof = False
        self._serving = False  # inside the handler: `_advance` goes on by itself
        self._since = inf  # when the current body began
        self._paused = False  # reading is, since too much is pipelined
        self._stalled_bytes = 0  # waited for the client when the write deadline was set
        self._tls = False
        self._trusted = False
        self.congested = False
        self.deadline = inf
        self.peer_ip = ""
        self.state = State.READING

    @property
    def busy(self) -> bool:
        """Whether a client would miss something if this connection ended now."""
        state = self.state
        if state is State.READING:
            return self._reader.phase is not Phase.IDLE
        return state in (State.ANSWERING, State.BLOCKED)

    # asyncio's callbacks.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client connected (over TLS: after the handshake)."""
        host = self._host
        options = host.options
        # A cast, since uvloop's transports are none by inheritance.
        self._transport = transport = cast("asyncio.Transport", transport)
        self._tls = transport.get_extra_info("sslcontext") is not None
        peer = transport.get_extra_info("peername")
        self.peer_ip = (plain_ip(str(peer[0])) if peer else None) or ""
        self._trusted = is_trusted(self.peer_ip, options.trusted_proxies)
        self._reader = RequestReader(options, host.handler.body_limit, self.peer_ip)
        if not host.admit(self, exempt=self._trusted):
            refused = RefusedError(503, "too_many_connections", "Too many connections.")
            refused.headers.append((b"retry-after", b"1"))
            self._send_refusal(refused)
            self.state = State.CLOSED
            transport.close()
            return
        limit_unsent(transport, options.kernel_unsent_bytes)
        transport.set_write_buffer_limits(high=options.write_high_bytes)
        self._armed = Phase.HEAD
        self.deadline = host.now + options.head_timeout_s
        if host.draining:
            self.hurry()

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        state = self.state
        if state is State.READING:
            self._reader.feed(data)
            self._advance()
        elif state is State.LINGERING:
            self._drop(len(data))
        elif state is not State.CLOSED:
            self._reader.feed(data)
            held = self._reader.held_bytes
            if held > self._host.options.pipelined_bytes and not self._paused and not self._eof:
                self._paused = True
                self._transport.pause_reading()
                self._host.cannot_see(self)

    def eof_received(self) -> bool:
        """The client will send no more. A request it sent completely is still answered."""
        self._eof = True
        if self._tls or self.state in (State.LINGERING, State.CLOSED):
            return False  # TLS has no half-close here: the transport closes
        self._host.cannot_see(self)
        if self._answer is not None:
            self._answer.probe()
        elif self.state is State.READING:
            self._advance()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone, whoever ended it."""
        self.state = State.CLOSED
        self.deadline = inf
        self._reader.close()
        self._host.release(self)
        answer, self._answer = self._answer, None
        if answer is not None:
            answer.lost()

    def pause_writing(self) -> None:
        """More waits for the client than should."""
        self.congested = True
        if self._answer is not None:
            self._answer.blocked()
            self._arm_write()

    def resume_writing(self) -> None:
        """The client has caught up."""
        self.congested = False
        if self.state is State.BLOCKED:
            self._read_on()
        elif self.state is State.LINGERING:
            self.deadline = self._host.now + self._host.options.linger_timeout_s
        elif self.state is State.ANSWERING:
            self.deadline = inf
            if self._answer is not None:
                self._answer.writable()

    # The way in.

    def _advance(self) -> None:
        """Serve complete requests until one is still being answered or bytes run out."""
        reader = self._reader
        try:
            for _ in range(_BURST):
                if self.state is not State.READING:
                    return
                request = reader.next_request()
                if request is None:
                    self._await_more()
                    return
                self._serve(request)
        except RefusedError as refused:
            self._refuse(refused)
            return
        if self.state is State.READING:
            self._loop.call_soon(self._advance)

    def _await_more(self) -> None:
        reader, options, now = self._reader, self._host.options, self._host.now
        if self._eof:
            self._end_input()
            return
        if self._paused:
            self._paused = False
            self._transport.resume_reading()
        phase = reader.phase
        if phase is not self._armed:
            # Once per phase: a byte now and then must not keep a deadline away.
            self._armed = phase
            if phase is Phase.BODY:
                self._since = now
                self.deadline = now + options.body_timeout_s
            elif phase is Phase.HEAD:
                self.deadline = now + options.head_timeout_s
        if reader.continue_due:
            reader.continue_due = False
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _end_input(self) -> None:
        """The client has sent all it will, and every complete request is answered."""
        if self._reader.phase is Phase.IDLE:
            self._hang_up()
        else:
            self._refuse(RefusedError(400, "incomplete_request", "The request is not complete."))

    def _serve(self, request: Request) -> None:
        reader, host = self._reader, self._host
        if self._trusted:
            proxies = host.options.trusted_proxies
            request.peer_ip = client_ip(self.peer_ip, request.headers, proxies)
        answer = Answer(self, head_only=request.method == b"HEAD", chunked=reader.http_1_1)
        self._answer = answer
        self.state = State.ANSWERING
        self.deadline = inf
        if self.congested:
            answer.blocked()
            self._arm_write()
        if self._eof:
            answer.probe()
        self._serving = True
        try:
            host.handler.handle(request, answer)
        except Exception:  # noqa: BLE001 - the edge: a broken handler is one 500, not a dead server
            _log.exception("A request handler failed")
            host.count("internal_error")
            answer.fail()
        self._serving = False

    # The way out: `answer.Exit`.

    def send(self, data: bytes) -> None:
        """Write to the client."""
        self._transport.write(data)

    def send_all(self, parts: list[bytes]) -> None:
        """Write to the client without joining."""
        self._transport.writelines(parts)

    def connection_field(self, *, delimited: bool) -> bytes:
        """The date, and whether the connection stays: what is said here is kept."""
        host, reader = self._host, self._reader
        self._closing = not delimited or not reader.keep_alive or host.draining
        if self._closing:
            return host.date_line + _CLOSE
        return host.date_line if reader.http_1_1 else host.date_line + _KEEP

    def answered(self, *, delimited: bool) -> None:
        """The answer is complete: on to the next request, or close."""
        self._answer = None
        if self._closing:
            self._hang_up(at_once=not delimited)
            if self._host.draining:
                self._host.settled()
        elif self.congested:
            self.state = State.BLOCKED  # what is pipelined must not pile up answers
            self._arm_write()
        else:
            self._read_on()

    def sever(self) -> None:
        """End an answer that will not be complete."""
        self._answer = None
        self._hang_up(at_once=True)
        if self._host.draining:
            self._host.settled()

    def _read_on(self) -> None:
        host = self._host
        self.state = State.READING
        self._armed = Phase.IDLE
        options = host.options
        self.deadline = host.now + (
            options.drain_grace_s if host.draining else options.idle_timeout_s
        )
        if not self._serving and (self._reader.held_bytes or self._eof):
            self._loop.call_soon(self._advance)

    def _refuse(self, refused: RefusedError) -> None:
        self._host.count(refused.code)
        self._send_refusal(refused)
        self._hang_up(unread=True)

    def _send_refusal(self, refused: RefusedError) -> None:
        head_only = self._reader.method == b"HEAD"
        fields = self._host.date_line + _CLOSE
        self._transport.write(refusal_bytes(refused, fields, head_only=head_only))

    # The end.

    def _hang_up(self, *, at_once: bool = False, unread: bool = False) -> None:
        """Flush, send FIN, then read and drop until the client closes too.

        A close with unread bytes is a RST, which may eat the answer in the client's buffer (RFC
        9112, section 9.6). `at_once`: the close is what tells the client; `unread`: the client may
        still be sending. TLS transports cannot send FIN alone.
        """
        self.state = State.LINGERING
        self._reader.close()
        self._stalled_bytes = 0
        self.deadline = self._host.now + self._host.options.linger_timeout_s
        transport = self._transport
        if self._eof or (self._tls and (at_once or not unread)):
            transport.close()
            return
        if self._paused:
            self._paused = False
            transport.resume_reading()
        if not self._tls:
            transport.write_eof()

    def _drop(self, size: int) -> None:
        self._dropped += size
        if self._dropped > self._host.options.linger_bytes:
            self._transport.pause_reading()

    def hurry(self) -> None:
        """The server drains: an idle connection has the grace for one more request."""
        if self.state is State.READING and self._reader.phase is Phase.IDLE:
            grace_end = self._host.now + self._host.options.drain_grace_s
            self.deadline = min(self.deadline, grace_end)

    def kill(self) -> None:
        """End it now, whatever is going on."""
        self._transport.abort()

    # Deadlines.

    def expire(self, now: float) -> None:
        """The deadline has passed: see what it was for."""
        if self.state is State.READING:
            self._expire_reading(now)
        elif self._transport.get_write_buffer_size() > 0:
            self._expire_writing()
        else:
            self.kill()

    def check_peer(self) -> bool:
        """While nothing is read a reset goes unseen: ask the socket. False: no longer needed."""
        if self.state is State.CLOSED or not (self._paused or self._eof):
            return False
        if was_reset(self._transport):
            self.kill()
            return False
        return True

    def _expire_reading(self, now: float) -> None:
        options, reader = self._host.options, self._reader
        phase = reader.phase
        if phase is Phase.IDLE:
            self.state = State.CLOSED
            self._transport.close()
        elif phase is Phase.HEAD:
            self._refuse(RefusedError(408, "request_timeout", "The headers took too long."))
        else:
            # The time granted grows with what came: 30 s, plus 1 s for each KiB.
            earned = reader.body_bytes / options.min_rate_bytes_s
            credit = self._since + options.body_timeout_s + earned
            if now < credit:
                self.deadline = credit
            else:
                self._refuse(RefusedError(408, "request_timeout", "The body took too long."))

    def _expire_writing(self) -> None:
        options = self._host.options
        taken = self._stalled_bytes - unread_bytes(self._transport)
        unmeasured = self._stalled_bytes == 0
        if unmeasured or taken >= options.min_rate_bytes_s * options.write_timeout_s:
            self._arm_write()
        else:
            self._host.count("write_timeout")
            self.kill()

    def _arm_write(self) -> None:
        self._stalled_bytes = unread_bytes(self._transport)
        self.deadline = self._host.now + self._host.options.write_timeout_s
