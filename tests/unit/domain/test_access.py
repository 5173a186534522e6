"""Who may do what on the data plane."""

from dataclasses import replace

import pytest

from tollway.domain.access import Principal, granted_model, granted_models, may_call
from tollway.domain.key import KeyRecord
from tollway.domain.model import ModelRecord
from tollway.domain.refusal import ModelNotFound
from tollway.domain.snapshot import SnapshotRows, index
from tollway.domain.tenant import TenantRecord

TENANT = TenantRecord("ten_a", "acme", "Acme", b"")
KEY = KeyRecord("key_a", "ten_a", b"", 1, project_id="prj_a", account_id="acc_a")
PRINCIPAL = Principal(TENANT, KEY)


def principal(tenant=None, **key):
    return Principal(replace(TENANT, **(tenant or {})), replace(KEY, **key))


def model(name, tenant_id=None, **changes):
    owner = tenant_id or "platform"
    return ModelRecord(f"mdl_{owner}_{name}", name, (), tenant_id, **changes)


MODELS = [
    model("shared"),
    model("both"),
    model("both", "ten_a"),
    model("own", "ten_a"),
    model("theirs", "ten_b"),
    model("off", enabled=False),
    model("shadowed-off"),
    model("shadowed-off", "ten_a", enabled=False),
]
SNAPSHOT = index(SnapshotRows(1, models=tuple(MODELS)), {})


def test_a_principal_is_what_its_key_says():
    """Tenant, key, project and account come from the credential's records."""
    found = (PRINCIPAL.tenant_id, PRINCIPAL.key_id, PRINCIPAL.project_id, PRINCIPAL.account_id)
    assert found == ("ten_a", "key_a", "prj_a", "acc_a")


@pytest.mark.parametrize(
    ("who", "code"),
    [
        (PRINCIPAL, None),
        (principal({"active": False}), "tenant_disabled"),
        (principal(endpoints=("embeddings",)), "endpoint_not_allowed"),
        (principal(endpoints=()), "endpoint_not_allowed"),
        (principal(endpoints=("chat_completions",)), None),
        (principal(ip_allow=("10.0.0.0/8",)), None),
        (principal(ip_allow=("10.1.2.3",)), None),
        (principal(ip_allow=("10.1.2.3/8", "::/0")), None),
        (principal(ip_allow=("192.168.0.0/16", "fd00::/8")), "address_not_allowed"),
        (principal(ip_allow=()), "address_not_allowed"),
    ],
)
def test_endpoints_and_addresses_of_a_key(who, code):
    """An inactive tenant, another endpoint and another address are each refused by name."""
    refusal = may_call(who, "chat_completions", "10.1.2.3")
    assert (refusal and refusal.code) == code


@pytest.mark.parametrize(
    ("address", "inside"),
    [("::ffff:10.1.2.3", True), ("fd00::1", False), ("10.1.2.4", True), ("", False), ("x", False)],
)
def test_addresses_as_they_come(address, inside):
    """An IPv4 address in IPv6 form is the same address, and what is no address is nowhere."""
    refusal = may_call(principal(ip_allow=("10.0.0.0/8",)), "chat_completions", address)
    assert (refusal is None) == inside


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("shared", "mdl_platform_shared"),
        ("both", "mdl_ten_a_both"),
        ("own", "mdl_ten_a_own"),
        ("theirs", None),
        ("off", None),
        ("shadowed-off", None),
        ("absent", None),
    ],
)
def test_the_model_a_name_means(name, found):
    """One's own before the platform's; another tenant's and a disabled one are absent."""
    model = granted_model(SNAPSHOT, PRINCIPAL, name)
    assert (None if isinstance(model, ModelNotFound) else model.id) == found
    if found is None:
        assert model == ModelNotFound(name)


@pytest.mark.parametrize(
    ("who", "names"),
    [
        (PRINCIPAL, ["both", "own", "shared"]),
        (principal({"id": "ten_b"}), ["both", "shadowed-off", "shared", "theirs"]),
        (principal({"models": "listed"}), ["both", "own"]),
        (principal(models=("shared", "theirs")), ["shared"]),
        (principal(models=()), []),
    ],
)
def test_what_is_listed_is_what_can_be_named(who, names):
    """The list and single look-ups agree, for every name there is."""
    assert [one.name for one in granted_models(SNAPSHOT, who)] == names
    for one in MODELS:
        named = granted_model(SNAPSHOT, who, one.name)
        assert isinstance(named, ModelRecord) == (one.name in names)
