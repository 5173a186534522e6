"""Another model in place of one that cannot answer."""

from dataclasses import replace

import pytest

from tests.fakes.pipeline import (
    CHAT,
    KEY_ID,
    RECORD,
    REFUSED,
    Script,
    chunk,
    make_bench,
    provider,
    snapshot,
    streamed,
    whole,
)
from tests.fakes.quotas import places, quota
from tollway.app.gateway.explain import Asked, explain
from tollway.domain.failure import CONTEXT_TOO_LONG, Failure
from tollway.domain.ids import ModelId, ProviderId
from tollway.domain.model import ModelRecord, Target
from tollway.domain.quota import Scope
from tollway.domain.refusal import Forbidden, QuotaExceeded, Unavailable
from tollway.domain.snapshot import names_by_owner

BODY = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
DOWN = Script(failure=REFUSED)
TOO_LONG = b'{"error":{"message":"This model\'s maximum context length is 9 tokens.","code":400}}'


def says(status, body):
    return Script(status=status, pieces=[body])


def config(*fallbacks, mine=("one",), quotas=(), **changes):
    """Model `m`, with other models that may answer in its place; each at a provider of its own."""
    found = snapshot(mine)
    models = {(None, "m"): replace(found.models[None, "m"], fallbacks=("gone", *fallbacks))}
    providers = dict(found.providers)
    for name in ("n", "o"):
        providers[ProviderId(f"prv_{name}")] = provider(name)
        target = Target(ProviderId(f"prv_{name}"), f"{name}-model")
        models[None, name] = ModelRecord(ModelId(f"mdl_{name}"), name, (target,))
    names = names_by_owner(models.values())
    return replace(
        found,
        models=models,
        names=names,
        providers=providers,
        quotas=places(*quotas),
        **changes,
    )


def asked(made):
    return [call.provider.name for call in made.upstream.calls]


@pytest.mark.parametrize(
    "first",
    [
        DOWN,
        says(503, b"{}"),
        says(429, b"{}"),
        says(400, TOO_LONG),
        says(400, b'{"error":{"message":"no","code":"context_length_exceeded"}}'),
    ],
    ids=["refused", "503", "429", "too long by its words", "too long by its code"],
)
async def test_another_model_answers(first):
    """The client is told which; the ledger has both, the first one without a bill."""
    made = make_bench(first, whole(), config=config("n", "o"))
    client, verdict = await made.ask(BODY)
    assert verdict is None
    assert (client.status, client.headers[b"x-tollway-model"]) == (200, b"n")
    assert asked(made) == ["one", "n"]
    lost, won = made.journal.receipts
    assert (lost.payer, lost.attempt, lost.model) == ("failed_over", 1, "m")
    assert (won.payer, won.attempt, won.model) == ("reported", 2, "n")


async def test_a_stream_of_another_model():
    """The same for one that is streamed."""
    pieces = (chunk("hello"), chunk(finish="stop"), chunk(usage=(5, 2), choices=[]))
    made = make_bench(DOWN, streamed(*pieces), config=config("n"))
    client, verdict = await made.ask({**BODY, "stream": True})
    assert verdict is None
    assert client.headers[b"x-tollway-model"] == b"n"


async def test_who_answers_itself_says_nothing_of_others():
    """Nor is a wrong request made again elsewhere."""
    made = make_bench(whole(), says(400, b'{"error":{"message":"no"}}'), config=config("n"))
    client, _ = await made.ask(BODY)
    assert b"x-tollway-model" not in client.headers
    _, verdict = await made.ask(BODY)
    assert isinstance(verdict, Failure)
    assert verdict.status == 400
    assert asked(made) == ["one", "one"]


async def test_each_in_its_order_and_then_the_last_word():
    """All are asked once; the first model's own fallbacks only."""
    made = make_bench(
        DOWN, DOWN, says(503, b'{"error":{"message":"tired"}}'), config=config("n", "o")
    )
    _, verdict = await made.ask(BODY)
    assert asked(made) == ["one", "n", "o"]
    assert isinstance(verdict, Failure)
    assert verdict.message == "tired"
    assert [one.payer for one in made.journal.receipts] == ["failed_over", "failed_over", "failed"]


