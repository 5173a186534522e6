"""Kept responses through the whole pipeline: whose they are, where they are asked for, what they
count, and that nobody else's id, and none of the provider's, is of any use.
"""

import json
from dataclasses import replace

import pytest

from tests.fakes.pipeline import (
    KEY,
    PEPPER,
    RECORD,
    RESET,
    TENANT,
    FakeClient,
    Script,
    make_bench,
    provider,
    snapshot,
    streamed,
)
from tests.fakes.quotas import places, quota
from tests.unit.dialects.test_stream_responses import USAGE, event, response
from tollway.adapters.disk.answers import DiskAnswers
from tollway.adapters.system.secrets import AesGcmBox
from tollway.app.gateway.explain import Asked, explain
from tollway.dialects.registry import ENDPOINTS, find_kept
from tollway.domain.account import ProjectScope
from tollway.domain.failure import Cause, Failure, Phase
from tollway.domain.ids import AccountId, ModelId, ProjectId, ProviderId, TenantId
from tollway.domain.key import KeyRecord, digest_key, make_key, split_key
from tollway.domain.model import ModelRecord, Target
from tollway.domain.provider import CredentialRecord, ProviderKind
from tollway.domain.quota import Metric, Precision
from tollway.domain.refusal import (
    BadRequest,
    Forbidden,
    QuotaExceeded,
    ResponseNotFound,
    Unavailable,
)
from tollway.domain.snapshot import names_by_owner
from tollway.web.gateway.problems import render_failure, render_refusal

RESPONSES = ENDPOINTS[b"/v1/responses"]
ASK = {"model": "m", "input": "hi"}
KEEP = {**ASK, "store": True}
UPSTREAM = "resp_0123456789abcdef"
WAYS = {
    "get": (b"GET", b""),
    "delete": (b"DELETE", b""),
    "cancel": (b"POST", b"/cancel"),
    "items": (b"GET", b"/input_items"),
}


def answer(name=UPSTREAM, **fields):
    made = {"id": name, "object": "response", "output": [], "usage": USAGE, **fields}
    return Script(pieces=[json.dumps(made).encode()])


def kept_stream(*, failure=None):
    begun = event("response.created", response={"id": UPSTREAM, "previous_response_id": None})
    words = event("response.output_text.delta", delta="hello")
    last = () if failure else (response("completed", USAGE, id=UPSTREAM),)
    return streamed(begun, words, *last, failure=failure)


def key_of(number, tenant_id=TENANT.id, **fields):
    """A key of its own: (its text, its record)."""
    key_id, text = make_key("test", bytes([number]) * 41)
    digest = digest_key(PEPPER, tenant_id, key_id, split_key(text)[1])
    return text, KeyRecord(key_id, tenant_id, digest, 1, **fields)


OTHER = replace(TENANT, id=TenantId("ten_b"), slug="other", salt=b"pepper and salt")
SAME_SALT = replace(TENANT, id=TenantId("ten_c"), slug="third")
BY_NAME = {
    "owner": (KEY, RECORD),
    "colleague": key_of(1),
    "other tenant": key_of(2, OTHER.id),
    "tenant with the same salt": key_of(3, SAME_SALT.id),
    "project": key_of(4, project_id=ProjectId("prj_1")),
    "other project": key_of(5, project_id=ProjectId("prj_2")),
    "person": key_of(6, account_id=AccountId("acc_1")),
    "other person": key_of(7, account_id=AccountId("acc_2")),
    "without the model": key_of(8, models=()),
    "without the endpoint": key_of(9, endpoints=("chat_completions",)),
}
KEYS = {record.id: record for _, record in BY_NAME.values()}


