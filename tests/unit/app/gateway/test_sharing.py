"""Turns at accounts that cannot take everybody at once, through the pipeline."""

import asyncio
from dataclasses import replace
from random import Random

import pytest

from tests.fakes.pipeline import (
    CHAT,
    KEY,
    PEPPER,
    TENANT,
    FakeClient,
    make_bench,
    provider,
    reply,
    snapshot,
    whole,
)
from tollway.app.gateway import account, sharing
from tollway.app.gateway.exchange import Inbound
from tollway.app.gateway.serve import serve
from tollway.app.gateway.sharing import Accounts
from tollway.domain.failure import Cause, Failure
from tollway.domain.fair_share import Capacity
from tollway.domain.ids import ProviderId, TenantId
from tollway.domain.key import KeyRecord, digest_key, make_key, split_key
from tollway.domain.refusal import QuotaExceeded

BODY = b'{"model": "m", "messages": [{"role": "user", "content": "hi"}]}'
OTHER = replace(TENANT, id=TenantId("ten_b"), slug="other", salt=b"pepper too")
OTHER_ID, OTHER_KEY = make_key("test", bytes(range(1, 42)))
OTHER_RECORD = KeyRecord(
    OTHER_ID, OTHER.id, digest_key(PEPPER, OTHER.id, OTHER_ID, split_key(OTHER_KEY)[1]), 1
)


def bounded(capacity, *names, weights=(1.0, 1.0)):
    """A configuration with two tenants whose providers take only so much."""
    names = names or ("one",)
    found = snapshot(names)
    tenants = (replace(TENANT, weight=weights[0]), replace(OTHER, weight=weights[1]))
    return replace(
        found,
        tenants={one.id: one for one in tenants},
        keys={**found.keys, OTHER_ID: OTHER_RECORD},
        providers={ProviderId(f"prv_{name}"): provider(name, capacity=capacity) for name in names},
    )


class Held:
    """An upstream whose calls end when a test says so, in the order they came."""

    def __init__(self, made):
        self.calls, self.waiting = [], []
        self.usage = (5, 2)
        self.inner = made.upstream

    async def call(self, call, sink):
        self.calls.append(call)
        gate = asyncio.get_running_loop().create_future()
        self.waiting.append(gate)
        await gate
        self.inner.scripts.append(whole(reply(usage=self.usage)))
        return await self.inner.call(call, sink)

    async def end(self, number=1):
        for _ in range(number):
            self.waiting.pop(0).set_result(None)
            await settled()


async def settled():
    """Whoever can go has gone."""
    for _ in range(20):
        await asyncio.sleep(0)


def begun(made, key=KEY, headers=()):
    """A request on its way."""
    given = [(b"authorization", b"Bearer " + key.encode()), *headers]
    return asyncio.ensure_future(
        serve(made.gateway, Inbound(CHAT, given, BODY, "::1"), FakeClient())
    )


def held(config):
    """A pipeline whose upstream calls a test ends."""
    made = make_bench(config=config)
    upstream = Held(made)
    for kind in made.gateway.upstreams:
        made.gateway.upstreams[kind] = upstream
    return made, upstream


async def test_no_more_at_once_than_configured():
    """Two at a time; the third goes when one has ended."""
    made, upstream = held(bounded(Capacity(at_once=2)))
    asked = [begun(made) for _ in range(5)]
    await settled()
    assert len(upstream.calls) == 2
    await upstream.end()
    assert len(upstream.calls) == 3
    await upstream.end(4)
    assert [(await one)[1] for one in asked] == [None] * 5


async def test_tenants_take_turns():
    """Whoever has a crowd waiting does not hold up the other: one of each in turn."""
    made, upstream = held(bounded(Capacity(at_once=1)))
    crowd = [begun(made) for _ in range(20)]
    await settled()
    others = [begun(made, OTHER_KEY) for _ in range(3)]
    await settled()
    await upstream.end(8)
    assert all(one.done() for one in others)
    assert sum(one.done() for one in crowd) == 5
    await upstream.end(15)
    await asyncio.gather(*crowd)


async def test_turns_are_by_weight():
    """Three turns to one where the weights are so."""
    made, upstream = held(bounded(Capacity(at_once=1), weights=(1.0, 3.0)))
    crowd = [begun(made) for _ in range(20)]
    others = [begun(made, OTHER_KEY) for _ in range(20)]
    await settled()
    await upstream.end(16)
    assert 10 <= sum(one.done() for one in others) <= 13
    await upstream.end(24)
    await asyncio.gather(*crowd, *others)


async def test_who_uses_nothing_has_turns_all_the_same():
    """Answers that count no tokens count as one: else the next of the same tenant is always first,
    and the other waits for as long as there is one."""
    made, upstream = held(bounded(Capacity(at_once=1)))
    upstream.usage = (0, 0)
    crowd = [begun(made) for _ in range(20)]
    await settled()
    other = begun(made, OTHER_KEY)
    await settled()
    await upstream.end(8)
    assert other.done()
    await upstream.end(13)
    await asyncio.gather(*crowd, other)


