"""Credentials: sealed for one place, by reference for the platform only, never shown."""

import json
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
from tests.fakes.google import account_file
from tollway.app.admin.commands.credentials import (
    MAX_CREDENTIALS,
    NO_SECRET,
    Secret,
    add_credential,
    ensure_credential,
    remove_credential,
    update_credential,
)
from tollway.app.admin.commands.providers import ProviderSpec, create_provider
from tollway.app.admin.queries.probing import subject
from tollway.app.admin.queries.routing import read_credential
from tollway.app.admin.sealing import open_credential
from tollway.app.views import ProviderView
from tollway.domain.provider import ProviderKind

ADMIN = actor(ten_open="tenant_admin")
KEY = Secret("sk-first")


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


def test_a_provider_has_several_secrets(theirs):
    """Each with a weight; none is in a view or in the audit."""
    first = done(add_credential(theirs, "prv_open", KEY))
    second = done(add_credential(theirs, "prv_open", Secret("sk-second"), weight=3))
    assert [(made.sealed, made.reference, made.weight) for made in (first, second)] == [
        (True, None, 1),
        (True, None, 3),
    ]
    assert set(theirs.uow.providers.get("prv_open").credentials) == {first, second}
    assert done(read_credential(theirs, "prv_open", second.id)) == second
    assert facts(theirs.uow)[1] == (
        "credential.added",
        second.id,
        {"provider_id": "prv_open", "secret": "sealed", "weight": 3},
    )
    envelopes = [theirs.uow.providers.envelope(made.id) for made in (first, second)]
    assert "sk-" not in repr((first, second, facts(theirs.uow), envelopes))


@pytest.mark.parametrize("reference", ["env:TOLLWAY_MASTER_KEY", "file:/etc/passwd"])
def test_tenants_never_read_the_gateways_environment_or_files(work, theirs, reference):
    """Not by their own hand, not by the platform's, at no command."""
    secret = Secret(reference=reference)
    mine = done(add_credential(theirs, "prv_open", KEY))
    for hands in (work, theirs):
        assert refused(add_credential(hands, "prv_open", secret)) == ("invalid", "reference")
        result = update_credential(hands, "prv_open", mine.id, secret=secret)
        assert refused(result) == ("invalid", "reference")
        result = ensure_credential(hands, "prv_open", reference=reference)
        assert refused(result) == ("invalid", "reference")
    assert refused(add_credential(theirs, "prv_platform", secret)) == ("not_found", "")


def test_the_platforms_providers_take_references(work):
    """And having one already is enough for `ensure`."""
    made = done(ensure_credential(work, "prv_platform", reference="env:A", weight=2))
    assert (made.created, made.value.reference, made.value.sealed) == (True, "env:A", False)
    again = done(ensure_credential(work, "prv_platform", reference="env:A"))
    assert (again.created, again.value) == (False, made.value)
    assert facts(work.uow)[0][2]["secret"] == "env:A"


@pytest.mark.parametrize(
    ("secret", "field"),
    [
        (NO_SECRET, "api_key"),
        (Secret("sk-x", "env:A"), "reference"),
        (Secret(""), "api_key"),
        (Secret("sk x"), "api_key"),
        (Secret("sk\r\nhost: evil"), "api_key"),
        (Secret("schlüssel"), "api_key"),
        (Secret("s" * 8193), "api_key"),
        (Secret(reference="sk-this-is-no-reference"), "reference"),
        (Secret(reference="env:1"), "reference"),
        (Secret(reference="file:relative"), "reference"),
    ],
)
def test_what_no_secret_is(work, secret, field):
    """What was given is not repeated: it may be the secret."""
    result = add_credential(work, "prv_platform", secret)
    assert refused(result) == ("invalid", field)
    for given in (secret.api_key, secret.reference):
        assert not given or given not in said(result)


def test_keys_of_amazon(theirs):
    """Their parts are looked at when they come, and what was given is not repeated."""
    there = "https://bedrock-runtime.eu-west-1.amazonaws.com"
    made = done(create_provider(theirs, ProviderSpec("aws", "bedrock", there)))
    for secret in ("AKID:secret", "ASIA:secret:token", "bedrock-api-key-1"):
        done(add_credential(theirs, made.id, Secret(secret)))
    wrong = add_credential(theirs, made.id, Secret("AKID:"))
    assert refused(wrong) == ("invalid", "api_key")
    assert "AKID" not in said(wrong)


VERTEX = "https://aiplatform.googleapis.com/v1/projects/p/locations/global/publishers/google"


def test_service_accounts_of_google(theirs, work):
    """A key file is sealed as one line; where its tokens come from is looked at when it comes, and
    what was given is not repeated."""
    made = done(create_provider(theirs, ProviderSpec("g", "vertex", VERTEX)))
    for secret in ("ya29.token", "AIzaKey"):
        done(add_credential(theirs, made.id, Secret(secret)))
    account = done(add_credential(theirs, made.id, Secret(account_file())))
    envelope = theirs.uow.providers.envelope(account.id)
    opened = open_credential(theirs.box, made, envelope)
    assert opened.isprintable()
    assert json.loads(opened) == json.loads(account_file())
    elsewhere = account_file("https://evil.example/token")
    for text in (elsewhere, account_file(type="authorized_user"), "{", '{"a": 1}', "ya29 token"):
        wrong = add_credential(theirs, made.id, Secret(text))
        assert refused(wrong) == ("invalid", "api_key")
        assert "PRIVATE" not in said(wrong)
    ours = done(create_provider(work, ProviderSpec("g", "vertex", VERTEX)))
    done(add_credential(work, ours.id, Secret(elsewhere)))