def configured(*targets, credentials=("crd_one",), fallbacks=(), **changes):
    """The model `m` on these targets (provider, its model), all providers with the same fields."""
    wanted = targets or (("one", "gpt"),)
    model = ModelRecord(
        ModelId("mdl_m"),
        "m",
        tuple(
            Target(ProviderId(f"prv_{name}"), upstream, priority=rank)
            for rank, (name, upstream) in enumerate(wanted)
        ),
        fallbacks=fallbacks,
    )
    models = changes.pop("models", {(None, "m"): model})
    fields = changes.pop("fields", {})
    held = tuple(CredentialRecord(name) for name in credentials)
    names = changes.pop("providers", {name for name, _ in wanted})
    served = {
        ProviderId(f"prv_{name}"): provider(name, **{"credentials": held, **fields})
        for name in names
    }
    return snapshot(
        **{
            "models": models,
            "names": names_by_owner(models.values()),
            "providers": served,
            "keys": KEYS,
            "tenants": {one.id: one for one in (TENANT, OTHER, SAME_SALT)},
            "projects": {
                ProjectId(name): ProjectScope(id=ProjectId(name), tenant_id=TENANT.id, name=name)
                for name in ("prj_1", "prj_2")
            },
            **changes,
        }
    )


def bench(*scripts, config=None, **options):
    return make_bench(*scripts, config=config or configured(), **options)


def headers(who="owner", *more):
    return [(b"authorization", f"Bearer {BY_NAME[who][0]}".encode()), *more]


async def make(made, who="owner", body=KEEP):
    """The id of a response that is kept."""
    client, verdict = await made.ask(body, endpoint=RESPONSES, headers=headers(who))
    assert verdict is None, verdict
    return json.loads(client.body)["id"]


async def about(made, way, name, who="owner", query=b"", more=()):
    method, suffix = WAYS[way]
    endpoint, asked = find_kept(method, b"/v1/responses/" + name.encode() + suffix)
    return await made.ask(asked + query, endpoint=endpoint, headers=headers(who, *more))


async def go_on(made, name, who="owner", **fields):
    body = {**ASK, "previous_response_id": name, **fields}
    return await made.ask(body, endpoint=RESPONSES, headers=headers(who))


def told(verdict):
    """All that a client sees of a refusal."""
    return render_refusal(verdict, "responses", "req_1")


class TestMaking:
    async def test_the_id_is_ours_and_the_provider_is_told_to_keep_it(self):
        """Nothing of the provider's name, its account or its own id can be read off it."""
        made = bench(answer())
        name = await make(made)
        assert json.loads(made.upstream.calls[0].body) == {**KEEP, "model": "gpt"}
        assert name.startswith("resp_")
        assert UPSTREAM not in name
        assert len(name) < 200
        (row,) = made.journal.receipts
        assert (row.endpoint, row.input, row.output, row.payer) == ("responses", 10, 7, "reported")

    async def test_streamed_it_has_the_same_id(self):
        """In each event that has one, and all that is read and billed is as ever."""
        made = bench(kept_stream(), answer())
        client, verdict = await made.ask({**KEEP, "stream": True}, endpoint=RESPONSES)
        assert (verdict, client.ended) == (None, "finished")
        assert UPSTREAM.encode() not in client.body
        assert client.body.count((await make(made)).encode()) == 2
        row = made.journal.receipts[0]
        assert (row.input, row.output, row.payer) == (10, 7, "reported")

    async def test_unasked_nothing_is_kept_and_nothing_is_changed(self):
        """The answer's bytes are the provider's."""
        body = b'{ "id": "resp_1", "object":"response", "output": [], "usage": null }'
        made = bench(Script(pieces=[body]))
        client, _ = await made.ask(ASK, endpoint=RESPONSES)
        assert client.body == body
        assert json.loads(made.upstream.calls[0].body)["store"] is False

    async def test_an_id_that_is_none_is_passed_on(self):
        """A provider's id that cannot stand in a path is not taken; nothing opens it either."""
        made = bench(answer("a/b"))
        assert await make(made) == "a/b"

    async def test_who_keeps_nothing_is_not_asked(self):
        """A provider of another dialect, or one whose Responses are translated."""
        for fields in ({"kind": ProviderKind.ANTHROPIC}, {"translate_responses": True}):
            made = bench(config=configured(fields=fields))
            _, verdict = await made.ask(KEEP, endpoint=RESPONSES)
            assert isinstance(verdict, BadRequest)
            assert (verdict.code, verdict.param) == ("unsupported_parameter", "store")
            assert not made.upstream.calls

    async def test_a_target_that_keeps_responses_is_asked_instead(self):
        """What one cannot do, the next may."""
        config = configured(("one", "a"), ("two", "b"))
        served = {
            **{name: config.providers.get(name) for name in ("prv_one", "prv_two")},
            "prv_one": provider("one", kind=ProviderKind.ANTHROPIC),
        }
        made = bench(answer(), config=replace(config, providers=served))
        await make(made)
        assert made.upstream.calls[0].provider.id == "prv_two"

    async def test_sent_again_under_its_key_it_is_told_again(self, tmp_path):
        """With our id, and it is made once."""
        made = bench(answer(), answers=DiskAnswers(tmp_path, AesGcmBox(b"k" * 32)))
        more = headers("owner", (b"idempotency-key", b"k1"))
        first, _ = await made.ask(KEEP, endpoint=RESPONSES, headers=more)
        again, _ = await made.ask(KEEP, endpoint=RESPONSES, headers=more)
        assert first.body == again.body
        assert len(made.upstream.calls) == 1


