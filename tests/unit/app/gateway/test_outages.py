"""One target falls silent under load, or all do: the whole pipeline on virtual time."""

import asyncio
from dataclasses import replace

import pytest

from tests.fakes.outages import BODY, Outage, play
from tests.fakes.pipeline import CHAT, KEY_ID, PEPPER, TENANT, snapshot
from tollway.app.gateway.explain import Asked, explain
from tollway.domain.failure import Failure
from tollway.domain.ids import ModelId, ProviderId, TenantId
from tollway.domain.key import KeyRecord, digest_key, make_key, split_key
from tollway.domain.model import ModelRecord, Target
from tollway.domain.refusal import Unavailable
from tollway.domain.snapshot import names_by_owner


@pytest.mark.parametrize(("rate", "takes_s"), [(20, 2.0), (40, 2.0), (10, 8.0), (20, 0.1)])
def test_what_asked_the_silent_one_is_answered_by_the_next(rate, takes_s):
    """Also where whole answers take seconds, so that many wait for their second attempt's."""

    async def scenario():
        world = Outage(snapshot(("one", "two")), takes_s=takes_s, timeout_s=3.0)
        await world.load(rate, 3)
        world.upstream.silent.add("one")
        await world.load(rate, 20)
        await world.rest()
        assert world.verdicts() == {"NoneType": rate * 23}

    play(scenario)


@pytest.mark.parametrize(
    ("names", "timeout_s"), [(("one",), 3.0), (("one", "two"), 3.0), (("one", "two", "three"), 0.5)]
)
def test_all_fall_silent(names, timeout_s):
    """A fifth of attempts more than requests at most, over any thousand of them. Once all are
    ejected who comes hears so at once, but for those that find out; and when they are back, so is
    the model."""

    async def scenario():
        world = Outage(snapshot(names), timeout_s=timeout_s)
        await world.load(40, 3)
        world.upstream.silent.update(names)
        silent_s, before = world.loop.time(), len(world.upstream.asked)
        await world.load(40, 25)
        attempts = len(world.upstream.asked) - before
        open_s = silent_s + (len(names) + 1) * timeout_s + 0.5
        later = [one for one in world.ended if one[0] >= open_s]
        refused = [one for one in later if isinstance(one[2], Unavailable)]
        assert attempts <= 1.2 * 40 * 25
        assert {took_s for _, took_s, _ in refused} == {0.0}
        assert all(1 <= one[2].retry_after_s <= 40 for one in refused)
        assert len(later) - len(refused) <= 10 + 25 / timeout_s
        assert len(refused) >= 0.9 * len(later)
        world.upstream.silent.clear()
        back_s = world.loop.time()
        await world.load(20, 50)
        await world.rest()
        served = [began_s for began_s, _, verdict in world.ended if verdict is None]
        assert min(began_s for began_s in served if began_s > back_s) - back_s <= timeout_s + 0.5
        assert set(world.verdicts(back_s + 10)) == {"NoneType"}
        assert len(world.gateway.scouts) == 0

    play(scenario)


def two_tenants():
    """A configuration in which another tenant may use the model too; and its key."""
    config = snapshot()
    other = replace(TENANT, id=TenantId("ten_b"), slug="other")
    key_id, key = make_key("test", bytes(range(1, 42)))
    digest = digest_key(PEPPER, other.id, key_id, split_key(key)[1])
    record = KeyRecord(key_id, other.id, digest, 1)
    return replace(
        config,
        tenants={**config.tenants, other.id: other},
        keys={**config.keys, key_id: record},
    ), key


def test_a_tenants_slow_requests_keep_no_other_out():
    """Each finds out by itself: one whose requests all fail shuts a model for nobody else."""

    async def scenario():
        config, key = two_tenants()
        world = Outage(config, timeout_s=30.0)
        world.upstream.silent.add("one")
        await world.load(20, 31)
        world.upstream.silent.clear()
        assert isinstance(await world.one(), Unavailable), "its own is under way"
        assert await world.one(key) is None
        assert await world.one() is None, "that was heard of"
        await world.rest()

    play(scenario)