async def test_what_a_turn_uses_is_learned_without_limits():
    """A guess that is far too large keeps a tenant with several under way behind one with a
    crowd; so it is learned also where nobody counts, and only where turns are taken."""
    scripts = [whole(reply(usage=(5, 2))) for _ in range(10)]
    made = make_bench(*scripts, config=bounded(Capacity(at_once=9)))
    for _ in range(10):
        await made.ask(BODY)
    assert made.gateway.histories["mdl_m"].expected(len(BODY), 1, None) == 7
    assert not made.gateway.outputs
    made = make_bench(whole())
    await made.ask(BODY)
    assert not made.gateway.histories


async def test_patience_ends_with_when_to_ask_again(monkeypatch):
    """429 with a `retry-after` by the place in the queue; nothing was sent, held or billed."""
    monkeypatch.setattr(sharing, "_MOST_WAIT_S", 0.02)
    made, upstream = held(bounded(Capacity(at_once=1)))
    first = begun(made)
    await settled()
    _, verdict = await begun(made)
    assert isinstance(verdict, QuotaExceeded)
    assert (verdict.exhausted, verdict.retry_after_s >= 1) == (False, True)
    assert OTHER.id not in verdict.message
    await upstream.end()
    assert (await first)[1] is None
    assert len(made.journal.receipts) == 1


async def test_a_client_says_how_long_it_waits():
    """By the header that the SDKs send."""
    made, upstream = held(bounded(Capacity(at_once=1)))
    first = begun(made)
    await settled()
    hurried = begun(made, headers=[(b"x-stainless-read-timeout", b"0.01")])
    _, verdict = await asyncio.wait_for(hurried, 1)
    assert isinstance(verdict, QuotaExceeded)
    await upstream.end()
    await first


async def test_another_target_is_asked_instead(monkeypatch):
    """A provider that is full is no reason to refuse while another has room."""
    monkeypatch.setattr(sharing, "_MOST_WAIT_S", 0.01)
    made, upstream = held(bounded(Capacity(at_once=1), "one", "two"))
    asked = [begun(made) for _ in range(2)]
    await asyncio.sleep(0.05)
    assert [call.provider.name for call in upstream.calls] == ["one", "two"]
    await upstream.end(2)
    assert [(await one)[1] for one in asked] == [None, None]


async def test_a_crowd_of_one_tenant_is_bounded(monkeypatch):
    """More than may wait are told at once; the other tenant may still wait."""
    monkeypatch.setattr(account, "_MOST_WAITING", 3)
    made, upstream = held(bounded(Capacity(at_once=1)))
    asked = [begun(made) for _ in range(6)]
    await settled()
    other = begun(made, OTHER_KEY)
    await settled()
    told = [one for one in asked if one.done()]
    assert len(told) == 2
    assert all(isinstance(one.result()[1], QuotaExceeded) for one in told)
    await upstream.end(5)
    assert (await other)[1] is None


async def test_who_leaves_gives_its_place_back():
    """A request that ends while it waits is not waited for."""
    made, upstream = held(bounded(Capacity(at_once=1)))
    first, second, third = begun(made), begun(made), begun(made)
    await settled()
    second.cancel()
    await settled()
    await upstream.end()
    assert len(upstream.calls) == 2
    await upstream.end()
    assert [(await one)[1] for one in (first, third)] == [None, None]


def limited(retry_after=b"0.02", code=None):
    """A provider that has had enough."""
    body = b'{"error": {"message": "slow down", "code": "%s"}}' % (code or b"rate_limit_exceeded")
    return whole(body, status=429, headers=[(b"retry-after", retry_after)])


async def test_a_complaint_is_heeded():
    """For as long as the provider says nobody is sent there, and then fewer at a time."""
    made = make_bench(limited(), whole(), whole())
    began = asyncio.get_running_loop().time()
    _, verdict = await made.ask(BODY)
    assert isinstance(verdict, Failure)
    for _ in range(2):
        assert (await made.ask(BODY))[1] is None
    assert asyncio.get_running_loop().time() - began >= 0.02
    found = made.gateway.accounts.get(provider("one"), provider("one").credentials[0], "one-model")
    assert (found.free, found.running, found.waiting) == (False, 0, 0)


async def test_a_long_pause_is_not_waited_for():
    """A provider that wants to hear nothing for a minute: 429 at once, with the minute."""
    made = make_bench(limited(b"60"))
    assert isinstance((await made.ask(BODY))[1], Failure)
    _, verdict = await made.ask(BODY)
    assert isinstance(verdict, QuotaExceeded)
    assert 55 <= verdict.retry_after_s <= 60


