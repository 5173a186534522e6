"""Ejected targets are asked for something free, on virtual time, through the whole pipeline."""

import asyncio
from dataclasses import replace
from itertools import pairwise

import pytest

from tests.fakes.outages import Outage, play
from tests.fakes.pipeline import provider, snapshot
from tollway.app.free_call import MAX_BODY_BYTES
from tollway.app.jobs.probe import Probing
from tollway.domain.failure import Cause, Failure, Phase
from tollway.domain.fair_share import Capacity
from tollway.domain.health import LONGEST_S, Health
from tollway.domain.ids import ProviderId, TenantId
from tollway.domain.provider import CredentialRecord, ProviderKind

PAIR = ("one", "two")


class Probed(Outage):
    """With probes beside it."""

    def __init__(self, config, **options):
        super().__init__(config, **options)
        self.probing = Probing(self.gateway)
        self.task = asyncio.ensure_future(self.probing.run())

    async def end(self):
        await self.rest()
        self.task.cancel()
        await asyncio.wait((self.task,))

    def asked_of(self, name, since_s=0.0):
        return [at_s for at_s, who in self.upstream.asked if who == name and at_s >= since_s]

    @property
    def health(self):
        return self.gateway.health[ProviderId("prv_one"), "one-model"]


def paired(**changes):
    """A configuration with two targets, the first's provider changed so."""
    config = snapshot(PAIR)
    first = replace(config.providers["prv_one"], **changes)
    return replace(config, providers={**config.providers, first.id: first})


@pytest.mark.parametrize("silent_s", [60, 200])
@pytest.mark.uncounted
def test_no_request_has_to_find_out(silent_s):
    """While it is away its probes fail and no request tries; when it is back one probe says so, and
    then one request does. Probes are no nearer than ejections, and at most the longest apart."""

    async def scenario():
        world = Probed(snapshot(PAIR), timeout_s=1.0)
        world.upstream.silent.add("one")
        await world.load(10, silent_s)
        assert max(world.asked_of("one")) < 3
        probes = [at_s for at_s, _ in world.upstream.listed]
        apart = [later - sooner for sooner, later in pairwise(probes)]
        assert 4 <= min(apart) <= max(apart) <= LONGEST_S + 1
        back_s = world.loop.time()
        world.upstream.silent.clear()
        await world.load(10, LONGEST_S + 3)
        asked = world.asked_of("one", back_s)
        assert world.upstream.listed[-1][0] < asked[0] < world.upstream.listed[-1][0] + 0.5
        assert world.gateway.health == {}
        assert world.verdicts() == {"NoneType": len(world.ended)}
        await world.end()

    play(scenario)


def test_nothing_is_billed_or_counted():
    """Requests alone have receipts, and turns at the account."""

    async def scenario():
        world = Probed(paired(capacity=Capacity(at_once=1)), timeout_s=1.0)
        world.upstream.silent.add("one")
        await world.load(2, 30)
        await world.rest()
        assert len(world.upstream.listed) >= 1
        journal = world.gateway.journal
        assert len(journal.receipts) == len(journal.intents) == len(world.upstream.asked)
        await world.end()

    play(scenario)


@pytest.mark.parametrize(
    ("status", "tried"),
    [(200, "soon"), (401, "soon"), (429, "soon"), (400, "soon"),
     (404, "later"), (405, "later"), (302, "later"), (500, "never"), (503, "never")],
)  # fmt: skip
def test_what_an_answer_says(status, tried):
    """Refused or busy it is there; a path that does not exist says nothing, so that a request finds
    out as without probes; a 5xx says that it is not well."""

    async def scenario():
        world = Probed(snapshot(PAIR), timeout_s=0.1)
        world.upstream.silent.add("one")
        world.upstream.lists["one"] = status
        await world.load(10, 4)
        until_s = world.health.ejected_until_s
        await world.load(10, until_s - world.loop.time() + 2)
        probed_s = world.upstream.listed[0][0]
        assert until_s - 1 <= probed_s < until_s
        found = world.asked_of("one", probed_s)
        if tried == "never":
            assert not found
        else:
            assert (found[0] < until_s) == (tried == "soon")
            assert len(found) == 1, "one request, and it failed"
        await world.end()

    play(scenario)


