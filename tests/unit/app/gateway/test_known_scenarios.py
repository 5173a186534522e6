"""What users of other gateways reported of spend, budgets and quotas, one test each: the situation,
and that it cannot happen here. The numbers are those of the list they were collected in.
"""

import asyncio
import json
import re
from pathlib import Path

import pytest

from tests.attacks.test_identity import names_in
from tests.fakes.pipeline import (
    CHAT,
    DONE,
    KEY,
    FakeClient,
    Script,
    chunk,
    make_bench,
    reply,
    snapshot,
    streamed,
    whole,
)
from tests.fakes.quotas import NOON_S, hold, places, quota, rule
from tollway.adapters.memory.quota import MemoryQuotaStore
from tollway.app.gateway.exchange import Inbound
from tollway.app.gateway.me import describe_caller
from tollway.app.gateway.serve import serve
from tollway.app.ports import Counted
from tollway.app.pricing import PriceList, Pricing
from tollway.dialects.registry import ENDPOINTS
from tollway.dialects.uploads import form_like
from tollway.domain.failure import Cause, Failure, Phase
from tollway.domain.gateways import GatewayRecord, counting_problem
from tollway.domain.hold import UNDECIDED, Bound
from tollway.domain.price_book import Entry
from tollway.domain.quota import Precision, Scope
from tollway.domain.refusal import BadRequest, QuotaExceeded
from tollway.domain.window import Period, Zone, window_at

ASK = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
STREAM = {**ASK, "stream": True}
HEADERS = [(b"authorization", b"Bearer " + KEY.encode())]


# What a row is about is also shown over processes, or by whom it concerns.
ELSEWHERE = {
    5: ("tests/conformance/test_redis_quotas.py", "test_however_many_ask_a_counter_is_seeded_once"),
    6: ("tests/journeys/test_shared_quotas.py", "test_a_server_that_loses_everything"),
    9: (
        "tests/journeys/test_limits_of_machines.py",
        "test_a_second_gateway_is_refused_where_each_would_count_for_itself",
    ),
    10: (
        "tests/journeys/test_shared_quotas.py",
        "test_exactly_a_hundred_of_two_thousand_over_four_workers",
    ),
    13: ("tests/conformance/test_redis_quotas.py", "test_a_lease_that_is_not_renewed_runs_out"),
    14: ("tests/journeys/test_shared_quotas.py", "test_requests_at_a_time_over_four_workers"),
    19: ("tests/unit/app/gateway/test_quotas.py", "test_a_provider_that_ignores_its_cap_is_cut"),
}


def test_every_row_has_a_test():
    """1 to 19, here by name."""
    names = re.findall(r"def test_rows?_(\d+(?:_(?:and_)?\d+)*)_", Path(__file__).read_text())
    assert {int(number) for name in names for number in re.findall(r"\d+", name)} == {*range(1, 20)}
    for path, name in ELSEWHERE.values():
        assert name in names_in(path), (path, name)


class Prices:
    """So much for a million tokens of everything."""

    def __init__(self, usd):
        self.usd = usd

    def mark(self):
        return self.usd

    def read(self):
        rates = {"input": self.usd, "output": self.usd}
        return PriceList([Entry("prc_1", "one-model", 0, rates)], {})


def bench(*scripts, quotas, usd=None, **changes):
    """A pipeline under these quotas, with a price if one is given."""
    prices = None if usd is None else Pricing(Prices(usd))
    config = snapshot(quotas=places(*quotas), **changes)
    return make_bench(*scripts, config=config, prices=prices)


def standings(made):
    """(used, held) of every rule that was compiled."""
    found = made.gateway.limits._asked.values()
    return [made.gateway.quotas.standing(one)[:2] for rules in found for one in rules.rules]


class Slow:
    """An upstream whose answers wait for the test."""

    def __init__(self, made):
        self.made, self.inner, self.gate = made, made.upstream.call, asyncio.Event()
        made.upstream.call = self.call

    async def call(self, call, sink):
        await self.gate.wait()
        return await self.inner(call, sink)


