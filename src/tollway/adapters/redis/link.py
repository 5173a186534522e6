"""One connection to the server: all calls of one turn of the loop leave in one write, answers come
in order, and nobody waits longer than the deadline. After a few failures only probes are sent.

What the calls mean is not known here. A call that failed may have been carried out all the same.
"""

import asyncio
import logging
import math
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import NoScriptError, RedisError

from tollway.adapters.redis.scripts import Script, Scripts

_log = logging.getLogger(__name__)
_CONNECT_TIMEOUT_S = 1.0
_STRIKES = 3
_PROBE_S = 0.1
_STUCK_S = 3.0  # of silence, although something was asked: another connection may do better
_BACKOFF_S = (0.05, 0.1, 0.2, 0.5, 1.0)
_LOOK_S = 0.001
Word = bytes | str | int
Reply = list[Any]


class LinkError(Exception):
    """No answer in time, or one that says the server cannot."""


class ServerFacts(NamedTuple):
    """What the server says of itself. `run_id` differs after every start."""

    run_id: str
    memory_policy: str


class _Call:
    __slots__ = ("deadline", "frame", "future", "script")

    def __init__(self, frame: bytes, future: asyncio.Future[Reply], script: Script | None) -> None:
        self.frame = frame
        self.future = future
        self.script = script
        self.deadline = 0.0


