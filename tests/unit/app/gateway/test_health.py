"""Which target is asked first: by what it costs, and by whether it answers."""

import asyncio
from dataclasses import replace
from random import Random
from unittest.mock import Mock

import pytest

from tests.fakes.pipeline import (
    CHAT,
    DONE,
    EVENT_STREAM,
    KEY,
    KEY_ID,
    REFUSED,
    RESET,
    FakeClient,
    Script,
    chunk,
    make_bench,
    snapshot,
    streamed,
    whole,
)
from tollway.app.gateway.exchange import Inbound
from tollway.app.gateway.explain import Asked, explain
from tollway.app.gateway.health import ejected, note_health
from tollway.app.gateway.serve import serve
from tollway.app.pricing import PriceList, Pricing
from tollway.domain.failure import Cause, Failure, Phase
from tollway.domain.health import EJECT_AFTER, FIRST_S
from tollway.domain.model import Strategy
from tollway.domain.price_book import Entry

BODY = b'{"model": "m", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 40}'
STREAM = BODY.replace(b'"max_tokens"', b'"stream": true, "max_tokens"')
DOWN = Script(failure=REFUSED)
NAMES = ("one", "two", "three")


def strategy(named, names=NAMES):
    """A configuration whose model has this strategy."""
    config = snapshot(names)
    model = replace(config.models[None, "m"], strategy=named)
    return replace(config, models={(None, "m"): model})


def bench(*scripts, config=None, **options):
    """A pipeline with three targets."""
    return make_bench(*scripts, config=config or snapshot(NAMES), **options)


def asked(made):
    """Which providers were sent something, in order."""
    return [call.provider.name for call in made.upstream.calls]


async def test_a_target_that_does_not_answer_goes_last():
    """After some failures in a row; then it is asked once again, and if it answers it is first."""
    made = bench(
        *[script for _ in range(EJECT_AFTER) for script in (DOWN, whole())],
        *[whole() for _ in range(3)],
    )
    for _ in range(EJECT_AFTER):
        assert (await made.ask(BODY))[1] is None
    assert asked(made) == ["one", "two"] * EJECT_AFTER
    made.upstream.calls.clear()
    await made.ask(BODY)
    assert asked(made) == ["two"]
    made.clock.now_s = made.clock.monotonic() + FIRST_S + 1
    made.clock.monotonic = lambda: made.clock.now_s
    for _ in range(2):
        await made.ask(BODY)
    assert asked(made) == ["two", "one", "one"]
    assert made.gateway.health == {}


async def test_while_it_is_tried_others_do_not_wait_for_it():
    """One request tries; the next goes elsewhere."""
    made = bench(*[script for _ in range(EJECT_AFTER) for script in (DOWN, whole())])
    for _ in range(EJECT_AFTER):
        await made.ask(BODY)
    now_s = made.clock.monotonic() + FIRST_S + 1
    made.clock.monotonic = lambda: now_s
    made.upstream.calls.clear()
    made.upstream.scripts.extend([DOWN, whole(), whole()])
    await made.ask(BODY)
    await made.ask(BODY)
    assert asked(made) == ["one", "two", "two"]


async def test_when_all_are_down_all_are_asked():
    """Ejected or not: nobody is left out, and nobody is asked twice."""
    made = bench(*[DOWN] * 15)
    for _ in range(5):
        assert isinstance((await made.ask(BODY))[1], Failure)
    assert len(made.upstream.calls) == 15
    assert sorted(set(asked(made)[-3:])) == sorted(NAMES)


@pytest.mark.parametrize("status", [400, 401, 429])
async def test_what_is_not_its_fault_ejects_nobody(status):
    """The request's own, our credential's, a moment too busy."""
    made = bench()
    for _ in range(2 * EJECT_AFTER):
        made.upstream.scripts.clear()
        soon = [(b"retry-after-ms", b"1")]
        made.upstream.scripts.extend([whole(b"{}", status=status, headers=soon)] * 3)
        await made.ask(BODY)
    assert made.gateway.health == {}


async def test_streams_that_break_count():
    """Also behind their first byte, where no other target can be asked."""
    made = bench(*[streamed(chunk("x"), failure=RESET)] * EJECT_AFTER, whole())
    for _ in range(EJECT_AFTER):
        await made.ask(STREAM)
    await made.ask(BODY)
    assert asked(made) == ["one"] * EJECT_AFTER + ["two"]