@pytest.mark.parametrize(("says_s", "least_s", "most_s"), [(b"0.2", 0.2, 0.4), (b"30", 30, 31)])
async def test_workers_do_not_ask_again_at_once(says_s, least_s, most_s):
    """Never sooner than it says, and by chance up to as long again, a second at most."""
    found = []
    for seed in range(50):
        chance = Random(seed)
        made = make_bench(limited(says_s))
        made.gateway = replace(made.gateway, accounts=Accounts(draw=chance.random))
        await made.ask(BODY)
        account = made.gateway.accounts.get(
            provider("one"), provider("one").credentials[0], "one-model"
        )
        found.append(account.blocked_s())
    assert least_s - 0.05 <= min(found)
    assert max(found) <= most_s
    assert max(found) - min(found) > 0.8 * (most_s - least_s)


@pytest.mark.parametrize("status", [500, 429])
async def test_what_waiting_does_not_help_is_no_complaint(status):
    """A failure of another kind, or an account without money."""
    body = b'{"error": {"message": "no", "code": "insufficient_quota"}}'
    made = make_bench(whole(body, status=status), whole())
    _, verdict = await made.ask(BODY)
    assert isinstance(verdict, Failure)
    assert verdict.cause is Cause.STATUS
    found = made.gateway.accounts.get(provider("one"), provider("one").credentials[0], "one-model")
    assert found.free


async def test_a_rate_is_kept():
    """Twelve hundred a minute: a hundred at once, and the rest at twenty a second."""
    made = make_bench(
        *(whole(reply()) for _ in range(104)), config=bounded(Capacity(requests_per_minute=1200))
    )
    began = asyncio.get_running_loop().time()
    done = await asyncio.gather(*(begun(made) for _ in range(104)))
    assert [verdict for _, verdict in done] == [None] * 104
    assert asyncio.get_running_loop().time() - began >= 0.15


async def test_accounts_that_nobody_uses_are_forgotten(monkeypatch):
    """There is a bound to how many are remembered."""
    monkeypatch.setattr(sharing, "_MOST_ACCOUNTS", 3)
    made = make_bench(whole())
    for number in range(10):
        made.gateway.accounts.get(provider("one"), None, f"model{number}")
    assert len(made.gateway.accounts._known) <= 3


def said(left, reset):
    """An answer of an account that takes a hundred requests in a window that it does not name."""
    names = {"limit": "100", "remaining": left, "reset": reset}
    told = [(f"x-ratelimit-{name}-requests".encode(), text) for name, text in names.items()]
    headers = [(name, text.encode()) for name, text in told]
    return whole(headers=[(b"content-type", b"application/json"), *headers])


async def test_little_left_makes_a_line(monkeypatch):
    """Who comes then waits for what the account gives back, and nothing else is between them."""
    monkeypatch.setattr(account, "_HEARS_S", 0.0)
    made = make_bench(said("2", "4900ms"), *(whole() for _ in range(4)), said("99", "1s"))
    found = made.gateway.accounts.get(provider("one"), provider("one").credentials[0], "one-model")
    assert (await made.ask(BODY))[1] is None
    assert not found.free
    began = asyncio.get_running_loop().time()
    done = await asyncio.gather(*(begun(made) for _ in range(4)))
    assert [verdict for _, verdict in done] == [None] * 4
    # One was there (of the two that are left one is on its way), the others at 19 a second.
    assert asyncio.get_running_loop().time() - began >= 0.14
    assert (await made.ask(BODY))[1] is None
    assert found.free


async def test_what_is_said_is_not_read_every_time():
    """The next answers say the same."""
    made = make_bench(said("99", "1s"), said("0", "5s"))
    found = made.gateway.accounts.get(provider("one"), provider("one").credentials[0], "one-model")
    assert [(await made.ask(BODY))[1] for _ in range(2)] == [None, None]
    assert found.free


async def test_what_is_configured_stands_before_what_is_said(monkeypatch):
    """Its owner knows what it takes, of all models together."""
    monkeypatch.setattr(account, "_HEARS_S", 0.0)
    made = make_bench(said("0", "5s"), config=bounded(Capacity(at_once=9)))
    assert (await made.ask(BODY))[1] is None
    [found] = made.gateway.accounts._known.values()
    assert found._learned.changes == 0


async def test_what_cannot_be_written_down_now_is_heard_next_time(monkeypatch):
    """Another worker changes the account's cells at the moment."""
    monkeypatch.setattr(account, "_HEARS_S", 0.0)
    made = make_bench(said("0", "5s"), said("0", "5s"))
    found = made.gateway.accounts.get(provider("one"), provider("one").credentials[0], "one-model")
    with monkeypatch.context() as patched:
        patched.setattr(type(found._commons), "lock", lambda self: False)
        assert (await made.ask(BODY))[1] is None
    assert found._learned.changes == 0
    assert (await made.ask(BODY))[1] is None
    assert found._learned.changes == 1
