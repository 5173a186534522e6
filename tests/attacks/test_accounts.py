"""Table E of the attack list: each row is held by a test that is there; some are here."""

import asyncio
import json
from dataclasses import replace

import pytest

from tests.attacks.accounts import LATER, ROWS
from tests.attacks.test_identity import names_in
from tests.fakes.acting import furnish
from tests.fakes.control_plane import ControlPlane
from tests.fakes.database import database
from tests.fakes.pipeline import (
    CHAT,
    DONE,
    KEY,
    FakeClient,
    chunk,
    make_bench,
    snapshot,
    streamed,
    whole,
)
from tests.fakes.quota_stores import HandClock
from tests.fakes.quotas import hold, places, quota, rule
from tollway.adapters.memory.quota import MemoryQuotaStore
from tollway.adapters.sql.snapshot import SqlSnapshotStore
from tollway.app.gateway.exchange import Inbound
from tollway.app.gateway.serve import serve
from tollway.app.pricing import PriceList, Pricing
from tollway.domain.price_book import Entry
from tollway.domain.quota import Scope
from tollway.domain.refusal import QuotaExceeded

ALL = {65, 67, 68, 69, 70, 72, 73, 75, *range(77, 83)}  # the list's own gaps left out
ASK = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
STREAM = {**ASK, "stream": True}
HEADERS = [(b"authorization", b"Bearer " + KEY.encode())]


def test_every_row_is_held():
    """By tests that exist, or it says what it waits for."""
    assert ROWS.keys() | LATER.keys() == ALL
    assert not ROWS.keys() & LATER.keys()
    for row, held in ROWS.items():
        for place in held:
            path, _, name = place.partition("::")
            assert name in names_in(path), (row, place)


def standings(made):
    """(used, held) by what is counted."""
    rules = [one for found in made.gateway.limits._asked.values() for one in found.rules]
    return {one.quota.metric: made.gateway.quotas.standing(one)[:2] for one in rules}


class Gated:
    """An upstream that begins to answer when the test says so."""

    def __init__(self, made):
        self.inner, self.gate, self.waiting = made.upstream.call, asyncio.Event(), 0
        made.upstream.call = self.call

    async def call(self, call, sink):
        self.waiting += 1
        await self.gate.wait()
        return await self.inner(call, sink)


def asked(made, client, body=STREAM):
    """One request under way."""
    inbound = Inbound(CHAT, HEADERS, json.dumps(body).encode(), "::1")
    return asyncio.create_task(serve(made.gateway, inbound, client))


async def test_a_thousand_clients_leave_before_the_first_chunk():
    """67: nothing stays held, nothing is billed that no provider reported; the requests count."""
    made = make_bench(
        *[streamed(chunk("x"), DONE) for _ in range(1000)],
        config=snapshot(
            quotas=places(quota(1000), quota(10**6, "tokens"), quota(1000, "concurrency", "none"))
        ),
    )
    gated = Gated(made)
    clients = [FakeClient() for _ in range(1000)]
    tasks = [asked(made, client) for client in clients]
    while gated.waiting < 1000:
        await asyncio.sleep(0)
    assert standings(made)["concurrency"] == (0, 1000)
    for client in clients:
        client.leave()
    gated.gate.set()
    await asyncio.gather(*tasks)
    assert standings(made) == {"requests": (1000, 0), "tokens": (0, 0), "concurrency": (0, 0)}
    assert {one.payer for one in made.journal.receipts} == {"client_gone"}
    assert {(one.input, one.output) for one in made.journal.receipts} == {(0, 0)}


async def test_one_user_pins_what_is_theirs_and_nobody_elses():
    """68: whoever opens streams to hold everything is told so; another user is served."""
    made = make_bench(
        *[streamed(chunk("x"), DONE) for _ in range(12)],
        config=snapshot(
            quotas=places(
                quota(5, "concurrency", "none", scope=Scope.TENANT, per=Scope.END_USER),
                quota(10, "concurrency", "none"),
            )
        ),
    )
    gated = Gated(made)
    greedy = [asked(made, FakeClient(), {**STREAM, "user": "mallory"}) for _ in range(100)]
    while gated.waiting < 5 or sum(task.done() for task in greedy) < 95:
        await asyncio.sleep(0)
    refused = [task.result()[1] for task in greedy if task.done()]
    assert len(refused) == 95
    assert {type(one) for one in refused} == {QuotaExceeded}
    assert {one.retry_after_s for one in refused} == {1.0}
    others = [asked(made, FakeClient(), {**STREAM, "user": "ann"}) for _ in range(5)]
    while gated.waiting < 10:
        await asyncio.sleep(0)
    gated.gate.set()
    verdicts = [verdict for _, verdict in await asyncio.gather(*greedy, *others)]
    assert verdicts.count(None) == 10


