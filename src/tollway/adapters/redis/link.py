"""One connection to the server: all calls of one turn of the loop leave in one write, answers come
in order, and nobody waits longer than the deadline. After a few failures only probes are sent. What
nobody waits for leaves with the next call, or after a moment.

What the calls mean is not known here. A call that failed may have been carried out all the same.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, Protocol

import hiredis
from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from tollway.adapters.redis.scripts import Script, Scripts

_log = logging.getLogger(__name__)
_CONNECT_TIMEOUT_S = 1.0
STRIKES = 3
_PROBE_S = 0.1
_STUCK_S = 3.0  # of silence, although something was asked: another connection may do better
_BACKOFF_S = (0.05, 0.1, 0.2, 0.5, 1.0)
_LOOK_S = 0.001
_LAZY_S = 0.002
Word = bytes | str | int
Reply = list[Any]


class LinkError(Exception):
    """No answer in time, or one that says the server cannot."""


class RefusedError(Exception):
    """What the server answers with an error."""


class ServerFacts(NamedTuple):
    """What the server says of itself. `run_id` differs after every start."""

    run_id: str
    memory_policy: str
    history: str = ""  # of its data: another one after a failover


class Way(Protocol):
    """To one server, or to several that are one."""

    @property
    def ready(self) -> bool:
        """Whether calls can be made."""
        ...

    def call(
        self, script: Script, keys: Sequence[Word], args: Sequence[Word], *, lazy: bool = False
    ) -> "Answer":
        """One script; the future fails with LinkError. `lazy`: nobody waits for it."""
        ...

    def command(self, *words: Word) -> "Answer":
        """A plain command; its first key is the second word."""
        ...

    async def run(self) -> None:
        """Forever: connect, serve, and connect again."""
        ...


class Call:
    """What was asked, until it is answered or late."""

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
        self._queued: list[Call] = []
        self._sent: deque[Call] = deque()
        self._waits: deque[Call] = deque()
        self._transport: asyncio.WriteTransport | None = None
        self._flushing = self._lazy = False
        self._timer: asyncio.TimerHandle | None = None
        self._strikes = 0
        self._heard = 0.0
        self._said = ""  # the trouble that is in the log already
        self.ready = False

    def call(
        self, script: Script, keys: Sequence[Word], args: Sequence[Word], *, lazy: bool = False
    ) -> "Answer":
        """One script; the future fails with LinkError. `lazy`: nobody waits for it."""
        words = (b"EVALSHA", script.sha, len(keys), *keys, *args)
        return self._ask(words, script, lazy=lazy)

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
        if self._strikes >= STRIKES and self.ready:
            self.ready = False
            self._say("the server does not answer in time")

    # One connection's life.

    async def _serve(self) -> None:
        connection: AbstractConnection = self._pool.connection_class(**self._pool.connection_kwargs)
        try:
            await asyncio.wait_for(connection.connect_check_health(), _CONNECT_TIMEOUT_S)
            self._heard, self._strikes = self._now(), 0
            wire = _Wire(self._hear)
            # The driver has connected and said who we are. From here on its reading in Python would
            # cost more than all else: we take the connection over.
            writer = connection._writer
            assert writer is not None, "it is connected"
            self._transport = writer.transport
            self._transport.set_protocol(wire)
            watch = asyncio.create_task(self._watch())
            try:
                await asyncio.wait({watch, wire.ended}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                watch.cancel()
                (end,) = await asyncio.gather(watch, return_exceptions=True)
            if wire.ended.done():
                wire.ended.result()
            if isinstance(end, Exception):
                raise end
        finally:
            self._transport = None
            with suppress(RedisError, OSError):
                await connection.disconnect(nowait=True)

    def _flush(self) -> None:
        """Whatever was asked in one turn of the loop, in one write."""
        self._flushing = False
        transport = self._transport
        # One that is closing takes nothing any more, and who waits is told when it has closed.
        if self._queued and transport is not None and not transport.is_closing():
            calls, self._queued = self._queued, []
            self._sent.extend(calls)
            transport.write(b"".join([call.frame for call in calls]))

    def _flush_late(self) -> None:
        self._lazy = False
        self._flush()

    def _hear(self, answer: Any) -> None:
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
                    await self._probe()
                    self._open()

    async def _probe(self) -> None:
        """Whether it answers. Raises LinkError."""
        await self._ask((b"PING",), None)

    async def _greet(self) -> ServerFacts:
        wanted = [self._ask((b"SCRIPT", b"LOAD", one.text), None) for one in self._scripts]
        wanted.append(self._ask((b"INFO",), None))
        answers = await asyncio.gather(*wanted)
        text = answers[-1]
        assert isinstance(text, bytes)
        pairs = [line.partition(":")[::2] for line in text.decode().splitlines()]
        info = dict(pairs)
        return ServerFacts(
            info.get("run_id", ""), info.get("maxmemory_policy", ""), info.get("master_replid", "")
        )

    def _open(self) -> None:
        self._strikes = 0
        if not self.ready:
            self.ready = True
            if self._said:
                _log.info("the counters answer again")
            self._said = ""
            self._on_ready()

    def _disconnected(self) -> None:
        self.ready = False
        lost = [*self._sent, *self._queued]
        self._sent.clear()
        self._queued.clear()
        self._waits.clear()
        for call in lost:
            fail(call, "the connection is gone")

    # One call's life.

    def _ask(
        self, words: tuple[Word, ...], script: Script | None, *, lazy: bool = False
    ) -> "Answer":
        future: Answer = asyncio.get_running_loop().create_future()
        call = Call(packed(words), future, script)
        if self._transport is not None:
            self._queue(call, lazy=lazy)
        else:
            fail(call, "not connected")
        return future

    def _queue(self, call: Call, *, lazy: bool = False) -> None:
        loop = asyncio.get_running_loop()
        call.deadline = loop.time() + self._deadline_s
        self._queued.append(call)
        self._waits.append(call)
        if lazy:
            if not self._lazy and not self._flushing:
                self._lazy = True
                loop.call_later(_LAZY_S, self._flush_late)
        elif not self._flushing:
            self._flushing = True
            loop.call_soon(self._flush)
        if self._timer is None:
            self._timer = loop.call_at(call.deadline, self._due)

    def _answer(self, call: Call, answer: Any) -> None:
        missing = isinstance(answer, RefusedError) and str(answer).startswith("NOSCRIPT")
        if missing and call.script is not None and not call.future.done():
            script, call.script = call.script, None  # once
            self._ask((b"SCRIPT", b"LOAD", script.text), None).add_done_callback(_seen)
            self._queue(call)
        elif isinstance(answer, Exception):
            self._refused(call, answer)
        elif not call.future.done():
            self._strikes = 0
            call.future.set_result(answer)

    def _refused(self, call: Call, error: Exception) -> None:
        self.failed()
        self._say(f"{type(error).__name__}: {error}")
        fail(call, str(error))

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
                fail(call, "no answer in time")
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


# Its stub says that a command is one word.
packed: Callable[[tuple[Word, ...]], bytes] = hiredis.pack_command  # type: ignore[assignment]  # see above


class _Wire(asyncio.Protocol):
    """Answers, in the order of the calls. `ended` fails when the connection does."""

    def __init__(self, hear: Callable[[Any], None]) -> None:
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._hear = hear
        self._reader = hiredis.Reader(replyError=RefusedError)

    def data_received(self, data: bytes) -> None:
        try:
            self._reader.feed(data)
            while (answer := self._reader.gets()) is not False:
                self._hear(answer)
        except (hiredis.ProtocolError, IndexError) as error:
            self._end(ConnectionError(f"the server sent what was not asked for: {error}"))

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(exc or ConnectionResetError("the server closed the connection"))

    def _end(self, error: Exception) -> None:
        if not self.ended.done():
            self.ended.set_exception(error)
            self.ended.exception()


def fail(call: Call, why: str) -> None:
    """Whoever waits for it is told."""
    if not call.future.done():
        call.future.set_exception(LinkError(why))
        # Not everyone who asks waits for the answer.
        call.future.exception()


def _seen(future: Answer) -> None:
    if not future.cancelled():
        future.exception()
