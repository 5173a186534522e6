"""Tokens of believed issuers: checked once, looked up with each configuration, refused as keys."""

import json
from concurrent.futures import Future
from dataclasses import replace

import pytest

from tests.fakes.pipeline import RECORD, TENANT, make_bench, snapshot, whole
from tollway.app.gateway import issued as module
from tollway.app.gateway.admit import WRONG_KEY
from tollway.app.gateway.issued import KEYS_AWAITED, IssuedRing, caller_id
from tollway.app.gateway.listing import list_models
from tollway.app.ports_identity import NeedsKeys
from tollway.domain.access import find_principal, may_go_on
from tollway.domain.account import ProjectScope
from tollway.domain.gateway_jwt import Claims
from tollway.domain.refusal import Forbidden

BODY = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
TOKEN = b"eyJhbGciOiJSUzI1NiJ9.e30.c2ln"
BEARER = [(b"authorization", b"Bearer " + TOKEN)]
FAR_S = 1e12


def claims(**changes):
    return replace(Claims("https://login.example", TENANT.slug, "svc-1", None, FAR_S), **changes)


class Verifier:
    """Says what it is told to, and counts."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = 0

    def verify(self, token, now_s):
        self.asked += 1
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def bench_with(verifier, *scripts, config=None):
    bench = make_bench(*scripts, config=config or with_slug())
    bench.gateway = replace(bench.gateway, issued=IssuedRing(verifier))
    return bench


def with_slug(**changes):
    return snapshot(slugs={TENANT.slug: TENANT.id}, **changes)


async def test_a_believed_token_is_as_good_as_a_key():
    """The row has the tenant, the subject as end user whatever the caller says, and no key of
    anybody's; the second request checks no signature."""
    verifier = Verifier(claims())
    bench = bench_with(verifier, whole(), whole())
    for _ in range(2):
        client, verdict = await bench.ask(
            {**BODY, "user": "somebody-else"}, headers=[*BEARER, (b"x-tollway-end-user", b"boss")]
        )
        assert (verdict, client.status) == (None, 200)
    assert verifier.asked == 1
    for receipt in bench.journal.receipts:
        assert (receipt.tenant_id, receipt.end_user) == (TENANT.id, "svc-1")
        assert receipt.key_id == caller_id(claims())
        assert receipt.key_id.startswith("jwt_")
    assert [m.name for m in await list_models(bench.gateway, BEARER, "127.0.0.1")] == ["m"]


async def test_nobody_else_is_taken_for_the_caller():
    """Another subject, tenant or issuer is another caller: what one was told is not told them."""
    ids = {
        caller_id(claims()),
        caller_id(claims(subject="svc-2")),
        caller_id(claims(tenant="other")),
        caller_id(claims(issuer="https://other.example")),
    }
    assert len(ids) == 4
    assert caller_id(claims()) == caller_id(claims(until_s=1.0, project="p"))


async def test_a_wrong_token_is_refused_like_a_wrong_key():
    """One check, one message; also where no issuer is believed."""
    verifier = Verifier(None)
    _, verdict = await bench_with(verifier).ask(BODY, headers=BEARER)
    assert verdict is WRONG_KEY
    assert verifier.asked == 1
    _, verdict = await make_bench(config=with_slug()).ask(BODY, headers=BEARER)
    assert verdict is WRONG_KEY


@pytest.mark.parametrize("tenant", ["gone", ""])
async def test_a_tenant_that_is_not_there_opens_nothing(tenant):
    """However true the token is."""
    _, verdict = await bench_with(Verifier(claims(tenant=tenant))).ask(BODY, headers=BEARER)
    assert verdict is WRONG_KEY


async def test_a_slug_that_was_given_up_is_nobodys():
    """The look-up may still have it; the tenant's row decides."""
    config = snapshot(slugs={"old-name": TENANT.id})
    bench = bench_with(Verifier(claims(tenant="old-name")), config=config)
    _, verdict = await bench.ask(BODY, headers=BEARER)
    assert verdict is WRONG_KEY


