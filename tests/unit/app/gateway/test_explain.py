"""What would become of a request: the same verdict as `serve`, and nothing is left behind."""

import json
from dataclasses import replace

import pytest

from tests.fakes.pipeline import (
    CHAT,
    KEY_ID,
    RECORD,
    TENANT,
    make_bench,
    provider,
    reply,
    snapshot,
    whole,
)
from tests.fakes.quotas import quota
from tollway.app.gateway.explain import Asked, explain
from tollway.app.ports import Counted, StoreUnavailableError
from tollway.app.pricing import PriceList, Pricing
from tollway.dialects.registry import ENDPOINTS
from tollway.domain.ids import ModelId, ProviderId
from tollway.domain.model import ModelRecord, Target
from tollway.domain.price_book import Entry
from tollway.domain.provider import ProviderKind
from tollway.domain.quota import Mode, QuotaPlace, place_of
from tollway.web.gateway.explained import asked_of, explanation_values

BODY = b'{"model": "m", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 40}'


class Prices:
    """One price for everything."""

    def mark(self):
        return 1

    def read(self):
        return PriceList([Entry("prc_1", "*", 0, {"input": "1", "output": "2"})], {})


class Sums:
    """The ledger's sums."""

    def __init__(self, used=0, away=False):
        self.used, self.away = used, away

    async def count(self, refs):
        if self.away:
            raise StoreUnavailableError("away")
        return Counted([{0: self.used}], [0], (0, 0), False)


def limited(*records, **changes):
    """A configuration with these limits."""
    places = {place_of(one) for one in records}
    quotas = {
        place: QuotaPlace(place, tuple(one for one in records if place_of(one) == place))
        for place in places
    }
    return replace(snapshot(**changes), quotas=quotas)


def bench(config=None, scripts=(), **changes):
    """A pipeline that answers nothing but what is given."""
    return make_bench(*scripts, config=config, **changes)


async def told(made, body=BODY, **changes):
    """The explanation, as values; nothing was counted, journalled, sent or held."""
    asked = Asked(**{"key_id": KEY_ID, "endpoint": CHAT, "body": body, **changes})

    def traces():
        lists = made.upstream.calls, made.journal.intents, made.recorder.receipts
        return dict(made.gateway.turns), *(len(one) for one in lists)

    before = traces()
    found = explanation_values(await explain(made.gateway, asked))
    assert traces() == before
    json.dumps(found)
    return found