async def at_once(made, count, body=b'{"model":"m","messages":[{"role":"user","content":"hi"}]}'):
    """So many requests, all under way before the first is answered; their verdicts."""
    slow = Slow(made)
    tasks = [
        asyncio.create_task(serve(made.gateway, Inbound(CHAT, HEADERS, body, "::1"), FakeClient()))
        for _ in range(count)
    ]
    await asyncio.sleep(0.01)
    slow.gate.set()
    return [verdict for _, verdict in await asyncio.gather(*tasks)]


async def test_row_1_what_is_shown_is_what_is_enforced():
    """A key over its budget is refused, and sees the same figure that refuses it."""
    made = bench(whole(reply(usage=(60, 39))), quotas=[quota(30, "tokens", per=Scope.KEY)])
    await made.ask(ASK, headers=HEADERS)
    caller = await describe_caller(made.gateway, HEADERS, "::1")
    assert caller.limits[0].stand.used == 99
    assert isinstance((await made.ask(ASK))[1], QuotaExceeded)


async def test_rows_2_and_3_parallel_turns_do_not_all_pass():
    """Five at once under a limit that two of them would fill."""
    made = bench(*[whole()] * 5, quotas=[quota(1200, "tokens", "minute")])
    verdicts = await at_once(made, 5)
    assert sum(verdict is None for verdict in verdicts) == 2
    assert sum(isinstance(verdict, QuotaExceeded) for verdict in verdicts) == 3


async def test_row_4_no_phantom_spend():
    """After every ending nothing is held, and what is counted is what was booked."""
    endings = [
        whole(),
        Script(failure=Failure(Phase.CONNECT, Cause.REFUSED, "no")),
        whole(b"{}", status=500),
        streamed(chunk("x"), failure=Failure(Phase.BODY, Cause.RESET, "cut")),
        streamed(chunk("x"), chunk(finish="stop"), DONE),
    ]
    made = bench(*endings, quotas=[quota(10**9, "tokens"), quota(10, "concurrency", "none")])
    for number, _ in enumerate(endings):
        await made.ask(STREAM if number > 2 else ASK)
    booked = sum((row.input or 0) + (row.output or 0) for row in made.journal.receipts)
    assert standings(made) == [(booked, 0), (0, 0)]


async def test_rows_5_and_6_a_counter_is_set_from_the_ledger_never_added_to():
    """Asked twice it is the same; and never guessed from what this process happens to know."""

    class Ledger:
        asked = 0

        async def count(self, refs):
            self.asked += 1
            return Counted(
                [{ref.window.start_s: 40} for ref in refs], [0] * len(refs), (9, 9), True
            )

    class Clock:
        def wall_ns(self):
            return NOON_S * 10**9

        def monotonic(self):
            return 0.0

    ledger = Ledger()
    store = MemoryQuotaStore(Clock(), ledger)
    one = rule(quota(50))
    held = hold(one)
    assert store.reserve(held) is UNDECIDED
    assert await store.decided(held) is None
    keeping = asyncio.create_task(store.keep_exact())
    await asyncio.sleep(2.3)
    keeping.cancel()
    assert ledger.asked >= 2
    assert store.standing(one)[:2] == (40, 1)


async def test_row_7_agents_are_not_locked_out_by_their_worst_case():
    """64,000 tokens allowed, 300 used: a hundred at once fit a budget that one worst case fills."""
    made = bench(
        *[whole(reply(usage=(10, 300))) for _ in range(150)], quotas=[quota(70_000, "tokens")]
    )
    asked = {**ASK, "max_tokens": 64_000}
    for _ in range(50):
        await made.ask(asked)
    body = b'{"model":"m","max_tokens":64000,"messages":[{"role":"user","content":"hi"}]}'
    assert await at_once(made, 100, body) == [None] * 100


async def test_row_8_unknown_prices_are_not_free():
    """A budget on cost, and a model without a price: refused, not served without limit."""
    made = bench(whole(), quotas=[quota(10**12, "cost", "month")])
    _, verdict = await made.ask(ASK)
    assert isinstance(verdict, BadRequest)
    assert verdict.code == "model_not_priced"


@pytest.mark.parametrize(
    "live",
    [
        [GatewayRecord("a", 4, False, 0, 0)],
        [GatewayRecord("a", 1, False, 0, 0), GatewayRecord("b", 1, False, 0, 0)],
    ],
)
def test_rows_9_10_and_14_no_limit_times_the_number_of_processes(live):
    """Workers and replicas that would each count for themselves are refused, with the reason."""
    assert counting_problem(live) is not None


