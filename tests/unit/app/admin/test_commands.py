"""Commands: what they make, what they leave alone, and what they refuse, with which words."""

import os

import pytest

from tests.fakes.database import NOW_S, configuration, database
from tollway.adapters.sql.snapshot import SqlSnapshotStore
from tollway.adapters.system.secrets import AesGcmBox
from tollway.app.admin.commands.accounts import (
    create_account,
    ensure_account,
    ensure_membership,
)
from tollway.app.admin.commands.keys import KeySpec, create_key, ensure_key, revoke_key
from tollway.app.admin.commands.models import ModelSpec, create_model, ensure_model
from tollway.app.admin.commands.peppers import ensure_pepper, open_peppers
from tollway.app.admin.commands.projects import create_project, ensure_project
from tollway.app.admin.commands.providers import (
    ProviderSpec,
    create_provider,
    ensure_credential,
    ensure_provider,
    move_provider,
)
from tollway.app.admin.commands.tenants import create_tenant, ensure_tenant
from tollway.app.ports import SecretError
from tollway.domain.account import Role
from tollway.domain.key import matches, split_key
from tollway.domain.model import Target
from tollway.domain.result import Err, Ok
from tollway.domain.snapshot import index

BOX = AesGcmBox(bytes(32))


@pytest.fixture
def engine(tmp_path):
    engine = database(tmp_path)
    yield engine
    engine.dispose()


@pytest.fixture
def uow(engine):
    with configuration(engine).begin() as uow:
        yield uow


def done(result):
    assert isinstance(result, Ok), result
    return result.value


def refused(result, field):
    assert isinstance(result, Err), result
    assert result.error.field == field
    return result.error.message


@pytest.fixture
def tenant(uow):
    return done(create_tenant(uow, os.urandom, slug="acme", name="Acme"))


@pytest.fixture
def account(uow, tenant):
    account = done(create_account(uow, os.urandom, email="ann@example.org"))
    done(ensure_membership(uow, tenant=tenant, account=account))
    return account


@pytest.fixture
def provider(uow):
    return done(create_provider(uow, os.urandom, ProviderSpec("openai", "openai")))


def test_a_tenant_has_an_id_and_a_salt_of_its_own(uow, tenant):
    """Two tenants share nothing."""
    other = done(create_tenant(uow, os.urandom, slug="other"))
    assert tenant.id.startswith("ten_")
    assert (other.name, other.models) == ("other", "all")
    assert tenant.salt != other.salt


def test_a_slug_is_taken_once(uow, tenant):
    """Creating it again is refused; ensuring it finds the first."""
    assert "already" in refused(create_tenant(uow, os.urandom, slug="acme"), "slug")
    again = done(ensure_tenant(uow, os.urandom, slug="acme", name="Another"))
    assert (again.value, again.created) == (tenant, False)
    assert done(ensure_tenant(uow, os.urandom, slug="new")).created


@pytest.mark.parametrize("slug", ["", "A", "a_b", "-a", "a-", "a" * 64, "a b", "ä", "a\n", "a.b"])
def test_a_slug_is_a_dns_label(uow, slug):
    """Anything else is refused with the grammar."""
    assert "hyphens" in refused(ensure_tenant(uow, os.urandom, slug=slug), "slug")


@pytest.mark.parametrize(
    ("name", "message"),
    [(" a", "space"), ("a\x00b", "control"), ("a" * 201, "at most 200"), ("\ud800", "control")],
)
def test_a_name_is_short_and_printable(uow, name, message):
    """Whatever else it says is the owner's business."""
    made = create_tenant(uow, os.urandom, slug="acme", name=name)
    assert message in refused(made, "name")


def test_a_tenant_sees_all_models_or_listed_ones(uow):
    """There is no third view."""
    assert done(create_tenant(uow, os.urandom, slug="a", models="listed")).models == "listed"
    refused(create_tenant(uow, os.urandom, slug="b", models="some"), "models")


def test_an_account_is_known_by_its_address(uow, account):
    """In lower case, whatever was typed."""
    again = done(ensure_account(uow, os.urandom, email="Ann@Example.ORG"))
    assert (again.value, again.created) == (account, False)
    refused(create_account(uow, os.urandom, email="ANN@example.org"), "email")


@pytest.mark.parametrize("email", ["", "ann", "@b", "a@", "a b@c", "a@b@c", "a@b..c", "a" * 300])
def test_an_address_must_be_one(uow, email):
    """One @, something on both sides."""
    assert "no e-mail address" in refused(ensure_account(uow, os.urandom, email=email), "email")