async def test_a_deactivated_tenant_is_refused_at_the_next_request():
    """The token is remembered, what it opens is not."""
    verifier = Verifier(claims())
    bench = bench_with(verifier, whole(), whole())
    assert (await bench.ask(BODY, headers=BEARER))[1] is None
    off = with_slug(tenants={TENANT.id: replace(TENANT, active=False)})
    bench.gateway.source.current = off
    _, verdict = await bench.ask(BODY, headers=BEARER)
    assert isinstance(verdict, Forbidden)
    bench.gateway.source.current = with_slug(tenants={})
    assert (await bench.ask(BODY, headers=BEARER))[1] is WRONG_KEY
    bench.gateway.source.current = with_slug()
    assert (await bench.ask(BODY, headers=BEARER))[1] is None
    assert verifier.asked == 1


async def test_a_judgement_has_an_end():
    """Then it is asked again, and the token may have run out."""
    verifier = Verifier(claims(until_s=0.0), None)
    bench = bench_with(verifier, whole())
    assert (await bench.ask(BODY, headers=BEARER))[1] is None
    assert (await bench.ask(BODY, headers=BEARER))[1] is WRONG_KEY


async def test_a_project_is_named_and_narrows():
    """Its row is billed to the project, its models are the project's; one that is not there is
    said, since the token is believed."""
    project = ProjectScope("prj_1", TENANT.id, None, "search")
    place = f"{TENANT.id}|search"
    config = with_slug(projects={"prj_1": project}, project_names={place: "prj_1"})
    bench = bench_with(Verifier(claims(project="search")), whole(), config=config)
    assert (await bench.ask(BODY, headers=BEARER))[1] is None
    assert bench.journal.receipts[0].project_id == "prj_1"
    narrow = replace(project, models=("other",))
    bench.gateway.source.current = with_slug(
        projects={"prj_1": narrow}, project_names={place: "prj_1"}
    )
    assert (await bench.ask(BODY, headers=BEARER))[1].model == "m"
    renamed = replace(project, name="find")
    for projects in ({}, {"prj_1": renamed}):
        bench.gateway.source.current = with_slug(projects=projects, project_names={place: "prj_1"})
        _, verdict = await bench.ask(BODY, headers=BEARER)
        assert verdict.code == "project_not_found"


async def test_keys_that_are_on_their_way_are_waited_for():
    """The request is served when they came."""
    ready = Future()
    ready.set_result(None)
    bench = bench_with(Verifier(NeedsKeys(ready), NeedsKeys(ready), claims()), whole())
    assert (await bench.ask(BODY, headers=BEARER))[1] is None
    again = bench_with(Verifier(NeedsKeys(ready), claims()), whole())  # came before the wait
    assert (await again.ask(BODY, headers=BEARER))[1] is None
    listed = bench_with(Verifier(NeedsKeys(ready), NeedsKeys(ready), claims()))
    assert len(await list_models(listed.gateway, BEARER, "127.0.0.1")) == 1


async def test_keys_that_do_not_come_are_503(monkeypatch):
    """In time, and the client may try again."""
    monkeypatch.setattr(module, "_WAIT_S", 0.01)
    bench = bench_with(Verifier(NeedsKeys(Future())))
    _, verdict = await bench.ask(BODY, headers=BEARER)
    assert verdict is KEYS_AWAITED
    assert await list_models(bench.gateway, BEARER, "127.0.0.1") is KEYS_AWAITED


def test_the_memory_is_bounded(monkeypatch):
    """At the cap it forgets and goes on."""
    monkeypatch.setattr(module, "_MAX_ENTRIES", 2)
    ring, config = IssuedRing(Verifier(claims())), with_slug()
    for number in range(5):
        assert ring.open(TOKEN + str(number).encode(), config, 0.0) is not None
    assert len(ring._known) <= 2


def test_a_stream_goes_on_while_its_tenant_does():
    """No key of it can be revoked; a change of the configuration cuts nobody."""
    ring, config = IssuedRing(Verifier(claims())), with_slug()
    principal = ring.open(TOKEN, config, 0.0)
    assert may_go_on(config, principal, FAR_S)
    assert not may_go_on(with_slug(tenants={}), principal, 0.0)
    off = with_slug(tenants={TENANT.id: replace(TENANT, active=False)})
    assert not may_go_on(off, principal, 0.0)
    assert may_go_on(config, find_principal(config, RECORD), 0.0)
    assert json.dumps(principal.key.name) == '"svc-1"'
