"""Phase 8 for what is made in the background: a stream whose client may leave. It is read to its
end all the same, or asked for until it is done, and settled once, with what it has used.

The provider is asked for a stream, however the client wants it: a client that wants no stream gets
its first event as a whole answer. From then on the provider goes on by itself, so it is on record
(`ports_background`), and whoever ends it here has to tell the provider.
"""

import asyncio
from collections.abc import Callable, Sequence

from tollway.app.gateway.background import GONE, LATE, Asking
from tollway.app.gateway.exchange import Exchange
from tollway.app.gateway.relay import told
from tollway.app.gateway.runtime import Gateway
from tollway.app.gateway.stream_relay import StreamRelay
from tollway.app.ports import Client, Header, UpstreamCall
from tollway.app.ports_answers import StoredAnswer
from tollway.app.ports_background import Note, Pending
from tollway.dialects.background import Made, read_made
from tollway.dialects.carrier import Carrier
from tollway.dialects.kept import KeptResponsesReader, renamed
from tollway.domain.failure import Cause, Failure, Phase
from tollway.domain.hold import Hold
from tollway.domain.receipt import Intent

_NS = 1_000_000_000
_JSON: Header = (b"content-type", b"application/json")
# Why it ends here although the provider would go on; all other failures are of the way to it.
_STOPS = frozenset({Cause.DRAINED, Cause.QUOTA, Cause.REVOKED, Cause.TIMEOUT})


class Nobody:
    """A `Client` that has left and minds nothing."""

    gone = False
    congested = False

    def watch(self, on_gone: Callable[[], None], on_writable: Callable[[], None]) -> None:
        """Nothing happens to it."""

    def respond(self, status: int, headers: Sequence[Header], body: bytes) -> None:
        """Unheard."""

    def start(self, status: int, headers: Sequence[Header]) -> None:
        """Unheard."""

    def write(self, data: bytes) -> None:
        """Unheard."""

    def finish(self) -> None:
        """Unheard."""

    def abort(self) -> None:
        """Unheard."""