class TestAsking:
    @pytest.mark.parametrize(
        ("way", "method", "path"),
        [
            ("get", "GET", f"/responses/{UPSTREAM}"),
            ("delete", "DELETE", f"/responses/{UPSTREAM}"),
            ("cancel", "POST", f"/responses/{UPSTREAM}/cancel"),
            ("items", "GET", f"/responses/{UPSTREAM}/input_items"),
        ],
    )
    async def test_it_is_asked_for_where_it_lies(self, way, method, path):
        """By its provider's name for it; a row without tokens says so, and the id is ours again."""
        made = bench(answer(), answer(previous_response_id=UPSTREAM))
        name = await make(made)
        client, verdict = await about(made, way, name)
        assert (verdict, client.status) == (None, 200)
        call = made.upstream.calls[1]
        assert (call.method, call.path, call.body, call.stream) == (method, path, b"", False)
        assert (call.provider.id, call.credential.id) == ("prv_one", "crd_one")
        assert json.loads(client.body)["id"] == name
        assert UPSTREAM.encode() not in client.body
        row = made.journal.receipts[1]
        assert row.endpoint == find_kept(WAYS[way][0], b"/v1/responses/x" + WAYS[way][1])[0].name
        assert (row.model, row.target_model, row.key_id) == ("m", "gpt", RECORD.id)
        assert (row.input, row.output, row.payer, row.status) == (0, 0, "reported", 200)

    @pytest.mark.parametrize(
        ("way", "said"), [("delete", {"deleted": True}), ("cancel", {"status": "cancelled"})]
    )
    @pytest.mark.parametrize("status", [200, 202, 204, 205])
    async def test_what_is_done_without_a_word(self, way, said, status):
        """204 has no body; the client gets one, so it gets 200."""
        made = bench(answer(), Script(status, []))
        name = await make(made)
        client, verdict = await about(made, way, name)
        assert (verdict, client.status) == (None, 202 if status == 202 else 200)
        assert json.loads(client.body) == {"id": name, "object": "response", **said}
        assert made.journal.receipts[1].payer == "reported"

    @pytest.mark.parametrize("way", ["get", "items"])
    async def test_what_is_asked_for_must_come(self, way):
        """Where there is something to tell, an empty answer is none."""
        made = bench(answer(), Script(204, []))
        _, verdict = await about(made, way, await make(made))
        assert (verdict.cause, verdict.status) == (Cause.PROTOCOL, None)

    async def test_as_a_stream_it_is_no_second_bill(self):
        """Whole or cut: the events come under the client's id, and the row has no tokens."""
        for failure, payer in ((None, "reported"), (RESET, "cut")):
            made = bench(answer(), kept_stream(failure=failure))
            name = await make(made)
            client, verdict = await about(made, "get", name, query=b"?stream=true")
            assert verdict is None
            assert client.headers[b"content-type"].startswith(b"text/event-stream")
            assert name.encode() in client.body
            assert UPSTREAM.encode() not in client.body
            assert made.upstream.calls[1].stream
            row = made.journal.receipts[1]
            assert (row.input, row.output, row.payer) == (0, 0, payer)
            assert row.usage_source == "provider"

    async def test_what_it_went_on_from_is_ours_too(self):
        """The id of the earlier one opens like any."""
        made = bench(answer(), answer(previous_response_id="resp_earlier"), answer("resp_earlier"))
        name = await make(made)
        client, _ = await about(made, "get", name)
        earlier = json.loads(client.body)["previous_response_id"]
        assert (await about(made, "get", earlier))[1] is None
        assert made.upstream.calls[2].path == "/responses/resp_earlier"

    async def test_the_account_is_the_one_that_made_it(self):
        """Of several credentials always that one, also when others have their turn."""
        config = configured(credentials=("crd_a", "crd_b", "crd_c"))
        made = bench(
            *(answer(f"resp_{number}") for number in range(3)), *([answer()] * 6), config=config
        )
        names = [await make(made) for _ in range(3)]
        by = [call.credential.id for call in made.upstream.calls]
        assert len(set(by)) > 1
        for _ in range(2):
            for name in names:
                await about(made, "get", name)
        asked = [(call.credential.id, call.path) for call in made.upstream.calls[3:]]
        assert asked == [(who, f"/responses/resp_{number}") for number, who in enumerate(by)] * 2

    async def test_nobody_else_is_tried(self):
        """A failure there is the answer: neither another target nor another account is asked."""
        down = Failure(Phase.CONNECT, Cause.REFUSED, "down")
        made = bench(
            answer(),
            Script(failure=down),
            config=configured(("one", "a"), ("two", "b"), credentials=("crd_a", "crd_b")),
        )
        name = await make(made)
        _, verdict = await about(made, "get", name)
        assert verdict == down
        assert len(made.upstream.calls) == 2

    async def test_a_providers_no_names_it_as_the_client_did(self):
        """404 passes on, and the provider's own id stays here."""
        missing = json.dumps({"error": {"message": f"No response '{UPSTREAM}'."}}).encode()
        made = bench(answer(), Script(status=404, pieces=[missing]))
        name = await make(made)
        _, verdict = await about(made, "get", name)
        status, _, body = render_failure(verdict, "responses")
        assert status == 404
        assert name in json.loads(body)["error"]["message"]
        assert UPSTREAM.encode() not in body
        row = made.journal.receipts[1]
        assert (row.input, row.output, row.outcome, row.status) == (0, 0, "failed", 404)

    async def test_a_query_is_judged(self):
        """What is known goes on; the rest is refused before anything is asked."""
        made = bench(answer(), answer())
        name = await make(made)
        _, verdict = await about(made, "get", name, query=b"?conversation=x")
        assert (verdict.code, verdict.param) == ("unsupported_parameter", "conversation")
        await about(made, "items", name, query=b"?limit=5")
        assert made.upstream.calls[1].path == f"/responses/{UPSTREAM}/input_items?limit=5"

    async def test_an_idempotency_key_is_of_one_response(self, tmp_path):
        """The same key for another one is another request."""
        store = DiskAnswers(tmp_path, AesGcmBox(b"k" * 32))
        made = bench(answer("resp_1"), answer("resp_2"), answer("resp_1"), answers=store)
        one, two = await make(made), await make(made)
        more = [(b"idempotency-key", b"k1")]
        await about(made, "cancel", one, more=more)
        client, _ = await about(made, "cancel", one, more=more)
        assert client.headers[b"idempotent-replayed"] == b"true"
        _, verdict = await about(made, "cancel", two, more=more)
        assert verdict.code == "idempotency_key_reused"

    async def test_it_is_never_cached(self):
        """It changes at the provider."""
        made = bench(answer(), answer(), answer(), cache_bytes=10_000)
        name = await make(made)
        for _ in range(2):
            await about(made, "get", name)
        assert len(made.upstream.calls) == 3