async def test_a_request_that_would_pass():
    """Who, which model, no cache, no limit, one target with its price."""
    found = await told(bench(prices=Pricing(Prices())))
    assert found["refusal"] is None
    assert found["principal"] == {
        "tenant_id": TENANT.id,
        "key_id": KEY_ID,
        "project_id": None,
        "account_id": None,
        "end_user": None,
    }
    assert found["model"] == {
        "id": "mdl_m",
        "name": "m",
        "strategy": "priority",
        "fallbacks": [],
    }
    assert (found["cache"], found["limits"]) == ("off", [])
    [target] = found["targets"]
    read = -(-len(BODY) // 4)
    assert target["cost_nusd"] == read * 1000 + 40 * 2000
    assert (target["provider"], target["model"], target["problem"]) == ("one", "one-model", None)


async def test_a_model_that_is_left_to_the_tenant():
    """Its default is explained; without one it is said what to do."""
    unnamed = BODY.replace(b'"model": "m", ', b"")
    found = await told(bench(), unnamed)
    assert (found["refusal"]["phase"], found["refusal"]["status"]) == ("admit", 400)
    assert "default_model" in found["refusal"]["message"]
    tenants = {TENANT.id: replace(TENANT, default_model="m")}
    found = await told(bench(snapshot(tenants=tenants)), unnamed)
    assert (found["refusal"], found["model"]["name"]) == (None, "m")


async def test_each_limit_as_it_stands():
    """By the counter, and where nobody counts yet by the ledger; the one that binds is named."""
    wide, tight = quota(1000, "tokens", tenant_id=TENANT.id), quota(5, tenant_id=TENANT.id)
    made = bench(limited(wide, tight))
    object.__setattr__(made.gateway, "counting", Sums(used=5))
    found = await told(made)
    limits = {limit["metric"]: limit for limit in found["limits"]}
    assert (limits["requests"]["used"], limits["requests"]["binds"]) == (5, True)
    assert limits["tokens"]["asks"] == -(-len(BODY) // 4) + 40
    assert found["refusal"]["phase"] == "reserve"
    assert found["refusal"]["status"] == 429
    assert found["refusal"]["code"] == "insufficient_quota"


@pytest.mark.parametrize("limit", [1, 2, 50, 100, 100_000])
@pytest.mark.parametrize("metric", ["requests", "tokens"])
async def test_the_verdict_is_what_happens(limit, metric):
    """Again and again, until the limit is reached and after."""
    one = quota(limit, metric, tenant_id=TENANT.id)
    made = bench(limited(one), scripts=[whole(reply(usage=(9, 4))) for _ in range(12)])
    for _ in range(12):
        found = await told(made)
        _, verdict = await made.ask(BODY)
        assert (found["refusal"] is None) == (verdict is None)


async def test_a_limit_that_nobody_can_tell():
    """Neither counter nor ledger: it is not known, and not called reached."""
    made = bench(limited(quota(5, tenant_id=TENANT.id)))
    object.__setattr__(made.gateway, "counting", Sums(away=True))
    [limit] = (await told(made))["limits"]
    assert (limit["used"], limit["held"], limit["binds"]) == (None, None, False)


async def test_a_shadow_binds_nobody():
    """It is shown as one."""
    made = bench(limited(quota(1, mode=Mode.SHADOW, tenant_id=TENANT.id)))
    object.__setattr__(made.gateway, "counting", Sums(used=9))
    found = await told(made)
    assert found["refusal"] is None
    assert (found["limits"][0]["shadow"], found["limits"][0]["binds"]) == (True, False)


async def test_targets_in_their_order_with_what_stands_against_them():
    """A target whose own limit is reached is passed over; when all are, the last one's no is the
    answer."""
    full = quota(1, scope="provider", scope_id="prv_one", tenant_id=None)
    made = bench(limited(full, targets=("one", "two")))
    object.__setattr__(made.gateway, "counting", Sums(used=1))
    found = await told(made)
    assert [target["provider"] for target in found["targets"]] == ["one", "two"]
    first, second = found["targets"]
    assert first["limits"][0]["binds"]
    assert "reached" in first["problem"]
    assert (second["problem"], found["refusal"]) == (None, None)
    made = bench(limited(full))
    object.__setattr__(made.gateway, "counting", Sums(used=1))
    refusal = (await told(made))["refusal"]
    assert (refusal["phase"], refusal["status"]) == ("attempt", 429)


@pytest.mark.parametrize(
    ("model", "endpoint", "problem"),
    [
        ("claude-x", b"/v1/chat/completions", None),
        ("claude-x", b"/v1/messages/count_tokens", None),
        ("gemini-x", b"/v1/messages/count_tokens", "does not serve 'gemini-x' at this endpoint"),
        ("llama-x", b"/v1/chat/completions", "does not say whose it is"),
    ],
)
async def test_what_is_served_at_vertex_is_told_by_model(model, endpoint, problem):
    """It depends on who publishes it."""
    at = provider("one", kind=ProviderKind.VERTEX)
    record = ModelRecord(ModelId("mdl_m"), "m", (Target(at.id, model),))
    config = snapshot(providers={at.id: at}, models={(None, "m"): record})
    body = b'{"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}'
    found = await told(bench(config), body, endpoint=ENDPOINTS[endpoint])
    [target] = found["targets"]
    assert (problem is None) == (target["problem"] is None)
    assert problem is None or problem in target["problem"]
    assert (found["refusal"] is None) == (problem is None)


@pytest.mark.parametrize(
    ("body", "changes", "phase", "status"),
    [
        (b"{", {}, "parse", 400),
        (BODY.replace(b'"m"', b'"none"'), {}, "admit", 404),
        (BODY, {"key_id": "key_nobody"}, "admit", 401),
        (BODY, {"headers": ((b"x-tollway-tags", b"="),)}, "admit", 400),
    ],
)
async def test_the_first_no(body, changes, phase, status):
    """And what comes after it is not known."""
    found = await told(bench(), body, **changes)
    assert (found["refusal"]["phase"], found["refusal"]["status"]) == (phase, status)
    assert found["targets"] == []


async def test_no_target():
    """A model whose providers are all disabled."""
    config = snapshot()
    config = replace(config, providers={ProviderId("prv_one"): provider("one", enabled=False)})
    refusal = (await told(bench(config)))["refusal"]
    assert (refusal["phase"], refusal["code"]) == ("plan", "no_target")


async def test_addresses_count_where_one_is_given():
    """A key that is bound to some is explained from anywhere, unless an address is said."""
    bound = replace(RECORD, ip_allow=("10.0.0.0/8",))
    config = replace(snapshot(), keys={KEY_ID: bound})
    assert (await told(bench(config)))["refusal"] is None
    assert (await told(bench(config), peer_ip="10.1.1.1"))["refusal"] is None
    assert (await told(bench(config), peer_ip="9.9.9.9"))["refusal"]["status"] == 403


async def test_the_cache_is_looked_at():
    """A miss, or a stream that is not cached."""
    assert (await told(bench(cache_bytes=1000)))["cache"] == "miss"
    streamed = BODY.replace(b'"max_tokens"', b'"stream": true, "max_tokens"')
    assert (await told(bench(cache_bytes=1000), streamed))["cache"] == "bypass"


def test_a_question_as_it_travels():
    """An endpoint that is none is none."""
    question = {
        "key_id": "key_1",
        "endpoint": "/v1/embeddings",
        "body": "{}",
        "headers": [["x-tollway-end-user", "ann"]],
        "peer_ip": None,
    }
    asked = asked_of(question)
    assert asked.endpoint is ENDPOINTS[b"/v1/embeddings"]
    assert asked.headers == ((b"x-tollway-end-user", b"ann"),)
    assert asked_of({**question, "endpoint": "/v1/nothing"}) is None


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/v1/audio/transcriptions", {"language": "en"}),
        ("/v1/images/edits", {"prompt": "a hat", "n": 2}),
        ("/v1/audio/speech", {"input": "hi"}),
        ("/v1/images/generations", {"prompt": "a hat"}),
    ],
)
async def test_forms_are_explained_by_their_fields(path, fields):
    """What would go up in a form is asked as JSON, without the file."""
    question = {
        "key_id": KEY_ID,
        "endpoint": path,
        "body": json.dumps({"model": "m", **fields}),
        "headers": [],
        "peer_ip": None,
    }
    asked = asked_of(question)
    found = explanation_values(await explain(bench().gateway, asked))
    assert found["refusal"] is None
    assert found["targets"][0]["problem"] is None
    question["body"] = json.dumps({**fields, "model": "nope"})
    found = explanation_values(await explain(bench().gateway, asked_of(question)))
    assert found["refusal"]["status"] == 404
