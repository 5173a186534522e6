"""Providers: whose they are, where they may be, and that no secret follows them elsewhere."""

from dataclasses import replace

import pytest

from tests.fakes import database
from tests.fakes.acting import (
    PLATFORM_ADMIN,
    acting,
    actor,
    done,
    facts,
    furnish,
    refused,
    said,
    work_of,
)
from tollway.app.admin.commands.credentials import Secret, add_credential
from tollway.app.admin.commands.providers import (
    ProviderSpec,
    create_provider,
    delete_provider,
    ensure_provider,
    update_provider,
)
from tollway.app.admin.queries.routing import list_providers, read_provider
from tollway.app.ports_directory import Page
from tollway.domain.provider import StreamUsage

ADMIN = actor(ten_open="tenant_admin")
KEY = Secret("sk-first")
URL = "https://api.example/v1"
COMPATIBLE = "openai_compatible"


@pytest.fixture
def work(tmp_path):
    engine = database.database(tmp_path)
    with database.configuration(engine).begin() as uow:
        furnish(uow)
        yield work_of(uow, PLATFORM_ADMIN)
    engine.dispose()


@pytest.fixture
def theirs(work):
    """The same unit, in the hands of a tenant's administrator."""
    return acting(work, ADMIN)


def spec(name="new", kind=COMPATIBLE, base_url=URL, **fields):
    return ProviderSpec(name, kind, base_url, **fields)


def test_a_provider_is_made_with_its_secret_at_once(theirs):
    """Their tenant's, unless said otherwise; the audit has every fact and no secret."""
    fields = {
        "residency": "eu",
        "stream_usage": "none",
        "idle_timeout_s": 3.0,
        "tokens_per_minute": 90_000,
        "translate_responses": True,
        "enabled": False,
    }
    provider = done(create_provider(theirs, spec(base_url=URL + "/", **fields), KEY))
    assert (provider.tenant_id, provider.base_url) == ("ten_open", URL)
    assert (provider.stream_usage, provider.idle_timeout_s) == (StreamUsage.NONE, 3.0)
    assert [credential.sealed for credential in provider.credentials] == [True]
    assert done(read_provider(theirs, provider.id)) == provider
    created, added = facts(theirs.uow)
    assert created == (
        "provider.created",
        provider.id,
        {"kind": COMPATIBLE, "name": "new", "base_url": URL, **fields},
    )
    assert added[0] == "credential.added"
    assert "sk-first" not in repr((provider, facts(theirs.uow)))


def test_bedrock_is_in_a_region(work, theirs):
    """Its host says which; requests are signed for it. A change is held to the same."""
    there = "https://bedrock-runtime.eu-west-1.amazonaws.com"
    for url in ("https://bedrock-runtime.amazonaws.com", "https://198.51.100.7", "ftp://x", None):
        assert refused(create_provider(work, spec("a", "bedrock", url))) == ("invalid", "base_url")
    made = done(create_provider(theirs, spec("a", "bedrock", there), Secret("AKID:secret")))
    assert made.base_url == there
    moved = replace(made, base_url="https://gateway.example")
    assert refused(update_provider(theirs, moved)) == ("invalid", "base_url")
    assert said(update_provider(theirs, moved)).startswith("A provider of kind bedrock needs its")


def test_vertex_is_in_a_location(work):
    """Its base URL names the project, and ends in the location or where Google's models begin."""
    there = "https://eu-aiplatform.googleapis.com/v1/projects/p/locations/eu"
    elsewhere = f"{there}/publishers/anthropic"
    for url in (elsewhere, "https://aiplatform.googleapis.com", None):
        assert refused(create_provider(work, spec("a", "vertex", url))) == ("invalid", "base_url")
    made = done(create_provider(work, spec("a", "vertex", f"{there}/publishers/google/")))
    assert made.base_url == f"{there}/publishers/google"
    made = done(create_provider(work, spec("b", "vertex", there)))
    assert made.base_url == there


def test_kinds_with_a_usual_place_need_no_address(work):
    """Others do; the built-in one has none."""
    assert done(create_provider(work, spec("a", "openai", None))).base_url == (
        "https://api.openai.com/v1"
    )
    assert done(create_provider(work, spec("b", "echo", None))).base_url == ""
    assert done(create_provider(work, spec("d", "ollama", None))).base_url == (
        "http://127.0.0.1:11434"
    )
    assert refused(create_provider(work, spec("c", base_url=None))) == ("invalid", "base_url")