class TestOwners:
    @pytest.mark.parametrize("way", WAYS)
    @pytest.mark.parametrize(
        ("owner", "asker"),
        [
            ("owner", "other tenant"),
            ("other tenant", "owner"),
            ("owner", "tenant with the same salt"),
            ("owner", "project"),
            ("project", "owner"),
            ("project", "other project"),
            ("owner", "person"),
            ("person", "other person"),
            ("person", "owner"),
            ("owner", "without the model"),
        ],
    )
    async def test_anothers_is_absent(self, way, owner, asker):
        """Byte for byte what an id gets that never was, and nobody is asked."""
        made = bench(answer())
        name = await make(made, owner)
        _, verdict = await about(made, way, name, asker)
        invented = "resp_" + "A" * (len(name) - 5)
        _, unknown = await about(made, way, invented, asker)
        assert isinstance(verdict, ResponseNotFound)
        assert told(verdict)[:2] == told(unknown)[:2]
        shown = told(verdict)[2].replace(name[:256].encode(), b"")
        assert shown == told(unknown)[2].replace(invented[:256].encode(), b"")
        assert told(verdict)[0] == 404
        _, verdict = await go_on(made, name, asker)
        _, unknown = await go_on(made, invented, asker)
        assert verdict == ResponseNotFound(name, "previous_response_id")
        assert unknown == ResponseNotFound(invented, "previous_response_id")
        assert told(verdict)[0] == 404
        assert len(made.upstream.calls) == 1

    async def test_a_key_of_the_same_owner_may(self):
        """Keys are rotated; a tenant's own keys share what they made."""
        made = bench(answer(), answer())
        assert (await about(made, "get", await make(made), "colleague"))[1] is None

    async def test_a_key_without_the_endpoint_may_not(self):
        """Whoever may not make responses may not ask about them."""
        made = bench(answer())
        _, verdict = await about(made, "get", await make(made), "without the endpoint")
        assert isinstance(verdict, Forbidden)

    @pytest.mark.parametrize("way", WAYS)
    async def test_the_providers_own_id_opens_nothing(self, way):
        """Nor does anything that a client could have made itself."""
        made = bench(answer())
        name = await make(made)
        for wrong in (
            UPSTREAM,
            name[:-1],
            name + "A",
            name[:20] + ("A" if name[20] != "A" else "B") + name[21:],
            name.replace("resp_", "msg_"),
            "resp_",
            "input_tokens",
            "resp_" + "A" * 4000,
            "%00",
            "..",
            RECORD.id,
        ):
            assert isinstance((await about(made, way, wrong))[1], ResponseNotFound), wrong
        assert len(made.upstream.calls) == 1

    async def test_without_a_key_nothing_is_looked_at(self):
        """The credential comes first."""
        made = bench()
        endpoint, asked = find_kept(b"GET", b"/v1/responses/resp_x")
        _, verdict = await made.ask(asked, endpoint=endpoint, headers=[])
        assert verdict.code == "missing_api_key"


