"""Providers that fall silent and come back, on virtual time, behind the real pipeline."""

import asyncio
from collections import Counter
from dataclasses import replace
from random import Random
from unittest.mock import Mock

from tests.fakes.pipeline import KEY, FakeClient, make_bench, reply
from tests.simulation.loop import VirtualLoop, run
from tollway.app.gateway.exchange import Inbound
from tollway.app.gateway.serve import serve
from tollway.dialects.registry import ENDPOINTS
from tollway.domain.failure import Cause, Failure, Phase

CHAT = ENDPOINTS[b"/v1/chat/completions"]
BODY = b'{"model": "m", "messages": [{"role": "user", "content": "hi"}]}'
LATE = Failure(Phase.HEADERS, Cause.TIMEOUT, "It says nothing.")


class LoopClock:
    """The loop's time as both of ours."""

    def __init__(self, loop):
        self._loop = loop

    def wall_ns(self):
        return 1_795_000_000_000_000_000 + int(self._loop.time() * 1e9)

    def monotonic(self):
        return self._loop.time()


class Providers:
    """An upstream: who is `silent` hears all and says nothing, the others answer after `takes_s`.
    `lists`: what asking for something free comes to, by provider; by itself what asking does."""

    def __init__(self, *, takes_s=0.1, timeout_s=1.0):
        self.takes_s, self.timeout_s = takes_s, timeout_s
        self.silent, self.lists = set(), {}
        self.asked, self.listed = [], []  # (when, who)

    async def call(self, call, sink):
        loop, name = asyncio.get_running_loop(), call.provider.name
        free = not call.path.endswith("completions")
        (self.listed if free else self.asked).append((loop.time(), name))
        ended = loop.create_future()
        sink.attach(Mock(cancel=ended.set_result))
        silent = name in self.silent
        status = self.lists.get(name, 0 if silent else 200) if free else 200
        if not status or (silent and not free):
            await asyncio.wait((ended,), timeout=self.timeout_s)
            return ended.result() if ended.done() else LATE
        await asyncio.wait((ended,), timeout=self.takes_s)
        if ended.done():
            return ended.result()
        sink.head(status, [(b"content-type", b"application/json")])
        sink.data(b'{"data": []}' if free else reply())
        return None


class Outage:
    """A gateway before such providers, and what came of the requests that were sent to it."""

    def __init__(self, config, **providers):
        self.loop = asyncio.get_running_loop()
        self.upstream = Providers(**providers)
        self.gateway = replace(
            make_bench(config=config).gateway, clock=LoopClock(self.loop), draw=Random(1).random
        )
        self.gateway.upstreams.update(dict.fromkeys(self.gateway.upstreams, self.upstream))
        self.ended = []  # (began_s, took_s, verdict)
        self._tasks = set()

    async def load(self, rate, seconds, *, key=KEY):
        """Requests at a steady rate; returns when the last was sent."""
        for _ in range(int(rate * seconds)):
            task = asyncio.ensure_future(self.one(key))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            await asyncio.sleep(1 / rate)

    async def one(self, key=KEY):
        """One request; its verdict."""
        headers = [(b"authorization", b"Bearer " + key.encode())]
        began_s = self.loop.time()
        _, verdict = await serve(
            self.gateway, Inbound(CHAT, headers, BODY, "127.0.0.1"), FakeClient()
        )
        self.ended.append((began_s, self.loop.time() - began_s, verdict))
        return verdict

    async def rest(self):
        """Until all are answered."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def verdicts(self, since_s=0.0):
        """How many requests that began since then ended how: by the class of the verdict."""
        return Counter(
            type(verdict).__name__ for began_s, _, verdict in self.ended if began_s >= since_s
        )


def play(scenario):
    """Run it on virtual time."""
    run(scenario(), VirtualLoop(0.0))
