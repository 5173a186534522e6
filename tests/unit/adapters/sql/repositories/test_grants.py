"""Grants as rows: found by holder, published by holder."""

from dataclasses import replace

import pytest
from sqlalchemy import select

from tollway.adapters.sql.tables import tombstones
from tollway.app.ports_directory import ConflictError, Page
from tollway.app.views import GrantView, ModelView, ProviderView, TenantView
from tollway.domain.model import Target
from tollway.domain.provider import ProviderKind

TO_TENANT = GrantView("mdl_1", tenant_id="ten_1")
TO_GROUP = GrantView("mdl_1", group="gold")


@pytest.fixture
def ready(configuration):
    with configuration.begin() as uow:
        uow.tenants.add(TenantView("ten_1", "acme", "Acme"), b"salt")
        uow.providers.add(ProviderView("prv_1", "echo", ProviderKind.ECHO, ""))
        for number in (1, 2):
            uow.models.add(ModelView(f"mdl_{number}", f"m{number}", (Target("prv_1", "a"),)))
        uow.commit()
    return configuration


@pytest.fixture
def uow(ready):
    with ready.begin() as uow:
        yield uow


def found(uow, at=None, **given):
    return [(grant.holder, grant.model_id) for grant in uow.grants.page(at or Page(), **given)]


def test_a_grant_comes_back_as_it_was_given(uow):
    """To a tenant or to a group, and only once."""
    for grant in (TO_TENANT, TO_GROUP):
        uow.grants.add(grant)
        kept = replace(grant, created_s=uow.now_s, version=uow.version)
        assert uow.grants.get("mdl_1", grant.holder) == kept
    assert uow.grants.get("mdl_2", "ten_1") is None
    with pytest.raises(ConflictError):
        uow.grants.add(TO_TENANT)


def test_lists_narrow_and_continue(uow):
    """By holder, by model, behind a place in the order of both."""
    for grant in (TO_TENANT, TO_GROUP, replace(TO_GROUP, model_id="mdl_2")):
        uow.grants.add(grant)
    every = [("group:gold", "mdl_1"), ("group:gold", "mdl_2"), ("ten_1", "mdl_1")]
    assert found(uow) == every
    assert found(uow, holders=["ten_1"]) == every[2:]
    assert found(uow, holders=[]) == []
    assert found(uow, model_id="mdl_1") == [every[0], every[2]]
    assert found(uow, Page(1)) == every[:1]
    assert found(uow, Page(9, "group:gold|mdl_1")) == every[1:]
    assert found(uow, Page(9, "group:gold|mdl_2")) == every[2:]


def test_grants_of_a_deleted_tenant_do_not_exist(uow):
    """Until it is restored."""
    uow.grants.add(TO_TENANT)
    uow.tenants.save(replace(uow.tenants.get("ten_1"), deleted_s=5))
    assert uow.grants.get("mdl_1", "ten_1") is None
    assert found(uow) == []


def test_a_grant_taken_back_is_seen_by_publishers(ready, engine):
    """While the holder has others, those move; after the last there is a tombstone, and giving
    again removes it."""
    second = replace(TO_TENANT, model_id="mdl_2")
    with ready.begin() as uow:
        uow.grants.add(TO_TENANT)
        uow.grants.add(second)
        uow.commit()
    with ready.begin() as uow:
        before = uow.grants.get("mdl_2", "ten_1").version
        uow.grants.remove("mdl_1", "ten_1")
        assert uow.grants.get("mdl_2", "ten_1").version == uow.version > before
        assert found(uow) == [("ten_1", "mdl_2")]
        uow.commit()
    assert graves(engine) == []
    with ready.begin() as uow:
        uow.models.remove("mdl_2")
        uow.grants.remove("mdl_2", "ten_1")
        uow.commit()
    assert ("grant", "ten_1") in graves(engine)
    with ready.begin() as uow:
        uow.grants.add(TO_TENANT)
        uow.commit()
    assert ("grant", "ten_1") not in graves(engine)


def graves(engine):
    with engine.connect() as connection:
        return [(row.kind, row.id) for row in connection.execute(select(tombstones))]
