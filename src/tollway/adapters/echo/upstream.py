"""The echo provider as an `Upstream`: answers a call in process, as its prompt directs.

Which faults and delays there are is decided in `directives.py`, what answers look like in
`answers.py`; here is only the order in which a sink sees them, and the time limits.
"""

import asyncio
from dataclasses import dataclass

from tollway.adapters.echo import answers
from tollway.adapters.echo.answers import CHAT, COMPLETION, EventWriter, Shape
from tollway.adapters.echo.asks import (
    AskError,
    TextAsk,
    read_chat,
    read_completion,
    read_embedding,
    read_moderation,
    read_ranking,
)
from tollway.adapters.echo.directives import DirectiveError, Script
from tollway.adapters.echo.flow import EchoFlow
from tollway.app.ports import Clock, Header, ResponseSink, UpstreamCall
from tollway.dialects.errors import error_body
from tollway.domain.failure import Cause, Failure, Phase

_EVENTS: list[Header] = [(b"content-type", b"text/event-stream; charset=utf-8")]
_LISTS = {
    "/moderations": (read_moderation, answers.moderation),
    "/rerank": (read_ranking, answers.ranking),
}
_BATCH_BYTES = 16 * 1024  # like one read of a socket


@dataclass(frozen=True, slots=True)
class EchoOptions:
    """Time limits in seconds where the provider's record sets none."""

    headers_timeout_s: float = 30.0
    first_token_timeout_s: float = 60.0
    idle_timeout_s: float = 60.0
    total_timeout_s: float = 1800.0


class EchoUpstream:
    """Implements `app.ports.Upstream` without a network."""

    def __init__(self, clock: Clock, options: EchoOptions | None = None) -> None:
        self._clock = clock
        self._options = options or EchoOptions()
        self._calls = 0

    async def call(self, call: UpstreamCall, sink: ResponseSink) -> Failure | None:
        """Answer. Fails as the script says, when the sink cancels, or when a limit is passed."""
        self._calls += 1
        answer = _Answer(call, sink, self._options, asyncio.get_running_loop().time())
        sink.attach(answer.flow)
        try:
            await self._answer(call, answer)
        except _EndedError as end:
            return end.failure
        finally:
            answer.flow.over = True
        return answer.flow.failure

    async def _answer(self, call: UpstreamCall, answer: "_Answer") -> None:
        try:
            await self._route(call, answer)
        except (AskError, DirectiveError) as error:
            answer.refuse(400, str(error), code="invalid_echo_request")

    async def _route(self, call: UpstreamCall, answer: "_Answer") -> None:
        if call.path == "/chat/completions":
            await self._text(answer, CHAT, read_chat(call.body))
        elif call.path == "/completions":
            await self._text(answer, COMPLETION, read_completion(call.body))
        elif call.path == "/embeddings":
            ask = read_embedding(call.body)
            if await answer.begin(ask.script):
                answer.whole(200, answers.embedding(ask))
        elif call.path in _LISTS:
            read, write = _LISTS[call.path]
            listed = read(call.body)
            if await answer.begin(listed.script):
                answer.whole(200, write(listed))
        elif call.path == "/models" and call.method == "GET":
            answer.whole(200, answers.model_list(self._created_s()))
        else:
            answer.refuse(404, f"The echo provider has no '{call.path}'.", code="not_found")

    async def _text(self, answer: "_Answer", shape: Shape, ask: TextAsk) -> None:
        script = ask.script
        thinking_ms = 0 if ask.stream else script.gap_ms * len(ask.words)
        if not await answer.begin(script, thinking_ms):
            return
        if ask.stream:
            writer = EventWriter(shape, ask, number=self._calls, created_s=self._created_s())
            await answer.stream(writer, script)
            return
        body = answers.whole(shape, ask, number=self._calls, created_s=self._created_s())
        await answer.whole_as(body, script)

    def _created_s(self) -> int:
        return self._clock.wall_ns() // 1_000_000_000


class _EndedError(Exception):
    """The call is over: the failure it ends with, if any."""

    def __init__(self, failure: Failure | None) -> None:
        super().__init__()
        self.failure = failure