async def test_a_stream_is_there_with_its_first_event():
    """Others need not wait for its end; until it has ended well, one failure ejects it again."""
    made = bench(*[script for _ in range(EJECT_AFTER) for script in (DOWN, whole())])
    for _ in range(EJECT_AFTER):
        await made.ask(BODY)
    (health,) = made.gateway.health.values()
    now_s = made.clock.monotonic() + FIRST_S + 1
    made.clock.monotonic = lambda: now_s
    seen = []
    made.upstream.scripts.extend(
        [
            streamed(
                lambda: seen.append(health.ejected_until_s is not None),
                chunk("x"),
                lambda: seen.append(health.ejected_until_s is not None),
                failure=RESET,
            )
        ]
    )
    await made.ask(STREAM)
    assert asked(made)[-1] == "one"
    assert seen == [True, False]
    assert health.ejected_until_s > now_s


async def test_an_ejection_lasts_by_chance():
    """The gateway's own."""
    for draw, lasts_s in ((0.0, FIRST_S), (0.5, 1.5 * FIRST_S)):
        made = bench(*[DOWN] * EJECT_AFTER, config=snapshot(("one",)))
        object.__setattr__(made.gateway, "draw", lambda draw=draw: draw)
        for _ in range(EJECT_AFTER):
            await made.ask(BODY)
        (health,) = made.gateway.health.values()
        assert health.ejected_until_s - made.clock.monotonic() == pytest.approx(lasts_s, abs=0.1)


async def test_what_it_left_without_an_answer_does_not_eject_it_again():
    """Requests that were sent before, and end by their timeout when it is back."""
    made = bench(*[DOWN] * EJECT_AFTER, config=snapshot(("one",)))
    before_ns = made.clock.wall_ns()
    for _ in range(EJECT_AFTER):
        await made.ask(BODY)
    (health,) = made.gateway.health.values()
    until_s = health.ejected_until_s
    made.clock.now_ns += int((FIRST_S + 1) * 1e9)
    target = made.gateway.source.current.models[None, "m"].targets[0]
    served = target, made.gateway.source.current.providers[target.provider_id]
    for started_ns, ejects in ((before_ns, False), (made.clock.wall_ns(), True)):
        note_health(made.gateway, served, REFUSED, started_ns=started_ns)
        assert (health.ejected_until_s > until_s) == ejects


async def test_only_so_many_are_remembered(monkeypatch):
    """Targets that fail once and are never asked again do not pile up."""
    monkeypatch.setattr("tollway.app.gateway.health._MOST_KNOWN", 2)
    made = bench(*[DOWN] * 3)
    await made.ask(BODY)
    assert len(made.gateway.health) == 1


async def test_an_explanation_tries_nobody():
    """It says who would be first, and leaves the one request that may try to a request."""
    made = bench(*[script for _ in range(EJECT_AFTER) for script in (DOWN, whole())])
    for _ in range(EJECT_AFTER):
        await made.ask(BODY)
    found = await explain(made.gateway, Asked(KEY_ID, CHAT, BODY))
    assert [target.provider for target in found.targets] == ["two", "three", "one"]
    assert "did not answer" in found.targets[2].reason
    now_s = made.clock.monotonic() + FIRST_S + 1
    made.clock.monotonic = lambda: now_s
    for _ in range(2):
        found = await explain(made.gateway, Asked(KEY_ID, CHAT, BODY))
        assert found.targets[0].provider == "one"


# By cost.


class Prices:
    """Prices of the targets' models, in USD for a million tokens."""

    def __init__(self, prices):
        self.entries = [
            Entry(f"prc_{model}", model, 0, {"input": str(into), "output": str(out)})
            for model, (into, out) in prices.items()
        ]

    def mark(self):
        return 1

    def read(self):
        return PriceList(self.entries, {})


def priced(prices):
    """A pipeline that takes the cheapest."""
    config = strategy(Strategy.COST_OPTIMIZED)
    return make_bench(config=config, prices=Pricing(Prices(prices)))


async def order_of(made, body=BODY):
    """The targets as they would be asked."""
    found = await explain(made.gateway, Asked(KEY_ID, CHAT, body))
    return [target.provider for target in found.targets]


async def test_the_cheapest_is_first_and_what_has_no_price_last():
    """Equals keep their order."""
    made = priced({"two-model": (1, 2), "three-model": (1, 1)})
    assert await order_of(made) == ["three", "two", "one"]
    made = priced({f"{name}-model": (1, 1) for name in NAMES})
    assert await order_of(made) == list(NAMES)


async def test_by_what_the_request_will_use():
    """Cheap to read is not cheap to write."""
    made = priced({"one-model": (1, 100), "two-model": (10, 1), "three-model": (50, 50)})
    long_answer = BODY.replace(b"40", b"500")
    long_question = BODY.replace(b'"hi"', b'"%b"' % (b"x" * 400_000)).replace(b"40", b"1")
    assert (await order_of(made, long_answer))[0] == "two"
    assert (await order_of(made, long_question))[0] == "one"