async def test_only_what_the_key_may_name():
    """A key for `m` alone gets no other model."""
    narrowed = {KEY_ID: replace(RECORD, models=("m",))}
    made = make_bench(DOWN, config=config("n", keys=narrowed))
    _, verdict = await made.ask(BODY)
    assert isinstance(verdict, Failure)
    assert asked(made) == ["one"]
    assert made.journal.receipts[0].payer == "failed"


async def test_a_model_without_a_provider_falls_back():
    """None of its providers is enabled."""
    found = config("n")
    off = {**found.providers, ProviderId("prv_one"): provider("one", enabled=False)}
    made = make_bench(whole(), config=replace(found, providers=off))
    client, verdict = await made.ask(BODY)
    assert verdict is None
    assert client.headers[b"x-tollway-model"] == b"n"


async def test_a_budget_that_is_used_up_falls_back():
    """The model's own, whoever set it; each attempt is counted where it was made."""
    mine = quota(1, scope=Scope.MODEL, scope_id="mdl_m", tenant_id=None)
    made = make_bench(whole(), whole(), config=config("n", quotas=[mine]))
    assert (await made.ask(BODY))[0].status == 200
    client, verdict = await made.ask(BODY)
    assert verdict is None
    assert client.headers[b"x-tollway-model"] == b"n"


async def test_a_tenants_budget_of_one_model():
    """It holds nothing of the first model any more, and counts on the second."""
    narrow = quota(1, model_id="mdl_m")
    wide = quota(3, period="hour")
    made = make_bench(*[whole() for _ in range(3)], config=config("n", quotas=[narrow, wide]))
    for wanted in (None, b"n", b"n"):
        client, verdict = await made.ask(BODY)
        assert verdict is None
        assert client.headers.get(b"x-tollway-model") == wanted
    _, verdict = await made.ask(BODY)
    assert isinstance(verdict, QuotaExceeded)
    for rules in made.gateway.limits._asked.values():
        assert all(made.gateway.quotas.standing(rule)[1] == 0 for rule in rules.rules)


async def test_what_was_first_stands_when_no_other_was_asked():
    """The fallback is refused before it is asked: the client hears of the model it named."""
    its_own = quota(0, model_id="mdl_n")
    made = make_bench(DOWN, config=config("n", quotas=[its_own]))
    _, verdict = await made.ask(BODY)
    assert isinstance(verdict, Failure)
    assert asked(made) == ["one"]
    assert [one.outcome for one in made.recorder.receipts] == ["failed", "failed"]


async def test_residency_holds_for_fallbacks_too():
    """One elsewhere is not asked."""
    found = config("n")
    tenants = {id_: replace(one, allowed_residency=("eu",)) for id_, one in found.tenants.items()}
    places_of = {
        **found.providers,
        ProviderId("prv_one"): provider("one", residency="eu"),
        ProviderId("prv_n"): provider("n", residency="us"),
    }
    made = make_bench(DOWN, config=replace(found, tenants=tenants, providers=places_of))
    _, verdict = await made.ask(BODY)
    assert isinstance(verdict, Failure)
    assert asked(made) == ["one"]
    nowhere = {**places_of, ProviderId("prv_one"): provider("one")}
    made = make_bench(config=replace(found, tenants=tenants, providers=nowhere))
    _, verdict = await made.ask(BODY)
    assert isinstance(verdict, Forbidden)


async def test_a_provider_that_is_off_and_nothing_else():
    """As before, without fallbacks."""
    found = config()
    off = {**found.providers, ProviderId("prv_one"): provider("one", enabled=False)}
    made = make_bench(config=replace(found, providers=off))
    _, verdict = await made.ask(BODY)
    assert isinstance(verdict, Unavailable)


async def test_explain_names_them():
    """Those that this key may use."""
    made = make_bench(config=config("n"))
    found = await explain(made.gateway, Asked(KEY_ID, CHAT, b'{"model":"m","messages":[]}'))
    assert found.model["fallbacks"] == ["n"]
    assert CONTEXT_TOO_LONG == "context_length_exceeded"