def test_a_burst_across_the_minute_is_one_limit():
    """70: the end of one minute and the beginning of the next do not add up."""
    clock = HandClock(59)
    store = MemoryQuotaStore(clock)
    one = rule(quota(100, period="minute"))

    def burst():
        return sum(store.reserve(hold(one, at_s=int(clock.wall_s))) is None for _ in range(300))

    assert burst() == 100
    for _ in range(59):
        clock.wall_s += 1
        clock.run_s += 1
        assert burst() == 0
    clock.wall_s += 11
    clock.run_s += 11
    assert burst() == 100


async def test_a_limit_changes_under_running_streams():
    """72: streams that run end as they began; the next one meets the new limit, or none."""
    limit = quota(3, "concurrency", "none")
    made = make_bench(
        *[streamed(chunk("x"), DONE) for _ in range(9)], config=snapshot(quotas=places(limit))
    )
    gated = Gated(made)
    running = [asked(made, FakeClient()) for _ in range(3)]
    while gated.waiting < 3:
        await asyncio.sleep(0)
    made.gateway.source.current = snapshot(quotas=places(replace(limit, limit=1)))
    _, verdict = await asked(made, FakeClient())
    assert isinstance(verdict, QuotaExceeded)
    made.gateway.source.current = snapshot()
    running.append(asked(made, FakeClient()))
    while gated.waiting < 4:
        await asyncio.sleep(0)
    gated.gate.set()
    assert [verdict for _, verdict in await asyncio.gather(*running)] == [None] * 4
    made.gateway.source.current = snapshot(quotas=places(limit))
    assert (await asked(made, FakeClient()))[1] is None
    assert standings(made)["concurrency"] == (0, 0)


class Prices:
    """A book whose price a test changes, from a second on."""

    def __init__(self):
        self.entries = [Entry("prc_old", "one-model", 0, {"input": "1", "output": "1"})]

    def mark(self):
        return len(self.entries)

    def read(self):
        return PriceList(list(self.entries), {})


async def test_a_price_changes_under_a_stream():
    """75: what was admitted at the old price is charged at the old price, in row and counter."""
    prices = Prices()
    pricing = Pricing(prices)
    made = None

    def dearer(*_):
        at_s = made.gateway.clock.wall_ns() // 1_000_000_000 + 1
        prices.entries.append(
            Entry("prc_new", "one-model", at_s, {"input": "100", "output": "100"})
        )
        made.gateway.clock.now_ns += 10 * 1_000_000_000
        pricing.renew()

    made = make_bench(
        streamed(chunk("x"), dearer, chunk(usage=(5, 2), choices=[]), DONE),
        whole(),
        config=snapshot(quotas=places(quota(10**12, "cost", "total"))),
        prices=pricing,
    )
    await made.ask(STREAM)
    row = made.journal.receipts[0]
    assert (row.cost_nusd, row.price_version) == (7 * 1000, "prc_old")
    assert standings(made)["cost"] == (7 * 1000, 0)
    await made.ask(ASK)
    assert made.journal.receipts[1].price_version == "prc_new"


@pytest.fixture
def engine(tmp_path):
    engine = database(tmp_path)
    yield engine
    engine.dispose()


def test_two_gateways_serve_the_newest_limit(engine):
    """80: there is one configuration; whoever changed it last is on record, and every gateway that
    reads it has that."""
    plane = ControlPlane(engine)
    with plane.configuration.begin() as uow:
        furnish(uow)
        uow.commit()
    body = {"tenant_id": "ten_open", "scope": "tenant", "metric": "requests", "period": "day"}
    made = plane.ask("POST", "/quotas", body={**body, "limit": 5}).json
    versions = []
    for limit in (7, 6):
        plane.ask("PATCH", f"/quotas/{made['id']}", body={"limit": limit})
        versions.append(SqlSnapshotStore(engine).version())
    assert versions == sorted(versions)
    for gateway in (SqlSnapshotStore(engine), SqlSnapshotStore(engine)):
        found = [one for place in gateway.load().quotas for one in place.quotas]
        assert [one.limit for one in found] == [6]
    audit = plane.ask("GET", "/audit", query={"object": made["id"]}).json["data"]
    changes = [entry for entry in audit if entry["action"] == "quota.changed"]
    assert len(changes) == 2
    plane.close()
