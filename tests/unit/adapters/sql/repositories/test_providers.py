"""Providers, their configuration and credentials as rows."""

from dataclasses import replace

import pytest
from sqlalchemy import select

from tollway.adapters.sql.tables import provider_credentials, tombstones
from tollway.app.ports_directory import ConflictError, Page
from tollway.app.views import CredentialView, ModelView, ProviderView, TenantView
from tollway.domain.model import Target
from tollway.domain.provider import ProviderKind, StreamUsage

SHARED = ProviderView("prv_1", "openai", ProviderKind.OPENAI, "https://api.openai.com/v1")
OWN = ProviderView(
    "prv_2",
    "openai",
    ProviderKind.OPENAI_COMPATIBLE,
    "https://own.example/v1",
    tenant_id="ten_1",
    enabled=False,
    residency="eu",
    stream_usage=StreamUsage.NATIVE,
    connect_timeout_s=1.5,
    headers_timeout_s=2.0,
    first_token_timeout_s=3.0,
    idle_timeout_s=4.0,
    total_timeout_s=5.0,
    requests_at_once=6,
    requests_per_minute=70,
    tokens_per_minute=80_000,
    translate_responses=True,
    config={"region": "eu-west-1"},
    managed_by="file",
)


@pytest.fixture
def uow(configuration):
    with configuration.begin() as uow:
        for number in (1, 2):
            uow.tenants.add(TenantView(f"ten_{number}", f"t{number}", f"T{number}"), b"salt")
        uow.providers.add(SHARED)
        uow.providers.add(OWN)
        yield uow


def credential(number, provider_id="prv_2", **fields):
    return CredentialView(f"crd_{number}", provider_id, **fields)


def kept(view, uow, **changes):
    """The view as the database gives it back."""
    return replace(view, created_s=uow.now_s, version=uow.version, **changes)


def test_a_provider_comes_back_as_it_was_given(uow):
    """Every field, the platform's and a tenant's."""
    assert uow.providers.get("prv_1") == kept(SHARED, uow)
    assert uow.providers.get("prv_2") == kept(OWN, uow)
    assert uow.providers.get("prv_9") is None


def test_a_name_belongs_to_its_owner(uow):
    """The same name may be the platform's and each tenant's; never twice one owner's."""
    assert uow.providers.find(None, "openai").id == "prv_1"
    assert uow.providers.find("ten_1", "openai").id == "prv_2"
    assert uow.providers.find("ten_2", "openai") is None
    with pytest.raises(ConflictError):
        uow.providers.add(ProviderView("prv_3", "openai", ProviderKind.ECHO, ""))


def test_lists_hold_the_owners_asked_for(uow):
    """None among the owners is the platform; no owners at all is nobody's."""

    def ids(**given):
        return [view.id for view in uow.providers.page(Page(), **given)]

    assert ids() == ["prv_1", "prv_2"]
    assert ids(owners=[None]) == ["prv_1"]
    assert ids(owners=["ten_1"]) == ["prv_2"]
    assert ids(owners=[None, "ten_2"]) == ["prv_1"]
    assert ids(owners=[]) == []
    assert [view.id for view in uow.providers.page(Page(1))] == ["prv_1"]
    assert [view.id for view in uow.providers.page(Page(9, "prv_1"))] == ["prv_2"]


def test_providers_of_a_deleted_tenant_do_not_exist(uow):
    """Until it is restored; but their secrets are still re-wrapped."""
    uow.providers.add_credential(credential(1, sealed=True), b"envelope")
    uow.tenants.save(replace(uow.tenants.get("ten_1"), deleted_s=5))
    assert uow.providers.get("prv_2") is None
    assert uow.providers.find("ten_1", "openai") is None
    assert [view.id for view in uow.providers.page(Page())] == ["prv_1"]
    assert [entry[0] for entry in uow.providers.sealed("", 10)] == ["crd_1"]


def test_saving_changes_all_but_owner_and_kind(uow):
    """Owner and kind stay whatever is asked for."""
    wanted = replace(
        OWN,
        name="other",
        base_url="https://b.example",
        enabled=True,
        residency=None,
        stream_usage=StreamUsage.NONE,
        idle_timeout_s=None,
        config={},
    )
    uow.providers.save(replace(wanted, tenant_id="ten_2", kind=ProviderKind.ECHO))
    assert uow.providers.get("prv_2") == kept(wanted, uow)