def test_what_is_not_the_targets_fault():
    """Our own credential does not resolve: nobody was asked, and a request finds out."""

    async def scenario():
        world = Probed(snapshot(PAIR), timeout_s=0.1)
        world.upstream.silent.add("one")
        real = world.upstream.call

        async def call(call, sink):
            if call.method == "GET":
                world.upstream.listed.append((world.loop.time(), call.provider.name))
                return Failure(Phase.CONNECT, Cause.CREDENTIAL, "It is gone.")
            return await real(call, sink)

        world.upstream.call = call
        await world.load(10, 15)
        probed_s = world.upstream.listed[0][0]
        assert world.asked_of("one", probed_s)
        await world.end()

    play(scenario)


def test_a_silent_probe_ends():
    """Within seconds, whatever the provider's own deadlines are."""

    async def scenario():
        world = Probed(snapshot(PAIR), timeout_s=600.0)
        world.upstream.silent.add("one")
        await world.load(1, 8)
        for health in [Health()]:
            for _ in range(5):
                health.failed(world.loop.time())
            health.wanted(world.loop.time() + 4.5)
            world.gateway.health[ProviderId("prv_one"), "one-model"] = health
        until_s = health.ejected_until_s
        await asyncio.sleep(5)
        assert len(world.probing) == 1
        await asyncio.sleep(5)
        assert len(world.probing) == 0
        assert health.ejected_until_s > until_s, "it stays ejected"
        world.task.cancel()

    play(scenario)


def test_what_nobody_wants_is_left_alone():
    """And a provider that was disabled or deleted meanwhile."""

    async def scenario():
        for changed in (None, {"enabled": False}, "deleted"):
            config = snapshot(PAIR)
            world = Probed(config, timeout_s=0.1)
            world.upstream.silent.add("one")
            await world.load(10, 4)
            if changed is None:
                world.health.wanted(world.loop.time() - 1000)
            elif changed == "deleted":
                world.gateway.source.current = replace(config, providers={})
            else:
                world.gateway.source.current = paired(**changed)
            await asyncio.sleep(60)
            assert world.upstream.listed == []
            await world.end()

    play(scenario)


def test_built_in_ones_have_nothing_to_be_asked_for():
    """A request finds out."""

    async def scenario():
        world = Probed(paired(kind=ProviderKind.ECHO), timeout_s=0.1)
        world.upstream.silent.add("one")
        await world.load(10, 15)
        assert world.upstream.listed == []
        assert len(world.asked_of("one", 5)) >= 1
        await world.end()

    play(scenario)


def test_a_credential_that_rests_is_not_the_one():
    """Of several; where all rest, the first."""

    async def scenario():
        keys = tuple(CredentialRecord(f"crd_{name}") for name in "ab")
        world = Probed(paired(credentials=keys), timeout_s=0.1)
        one = world.gateway.source.current.providers["prv_one"]
        account = world.gateway.accounts.get(one, keys[0], "one-model")
        assert world.probing._credential(one, "one-model") == keys[0]
        account.rest(60)
        assert world.probing._credential(one, "one-model") == keys[1]
        world.gateway.accounts.get(one, keys[1], "one-model").rest(60)
        assert world.probing._credential(one, "one-model") == keys[0]
        assert world.probing._credential(replace(one, credentials=()), "m") is None
        await world.end()

    play(scenario)


def ejected_at(world, owners, models=1):
    """Providers of these owners, `models` ejected targets each, all due to be asked."""
    records, now_s = {}, world.loop.time()
    for number, owner in enumerate(owners):
        made = provider(str(number), tenant_id=None if owner is None else TenantId(owner))
        records[made.id] = made
        world.upstream.silent.add(made.name)
        for model in range(models):
            health = world.gateway.health[made.id, f"m{model}"] = Health()
            for _ in range(5):
                health.failed(now_s - 4.5, draw=0.0)
            health.wanted(now_s)
    world.gateway.source.current = replace(world.gateway.source.current, providers=records)


