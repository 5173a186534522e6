"""Phase 8: provider bytes to client bytes. This file reads whole answers; `stream_relay.py` passes
events on as they come.

A relay is fed synchronously by the upstream adapter: no task switch stands between a provider's
read event and the client's write. A whole answer is sent only after its outcome was journalled.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

from tollway.app.gateway.account import Account
from tollway.app.gateway.exchange import Exchange
from tollway.app.gateway.kept import in_clients_words, naming
from tollway.app.gateway.recall import scope_of
from tollway.app.gateway.reserve import allowances
from tollway.app.gateway.runtime import Gateway
from tollway.app.ports import Flow, Header, UpstreamCall
from tollway.app.ports_answers import StoredAnswer
from tollway.dialects.allowances import allowance_headers
from tollway.dialects.ask import Heading
from tollway.dialects.carrier import Carrier
from tollway.dialects.faults import KEY_UNKNOWN, named_fault
from tollway.dialects.reply import read_error
from tollway.domain.access import Principal
from tollway.domain.brand import COMMAND
from tollway.domain.failure import Cause, Failure, Phase
from tollway.domain.hold import Hold
from tollway.domain.receipt import Intent
from tollway.domain.retry import retry_after_s
from tollway.domain.usage import Usage

# Provider headers a client may see; all others (cookies, our account's limits) stay here. The type
# is ours to say: a body is sent only once it was read as JSON or as events, whatever it was called.
PASSED_HEADERS = frozenset({b"openai-processing-ms", b"openai-version"})
_BODILESS = (204, 205)  # RFC 9110: with these there is none
_UNSAFE = re.compile(r"[^ !#-\[\]-~]")
_MOST_NAME = 64
_PLAIN = re.compile(rb"[ -~]{0,128}")
_MIB = 1024 * 1024
_JSON_TYPE: Header = (b"content-type", b"application/json")


def told(failure: Failure, flow: Flow | None) -> Failure:
    """A failure in the provider's words, without the credential the provider was called with."""
    if flow is None:
        return failure
    code = failure.code
    if code is not None and flow.redact(code) != code:
        code = None
    return replace(failure, message=flow.redact(failure.message), code=code)


def _warning(dropped: Sequence[str]) -> Header:
    """RFC 9111's predecessor had a code for it: 299, something that the client should look at."""
    # The names are the client's, and may hold what ends a text or a header.
    told = _UNSAFE.sub("?", ", ".join(name[:_MOST_NAME] for name in dropped))
    text = f'299 {COMMAND} "not known to the provider, left out: {told}"'
    return b"warning", text.encode("ascii")