class BackgroundRelay(StreamRelay):
    """The sink of one attempt at an answer in the background."""

    __slots__ = ("_asker", "_asking", "_at_once", "_known", "_made", "_note", "_timer")

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
        super().__init__(gateway, exchange, intent, call=call, carrier=carrier, hold=hold)
        keeping = exchange.ask.keeping
        self._at_once = keeping is not None and keeping.at_once
        self._asker: Client = self._client
        if self._at_once:
            self._client = Nobody()  # it has its answer before it could be in the way of the rest
        self._made: Made | None = None  # how it ended, where the stream has not told
        self._known = False  # that it ended, and how
        self._note: Note | None = None
        self._asking: Asking | None = None
        self._timer: asyncio.TimerHandle | None = None
        gateway.background[intent.request_id] = intent.tenant_id

    def stop(self, failure: Failure) -> None:
        """End what runs here. What the provider is told then is `follow`'s, and is not cut short
        by another reason to end it, but by our leaving."""
        ends = self._stopped is not None and self._stopped.cause in _STOPS
        if ends and failure.cause is not Cause.DRAINED:
            return
        super().stop(failure)
        if self._asking is not None and failure.cause in _STOPS:
            self._asking.stop(failure)

    async def follow(self, failure: Failure | None) -> Failure | None:
        """The call is over: see the answer to its end. What is wrong with it, if so."""
        if self._streaming:
            if failure is None and not self._reader.done:
                failure = self._judge_tail()
        elif failure is None and 200 <= self.status < 300:
            failure = self._judge_whole()
        if self._reader.done or self._made is not None:
            self._known = True
            return failure
        if self._note is None:
            return failure
        self._let_go(failure)
        return await self._ask_on(failure)

    def over(self) -> None:
        """It is settled. What nobody knows the end of is left to whoever comes next."""
        self._gateway.background.pop(self.intent.request_id, None)
        if self._timer is not None:
            self._timer.cancel()
        if self._note is None:
            return
        if self._known:
            self._note.drop()
        else:
            self._note.leave()

    def end(self, failure: Failure | None) -> Failure | None:
        """What the stream did not tell is known from elsewhere."""
        made = self._made
        if made is None:
            return super().end(failure)
        self._flow = None
        self.usage = made.usage
        return failure

    def deliver(self) -> None:
        """What was made at once goes out after its outcome was journalled."""
        if not self.answered:
            self._answer(b"".join(self._pieces))

    def counted(self) -> tuple[int, int]:
        """What is asked for when all is done counts all of it."""
        return super().counted() if self._made is None else self.produced()

    # Inside.

    def _begin(self) -> None:
        """The first event: from now on the provider makes the answer, whoever is there."""
        first = self._reader.first if isinstance(self._reader, KeptResponsesReader) else None
        made = None if first is None else read_made(first[0])
        if first is not None and made is not None:
            self._goes_on(made)
        if not self._at_once:
            super()._begin()
        elif first is not None:
            self._answer(first[1])
            self._began()

    def _goes_on(self, made: Made) -> None:
        gateway, intent = self._gateway, self.intent
        # A kill bills its input from here on, whether or not any content has come.
        gateway.journal.progress(intent.slot, self._events, self._reader.content_bytes)
        until_s = intent.started_ns / _NS + gateway.options.background_timeout_s
        self._note = gateway.notes.make(
            Pending(
                intent.request_id,
                intent.attempt,
                intent.provider_id,
                intent.credential_id,
                made.name,
                until_s,
            )
        )
        left_s = max(0.0, until_s - gateway.clock.wall_ns() / _NS)
        self._timer = asyncio.get_running_loop().call_later(left_s, self.stop, LATE)
        call = self.call
        self._asking = Asking(gateway, call.provider, call.credential, made.name)

    def _answer(self, body: bytes) -> None:
        """The one answer of a client that wants no stream."""
        self.answered = True
        if self._exchange.claim is not None:
            self._exchange.claim.keep(StoredAnswer(200, body))
        self._asker.respond(200, [_JSON, *self.answer_headers()], body)

    def _judge_whole(self) -> Failure | None:
        """The provider did not stream: it made all of it at once, or says that it will."""
        body = b"".join(self._pieces)
        made = read_made(body)
        naming = self._heading().naming
        if made is None or naming is None:
            return None  # which `end` says
        self._pieces = [renamed(body, naming)]
        if made.final:
            self._made = made
            self._content_bytes = self._carrier.read_reply(body, self._heading()).content_bytes
        else:
            self._goes_on(made)
            self._answer(self._pieces[0])
            self._began()
        return None

    def _let_go(self, failure: Failure | None) -> None:
        """A client that reads along has as much as it will get here."""
        if self._streaming and failure is not None:
            self._break_off(failure)
        self._client = Nobody()

    async def _ask_on(self, failure: Failure | None) -> Failure | None:
        """The stream ended early, or never was: ask until the answer is made."""
        asking = self._asking
        assert asking is not None, "what is noted can be asked for"
        made = None
        if self._stopped is None or self._stopped.cause not in _STOPS:
            self._stopped = None
            made = await asking.until_final()
        if made is None and self._stopped is not None:
            failure = self._stopped
            if failure.cause is not Cause.DRAINED:
                made = await asking.cancelled()
        elif made is None:
            failure = GONE
        else:
            failure = self._failure_of(made)
        if made is not None and made.final:
            self._made = made
        self._known = self._made is not None or asking.is_gone
        return failure

    def _failure_of(self, made: Made) -> Failure | None:
        if made.failed is None:
            return None
        return told(Failure(Phase.BODY, Cause.STREAM_ERROR, made.failed), self._flow)

    def _client_gone(self) -> None:
        """The answer is made all the same."""
        self._client = Nobody()
        if self._flow is not None:
            self._flow.resume()