def test_fast_failures_are_the_providers_own():
    """One request after the other: each is told what the provider said, none is refused."""

    async def scenario():
        world = Outage(snapshot(), timeout_s=0.0)
        world.upstream.silent.add("one")
        for _ in range(50):
            assert isinstance(await world.one(), Failure)
            await asyncio.sleep(0.01)

    play(scenario)


@pytest.mark.parametrize("names", [("one",), ("one", "two")])
def test_one_that_fails_too_often_goes_last(names):
    """Though it answers in between. Without another one it is asked all the same, and nobody is
    refused."""

    async def scenario():
        world = Outage(snapshot(names), timeout_s=0.01)
        for number in range(60):
            (world.upstream.silent.discard if number % 2 else world.upstream.silent.add)("one")
            await world.one()
        asked = [name for _, name in world.upstream.asked]
        if names == ("one",):
            assert world.verdicts() == {"Failure": 30, "NoneType": 30}
        else:
            assert world.verdicts() == {"NoneType": 60}
            assert asked.count("one") == 21
            assert set(asked[-39:]) == {"two"}

    play(scenario)


def with_fallback():
    """Model `m` at the first provider, and `n` at the second in its place."""
    config = snapshot(("one", "two"))
    first = config.models[None, "m"]
    target = Target(ProviderId("prv_two"), "n-model")
    models = {
        (None, "m"): replace(first, targets=first.targets[:1], fallbacks=("n",)),
        (None, "n"): ModelRecord(ModelId("mdl_n"), "n", (target,)),
    }
    return replace(config, models=models, names=names_by_owner(models.values()))


@pytest.mark.parametrize(("takes_s", "timeout_s"), [(0.1, 1.0), (2.0, 3.0)])
def test_another_model_is_asked_at_once(takes_s, timeout_s):
    """Where the first one has nothing that answers, but for who finds out."""

    async def scenario():
        world = Outage(with_fallback(), takes_s=takes_s, timeout_s=timeout_s)
        world.upstream.silent.add("one")
        await world.load(20, 30)
        await world.rest()
        assert world.verdicts() == {"NoneType": 600}
        later = [took_s for began_s, took_s, _ in world.ended if began_s > timeout_s + 1]
        assert sum(took_s > takes_s + 0.1 for took_s in later) <= 35
        assert len(world.gateway.scouts) == 0

    play(scenario)


def test_one_may_find_out_about_a_model_after_the_other():
    """Where the other one has nothing that answers either."""

    async def scenario():
        world = Outage(with_fallback(), timeout_s=1.0)
        world.upstream.silent.update(("one", "two"))
        await world.load(20, 10)
        await world.rest()
        assert "NoneType" not in world.verdicts()
        world.gateway.retries.clear()
        before = len(world.upstream.asked)
        assert isinstance(await world.one(), Failure)
        assert [name for _, name in world.upstream.asked[before:]] == ["one", "two"]
        assert len(world.gateway.scouts) == 0
        world.upstream.silent.clear()
        assert await world.one() is None

    play(scenario)


def test_looking_sends_nobody():
    """An explanation says what would become of a request, and is none."""

    async def scenario():
        world = Outage(snapshot(), timeout_s=1.0)
        world.upstream.silent.add("one")
        await world.load(10, 3)
        asked = Asked(KEY_ID, CHAT, BODY)
        await world.rest()
        assert (await explain(world.gateway, asked)).refused is None
        assert len(world.gateway.scouts) == 0
        task = asyncio.ensure_future(world.one())
        await asyncio.sleep(0.1)
        found = await explain(world.gateway, asked)
        assert (found.at, found.refused.code) == ("plan", "targets_unavailable")
        assert isinstance(await task, Failure)

    play(scenario)