def test_a_membership_keeps_its_role(uow, tenant, account):
    """Ensuring a role never changes one that is held."""
    held = done(ensure_membership(uow, tenant=tenant, account=account, role="tenant_admin"))
    assert (held.value, held.created) == (Role.USER, False)
    refused(ensure_membership(uow, tenant=tenant, account=account, role="owner"), "role")


def test_a_project_is_named_once_per_tenant(uow, tenant):
    """Another tenant may use the name."""
    project = done(create_project(uow, os.urandom, tenant=tenant, name="search"))
    refused(create_project(uow, os.urandom, tenant=tenant, name="search"), "name")
    refused(create_project(uow, os.urandom, tenant=tenant, name=""), "name")
    found = done(ensure_project(uow, os.urandom, tenant=tenant, name="search"))
    assert found.value == project
    other = done(create_tenant(uow, os.urandom, slug="other"))
    assert done(ensure_project(uow, os.urandom, tenant=other, name="search")).created


def test_a_key_opens_with_its_text_alone(engine):
    """What the snapshot holds verifies the text, and does not contain it."""
    with configuration(engine).begin() as uow:
        tenant = done(create_tenant(uow, os.urandom, slug="acme"))
        issued = done(create_key(uow, BOX, os.urandom, tenant=tenant, spec=KeySpec("first")))
        uow.commit()
    rows = SqlSnapshotStore(engine).load()
    snapshot = index(rows, open_peppers(BOX, rows.peppers))
    key_id, secret = split_key(issued.text)
    record = snapshot.keys[key_id]
    assert record == issued.record
    assert matches(record, snapshot.peppers[record.pepper_version], secret)
    assert not matches(record, snapshot.peppers[record.pepper_version], secret[::-1])
    with open(engine.url.database, "rb") as file, open(f"{engine.url.database}-wal", "rb") as wal:
        assert secret.encode() not in file.read() + wal.read()


def test_keys_share_a_pepper_made_at_first_use(uow, tenant):
    """One version until it is rotated."""
    versions = [
        done(create_key(uow, BOX, os.urandom, tenant=tenant, spec=KeySpec("k"))).record
        for _ in range(2)
    ]
    assert [record.pepper_version for record in versions] == [1, 1]
    assert ensure_pepper(uow, BOX, os.urandom) == ensure_pepper(uow, BOX, os.urandom)


def test_a_wrong_master_key_makes_no_keys(uow, tenant):
    """It is noticed before a key exists that nobody could use."""
    ensure_pepper(uow, BOX, os.urandom)
    other = AesGcmBox(bytes(31) + b"x")
    with pytest.raises(SecretError):
        create_key(uow, other, os.urandom, tenant=tenant, spec=KeySpec("k"))


def test_an_existing_key_has_no_text(uow, tenant):
    """A key is shown once; a revoked one is replaced."""
    first = done(ensure_key(uow, BOX, os.urandom, tenant=tenant, spec=KeySpec("k")))
    again = done(ensure_key(uow, BOX, os.urandom, tenant=tenant, spec=KeySpec("k")))
    assert first.created
    assert (again.created, again.value.text) == (False, None)
    assert again.value.record == first.value.record
    done(revoke_key(uow, key_id=first.value.record.id))
    refused(revoke_key(uow, key_id=first.value.record.id), "key_id")
    assert done(ensure_key(uow, BOX, os.urandom, tenant=tenant, spec=KeySpec("k"))).created


