"""`/v1/me`: a credential sees itself and how its limits stand, and nobody else's."""

import json
from dataclasses import replace

from tests.fakes.pipeline import KEY, RECORD, make_bench, snapshot, whole
from tests.fakes.quotas import places, quota
from tollway.app.gateway.me import Caller, describe_caller
from tollway.dialects.me import render_me, render_usage
from tollway.domain.quota import Scope
from tollway.domain.refusal import Unauthenticated

HEADERS = [(b"authorization", b"Bearer " + KEY.encode())]
ASK = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


async def ask_me(bench):
    """What the caller is told."""
    caller = await describe_caller(bench.gateway, HEADERS, "127.0.0.1")
    assert isinstance(caller, Caller)
    me = json.loads(render_me(caller.principal, caller.limits))
    return me, json.loads(render_usage(caller.limits))["data"]


async def test_a_caller_sees_its_limits_and_their_use():
    """By the counters that enforce: two of five, then four of five."""
    rules = [
        quota(5, name="trial"),
        quota(10**10, "cost", "month", scope="key", scope_id=RECORD.id, model_id="mdl_x"),
        quota(3, "concurrency", "none", per=Scope.KEY),
        quota(9, scope="key", scope_id="key_other"),
        quota(9, scope="platform"),
    ]
    bench = make_bench(whole(), whole(), config=snapshot(quotas=places(*rules)))
    me, usage = await ask_me(bench)
    assert me["tenant"]["slug"] == "acme"
    assert me["key"]["id"] == RECORD.id
    assert [limit["id"] for limit in me["limits"]] == [rules[0].id, rules[2].id, rules[1].id]
    assert me["limits"][0]["name"] == "trial"
    assert [use["used"] for use in usage] == [0, 0, "0"]
    assert usage[2]["limit"] == "10"
    for number in (1, 2):
        await bench.ask(ASK)
        _, usage = await ask_me(bench)
        assert (usage[0]["used"], usage[0]["held"], usage[0]["remaining"]) == (
            number,
            0,
            5 - number,
        )
    assert usage[0]["resets_at"].endswith("T00:00:00Z")
    assert usage[1]["resets_at"] is None


async def test_a_key_that_may_call_little_still_sees_itself():
    """Its endpoints do not concern what is its own."""
    record = replace(RECORD, endpoints=("embeddings",))
    bench = make_bench(config=snapshot(keys={record.id: record}))
    me, usage = await ask_me(bench)
    assert me["key"]["endpoints"] == ["embeddings"]
    assert usage == []


async def test_nobody_is_told_nothing():
    """Without a key: 401."""
    bench = make_bench()
    assert isinstance(await describe_caller(bench.gateway, [], "::1"), Unauthenticated)
