"""G-22 and G-23: a thousand streams at a time on one budget, each with a use of its own. Kept
beside the counters, by hand: what was used and what is held. Strict budgets are kept at every
instant, bounded ones within what they declare, nobody is refused without reason, and nothing stays
held.
"""

import asyncio
import json
import random

import pytest

from tests.fakes.pipeline import (
    CHAT,
    DONE,
    EVENT_STREAM,
    KEY,
    FakeClient,
    FakeClock,
    chunk,
    make_bench,
    snapshot,
)
from tests.fakes.quotas import places, quota
from tollway.adapters.memory.quota import MemoryQuotaStore
from tollway.app.gateway.exchange import Inbound
from tollway.app.gateway.serve import serve
from tollway.app.pricing import PriceList, Pricing
from tollway.domain.hold import Bound
from tollway.domain.price_book import Entry
from tollway.domain.quota import METRICS, NOTHING, Metric, Precision
from tollway.domain.refusal import QuotaExceeded

STREAMS = 1000
HEADERS = [(b"authorization", b"Bearer " + KEY.encode())]


class Watched(MemoryQuotaStore):
    """The store, and the same sums by hand."""

    def __init__(self, limit, metric, *, strict):
        super().__init__(FakeClock())
        self.limit, self.place, self.strict = limit, METRICS.index(metric), strict
        self.used = 0
        self.live = {}
        self.exceeded = 0  # by which all actual uses were more than what was held for them at first
        self.refused = 0
        self.looks = 0
        self.most_at_once = 0

    def reserve(self, hold):
        amount = (hold.strict if self.strict else hold.bounded)[self.place]
        decision = super().reserve(hold)
        if decision is None and hold not in self.live:
            self.live[hold] = [amount, amount]
        elif isinstance(decision, Bound):
            self.refused += 1
            # I8: there was no room, by hand as well.
            assert self.used + self.held + min(amount, self.limit) > self.limit
        self.look()
        return decision

    def extend(self, hold, *, strict=NOTHING, bounded=NOTHING):
        found = super().extend(hold, strict=strict, bounded=bounded)
        if found is None:
            self.live[hold][1] += (strict if self.strict else bounded)[self.place]
        self.look()
        return found

    def settle(self, hold, actual):
        if hold in self.live:
            first, _ = self.live.pop(hold)
            self.used += actual[self.place]
            self.exceeded += max(actual[self.place] - first, 0)
        super().settle(hold, actual)
        self.look()

    @property
    def held(self):
        return sum(now for _, now in self.live.values())

    def look(self):
        """I1: at every instant."""
        self.looks += 1
        self.most_at_once = max(self.most_at_once, len(self.live))
        if self.strict:
            assert self.used + self.held <= self.limit


class Talkers:
    """A provider of streams of any length up to the cap, that run beside each other."""

    def __init__(self, chance):
        self._chance = chance
        self.emitted = 0

    async def call(self, call, sink):
        cap = json.loads(call.body).get("max_tokens") or 400
        tokens = self._chance.randint(1, cap)
        for _ in range(10):  # till then all have asked
            await asyncio.sleep(0)
        sink.attach(Flow())
        sink.head(200, EVENT_STREAM)
        for _ in range(tokens // 20):
            sink.data(b"".join([chunk("x")] * 20))
            await asyncio.sleep(0)
        self.emitted += tokens
        sink.data(chunk(usage=(3, tokens), choices=[]) + DONE)


class Flow:
    """Nobody stops here."""

    def pause(self): ...

    def resume(self): ...

    def progress(self): ...

    def satisfied(self): ...

    def cancel(self, failure):
        raise AssertionError(failure)

    def redact(self, text):
        return text


class Prices:
    """A dollar for a million tokens in, two out."""

    def mark(self):
        return 1

    def read(self):
        return PriceList([Entry("prc_1", "one-model", 0, {"input": "1", "output": "2"})], {})


@pytest.mark.parametrize(
    ("metric", "precision", "limit"),
    [
        (Metric.TOKENS, Precision.STRICT, 60_000),
        (Metric.COST, Precision.STRICT, 120_000_000),
        (Metric.OUTPUT_TOKENS, Precision.STRICT, 3000),
        (Metric.TOKENS, Precision.BOUNDED, 60_000),
        (Metric.COST, Precision.BOUNDED, 120_000_000),
        (Metric.TOKENS, Precision.STRICT, 10**9),
    ],
)
@pytest.mark.uncounted
async def test_a_thousand_streams_on_one_budget(metric, precision, limit):
    """Two rounds: the second finds what the first left."""
    chance = random.Random(f"{metric}{precision}{limit}")
    store = Watched(limit, metric, strict=precision is Precision.STRICT)
    made = make_bench(
        quotas=store,
        prices=Pricing(Prices()),
        config=snapshot(quotas=places(quota(limit, metric, precision=precision))),
    )
    talkers = Talkers(chance)
    made.upstream.call = talkers.call

    async def one():
        await asyncio.sleep(0)
        body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True}
        body["max_tokens"] = chance.choice([20, 60, 200, 400])
        inbound = Inbound(CHAT, HEADERS, json.dumps(body).encode(), "::1")
        _, verdict = await serve(made.gateway, inbound, FakeClient())
        return verdict

    verdicts = []
    for _ in range(2):
        verdicts += await asyncio.gather(*(one() for _ in range(STREAMS)))
    refused = [verdict for verdict in verdicts if verdict is not None]
    assert {type(verdict) for verdict in refused} <= {QuotaExceeded}
    assert len(refused) == store.refused
    assert store.looks > 2 * STREAMS
    if limit < 10**9:
        assert refused, "the budget was never reached"
        assert store.most_at_once > 5
    else:
        assert not refused
        assert store.most_at_once == STREAMS
    # I4 and I5: nothing is held, and the counter is the rows.
    (rules,) = made.gateway.limits._asked.values()
    stand = store.standing(rules.rules[0])
    assert (stand.used, stand.held) == (store.used, 0)
    assert store.live == {}
    rows = made.journal.receipts
    assert len(rows) == 2 * STREAMS - len(refused)
    if metric is Metric.COST:
        assert store.used == sum(row.cost_nusd for row in rows)
    else:
        read = sum(row.input for row in rows) if metric is Metric.TOKENS else 0
        assert store.used == read + talkers.emitted
    if precision is Precision.STRICT:
        assert store.used <= limit
    else:
        assert store.used <= limit + store.exceeded