class BufferedRelay:
    """The sink of one attempt whose answer is held, judged, journalled, then sent unchanged."""

    __slots__ = (
        "_carrier",
        "_client",
        "_content_bytes",
        "_exchange",
        "_flow",
        "_gateway",
        "_headers",
        "_kind",
        "_limit",
        "_pieces",
        "_size",
        "_stopped",
        "account",
        "answered",
        "call",
        "first_byte_ns",
        "hold",
        "input_usage",
        "intent",
        "status",
        "usage",
    )

    def __init__(
        self,
        gateway: Gateway,
        exchange: Exchange,
        intent: Intent,
        *,
        call: UpstreamCall,
        carrier: Carrier,
        hold: Hold | None,
    ) -> None:
        self._gateway = gateway
        self._exchange = exchange
        self.call = call
        self._carrier = carrier
        self._client = exchange.client
        self.intent = intent
        self.hold = hold  # the attempt's own
        self.account: Account | None = None  # to be told what it says of itself
        self._flow: Flow | None = None
        self._stopped: Failure | None = None
        self._pieces: list[bytes] = []
        self._size = 0
        self._content_bytes = 0
        options, large = gateway.options, exchange.inbound.endpoint.large
        self._limit = options.large_reply_bytes if large else options.reply_bytes
        self._headers: Sequence[Header] = ()
        self._kind: bytes | None = None  # None: JSON
        self.status = 0  # the provider's; 0 before its head
        self.usage: Usage | None = None
        self.input_usage: Usage | None = None  # of an answer that was cut
        self.answered = False  # the client has its answer, or as much of it as there will be
        self.first_byte_ns: int | None = None

    # The upstream adapter's side.

    def attach(self, flow: Flow) -> None:
        """The request is about to leave."""
        self._flow = flow
        self._gateway.journal.sent(self.intent.slot)
        self._client.watch(self._client_gone, flow.resume)
        if self._stopped is not None:
            flow.cancel(self._stopped)

    def head(self, status: int, headers: Sequence[Header]) -> None:
        """The provider's status and headers."""
        self.status = status
        self._headers = headers
        if self.account is not None:
            self.account.told(headers, self._gateway.clock)
        if not 200 <= status < 300:
            self._limit = self._gateway.options.error_bytes

    def data(self, data: bytes) -> None:
        """A piece of the body."""
        self._size += len(data)
        if self._size > self._limit:
            self.stop(self._too_large())
        else:
            self._pieces.append(data)

    # The exchange's side.

    @property
    def principal(self) -> Principal:
        """Whose call it is."""
        principal = self._exchange.principal
        assert principal is not None
        return principal

    @property
    def started_ns(self) -> int:
        """When the request was admitted."""
        return self.intent.started_ns

    @property
    def streams(self) -> bool:
        """Whether the answer goes out as it comes."""
        return self.intent.stream

    @property
    def provider_headers(self) -> Sequence[Header]:
        """All that came with the provider's status."""
        return self._headers

    def stop(self, failure: Failure) -> None:
        """End the upstream call with this failure, now or as soon as it begins."""
        self._stopped = failure
        if self._flow is not None:
            self._flow.cancel(failure)

    def end(self, failure: Failure | None) -> Failure | None:
        """The call has ended: judge what came. Returns what is wrong with the attempt, if so."""
        flow, self._flow = self._flow, None  # it holds us: a cycle would wait for the collector
        if failure is not None:
            return failure
        body, status = b"".join(self._pieces), self.status
        if not 200 <= status < 300:
            reply = read_error(body)
            message = reply.message or f"The provider answered with status {status}."
            retry_s = retry_after_s(self._headers, self._gateway.clock.wall_ns() / 1_000_000_000)
            code = reply.code or named_fault(self._headers)
            if code == KEY_UNKNOWN:
                status = 401  # about our credential, not the request
            failure = Failure(Phase.FIRST_EVENT, Cause.STATUS, message, status, retry_s, code)
            return in_clients_words(self._exchange, told(failure, flow))
        reply = self._carrier.read_reply(body, self._heading())
        if not reply.valid:
            return self._protocol_failure("The provider's answer is not the JSON it should be.")
        self.usage = reply.usage
        self._content_bytes = reply.content_bytes
        self._kind = reply.kind
        if reply.body is not None:
            self._pieces = [reply.body]
        return None

    def deliver(self) -> None:
        """The outcome of a good answer is journalled: send it."""
        if not self.answered:
            self.answered = True
            body = b"".join(self._pieces)
            kind, cache = self._kind, self._gateway.cache
            status = 200 if body and self.status in _BODILESS else self.status
            if self._exchange.claim is not None:  # what is kept is JSON when it is told again
                self._exchange.claim.keep(StoredAnswer(status, None if kind else body))
            named = _JSON_TYPE if kind is None else (b"content-type", kind)
            self._client.respond(status, [named, *self.answer_headers()], body)
            if cache.enabled and kind is None and self._exchange.ask.keeping is None:
                cache.store(scope_of(self._exchange), self._exchange.inbound.body, body)

    def produced(self) -> tuple[int, int]:
        """Content events and content bytes for the client, where usage must be estimated."""
        return 0, self._content_bytes

    def counted(self) -> tuple[int, int]:
        """Those of them that `usage` counts."""
        return self.produced()

    def answer_headers(self) -> list[Header]:
        """The answer's head as the client may see it, but for the type."""
        headers = [
            (b"x-request-id", self.intent.request_id.encode()),
            (b"x-tollway-provider", self.call.provider.name.encode("ascii", "replace")),
        ]
        headers += [
            header
            for header in self._headers
            if header[0] in PASSED_HEADERS and _PLAIN.fullmatch(header[1])
        ]
        if self._exchange.earlier is not None:
            name = self._exchange.model.name.encode("ascii", "replace")
            headers.append((b"x-tollway-model", name))
        if self._exchange.dropped:
            headers.append(_warning(self._exchange.dropped))
        if self._exchange.hold is not None:
            headers += allowance_headers(allowances(self._gateway, self._exchange.hold))
        return headers

    def _heading(self) -> Heading:
        ask, intent = self._exchange.ask, self.intent
        created_s = intent.started_ns // 1_000_000_000
        named = asked = None
        if ask.keeping is not None:
            named, asked = naming(self._gateway, self._exchange, intent), ask.keeping.previous
        return Heading(
            ask.model, intent.request_id, created_s, ask.wants_usage, ask.fields, named, asked
        )

    def _too_large(self) -> Failure:
        most = f"{self._limit // _MIB} MiB" if self._limit >= _MIB else f"{self._limit} bytes"
        return self._protocol_failure(
            f"The provider's answer is larger than {most}, which is the most that is held here."
        )

    def _protocol_failure(self, message: str) -> Failure:
        return Failure(Phase.FIRST_EVENT, Cause.PROTOCOL, message)

    def _client_gone(self) -> None:
        phase = Phase.FIRST_EVENT if self.status else Phase.HEADERS
        self.stop(Failure(phase, Cause.CLIENT_GONE, "The client left."))