def test_a_few_at_a_time():
    """Of one tenant's own fewer than of all tenants', which take no room from the platform's."""

    async def scenario():
        crowd = ["ten_a"] * 30 + [f"ten_{number}" for number in range(30)] + [None] * 30
        world = Outage(snapshot(PAIR), timeout_s=1.0)
        probing = Probing(world.gateway)
        ejected_at(world, crowd)
        probing.begin_due()
        await asyncio.sleep(0)
        asked = [crowd[int(name)] for _, name in world.upstream.listed]
        assert (len(asked), asked.count("ten_a"), asked.count(None)) == (32, 4, 16)
        probing.begin_due()
        await asyncio.sleep(0)
        assert len(world.upstream.listed) == 32, "each one once, and no more at a time"
        await asyncio.sleep(2)
        assert len(probing) == 0

    play(scenario)


def test_one_probe_is_for_all_of_a_providers_targets():
    """Those that are due at the same time, or soon, if it fails."""

    async def scenario():
        world = Outage(snapshot(PAIR), timeout_s=1.0)
        probing = Probing(world.gateway)
        ejected_at(world, [None], models=50)
        soon = world.gateway.health[ProviderId("prv_0"), "soon"] = Health()
        for _ in range(5):
            soon.failed(world.loop.time(), draw=0.1)
        soon.wanted(world.loop.time())
        until_s = soon.ejected_until_s
        probing.begin_due()
        await asyncio.sleep(1.5)
        assert len(world.upstream.listed) == 1
        ends = [health.ejected_until_s for health in world.gateway.health.values()]
        assert min(ends) >= world.loop.time() + 4
        assert len(set(ends)) == 51, "by chance, so that they do not come back at once"
        assert soon.ejected_until_s > until_s

    play(scenario)


def test_a_long_list_is_enough():
    """Its beginning says that the provider answers; the rest is not read."""

    async def scenario():
        world = Probed(snapshot(PAIR), timeout_s=0.1)
        sizes = []

        class Endless:
            async def call(self, call, sink):
                ended = []
                sink.attach(
                    type("Flow", (), {"cancel": lambda _, failure: ended.append(failure)})()
                )
                sink.head(200, [])
                while not ended:
                    sink.data(b"x" * 10_000)
                    sizes.append(10_000)
                return ended[0]

        world.gateway.upstreams.update(dict.fromkeys(world.gateway.upstreams, Endless()))
        one = world.gateway.source.current.providers["prv_one"]
        assert await world.probing._ask(one, None) is True
        assert sum(sizes) <= MAX_BODY_BYTES + 10_000
        await world.end()

    play(scenario)


def test_when_it_is_told_to_leave_nothing_is_left_under_way():
    """Probes end with it."""

    async def scenario():
        world = Probed(snapshot(PAIR), timeout_s=100.0)
        ejected_at(world, [None, None])
        await asyncio.sleep(1)
        assert len(world.probing) == 2
        await world.end()
        await asyncio.sleep(0)
        assert len(world.probing) == 0

    play(scenario)


def test_all_are_back_within_seconds_of_their_probes():
    """Also where nothing else is there: before a probe answers most are refused, after it all are
    served."""

    async def scenario():
        world = Probed(snapshot(), timeout_s=3.0)
        world.upstream.silent.add("one")
        await world.load(20, 60)
        world.upstream.silent.clear()
        back_s = world.loop.time()
        await world.load(20, LONGEST_S)
        served = [began_s for began_s, _, verdict in world.ended if verdict is None]
        first_s = min(began_s for began_s in served if began_s >= back_s - 3)
        await world.rest()
        assert set(world.verdicts(first_s + 3)) == {"NoneType"}
        await world.end()

    play(scenario)