@pytest.mark.uncounted
async def test_the_cheapest_of_ten_thousand():
    """Against brute force over generated prices and lengths, all of 10,000."""
    chance = Random(5)
    for _ in range(100):
        prices = {
            f"{name}-model": (chance.randint(0, 2000) / 100, chance.randint(0, 9000) / 100)
            for name in NAMES
        }
        made = priced(prices)
        for _ in range(100):
            asked_tokens = chance.choice([1, 10, 100, 500])
            words = b"x" * chance.choice([1, 100, 10_000])
            body = BODY.replace(b'"hi"', b'"%b"' % words).replace(b"40", b"%d" % asked_tokens)
            read = -(-len(body) // 4)
            costs = {
                name: int(1000 * read * prices[f"{name}-model"][0] + 0.5)
                + int(1000 * asked_tokens * prices[f"{name}-model"][1] + 0.5)
                for name in NAMES
            }
            first = (await order_of(made, body))[0]
            assert costs[first] <= min(costs.values()) + 2


async def test_listed_order_is_kept():
    """Whatever the priorities say."""
    config = strategy(Strategy.FAILOVER)
    model = config.models[None, "m"]
    turned = tuple(
        replace(target, priority=9 - place) for place, target in enumerate(model.targets)
    )
    config = replace(config, models={(None, "m"): replace(model, targets=turned)})
    assert await order_of(make_bench(config=config)) == list(NAMES)


async def test_when_all_is_down_attempts_are_few():
    """Not a second one for each request; what was not made up for is told and billed as failed."""
    made = bench(*[DOWN for _ in range(2000)], config=snapshot(("one", "two")))
    for _ in range(1000):
        _, verdict = await made.ask(BODY)
        assert isinstance(verdict, Failure)
    assert len(made.upstream.calls) <= 1115, "of what failed lately it is known that it does"
    payers = [receipt.payer for receipt in made.journal.receipts]
    assert payers.count("failed") == 1000
    assert payers.count("failed_over") == len(made.upstream.calls) - 1000


async def test_who_is_ejected_is_known():
    """For an alert: the target, whose its provider is, and what it failed with last."""
    made = bench(*[script for _ in range(EJECT_AFTER) for script in (DOWN, whole())])
    for _ in range(EJECT_AFTER - 1):
        await made.ask(BODY)
    assert ejected(made.gateway) == []
    await made.ask(BODY)
    assert ejected(made.gateway) == [("prv_one", "one", None, "one-model", "refused")]
    made.gateway.source.current = snapshot(("two",))
    assert ejected(made.gateway) == []


class Silent:
    """The first target hears all and answers nobody; the others stream until they may end."""

    def __init__(self):
        self.noticed, self.may_end = asyncio.Event(), asyncio.Event()

    async def call(self, call, sink):
        sink.attach(Mock())
        if call.provider.name == "one":
            await self.noticed.wait()
            return Failure(Phase.HEADERS, Cause.TIMEOUT, "It says nothing.")
        sink.head(200, EVENT_STREAM)
        sink.data(chunk("hi"))
        await self.may_end.wait()
        sink.data(chunk(finish="stop") + DONE)
        return None


async def test_long_streams_do_not_use_up_the_second_attempts_of_others():
    """An attempt is given back once its target answers, not when its stream has ended."""
    made, upstream = bench(), Silent()
    made.gateway.upstreams.update(dict.fromkeys(made.gateway.upstreams, upstream))
    inbound = Inbound(CHAT, [(b"authorization", b"Bearer " + KEY.encode())], STREAM, "::1")
    streams = [
        asyncio.ensure_future(serve(made.gateway, inbound, FakeClient())) for _ in range(100)
    ]
    await asyncio.sleep(0)
    upstream.noticed.set()
    for _ in range(20):
        await asyncio.sleep(0)
    upstream.may_end.set()
    assert [verdict for _, verdict in await asyncio.gather(*streams)] == [None] * 100


@pytest.mark.parametrize("named", [Strategy.COST_OPTIMIZED, Strategy.FAILOVER])
async def test_answers_are_learned_where_costs_go_by_them(named):
    """Also without limits; and nothing is learned where nothing goes by it."""
    made = bench(*[whole() for _ in range(10)], config=strategy(named))
    for _ in range(10):
        await made.ask(BODY)
    assert bool(made.gateway.outputs) == (named is Strategy.COST_OPTIMIZED)