class TestGoingOn:
    async def test_it_goes_to_whoever_keeps_it(self):
        """Also where the model's first target is another; the client's id comes back."""
        config = configured(("one", "a"), ("two", "b"))
        down = Script(failure=Failure(Phase.CONNECT, Cause.REFUSED, "down"))
        made = bench(down, answer(), answer("resp_2", previous_response_id=UPSTREAM), config=config)
        name = await make(made)
        client, verdict = await go_on(made, name, store=True)
        assert verdict is None
        call = made.upstream.calls[2]
        assert call.provider.id == "prv_two"
        sent = json.loads(call.body)
        assert (sent["previous_response_id"], sent["store"], sent["model"]) == (UPSTREAM, True, "b")
        got = json.loads(client.body)
        assert got["previous_response_id"] == name
        assert got["id"] not in (name, "resp_2")
        row = made.journal.receipts[2]
        assert (row.input, row.output, row.payer) == (10, 7, "reported")

    async def test_streamed(self):
        """The events name both as the client does; a cut one is billed as any."""
        made = bench(answer(), kept_stream(), kept_stream(failure=RESET))
        name = await make(made)
        client, verdict = await go_on(made, name, stream=True)
        assert (verdict, client.ended) == (None, "finished")
        client, _ = await go_on(made, name, stream=True)
        assert client.ended == "aborted"
        row = made.journal.receipts[2]
        assert (row.payer, row.usage_source, row.output) == ("cut", "estimated", 2)

    async def test_nobody_stands_in(self):
        """No other target, account or model: they know nothing of it."""
        down = Failure(Phase.CONNECT, Cause.REFUSED, "down")
        spare = ModelRecord(ModelId("mdl_s"), "spare", (Target(ProviderId("prv_two"), "s"),))
        config = configured(
            ("one", "a"), ("two", "b"), credentials=("crd_a", "crd_b"), fallbacks=("spare",)
        )
        models = {(None, "m"): config.models.get((None, "m")), (None, "spare"): spare}
        made = bench(answer(), Script(failure=down), config=replace(config, models=models))
        _, verdict = await go_on(made, await make(made))
        assert verdict == down
        assert len(made.upstream.calls) == 2

    async def test_the_target_that_answered_goes_first(self):
        """A provider may serve the model by two names of its own."""
        config = configured(("one", "a"), ("one", "b"), credentials=("crd_one",))
        busy = Script(status=503, pieces=[b"{}"])
        made = bench(busy, answer(), answer(), config=config)
        await go_on(made, await make(made))
        assert [json.loads(call.body)["model"] for call in made.upstream.calls] == ["a", "b", "b"]

    async def test_another_model_of_the_same_provider_may(self):
        """The request names its own model, and the key must have that one too."""
        config = configured()
        other = ModelRecord(ModelId("mdl_n"), "n", (Target(ProviderId("prv_one"), "gpt-n"),))
        models = {(None, "m"): config.models.get((None, "m")), (None, "n"): other}
        made = bench(answer(), answer(), config=replace(config, models=models))
        name = await make(made)
        assert (await go_on(made, name, model="n"))[1] is None
        assert json.loads(made.upstream.calls[1].body)["model"] == "gpt-n"
        assert (await go_on(made, name, model="absent"))[1].model == "absent"

    async def test_a_model_of_another_provider_may_not(self):
        """The message says which would do."""
        config = configured(("one", "gpt"), providers={"one", "two"})
        other = ModelRecord(ModelId("mdl_n"), "n", (Target(ProviderId("prv_two"), "x"),))
        models = {(None, "m"): config.models.get((None, "m")), (None, "n"): other}
        made = bench(answer(), config=replace(config, models=models))
        _, verdict = await go_on(made, await make(made), model="n")
        assert (verdict.code, verdict.param) == ("response_elsewhere", "previous_response_id")
        assert "'m'" in verdict.message

    async def test_what_is_explained_is_what_would_happen(self):
        """The same plan, without asking anybody."""
        made = bench(answer())
        name = await make(made)
        body = json.dumps({**ASK, "previous_response_id": name}).encode()
        found = await explain(made.gateway, Asked(RECORD.id, RESPONSES, body))
        assert [one.provider_id for one in found.targets] == ["prv_one"]
        bad = body.replace(name.encode(), b"resp_x")
        found = await explain(made.gateway, Asked(RECORD.id, RESPONSES, bad))
        assert (found.at, found.refused.id) == ("admit", "resp_x")