def test_json_is_no_key_of_others(theirs):
    """A key file has spaces, and other providers would be sent it as it is."""
    assert refused(add_credential(theirs, "prv_open", Secret(account_file()))) == (
        "invalid",
        "api_key",
    )


def test_an_echo_provider_takes_none(work):
    """It asks nobody."""
    work.uow.providers.add(ProviderView("prv_echo", "echo", ProviderKind.ECHO, ""))
    assert refused(add_credential(work, "prv_echo", KEY)) == ("invalid", "api_key")


@pytest.mark.parametrize("weight", [0, -1, 2**31])
def test_a_weight_is_a_positive_number(theirs, weight):
    """When adding and when changing."""
    assert refused(add_credential(theirs, "prv_open", KEY, weight=weight))[1] == "weight"
    made = done(add_credential(theirs, "prv_open", KEY))
    assert refused(update_credential(theirs, "prv_open", made.id, weight=weight))[1] == "weight"


def test_weight_and_secret_change_apart(theirs):
    """What is not given stays; no difference is no change; the audit says what was replaced."""
    made = done(add_credential(theirs, "prv_open", KEY))
    before = theirs.uow.providers.envelope(made.id)
    heavier = done(update_credential(theirs, "prv_open", made.id, weight=5))
    assert heavier == replace(made, weight=5, version=heavier.version)
    assert theirs.uow.providers.envelope(made.id) == before
    done(update_credential(theirs, "prv_open", made.id, secret=Secret("sk-next")))
    assert theirs.uow.providers.envelope(made.id) != before
    done(update_credential(theirs, "prv_open", made.id, weight=5))
    assert [fact[2] for fact in facts(theirs.uow)[1:]] == [
        {"provider_id": "prv_open", "weight": [1, 5]},
        {"provider_id": "prv_open", "secret": "replaced"},
    ]


def test_a_reference_becomes_a_sealed_secret_and_back(work):
    """One row has one of the two."""
    made = done(add_credential(work, "prv_platform", Secret(reference="env:A")))
    sealed = done(update_credential(work, "prv_platform", made.id, secret=KEY))
    assert (sealed.sealed, sealed.reference) == (True, None)
    assert work.uow.providers.envelope(made.id) is not None
    back = Secret(reference="file:/run/key")
    named = done(update_credential(work, "prv_platform", made.id, secret=back))
    assert (named.sealed, named.reference) == (False, "file:/run/key")
    assert work.uow.providers.envelope(made.id) is None


def test_a_credential_is_found_at_its_own_provider_only(work, theirs):
    """Another provider's, another tenant's and none read the same."""
    made = done(add_credential(theirs, "prv_open", KEY))
    for hands, provider_id in ((work, "prv_platform"), (work, "prv_listed"), (work, "prv_none")):
        for result in (
            update_credential(hands, provider_id, made.id, weight=2),
            remove_credential(hands, provider_id, made.id),
            read_credential(hands, provider_id, made.id),
        ):
            assert refused(result) == ("not_found", "")
    stranger = acting(work, actor("eve", ten_listed="tenant_admin"))
    assert refused(remove_credential(stranger, "prv_open", made.id)) == ("not_found", "")
    assert refused(update_credential(stranger, "prv_open", made.id, weight=2))[0] == "not_found"
    viewer = acting(work, actor("vic", ten_open="viewer"))
    assert refused(remove_credential(viewer, "prv_open", made.id))[0] == "forbidden"
    assert done(read_credential(viewer, "prv_open", made.id)) == made


def test_a_secret_is_removed_once(theirs):
    """And only in the state the sender saw."""
    made = done(add_credential(theirs, "prv_open", KEY))
    stale = replace(theirs, request=replace(theirs.request, if_match=made.version + 1))
    assert refused(remove_credential(stale, "prv_open", made.id))[0] == "precondition"
    done(remove_credential(theirs, "prv_open", made.id))
    assert refused(remove_credential(theirs, "prv_open", made.id)) == ("not_found", "")
    assert theirs.uow.providers.get("prv_open").credentials == ()


def test_there_is_an_end_to_secrets(theirs):
    """A provider has at most so many."""
    for number in range(MAX_CREDENTIALS):
        done(add_credential(theirs, "prv_open", Secret(f"sk-{number}")))
    assert refused(add_credential(theirs, "prv_open", KEY)) == ("conflict", "")


def test_what_a_provider_is_tried_with(work, theirs):
    """Its first credential or the one named, as the data plane would have it; who may not change
    the provider may not spend its money."""
    assert done(subject(theirs, "prv_open", None))[1] is None
    first = done(add_credential(theirs, "prv_open", KEY))
    second = done(add_credential(theirs, "prv_open", Secret("sk-second")))
    provider, credential = done(subject(theirs, "prv_open", None))
    assert (provider.id, provider.tenant_id) == ("prv_open", "ten_open")
    assert credential.id == theirs.uow.providers.get("prv_open").credentials[0].id
    for made in (first, second):
        credential = done(subject(theirs, "prv_open", made.id))[1]
        assert credential.id == made.id
        assert credential.envelope == theirs.uow.providers.envelope(made.id)
    assert refused(subject(theirs, "prv_open", "crd_none")) == ("not_found", "")
    viewer = acting(work, actor("vic", ten_open="viewer"))
    assert refused(subject(viewer, "prv_open", None))[0] == "forbidden"
    reader = acting(work, replace(ADMIN, read_only=True))
    assert refused(subject(reader, "prv_open", None))[0] == "forbidden"
    assert refused(subject(theirs, "prv_listed", None)) == ("not_found", "")
