"""Phase 8 for streams: complete events pass on with their bytes unchanged, at most 64 KiB waiting.

Nothing is sent before the first valid event: until then the client can still get a real status and
another target may be asked. After it, a stream ends in exactly one of two ways: complete, or one
error event, no `[DONE]`, close. The progress file is ahead of the client at every instant, so what
a kill leaves behind bills at least what was delivered.
"""

from collections.abc import Sequence

from tollway.app.gateway.exchange import Exchange
from tollway.app.gateway.extending import HeldOutput, held_output
from tollway.app.gateway.health import note_beginning
from tollway.app.gateway.kept import in_clients_words
from tollway.app.gateway.relay import BufferedRelay, told
from tollway.app.gateway.runtime import Gateway
from tollway.app.ports import Flow, Header, UpstreamCall
from tollway.app.ports_answers import StoredAnswer
from tollway.dialects.carrier import JSON_LINES, Carrier
from tollway.dialects.errors import error_event
from tollway.dialects.reading import EventReader
from tollway.domain.failure import Cause, Failure, Phase, client_code, client_status
from tollway.domain.hold import Hold
from tollway.domain.receipt import Intent

_STREAM_HEADERS: list[Header] = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]
_LINES_HEADERS: list[Header] = [(b"content-type", JSON_LINES), *_STREAM_HEADERS[1:]]


class StreamRelay(BufferedRelay):
    """The sink of one streamed attempt. An answer that is no event stream is read whole."""

    __slots__ = ("_events", "_held", "_read", "_reader", "_streaming")
    wanted = "an event stream"

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
        self._reader = carrier.stream_reader(self._heading())
        self._streaming = False
        self._events = 0
        self._read = 0
        self._held: HeldOutput | None = None

    def attach(self, flow: Flow) -> None:
        """The request is about to leave."""
        intent = self.intent
        self._held = held_output(
            self._gateway,
            self._exchange,
            self.hold,
            provider_id=intent.provider_id,
            target=intent.target_model,
        )
        super().attach(flow)

    def head(self, status: int, headers: Sequence[Header]) -> None:
        """A 200 with an event stream is passed on as it comes; anything else is read whole."""
        super().head(status, headers)
        if status == 200:
            expected = self._carrier.stream_type
            for name, value in headers:
                if name == b"content-type":
                    self._streaming = value[: len(expected)].lower() == expected

    def data(self, data: bytes) -> None:
        """Everything one read event brought: at most one write to the client."""
        if not self._streaming:
            super().data(data)
            return
        if self._reader.done:
            return
        reader, flow, client = self._reader, self._flow, self._client
        assert flow is not None
        passed = reader.feed(data)
        outgrown = self._advance(reader) if reader.events != self._events else None
        if reader.read != self._read:
            self._read = reader.read
            flow.progress()
        if passed:
            if not self.answered:
                self._begin()
            client.write(passed)
        if reader.done:
            client.finish()
            flow.satisfied()
        elif reader.error is not None or reader.overflow:
            self.stop(self._stream_failure())
        elif outgrown is not None:
            self.stop(outgrown)
        elif client.congested:
            flow.pause()

    def end(self, failure: Failure | None) -> Failure | None:
        """Judge the stream and give the client its ending, if it has had a beginning."""
        if not self._streaming:
            if failure is None and 200 <= self.status < 300 and not self._carrier.whole_too:
                self._flow = None
                return self._protocol_failure(f"The provider did not answer with {self.wanted}.")
            return super().end(failure)
        reader = self._reader
        was_done = reader.done
        if failure is None and not was_done:
            failure = self._judge_tail()
        self._flow = None
        self.usage, self.input_usage = reader.usage, reader.input_usage
        if was_done:
            return None
        if not self.answered:
            return failure or self._protocol_failure("The provider's stream held no event.")
        if failure is None:
            self._client.finish()
            return None
        if failure.cause is not Cause.CLIENT_GONE:
            self._break_off(failure)
        return failure

    def _advance(self, reader: EventReader) -> Failure | None:
        """Content came: into the progress file before it goes out, and into what is held. Why the
        answer must end here, if it must."""
        events, content_bytes = reader.events, reader.content_bytes
        self._events = events
        self._gateway.journal.progress(self.intent.slot, events, content_bytes)
        held = self._held
        if held is None or (events <= held.events and content_bytes <= held.bytes):
            return None
        return held.grow(events, content_bytes)

    def produced(self) -> tuple[int, int]:
        """Content events and content bytes read so far: all of it was given to the client."""
        if not self._streaming:
            return super().produced()
        return self._reader.events, self._reader.content_bytes

    def counted(self) -> tuple[int, int]:
        """Those that the provider had counted when it told its usage."""
        return self._reader.counted if self._streaming else super().counted()

    def _begin(self) -> None:
        self.answered = True
        if self._exchange.claim is not None:
            self._exchange.claim.keep(StoredAnswer(200, None))
        self._began()
        self._client.start(200, self._stream_headers() + self.answer_headers())

    def _began(self) -> None:
        """The answer is there: whoever waits to know may know."""
        if self._exchange.retries is not None:
            self._exchange.answering()
        if self._gateway.health:
            note_beginning(self._gateway, self.call.provider.id, self.intent.target_model)
        self.first_byte_ns = self._gateway.clock.wall_ns()

    def _stream_headers(self) -> list[Header]:
        lines = self._exchange.inbound.endpoint.stream_type is JSON_LINES
        return _LINES_HEADERS if lines else _STREAM_HEADERS

    def _break_off(self, failure: Failure) -> None:
        """The client has a part of the answer, and there will be no more."""
        shape = self._exchange.inbound.endpoint.shape
        status, code = client_status(failure), client_code(failure)
        self._client.write(error_event(shape, status, failure.message, code=code))
        self._client.abort()

    def _judge_tail(self) -> Failure | None:
        """The body is complete without `[DONE]`: was that the end, or was it cut?"""
        passed = self._reader.end()
        if passed:
            if not self.answered:
                self._begin()
            self._client.write(passed)
        if self._reader.error is not None or self._reader.overflow:
            return self._stream_failure()
        if self._reader.finished:
            return None
        phase = Phase.BODY if self.answered else Phase.FIRST_EVENT
        return Failure(phase, Cause.RESET, "The provider ended its stream before it was complete.")

    def _stream_failure(self) -> Failure:
        phase = Phase.BODY if self.answered else Phase.FIRST_EVENT
        error = self._reader.error
        if error is None:
            return Failure(phase, Cause.PROTOCOL, "The provider sent an event that is too large.")
        failure = Failure(phase, Cause.STREAM_ERROR, error.message, error.status, None, error.code)
        return in_clients_words(self._exchange, told(failure, self._flow))

    def _client_gone(self) -> None:
        if self._reader.done:
            return  # it has everything; let the provider's connection finish cleanly
        phase = Phase.BODY if self.answered else Phase.FIRST_EVENT
        self.stop(Failure(phase, Cause.CLIENT_GONE, "The client left."))