@pytest.mark.parametrize(
    "url",
    [
        "http://api.example/v1",
        "https://10.0.0.1/v1",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://[::ffff:127.0.0.1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://localhost/",
        "https://localhost./",
        "https://a@host/",
        "https://host#.azure.com/",
        "https://169.254.169.254/latest",
        "https://100.64.0.1/",
    ],
)
def test_a_tenants_provider_is_nowhere_private(work, theirs, url):
    """Made by whomever, at making and at moving."""
    assert refused(create_provider(theirs, spec(base_url=url))) == ("invalid", "base_url")
    inside = spec(base_url=url, tenant_id="ten_open")
    assert refused(create_provider(work, inside)) == ("invalid", "base_url")
    mine = theirs.uow.providers.get("prv_open")
    for hands in (work, theirs):
        moved = update_provider(hands, replace(mine, base_url=url))
        assert refused(moved) == ("invalid", "base_url")


@pytest.mark.parametrize("url", ["http://10.0.0.1:8000/v1", "http://localhost:11434/v1"])
def test_the_platforms_own_may_be_private(work, url):
    """Its administrators know their network."""
    assert done(create_provider(work, spec(base_url=url))).base_url == url


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (spec(" "), "name"),
        (spec(kind="unheard-of"), "kind"),
        (spec(stream_usage="maybe"), "stream_usage"),
        (spec(base_url="ftp://x"), "base_url"),
        (spec(base_url="https://x/?a=b"), "base_url"),
        (spec(connect_timeout_s=0.0), "connect_timeout_s"),
        (spec(total_timeout_s=float("nan")), "total_timeout_s"),
        (spec(residency="\n"), "residency"),
        (spec(requests_at_once=0), "requests_at_once"),
        (spec(requests_per_minute=-1), "requests_per_minute"),
        (spec(tokens_per_minute=2_000_000_001), "tokens_per_minute"),
    ],
)
def test_what_is_refused_by_its_field(work, wrong, field):
    """And nothing is written."""
    assert refused(create_provider(work, wrong)) == ("invalid", field)
    assert len(work.uow.providers.page(Page())) == 3
    assert facts(work.uow) == []


def test_a_name_is_taken_once_by_each_owner(work, theirs):
    """The platform's names are no tenant's concern."""
    assert refused(create_provider(theirs, spec("open-provider"))) == ("conflict", "name")
    mine = done(create_provider(theirs, spec("platform-provider")))
    assert refused(update_provider(theirs, replace(mine, name="open-provider")))[0] == "conflict"
    assert done(ensure_provider(work, spec("platform-provider"))).created is False
    assert done(ensure_provider(work, spec("another"))).created is True
    assert done(ensure_provider(theirs, spec("open-provider"))).created is False
    viewer = acting(work, actor("vic", ten_open="viewer"))
    again = ensure_provider(viewer, spec("open-provider", tenant_id="ten_open"))
    assert refused(again)[0] == "forbidden"


@pytest.mark.parametrize("role", ["user", "viewer"])
def test_who_may_not(work, role):
    """Viewers read, users do not even that; of others' and the platform's there is nothing."""
    who = acting(work, actor(ten_open=role))
    assert refused(create_provider(who, spec()))[0] == "forbidden"
    assert refused(create_provider(who, spec(tenant_id="ten_listed"))) == ("not_found", "")
    assert refused(delete_provider(who, "prv_open"))[0] == "forbidden"
    for hidden in ("prv_listed", "prv_platform", "prv_none"):
        assert refused(read_provider(who, hidden)) == ("not_found", "")
        assert refused(delete_provider(who, hidden)) == ("not_found", "")
        assert refused(add_credential(who, hidden, KEY)) == ("not_found", "")
        assert said(read_provider(who, hidden)) == "There is no such provider."
    if role == "viewer":
        assert [view.id for view in done(list_providers(who, Page()))] == ["prv_open"]
        assert done(read_provider(who, "prv_open"))
    else:
        assert refused(list_providers(who, Page()))[0] == "forbidden"
        assert refused(read_provider(who, "prv_open"))[0] == "forbidden"
    assert refused(list_providers(who, Page(), tenant_id="ten_listed"))[0] == "not_found"


def test_lists_of_the_platform(work):
    """Everything, or one tenant's."""
    every = [view.id for view in done(list_providers(work, Page()))]
    assert every == ["prv_listed", "prv_open", "prv_platform"]
    one = done(list_providers(work, Page(), tenant_id="ten_open"))
    assert [view.id for view in one] == ["prv_open"]


