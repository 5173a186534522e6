"""Several credentials of one provider: shared by weight, each with what is known of it."""

from collections import Counter, deque
from dataclasses import replace

import pytest

from tests.fakes.pipeline import REFUSED, Script, make_bench, provider, snapshot, whole
from tollway.app.gateway.account import Turn
from tollway.domain.failure import Cause, Failure, Phase
from tollway.domain.fair_share import Capacity
from tollway.domain.ids import ProviderId
from tollway.domain.provider import CredentialRecord

BODY = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def says(status, *headers):
    return Script(status=status, headers=list(headers), pieces=[b'{"error":{"message":"no"}}'])


def config(*weights, targets=("one",), **changes):
    """Providers that have so many credentials each."""
    found = snapshot(targets)
    return replace(
        found,
        providers={
            ProviderId(f"prv_{name}"): provider(
                name,
                credentials=tuple(
                    CredentialRecord(f"crd_{name}_{place}", weight=weight)
                    for place, weight in enumerate(weights)
                ),
                **changes,
            )
            for name in targets
        },
    )


def used(made):
    return [call.credential.id for call in made.upstream.calls]


async def test_they_are_used_by_weight():
    """Within one or two of their shares."""
    made = make_bench(*[whole() for _ in range(60)], config=config(1, 2, 3))
    for _ in range(60):
        assert (await made.ask(BODY))[1] is None
    shares = Counter(used(made))
    for place, share in enumerate((10, 20, 30)):
        assert abs(shares[f"crd_one_{place}"] - share) <= 2


@pytest.mark.parametrize("status", [401, 402, 403, 429])
async def test_another_one_is_tried_at_once(status):
    """What is wrong with one is no failure of the provider; both attempts are in the ledger."""
    made = make_bench(says(status), whole(), config=config(1, 1))
    client, verdict = await made.ask(BODY)
    assert verdict is None
    assert client.status == 200
    first, second = used(made)
    assert first != second
    assert [one.payer for one in made.journal.receipts] == ["failed_over", "reported"]
    assert [one.credential_id for one in made.journal.receipts] == [first, second]


async def test_one_that_cannot_be_read():
    """A reference that leads nowhere is as good as a refused one."""
    lost = Failure(Phase.CONNECT, Cause.CREDENTIAL, "There is no TW_KEY.")
    made = make_bench(Script(failure=lost), *[whole() for _ in range(5)], config=config(1, 1))
    for _ in range(5):
        assert (await made.ask(BODY))[1] is None
    assert len(set(used(made)[1:])) == 1


@pytest.mark.parametrize(
    "refusal",
    [
        says(401),
        says(402),
        says(429, (b"retry-after", b"30")),
        Script(status=429, pieces=[b'{"error":{"message":"no","code":"insufficient_quota"}}']),
    ],
)
async def test_one_that_rests_is_passed_over(refusal):
    """Until its time is over nothing is sent with it."""
    made = make_bench(refusal, *[whole() for _ in range(10)], config=config(1, 1))
    for _ in range(10):
        assert (await made.ask(BODY))[1] is None
    first, *rest = used(made)
    assert first not in rest


async def test_when_all_rest_one_is_tried():
    """Nobody is refused because of what happened before."""
    made = make_bench(*[says(401) for _ in range(4)], whole(), config=config(1, 1))
    for _ in range(2):
        _, verdict = await made.ask(BODY)
        assert isinstance(verdict, Failure)
    assert len(made.upstream.calls) == 3  # two, then the one whose turn it was
    made.upstream.scripts.popleft()
    assert (await made.ask(BODY))[1] is None


async def test_what_is_the_providers_fault_goes_to_the_next_target():
    """Not to the same provider with another credential."""
    made = make_bench(Script(failure=REFUSED), whole(), config=config(1, 1, targets=("one", "two")))
    assert (await made.ask(BODY))[1] is None
    assert [call.provider.name for call in made.upstream.calls] == ["one", "two"]


async def test_a_wrong_request_is_wrong_with_any():
    """It is sent once."""
    made = make_bench(says(400), config=config(1, 1))
    await made.ask(BODY)
    assert len(made.upstream.calls) == 1


async def test_three_attempts_are_the_most():
    """However many credentials there are; then the last one's word stands."""
    made = make_bench(*[says(401) for _ in range(3)], config=config(*[1] * 5))
    _, verdict = await made.ask(BODY)
    assert isinstance(verdict, Failure)
    assert len(made.upstream.calls) == 3
    payers = [one.payer for one in made.journal.receipts]
    assert payers == ["failed_over", "failed_over", "failed"]


async def test_each_has_a_capacity_of_its_own():
    """Set for the provider, it holds for each; the same capacity in a newer configuration begins
    nothing anew."""
    found = config(1, 1, capacity=Capacity(requests_per_minute=60))
    made = make_bench(*[whole() for _ in range(8)], config=found)
    for _ in range(8):
        assert (await made.ask(BODY))[1] is None
    (busiest, count), (_, rest) = Counter(used(made)).most_common(2)
    assert (count, rest) == (5, 3)  # five at once are what 60 a minute allow
    (one,), (tenant,) = found.providers.values(), found.tenants.values()
    credential = next(known for known in one.credentials if known.id == busiest)
    account = made.gateway.accounts.get(one, credential, "one-model")
    assert account.enter(tenant, 1) is None
    same = replace(one, capacity=Capacity(requests_per_minute=60))
    assert made.gateway.accounts.get(same, credential, "one-model") is account
    assert account.enter(tenant, 1) is None
    more = replace(one, capacity=Capacity(requests_per_minute=600))
    assert made.gateway.accounts.get(more, credential, "one-model") is account
    # At 60 a minute the next one would be due after a second.
    assert isinstance(await account.wait(tenant, 1, most_s=0.7), Turn)


async def test_second_attempts_come_back_with_requests():
    """A model of one target has them too: what came to nothing once is not gone for good."""
    busy = says(429, (b"retry-after-ms", b"0"))
    made = make_bench(config=config(1, 1))
    for _ in range(120):
        made.upstream.scripts = deque([busy] * 3)
        assert (await made.ask(BODY))[1].status == 429
    assert 220 <= len(used(made)) <= 232, "it is the credentials that fail, and not the target"
    for _ in range(25):
        made.upstream.scripts = deque([whole()])
        assert (await made.ask(BODY))[1] is None
    made.upstream.scripts = deque([busy, whole()])
    assert (await made.ask(BODY))[1] is None