class _Answer:
    """One answer on its way to its sink. Its methods raise `_EndedError` when the call is over."""

    __slots__ = ("_deadline", "_headed", "_limits", "_sink", "flow")

    def __init__(
        self, call: UpstreamCall, sink: ResponseSink, options: EchoOptions, now: float
    ) -> None:
        provider = call.provider
        self.flow = EchoFlow()
        self._sink = sink
        self._headed = False
        self._limits = (
            provider.headers_timeout_s or options.headers_timeout_s,
            provider.first_token_timeout_s or options.first_token_timeout_s,
            provider.idle_timeout_s or options.idle_timeout_s,
        )
        self._deadline = now + (provider.total_timeout_s or options.total_timeout_s)

    async def begin(self, script: Script, thinking_ms: int = 0) -> bool:
        """Wait as the script says. False: it asked for an error, which has been sent."""
        wait_ms = script.delay_ms + thinking_ms
        if wait_ms:
            await self._wait(wait_ms / 1000)
        self._check()
        if script.status is None:
            return True
        message = f"The prompt asked for status {script.status}."
        self.refuse(script.status, message, code="echo_status", retry_after=script.retry_after)
        return False

    async def stream(self, writer: EventWriter, script: Script) -> None:
        """Head and events; with no gap between tokens, many events go out as one piece."""
        self._head(200, _EVENTS)
        held, sent, gap_s = writer.opening(), 0, script.gap_ms / 1000
        stop = min(
            (n for n in (script.cut, script.stall, script.error_event) if n is not None), default=-1
        )
        for event in writer.tokens():
            if sent == stop:
                break
            if gap_s and sent:
                await self._wait(gap_s)
            held += event
            sent += 1
            if gap_s or len(held) >= _BATCH_BYTES:
                await self._data(held)
                held = b""
        if sent == stop:
            held += writer.error() if stop == script.error_event else b""
            await self._data(held)
            await self._break(script, stop)
            return
        await self._data(held + writer.closing())

    async def whole_as(self, body: bytes, script: Script) -> None:
        """A whole answer, or the first half of it where the script breaks it."""
        if script.cut is None and script.stall is None:
            self.whole(200, body)
            return
        self._head(200, _json_headers(body))
        await self._data(body[: len(body) // 2])
        await self._break(script, script.cut if script.cut is not None else script.stall)

    def whole(self, status: int, body: bytes, *, retry_after: int | None = None) -> None:
        """A whole answer at once."""
        headers = _json_headers(body)
        if retry_after is not None:
            headers.append((b"retry-after", b"%d" % retry_after))
        self._head(status, headers)
        self._check()
        self._sink.data(body)

    def refuse(
        self, status: int, message: str, *, code: str, retry_after: int | None = None
    ) -> None:
        """An error answer."""
        self.whole(
            status, error_body("openai", status, message, code=code), retry_after=retry_after
        )

    async def _break(self, script: Script, stop: int | None) -> None:
        if stop == script.cut:
            message = "The echo provider broke off, as the prompt asked."
            raise _EndedError(Failure(self._phase(), Cause.RESET, message))
        if stop == script.stall:
            await self._wait(float("inf"))

    def _head(self, status: int, headers: list[Header]) -> None:
        self._check()
        self._headed = True
        self._sink.head(status, headers)

    async def _data(self, data: bytes) -> None:
        flow = self.flow
        if flow.paused:
            await flow.readable(self._left())
            self._check_deadline()
        self._check()
        if data:
            self._sink.data(data)
            # A long answer without gaps must not keep the loop from everyone else.
            await asyncio.sleep(0)

    async def _wait(self, seconds: float) -> None:
        """Let time pass; raises when the limit of this phase or of the call passes first."""
        headers_s, first_token_s, idle_s = self._limits
        limit = headers_s if not self._headed else idle_s if self.flow.progressed else first_token_s
        allowed = min(limit, self._left())
        await self.flow.wait(min(seconds, allowed))
        self._check()
        if seconds > allowed:
            message = "The echo provider took too long."
            raise _EndedError(Failure(self._phase(), Cause.TIMEOUT, message))

    def _check(self) -> None:
        if self.flow.over:
            raise _EndedError(self.flow.failure)

    def _check_deadline(self) -> None:
        if not self.flow.over and self._left() <= 0:
            raise _EndedError(Failure(self._phase(), Cause.TIMEOUT, "The call took too long."))

    def _left(self) -> float:
        return self._deadline - asyncio.get_running_loop().time()

    def _phase(self) -> Phase:
        if not self._headed:
            return Phase.HEADERS
        return Phase.BODY if self.flow.progressed else Phase.FIRST_EVENT


def _json_headers(body: bytes) -> list[Header]:
    return [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
    ]