def test_a_changed_credential_moves_its_provider(configuration):
    """Publishers look at the provider's version alone."""
    with configuration.begin() as uow:
        uow.providers.add(SHARED)
        uow.commit()
    one = credential(1, "prv_1", reference="env:A")
    for act in (
        lambda uow: uow.providers.add_credential(one, None),
        lambda uow: uow.providers.save_credential(credential(1, "prv_1", weight=2), b"sealed"),
        lambda uow: uow.providers.rewrap("crd_1", b"again", instead_of=b"sealed"),
        lambda uow: uow.providers.remove_credential("prv_1", "crd_1"),
    ):
        with configuration.begin() as uow:
            before = uow.providers.get("prv_1").version
            act(uow)
            assert uow.providers.get("prv_1").version == uow.version > before
            uow.commit()


def test_a_secret_is_a_reference_or_an_envelope(uow, engine):
    """Saving with neither keeps what is there; the envelope is in no view."""
    uow.providers.add_credential(credential(1, reference="env:A"), None)
    uow.providers.add_credential(credential(2, sealed=True, weight=3), b"one")
    first, second = uow.providers.get("prv_2").credentials
    assert (first.reference, first.sealed, first.weight) == ("env:A", False, 1)
    assert (second.reference, second.sealed, second.weight) == (None, True, 3)
    assert uow.providers.envelope("crd_2") == b"one"
    assert uow.providers.envelope("crd_1") is None
    assert uow.providers.envelope("crd_9") is None

    uow.providers.save_credential(credential(2, sealed=True, weight=7), None)
    assert uow.providers.envelope("crd_2") == b"one"
    uow.providers.save_credential(credential(2, reference="file:/x"), None)
    assert uow.providers.envelope("crd_2") is None
    uow.providers.save_credential(credential(1, sealed=True), b"two")
    first, second = uow.providers.get("prv_2").credentials
    assert (first.sealed, second.reference) == (True, "file:/x")


def test_a_credential_is_changed_through_its_own_provider_only(uow):
    """An id with another provider's finds nothing."""
    uow.providers.add_credential(credential(1, reference="env:A"), None)
    uow.providers.save_credential(credential(1, "prv_1", reference="env:B", weight=9), None)
    uow.providers.remove_credential("prv_1", "crd_1")
    assert [(c.reference, c.weight) for c in uow.providers.get("prv_2").credentials] == [
        ("env:A", 1)
    ]


def test_sealed_credentials_are_walked_in_parts(uow):
    """By id, with the provider each is bound to; references are not among them."""
    for number in (3, 1, 2):
        uow.providers.add_credential(credential(number, sealed=True), b"%d" % number)
    uow.providers.add_credential(credential(4, "prv_1", reference="env:A"), None)
    first = uow.providers.sealed("", 2)
    assert [(id_, view.id, envelope) for id_, view, envelope in first] == [
        ("crd_1", "prv_2", b"1"),
        ("crd_2", "prv_2", b"2"),
    ]
    assert [entry[0] for entry in uow.providers.sealed("crd_2", 2)] == ["crd_3"]
    assert uow.providers.rewrap("crd_3", b"new", instead_of=b"3")
    assert uow.providers.envelope("crd_3") == b"new"
    assert not uow.providers.rewrap("crd_3", b"late", instead_of=b"3")
    assert uow.providers.envelope("crd_3") == b"new"


def test_a_removed_provider_takes_its_secrets_along(configuration, engine):
    """And leaves a tombstone for publishers."""
    with configuration.begin() as uow:
        uow.providers.add(SHARED)
        uow.providers.add_credential(credential(1, "prv_1", reference="env:A"), None)
        uow.providers.remove("prv_1")
        uow.providers.remove("prv_9")
        version = uow.version
        uow.commit()
    with engine.connect() as connection:
        assert connection.execute(select(provider_credentials)).all() == []
        assert [tuple(row) for row in connection.execute(select(tombstones))] == [
            ("provider", "prv_1", version)
        ]


def test_models_at_a_provider_are_named(uow):
    """A few, by name, each once."""
    assert uow.providers.models_at("prv_1") == []
    for number in range(7):
        targets = (Target("prv_1", "a"), Target("prv_1", "b"))
        uow.models.add(ModelView(f"mdl_{number}", f"m{number}", targets))
    assert uow.providers.models_at("prv_1") == ["m0", "m1", "m2", "m3", "m4"]