class TestGone:
    @pytest.mark.parametrize(
        ("later", "kind", "code"),
        [
            (configured(providers=()), BadRequest, "response_account_gone"),
            (configured(credentials=()), BadRequest, "response_account_gone"),
            (configured(credentials=("crd_new",)), BadRequest, "response_account_gone"),
            (configured(fields={"enabled": False}), Unavailable, "no_target"),
            (
                configured(tenants={TENANT.id: replace(TENANT, allowed_residency=("eu",))}),
                Forbidden,
                "residency_not_allowed",
            ),
            (
                configured(tenants={TENANT.id: replace(TENANT, active=False)}),
                Forbidden,
                "tenant_disabled",
            ),
        ],
    )
    async def test_what_is_not_there_any_more_is_said(self, later, kind, code):
        """To its owner, who made it; and nobody is asked."""
        made = bench(answer())
        name = await make(made)
        made.gateway.source.current = later
        for _, verdict in (await about(made, "get", name), await go_on(made, name)):
            assert isinstance(verdict, kind)
            assert verdict.code == code
            assert getattr(verdict, "param", None) is None or "'input'" in verdict.message
        assert len(made.upstream.calls) == 1

    async def test_a_credential_that_was_none(self):
        """A server without keys keeps responses too; once it has one, it is another account."""
        made = bench(answer(), answer(), config=configured(credentials=()))
        name = await make(made)
        assert (await about(made, "get", name))[1] is None
        assert made.upstream.calls[1].credential is None
        made.gateway.source.current = configured()
        assert (await about(made, "get", name))[1].code == "response_account_gone"

    async def test_it_outlives_targets_and_restarts(self):
        """Another process opens it; its provider need not serve the model any more, so that it
        can still be deleted."""
        name = await make(bench(answer()))
        later = configured(("two", "x"), providers={"one", "two"})
        made = bench(answer(), config=later)
        assert (await about(made, "delete", name))[1] is None
        assert made.upstream.calls[0].provider.id == "prv_one"

    async def test_a_provider_that_became_another_kind(self):
        """It is not asked for what it does not know."""
        made = bench(answer())
        name = await make(made)
        made.gateway.source.current = configured(fields={"kind": ProviderKind.ANTHROPIC})
        _, verdict = await about(made, "get", name)
        assert verdict.code == "unsupported_endpoint"
        assert "/v1/responses/{id}" in verdict.message
        _, verdict = await go_on(made, name)
        assert (verdict.code, verdict.param) == ("unsupported_parameter", "previous_response_id")


