"""Models with their targets as rows, and who finds which."""

from dataclasses import replace

import pytest

from tollway.app.ports_directory import ConflictError, Page
from tollway.app.views import GrantView, ModelView, ProviderView, TenantView
from tollway.domain.model import Strategy, Target
from tollway.domain.provider import ProviderKind

SHARED = ModelView("mdl_1", "small", (Target("prv_1", "a"),))
OWN = ModelView(
    "mdl_2",
    "small",
    (Target("prv_1", "b", 3, 1), Target("prv_1", "a", 1, 0)),
    tenant_id="ten_1",
    strategy=Strategy.WEIGHTED,
    fallbacks=("large", "larger"),
    max_output_tokens=100,
    cache_affinity=True,
    enabled=False,
    managed_by="file",
)


@pytest.fixture
def uow(configuration):
    with configuration.begin() as uow:
        for number in (1, 2):
            uow.tenants.add(TenantView(f"ten_{number}", f"t{number}", f"T{number}"), b"salt")
        uow.providers.add(ProviderView("prv_1", "echo", ProviderKind.ECHO, ""))
        uow.models.add(SHARED)
        uow.models.add(OWN)
        yield uow


def kept(view, uow):
    return replace(view, created_s=uow.now_s, version=uow.version)


def ids(uow, **given):
    return [view.id for view in uow.models.page(Page(), **given)]


def test_a_model_comes_back_as_it_was_given(uow):
    """Every field, the targets in their order."""
    assert uow.models.get("mdl_1") == kept(SHARED, uow)
    assert uow.models.get("mdl_2") == kept(OWN, uow)
    assert uow.models.get("mdl_9") is None


def test_a_name_belongs_to_its_owner(uow):
    """The same name may be the platform's and each tenant's; never twice one owner's."""
    assert uow.models.find(None, "small").id == "mdl_1"
    assert uow.models.find("ten_1", "small").id == "mdl_2"
    assert uow.models.find("ten_2", "small") is None
    with pytest.raises(ConflictError):
        uow.models.add(replace(SHARED, id="mdl_3"))


def test_saving_replaces_the_targets(uow):
    """Fewer, others, in another order; the owner stays."""
    wanted = replace(OWN, targets=(Target("prv_1", "c"),), fallbacks=(), strategy=Strategy.PRIORITY)
    uow.models.save(replace(wanted, tenant_id="ten_2"))
    assert uow.models.get("mdl_2") == kept(wanted, uow)


def test_lists_hold_owners_and_what_holders_were_granted(uow):
    """A grant adds the one platform model, and nothing of another tenant's."""
    assert ids(uow) == ["mdl_1", "mdl_2"]
    assert ids(uow, owners=["ten_2"]) == []
    assert ids(uow, owners=["ten_2", None]) == ["mdl_1"]
    assert ids(uow, owners=["ten_1", None]) == ["mdl_1", "mdl_2"]
    uow.models.add(replace(SHARED, id="mdl_3", name="large"))
    uow.grants.add(GrantView("mdl_3", group="gold"))
    assert ids(uow, owners=["ten_2"], granted_to=["ten_2", "group:gold"]) == ["mdl_3"]
    assert ids(uow, owners=["ten_2"], granted_to=["ten_2"]) == []


def test_models_of_a_deleted_tenant_do_not_exist(uow):
    """Until it is restored."""
    uow.tenants.save(replace(uow.tenants.get("ten_1"), deleted_s=5))
    assert uow.models.get("mdl_2") is None
    assert uow.models.find("ten_1", "small") is None
    assert ids(uow) == ["mdl_1"]


def test_a_removed_model_takes_its_grants_along(uow):
    """The holders hear of it."""
    uow.grants.add(GrantView("mdl_1", tenant_id="ten_1"))
    uow.models.remove("mdl_1")
    assert uow.models.get("mdl_1") is None
    assert uow.grants.page(Page()) == []
