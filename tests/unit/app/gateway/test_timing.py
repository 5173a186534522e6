"""The strategy `least_latency` through the pipeline."""

from collections import Counter
from dataclasses import replace

from tests.fakes.pipeline import (
    CHAT,
    KEY_ID,
    REFUSED,
    FakeClient,
    Script,
    chunk,
    make_bench,
    snapshot,
    streamed,
    whole,
)
from tollway.app.gateway.explain import Asked, explain
from tollway.domain.model import Strategy

BODY = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
STREAM = {**BODY, "stream": True}
PIECES = (chunk("hello"), chunk(finish="stop"), chunk(usage=(5, 2), choices=[]))


def config(*names):
    found = snapshot(names)
    model = replace(found.models[None, "m"], strategy=Strategy.LEAST_LATENCY)
    return replace(found, models={(None, "m"): model})


class Slow:
    """An upstream each of whose targets takes a time of its own, in seconds."""

    def __init__(self, made, **takes_s):
        self.made, self.takes_s, self.inner = made, takes_s, made.upstream
        self.asked = Counter()

    async def call(self, call, sink):
        name = call.provider.name
        self.asked[name] += 1
        self.made.clock.now_ns += int(self.takes_s[name] * 1e9)
        self.inner.scripts.append(streamed(*PIECES) if call.stream else whole())
        return await self.inner.call(call, sink)


def slow(made, **takes_s):
    upstream = Slow(made, **takes_s)
    for kind in made.gateway.upstreams:
        made.gateway.upstreams[kind] = upstream
    return upstream


async def test_the_faster_one_gets_nearly_all():
    """The slow one is asked again now and then."""
    made = make_bench(config=config("one", "two"))
    upstream = slow(made, one=2.0, two=0.2)
    for _ in range(100):
        assert (await made.ask(BODY))[1] is None
    assert upstream.asked["two"] >= 90
    assert upstream.asked["one"] >= 1


async def test_streams_and_whole_answers_are_apart():
    """The time to the first byte says nothing of the time to the end."""
    made = make_bench(config=config("one", "two"))
    upstream = slow(made, one=2.0, two=0.2)
    for _ in range(20):
        assert (await made.ask(STREAM))[1] is None
    assert upstream.asked["two"] >= 17
    assert {place[2] for place in made.gateway.latencies} == {True}
    await made.ask(BODY)
    assert {place[2] for place in made.gateway.latencies} == {True, False}


async def test_who_fails_is_asked_less():
    """Though it fails at once."""
    down = Script(failure=REFUSED)
    made = make_bench(down, *[whole() for _ in range(6)], config=config("one", "two"))
    for _ in range(6):
        assert (await made.ask(BODY))[1] is None
    names = [call.provider.name for call in made.upstream.calls]
    assert names == ["one", *["two"] * 6]


async def test_a_client_that_left_says_nothing():
    """Nobody knows how long the target would have taken."""
    client = FakeClient()
    leaving = Script(pieces=[client.leave])
    made = make_bench(leaving, config=config("one"))
    await made.ask(BODY, client=client)
    (known,) = made.gateway.latencies.values()
    assert known.load(made.clock.now_ns / 1e9) == 0.0


async def test_explain_shows_the_order():
    """Without a turn being taken."""
    made = make_bench(config=config("one", "two"))
    upstream = slow(made, one=2.0, two=0.2)
    for _ in range(4):
        await made.ask(BODY)
    found = await explain(made.gateway, Asked(KEY_ID, CHAT, b'{"model":"m","messages":[]}'))
    assert [target.provider for target in found.targets] == ["two", "one"]
    assert "least_latency" in found.targets[0].reason
    assert sum(upstream.asked.values()) == 4


async def test_the_map_of_what_is_known_is_bounded(monkeypatch):
    """What is forgotten is learned again."""
    monkeypatch.setattr("tollway.app.gateway.timing._MOST_KNOWN", 1)
    made = make_bench(config=config("one", "two"))
    slow(made, one=2.0, two=0.2)
    for _ in range(4):
        assert (await made.ask(BODY))[1] is None
    assert len(made.gateway.latencies) <= 2