@pytest.mark.parametrize(
    "elsewhere",
    ["https://evil.example/v1", "https://open.example:8443/v1"],
)
def test_a_secret_never_follows_to_another_origin(work, theirs, elsewhere):
    """Attack 86: without the secret in the same request, by whomever, nothing changes."""
    done(add_credential(theirs, "prv_open", KEY))
    mine = theirs.uow.providers.get("prv_open")
    for hands in (work, theirs):
        result = update_provider(hands, replace(mine, base_url=elsewhere, name="x"))
        assert refused(result) == ("invalid", "api_key")
        assert "secret_required" in said(result)
        assert theirs.uow.providers.get("prv_open") == mine


def test_a_secret_given_again_takes_the_place_of_all(theirs):
    """Of however many there were: each was given for the old origin."""
    for number in range(3):
        done(add_credential(theirs, "prv_open", Secret(f"sk-{number}")))
    mine = theirs.uow.providers.get("prv_open")
    moved = done(
        update_provider(theirs, replace(mine, base_url="https://new.example"), Secret("sk-new"))
    )
    assert moved.base_url == "https://new.example"
    assert len(moved.credentials) == 1
    assert moved.credentials[0].id not in {credential.id for credential in mine.credentials}
    assert [fact[0] for fact in facts(theirs.uow)][3:] == [
        "provider.updated",
        *["credential.removed"] * 3,
        "credential.added",
    ]
    assert "sk-" not in repr(facts(theirs.uow))


def test_the_same_origin_keeps_the_secrets(theirs):
    """Another path, another spelling of the same place, no change at all."""
    done(add_credential(theirs, "prv_open", KEY))
    mine = theirs.uow.providers.get("prv_open")
    for url in ("https://OPEN.example:443/v2", "https://open.example", mine.base_url):
        after = done(update_provider(theirs, replace(mine, base_url=url)))
        assert (after.base_url, after.credentials) == (url, mine.credentials)


def test_references_must_be_named_again_too(work):
    """Moved without, a provider would be sent what stands in the gateway's environment."""
    done(add_credential(work, "prv_platform", Secret(reference="env:A")))
    shared = work.uow.providers.get("prv_platform")
    wanted = replace(shared, base_url="http://10.0.0.1/v1")
    result = update_provider(work, wanted)
    assert refused(result) == ("invalid", "reference")
    assert "secret_required" in said(result)
    moved = done(update_provider(work, wanted, Secret(reference="env:A")))
    assert [credential.reference for credential in moved.credentials] == ["env:A"]


def test_without_secrets_a_provider_moves_freely(work):
    """There is nothing to lose."""
    shared = work.uow.providers.get("prv_platform")
    moved = done(update_provider(work, replace(shared, base_url="http://127.0.0.1:8000/v1")))
    assert moved.base_url == "http://127.0.0.1:8000/v1"


def test_updating_changes_what_differs_and_records_only_that(work, theirs):
    """Owner, kind and times are not the sender's to choose; no difference is no change."""
    before = theirs.uow.providers.get("prv_open")
    wanted = replace(before, enabled=False, tenant_id=None, kind="echo", created_s=1, version=0)
    after = done(update_provider(theirs, wanted))
    assert after == replace(before, enabled=False, version=after.version)
    done(update_provider(theirs, after))
    assert facts(theirs.uow) == [("provider.updated", "prv_open", {"enabled": [True, False]})]
    stale = acting(work, ADMIN, request=replace(work.request, if_match=after.version + 1))
    assert refused(update_provider(stale, after))[0] == "precondition"
    assert refused(delete_provider(stale, after.id))[0] == "precondition"


def test_a_provider_models_lead_to_stays(work, theirs):
    """The refusal names them; without them it goes, once, with its secrets."""
    result = delete_provider(theirs, "prv_open")
    assert refused(result) == ("conflict", "")
    assert "open-model" in said(result)
    done(add_credential(theirs, "prv_open", KEY))
    work.uow.models.remove("mdl_open")
    done(delete_provider(theirs, "prv_open"))
    assert refused(delete_provider(theirs, "prv_open")) == ("not_found", "")
    assert facts(work.uow)[-1] == ("provider.deleted", "prv_open", {"name": "open-provider"})


def test_a_read_only_token_changes_nothing(work):
    """Whatever its person may."""
    who = acting(work, replace(ADMIN, read_only=True))
    assert refused(create_provider(who, spec()))[0] == "forbidden"
    assert refused(delete_provider(who, "prv_open"))[0] == "forbidden"
    assert done(read_provider(who, "prv_open"))