class TestCounting:
    async def test_each_counts_as_a_request_and_as_no_token(self):
        """A limit on requests holds for them; one on tokens is not touched."""
        limits = places(quota(3, id="quo_r"), quota(100_000, id="quo_t", metric=Metric.TOKENS))
        made = bench(*([answer()] * 3), config=configured(quotas=limits))
        name = await make(made)
        for way in ("get", "items"):
            assert (await about(made, way, name))[1] is None
        _, verdict = await about(made, "delete", name)
        assert isinstance(verdict, QuotaExceeded)
        assert len(made.upstream.calls) == 3
        (rules,) = {id(found): found for found in made.gateway.limits._asked.values()}.values()
        stands = {rule.quota.id: made.gateway.quotas.standing(rule)[:2] for rule in rules.rules}
        assert stands == {"quo_r": (3, 0), "quo_t": (42, 0)}

    async def test_a_strict_limit_cannot_know_what_was_kept(self):
        """Its tokens are read again, and their number stands in no request."""
        strict = quota(100_000, id="quo_t", metric=Metric.TOKENS, precision=Precision.STRICT)
        made = bench(answer(), answer(), config=configured(quotas=places(strict)))
        name = await make(made)
        _, verdict = await go_on(made, name)
        assert verdict.code == "unbounded_input"
        assert (await about(made, "get", name))[1] is None

    async def test_a_bounded_limit_holds_what_such_requests_were_read_as(self):
        """The context stands in no request, so it is learned; others are not held at it."""
        usage = {"input_tokens": 40_000, "output_tokens": 5}
        limit = quota(10**6, metric=Metric.INPUT_TOKENS)
        made = bench(*([answer(usage=usage)] * 12), config=configured(quotas=places(limit)))
        name = await make(made)
        held = []
        look = made.upstream.call

        async def call(asked, sink):
            (rules,) = {id(found): found for found in made.gateway.limits._asked.values()}.values()
            held.append(made.gateway.quotas.standing(rules.rules[0])[1])
            return await look(asked, sink)

        made.upstream.call = call
        for _ in range(9):
            await go_on(made, name)
        await make(made)
        await about(made, "get", name)
        assert held[0] < 1_000
        assert 40_000 <= held[8] <= 50_000
        assert held[9] < 100
        assert held[10] == 0

    async def test_a_client_that_leaves(self):
        """The call ends, and has its row."""
        client = FakeClient()
        made = bench(answer())
        name = await make(made)
        made.upstream.scripts.append(Script(pieces=[client.leave]))
        endpoint, asked = find_kept(b"GET", b"/v1/responses/" + name.encode())
        await made.ask(asked, endpoint=endpoint, client=client)
        row = made.journal.receipts[1]
        assert (row.outcome, row.input, row.output) == ("client_gone", 0, 0)