def test_row_11_limits_do_not_share_a_window():
    """Requests by the minute and tokens by the hour: each at its own."""
    store = make_bench().gateway.quotas
    requests, tokens = rule(quota(2, period="minute")), rule(quota(100, "tokens", "hour"))
    for _ in range(2):
        assert store.reserve(hold(requests, tokens, tokens=40)) is None
    bound = store.reserve(hold(requests, tokens, tokens=10))
    assert isinstance(bound, Bound)
    assert bound.rule is requests
    assert tokens.cell.held == 80


async def test_row_12_a_refusal_burns_nothing():
    """Refused for being too many at once, the rate has not moved."""
    made = bench(
        *[whole()] * 3, quotas=[quota(10, period="minute"), quota(1, "concurrency", "none")]
    )
    verdicts = await at_once(made, 3)
    assert sum(verdict is None for verdict in verdicts) == 1
    assert standings(made)[0] == (1, 0)


async def test_row_13_slots_come_back_when_clients_leave():
    """A hundred that hang up in the middle: every slot is free."""
    client = FakeClient()
    made = bench(
        *[streamed(chunk("x"), lambda *_: client.leave(), chunk("y")) for _ in range(20)],
        quotas=[quota(1, "concurrency", "none")],
    )
    for _ in range(20):
        client = FakeClient()
        await made.ask(STREAM, client=client)
    assert standings(made) == [(0, 0)]


def test_row_15_there_is_no_reset_to_be_missed():
    """The window is part of the name: midnight in Berlin, not at 15:43, nor never."""
    berlin = Zone("Europe/Berlin")
    window = window_at(Period.DAY, berlin, NOON_S)
    assert window_at(Period.DAY, berlin, window.end_s - 1) == window
    assert window_at(Period.DAY, berlin, window.end_s).start_s == window.end_s
    store = make_bench().gateway.quotas
    one = rule(quota(1), zone=berlin)
    assert store.reserve(hold(one, at_s=window.end_s - 1)) is None
    assert store.reserve(hold(one, at_s=window.end_s)) is None


@pytest.mark.parametrize("path", sorted(ENDPOINTS))
async def test_row_16_every_endpoint_is_limited(path):
    """There is no way to a provider beside the limits."""
    made = bench(quotas=[quota(0)])
    body = {"model": "m", "messages": ASK["messages"], "input": "x", "max_tokens": 5}
    if path != b"/v1/responses":
        body |= {"prompt": "x", "query": "x", "documents": ["x"]}
    endpoint, headers = ENDPOINTS[path], None
    if endpoint.file is not None:
        body, kind = form_like(json.dumps(body).encode(), endpoint.file)
        headers = [*HEADERS, (b"content-type", kind)]
    _, verdict = await made.ask(body, endpoint=endpoint, headers=headers)
    assert isinstance(verdict, QuotaExceeded)
    assert made.upstream.calls == []


async def test_row_17_free_models_run_when_the_money_is_spent():
    """What costs nothing holds nothing."""
    made = bench(whole(), quotas=[quota(0, "cost", "month", precision=Precision.STRICT)], usd="0")
    assert (await made.ask(ASK))[1] is None


async def test_row_18_the_last_settlement_is_never_dropped():
    """More than was held, more than is left: it is booked, and the limit owes."""
    made = bench(whole(reply(usage=(5, 9000))), quotas=[quota(1000, "tokens")])
    assert (await made.ask(ASK))[1] is None
    assert standings(made) == [(9005, 0)]
    assert isinstance((await made.ask(ASK))[1], QuotaExceeded)


async def test_row_19_long_streams_do_not_run_away():
    """While one long stream runs, others see what it has written, and are refused in time."""
    seen = []
    made = None

    def look(*_):
        seen.append(standings(made)[0][1])

    pieces = [chunk("x" * 4) for _ in range(2000)]
    made = bench(
        streamed(*pieces, look, chunk(finish="stop"), DONE), quotas=[quota(1500, "output_tokens")]
    )
    await made.ask(STREAM)
    assert seen[0] >= 2000
    assert isinstance((await made.ask(ASK))[1], QuotaExceeded)