def test_a_key_keeps_its_scopes(uow, tenant, account):
    """Everything asked for is in the record."""
    project = done(create_project(uow, os.urandom, tenant=tenant, name="search"))
    spec = KeySpec(
        "k",
        env="test",
        account=account,
        project=project,
        models=(),
        endpoints=("chat",),
        ip_allow=("10.0.0.0/8", "::1"),
        tags=(("team", "search"),),
        not_before_s=NOW_S + 5,
        expires_s=NOW_S + 10,
    )
    issued = done(create_key(uow, BOX, os.urandom, tenant=tenant, spec=spec))
    assert issued.text.startswith("tw_test_")
    record = issued.record
    assert (record.account_id, record.project_id) == (account.id, project.id)
    assert (record.models, record.endpoints, record.tags) == ((), ("chat",), spec.tags)
    assert list(uow.find_keys(tenant.id, "k")) == [record]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": ""}, "name"),
        ({"env": "prod"}, "env"),
        ({"endpoints": ("Chat!",)}, "endpoints"),
        ({"ip_allow": ("10.0.0.0/99",)}, "ip_allow"),
        ({"ip_allow": ("host",)}, "ip_allow"),
        ({"tags": (("a", "b"), ("a", "c"))}, "tags"),
        ({"tags": (("a", "\n"),)}, "tags"),
        ({"tags": (("a", "é" * 33),)}, "tags"),
        ({"tags": tuple((str(number), "v") for number in range(17))}, "tags"),
        ({"expires_s": NOW_S}, "expires_at"),
        ({"expires_s": NOW_S + 5, "not_before_s": NOW_S + 5}, "expires_at"),
    ],
    ids=str,
)
def test_a_key_that_makes_no_sense_is_refused(uow, tenant, fields, field):
    """The part at fault is named, and no pepper was made for nothing."""
    spec = KeySpec(**{"name": "k", **fields})
    refused(ensure_key(uow, BOX, os.urandom, tenant=tenant, spec=spec), field)
    assert uow.newest_pepper() is None


def test_a_key_belongs_to_its_tenants_people_and_projects(uow, tenant, account):
    """Another tenant's project or account reads as absent."""
    other = done(create_tenant(uow, os.urandom, slug="other"))
    project = done(create_project(uow, os.urandom, tenant=tenant, name="search"))
    for spec, field in (
        (KeySpec("k", project=project), "project"),
        (KeySpec("k", account=account), "account"),
    ):
        refused(create_key(uow, BOX, os.urandom, tenant=other, spec=spec), field)


def test_a_provider_begins_where_its_kind_usually_is(uow, provider):
    """And is found again by its owner and name."""
    assert provider.base_url == "https://api.openai.com/v1"
    again = done(ensure_provider(uow, os.urandom, ProviderSpec("openai", "openai")))
    assert (again.value, again.created) == (provider, False)
    refused(create_provider(uow, os.urandom, ProviderSpec("openai", "openai")), "name")


def test_a_tenants_provider_is_its_own(uow, tenant, provider):
    """The same name, another owner: two providers."""
    spec = ProviderSpec("openai", "openai_compatible", "http://10.0.0.1:8080/v1/", owner=tenant)
    own = done(ensure_provider(uow, os.urandom, spec))
    assert own.created
    assert (own.value.tenant_id, own.value.base_url) == (tenant.id, "http://10.0.0.1:8080/v1")
    assert (
        done(ensure_provider(uow, os.urandom, ProviderSpec("openai", "openai"))).value == provider
    )


def test_echo_needs_no_address(uow):
    """It answers in process."""
    echo = done(create_provider(uow, os.urandom, ProviderSpec("echo", "echo")))
    assert echo.base_url == ""


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": ""}, "name"),
        ({"kind": "carrier-pigeon"}, "kind"),
        ({"kind": "openai_compatible"}, "base_url"),
        ({"stream_usage": "maybe"}, "stream_usage"),
        ({"idle_timeout_s": 0}, "idle_timeout_s"),
        ({"total_timeout_s": float("inf")}, "total_timeout_s"),
        ({"connect_timeout_s": float("nan")}, "connect_timeout_s"),
        ({"base_url": "ftp://host"}, "base_url"),
        ({"base_url": "https://"}, "base_url"),
        ({"base_url": "https://user:pass@host/v1"}, "base_url"),
        ({"base_url": "https://host/v1?x=1"}, "base_url"),
        ({"base_url": "https://host/v1#x"}, "base_url"),
        ({"base_url": "https://host:99999/v1"}, "base_url"),
        ({"base_url": "https://[::1/v1"}, "base_url"),
        ({"base_url": "https://ho st/v1"}, "base_url"),
        ({"base_url": "https://höst/v1"}, "base_url"),
    ],
    ids=str,
)
def test_a_provider_that_makes_no_sense_is_refused(uow, fields, field):
    """The part at fault is named."""
    spec = ProviderSpec(**{"name": "p", "kind": "openai", **fields})
    refused(ensure_provider(uow, os.urandom, spec), field)