class Link:
    """`on_up` runs on every new connection before it is `ready`; what it raises of LinkError ends
    the connection. `on_ready` is called whenever calls can be made again."""

    def __init__(
        self,
        url: str,
        scripts: Scripts,
        *,
        on_up: Callable[[ServerFacts], Awaitable[None]],
        on_ready: Callable[[], None],
        deadline_s: float = 0.1,
    ) -> None:
        self._pool = ConnectionPool.from_url(
            url,
            protocol=2,
            retry=Retry(NoBackoff(), 0),
            socket_connect_timeout=_CONNECT_TIMEOUT_S,
            socket_timeout=None,
        )
        self._scripts = scripts
        self._on_up = on_up
        self._on_ready = on_ready
        self._deadline_s = deadline_s
        self._queued: list[_Call] = []
        self._sent: deque[_Call] = deque()
        self._waits: deque[_Call] = deque()
        self._wake = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._connected = False
        self._strikes = 0
        self._heard = 0.0
        self._said = ""  # the trouble that is in the log already
        self.ready = False

    def call(self, script: Script, keys: Sequence[Word], args: Sequence[Word]) -> "Answer":
        """One script; the future fails with LinkError."""
        words = (b"EVALSHA", script.sha, len(keys), *keys, *args)
        return self._ask(words, script)

    def command(self, *words: Word) -> "Answer":
        """A plain command."""
        return self._ask(words, None)

    async def run(self) -> None:
        """Forever: connect, serve, and connect again."""
        tries = 0
        while True:
            began = self._now()
            try:
                await self._serve()
            except (RedisError, OSError, LinkError, TimeoutError) as error:
                self._say(f"{type(error).__name__}: {error}")
            finally:
                self._disconnected()
            tries = 0 if self._now() - began > _BACKOFF_S[-1] else tries + 1
            await asyncio.sleep(_BACKOFF_S[min(tries, len(_BACKOFF_S) - 1)])

    def failed(self) -> None:
        """Something that a caller sees as a failure: count it."""
        self._strikes += 1
        if self._strikes >= _STRIKES and self.ready:
            self.ready = False
            self._say("the server does not answer in time")

    # One connection's life.

    async def _serve(self) -> None:
        connection: AbstractConnection = self._pool.connection_class(**self._pool.connection_kwargs)
        try:
            await asyncio.wait_for(connection.connect_check_health(), _CONNECT_TIMEOUT_S)
            self._connected, self._heard, self._strikes = True, self._now(), 0
            duties = [
                asyncio.create_task(duty)
                for duty in (self._write(connection), self._read(connection), self._watch())
            ]
            try:
                await asyncio.wait(duties, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for duty in duties:
                    duty.cancel()
                ended = await asyncio.gather(*duties, return_exceptions=True)
            for end in ended:
                if isinstance(end, Exception):
                    raise end
        finally:
            with suppress(RedisError, OSError):
                await connection.disconnect(nowait=True)

    async def _write(self, connection: AbstractConnection) -> None:
        """Whatever was asked in one turn of the loop, in one write."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            calls, self._queued = self._queued, []
            if calls:
                self._sent.extend(calls)
                frames = b"".join([call.frame for call in calls])
                await connection.send_packed_command(frames, check_health=False)

    async def _read(self, connection: AbstractConnection) -> None:
        """Answers, in the order of the calls."""
        while True:
            answer: Any
            try:
                answer = await connection.read_response(
                    timeout=math.inf, disconnect_on_error=False, disable_decoding=True
                )
            except NoScriptError as error:
                answer = error
            except RedisError as error:
                if isinstance(error, Disconnected):
                    raise
                answer = error
            self._heard = self._now()
            self._answer(self._sent.popleft(), answer)

    async def _watch(self) -> None:
        """Greet the server; then, while nothing else is sent, ask whether it is there again."""
        facts = await self._greet()
        await self._on_up(facts)
        self._open()
        while True:
            await asyncio.sleep(_PROBE_S)
            if self._sent and self._now() - self._heard > _STUCK_S:
                raise LinkError(f"no answer for {_STUCK_S:.0f} s")
            if not self.ready:
                with suppress(LinkError):
                    await self._ask((b"PING",), None)
                    self._open()

    async def _greet(self) -> ServerFacts:
        wanted = [self._ask((b"SCRIPT", b"LOAD", one.text), None) for one in self._scripts]
        wanted.append(self._ask((b"INFO",), None))
        answers = await asyncio.gather(*wanted)
        text = answers[-1]
        assert isinstance(text, bytes)
        pairs = [line.partition(":")[::2] for line in text.decode().splitlines()]
        info = dict(pairs)
        return ServerFacts(info.get("run_id", ""), info.get("maxmemory_policy", ""))

    def _open(self) -> None:
        self._strikes = 0
        if not self.ready:
            self.ready = True
            if self._said:
                _log.info("the counters answer again")
            self._said = ""
            self._on_ready()

    def _disconnected(self) -> None:
        self.ready = self._connected = False
        lost = [*self._sent, *self._queued]
        self._sent.clear()
        self._queued.clear()
        self._waits.clear()
        for call in lost:
            _fail(call, "the connection is gone")

    # One call's life.

    def _ask(self, words: Sequence[Word], script: Script | None) -> "Answer":
        future: Answer = asyncio.get_running_loop().create_future()
        call = _Call(packed(words), future, script)
        if self._connected:
            self._queue(call)
        else:
            _fail(call, "not connected")
        return future

    def _queue(self, call: _Call) -> None:
        call.deadline = self._now() + self._deadline_s
        self._queued.append(call)
        self._waits.append(call)
        self._wake.set()
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_at(call.deadline, self._due)

    def _answer(self, call: _Call, answer: Any) -> None:
        if isinstance(answer, NoScriptError) and call.script is not None and not call.future.done():
            script, call.script = call.script, None  # once
            self._ask((b"SCRIPT", b"LOAD", script.text), None).add_done_callback(_seen)
            self._queue(call)
        elif isinstance(answer, Exception):
            self.failed()
            self._say(f"{type(answer).__name__}: {answer}")
            _fail(call, str(answer))
        elif not call.future.done():
            self._strikes = 0
            call.future.set_result(answer)

    def _due(self) -> None:
        """The answer may lie in the socket: after a long turn of the loop timers can come first.
        So the loop looks there once more (a timer), and the reader gets its turn (two hops)."""
        loop = asyncio.get_running_loop()
        at = self._now()
        self._timer = loop.call_later(
            _LOOK_S, loop.call_soon, loop.call_soon, self._give_up, max(at, loop.time())
        )

    def _give_up(self, due: float) -> None:
        self._timer = None
        waits, late = self._waits, 0
        while waits and (waits[0].future.done() or waits[0].deadline <= due):
            call = waits.popleft()
            if not call.future.done():
                late += 1
                _fail(call, "no answer in time")
        if late:
            self.failed()
        if waits:
            self._timer = asyncio.get_running_loop().call_at(waits[0].deadline, self._due)

    def _say(self, trouble: str) -> None:
        if trouble != self._said:
            _log.warning("counters cannot be reached", extra={"error": trouble})
        self._said = trouble

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


Answer = asyncio.Future[Reply]


def packed(words: Sequence[Word]) -> bytes:
    """One command as it is sent."""
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        data = word if isinstance(word, bytes) else str(word).encode()
        parts.append(b"$%d\r\n%b\r\n" % (len(data), data))
    return b"".join(parts)


def _fail(call: _Call, why: str) -> None:
    if not call.future.done():
        call.future.set_exception(LinkError(why))
        # Not everyone who asks waits for the answer.
        call.future.exception()


def _seen(future: Answer) -> None:
    if not future.cancelled():
        future.exception()
