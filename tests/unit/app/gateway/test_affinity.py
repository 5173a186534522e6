"""One conversation goes to one target; equals share, and spill over where there is no room."""

import asyncio
import json
from collections import Counter
from dataclasses import replace

import pytest

from tests.fakes.pipeline import REFUSED, TENANT, Script, make_bench, provider, snapshot, whole
from tests.unit.app.gateway.test_sharing import Held, begun, settled
from tollway.dialects.registry import ENDPOINTS
from tollway.domain.fair_share import Capacity
from tollway.domain.ids import ProviderId
from tollway.domain.model import Strategy

NAMES = ("one", "two", "three")


def config(strategy=Strategy.PRIORITY, *, names=NAMES, affinity=True, priorities=(0, 0, 0), **more):
    found = snapshot(names)
    model = found.models[None, "m"]
    targets = tuple(
        replace(target, priority=priority)
        for target, priority in zip(model.targets, priorities, strict=False)
    )
    model = replace(model, strategy=strategy, cache_affinity=affinity, targets=targets)
    return replace(found, models={(None, "m"): model}, **more)


def talk(*texts, **fields):
    messages = [{"role": "user", "content": text} for text in texts]
    return {"model": "m", "messages": messages, **fields}


async def asked(made, body, **how):
    made.upstream.scripts.append(whole())
    assert (await made.ask(body, **how))[1] is None
    return made.upstream.calls[-1].provider.name


@pytest.mark.parametrize("strategy", [Strategy.PRIORITY, Strategy.ROUND_ROBIN, Strategy.WEIGHTED])
async def test_a_conversation_stays(strategy):
    """As it grows; others go elsewhere, so that all are used."""
    made, used = make_bench(config=config(strategy)), Counter()
    for number in range(60):
        first = await asked(made, talk(f"question {number}", "answer"))
        again = await asked(made, talk(f"question {number}", "answer", "more", "and more"))
        assert first == again
        used[first] += 1
    assert all(used[name] >= 10 for name in NAMES)


@pytest.mark.parametrize("named", [{"prompt_cache_key": "k"}, {"user": "ada"}])
async def test_what_is_named_is_the_conversation(named):
    """Whatever it says."""
    made = make_bench(config=config())
    assert len({await asked(made, talk(f"{number}", **named)) for number in range(12)}) == 1


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (b"/v1/responses", {"model": "m", "input": "hello"}),
        (b"/v1/responses", {"model": "m", "instructions": "be", "input": [{"role": "user"}]}),
    ],
)
async def test_other_dialects_have_beginnings_too(path, body):
    """A text is its own beginning."""
    made = make_bench(config=config())
    calls = []
    for _ in range(5):
        made.upstream.scripts.append(whole(b'{"id":"r","object":"response","output":[]}'))
        await made.ask(json.dumps(body).encode(), endpoint=ENDPOINTS[path])
        calls.append(made.upstream.calls[-1].provider.name)
    assert len(set(calls)) == 1


async def test_two_tenants_never_share_a_conversation():
    """The same words, by another tenant, are another conversation."""
    places = set()
    for number in range(12):
        other = replace(TENANT, salt=b"x")
        made = make_bench(config=config(tenants={TENANT.id: other}))
        places.add(await asked(made, talk("hello")))
        assert len(places) == 1, number  # the tenant is known by its id


async def test_a_target_that_is_down_loses_its_conversations_for_so_long():
    """They go where the others would."""
    made = make_bench(config=config())
    home = await asked(made, talk("hello"))
    made.upstream.scripts.extend([Script(failure=REFUSED), whole()])
    assert (await made.ask(talk("hello")))[1] is None
    assert made.upstream.calls[-1].provider.name != home
    assert await asked(made, talk("hello")) == home


async def test_priority_goes_before():
    """Only equals are chosen among; one alone is no choice."""
    made = make_bench(config=config(priorities=(1, 0, 1)))
    assert {await asked(made, talk(f"{number}")) for number in range(12)} == {"two"}


@pytest.mark.parametrize("strategy", [Strategy.FAILOVER, Strategy.COST_OPTIMIZED])
async def test_some_strategies_go_their_own_way(strategy):
    """As if it were not set."""
    made = make_bench(config=config(strategy))
    assert {await asked(made, talk(f"{number}")) for number in range(12)} == {"one"}


async def test_equals_share():
    """Without affinity they take turns."""
    made = make_bench(config=config(affinity=False, priorities=(0, 0, 1)))
    used = Counter([await asked(made, talk("hello")) for _ in range(10)])
    assert used == {"one": 5, "two": 5}


async def test_one_without_room_gives_its_turn_to_the_next():
    """Nobody waits while a target of another priority has room; then all wait at the first."""
    providers = {
        ProviderId(f"prv_{name}"): provider(name, capacity=Capacity(at_once=1))
        for name in ("one", "two")
    }
    found = config(names=("one", "two"), affinity=False, priorities=(0, 1), providers=providers)
    made = make_bench(config=found)
    upstream = Held(made)
    for kind in made.gateway.upstreams:
        made.gateway.upstreams[kind] = upstream
    running = [begun(made) for _ in range(3)]
    await settled()
    assert [call.provider.name for call in upstream.calls] == ["one", "two"]
    await upstream.end()
    assert [call.provider.name for call in upstream.calls] == ["one", "two", "one"]
    await upstream.end(2)
    for task in running:
        assert (await task)[1] is None


EMPTY = [(b"x-ratelimit-remaining-requests", b"0"), (b"x-ratelimit-reset-requests", b"30s")]


async def test_an_account_that_has_nothing_left_is_passed_over():
    """As it said itself with its answer, and for as long as it said."""
    made = make_bench(config=config(names=("one", "two"), affinity=False, priorities=(0, 1)))
    made.upstream.scripts.append(whole(headers=[(b"content-type", b"application/json"), *EMPTY]))
    assert (await made.ask(talk("hello")))[1] is None
    assert {await asked(made, talk("hello")) for _ in range(3)} == {"two"}


async def test_after_its_rest_it_is_first_again():
    """And nobody counts at it any more than before."""
    soon = [(b"x-ratelimit-remaining-tokens", b"0"), (b"x-ratelimit-reset-tokens", b"30ms")]
    made = make_bench(config=config(names=("one", "two"), affinity=False, priorities=(0, 1)))
    made.upstream.scripts.append(whole(headers=[(b"content-type", b"application/json"), *soon]))
    assert (await made.ask(talk("hello")))[1] is None
    await asyncio.sleep(0.05)
    assert await asked(made, talk("hello")) == "one"
    accounts = made.gateway.accounts._known.values()
    assert all(account.free and not account.running for account in accounts)