def test_a_credential_is_a_reference(uow, provider):
    """Added once; the same reference again is the same credential."""
    first = done(ensure_credential(uow, os.urandom, provider=provider, reference="env:KEY"))
    again = done(ensure_credential(uow, os.urandom, provider=provider, reference="env:KEY"))
    file = done(
        ensure_credential(uow, os.urandom, provider=provider, reference="file:/run/k", weight=3)
    )
    assert (first.created, again.created, file.created) == (True, False, True)
    held = uow.find_provider(None, "openai").credentials
    assert {one.reference: one.weight for one in held} == {"env:KEY": 1, "file:/run/k": 3}


@pytest.mark.parametrize(
    "reference", ["", "sk-secret", "env:", "env:A B", "file:relative", "file:", "vault:x"]
)
def test_a_secret_is_not_taken_for_a_reference(uow, provider, reference):
    """And what was given is not repeated in the message."""
    made = ensure_credential(uow, os.urandom, provider=provider, reference=reference)
    message = refused(made, "reference")
    assert not reference.startswith("sk-") or reference not in message


def test_a_weight_is_at_least_one(uow, provider):
    """A credential that is never used is a mistake."""
    made = ensure_credential(uow, os.urandom, provider=provider, reference="env:A", weight=0)
    refused(made, "weight")


def test_a_model_leads_to_its_targets(uow, provider):
    """In the order given, found again by owner and name."""
    spec = ModelSpec("gpt-4o", (Target(provider.id, "gpt-4o-2024", 2, 1),), strategy="weighted")
    model = done(create_model(uow, os.urandom, spec))
    found = done(ensure_model(uow, os.urandom, spec))
    assert found.created is False
    assert (found.value.id, found.value.targets) == (model.id, spec.targets)
    assert (found.value.created_s, found.value.strategy) == (NOW_S, "weighted")
    refused(create_model(uow, os.urandom, spec), "name")


def test_a_tenant_may_use_the_platforms_providers_but_not_the_other_way(uow, tenant, provider):
    """Nor another tenant's: such a provider reads as absent."""
    own = done(create_provider(uow, os.urandom, ProviderSpec("own", "openai", owner=tenant)))
    targets = (Target(provider.id, "a"), Target(own.id, "b"))
    assert done(ensure_model(uow, os.urandom, ModelSpec("m", targets, owner=tenant))).created
    other = done(create_tenant(uow, os.urandom, slug="other"))
    for owner in (None, other):
        refused(create_model(uow, os.urandom, ModelSpec("m", targets, owner=owner)), "targets")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "../x y"}, "name"),
        ({"name": "m" * 201}, "name"),
        ({"strategy": "guess"}, "strategy"),
        ({"targets": ()}, "targets"),
        ({"targets": (Target("prv_none", "a"),)}, "targets"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
    ],
    ids=str,
)
def test_a_model_that_makes_no_sense_is_refused(uow, provider, fields, field):
    """The part at fault is named."""
    spec = ModelSpec(**{"name": "m", "targets": (Target(provider.id, "a"),), **fields})
    refused(ensure_model(uow, os.urandom, spec), field)


@pytest.mark.parametrize(
    "target", [{"model": ""}, {"model": "a", "weight": -1}, {"model": "a", "priority": 2**40}]
)
def test_a_target_that_makes_no_sense_is_refused(uow, provider, target):
    """Names, weights and priorities have bounds."""
    spec = ModelSpec("m", (Target(provider.id, **target),))
    refused(create_model(uow, os.urandom, spec), "targets")


def test_a_provider_without_a_secret_may_move(uow):
    """A local server whose port changed is found again; the same address changes nothing."""
    spec = ProviderSpec("local", "openai_compatible", "http://127.0.0.1:1/v1")
    local = done(create_provider(uow, os.urandom, spec))
    assert done(move_provider(uow, provider=local, base_url=local.base_url + "/")) is False
    assert done(move_provider(uow, provider=local, base_url="http://127.0.0.1:2/v1")) is True
    assert uow.find_provider(None, "local").base_url == "http://127.0.0.1:2/v1"
    refused(move_provider(uow, provider=local, base_url="ftp://x"), "base_url")


def test_a_provider_with_a_secret_stays_where_it_is(uow, provider):
    """A secret is never sent to an origin it was not given for."""
    done(ensure_credential(uow, os.urandom, provider=provider, reference="env:X"))
    current = uow.find_provider_by_id(provider.id)
    refused(move_provider(uow, provider=current, base_url="https://evil.test/v1"), "base_url")
    assert uow.find_provider_by_id(provider.id).base_url == provider.base_url
