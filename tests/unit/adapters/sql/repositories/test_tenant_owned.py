"""Tenants, projects and keys as rows: what goes in comes out, nothing of another tenant is found,
and every change moves the version.
"""

from dataclasses import replace

import pytest

from tests.fakes.database import NOW_S
from tollway.app.ports_directory import ConflictError, Page
from tollway.app.views import KeyView, ProjectView, TenantSettings, TenantView

SETTINGS = TenantSettings("Europe/Berlin", 30, True, {"exact": {"enabled": True}}, "listed", "gold")
ACME = TenantView("ten_a", "acme", "Acme", SETTINGS)
OTHER = TenantView("ten_b", "other", "Other")
PROJECT = ProjectView("prj_1", "ten_a", "bot", ("m1",))
KEY = KeyView(
    "key_1",
    "ten_a",
    "first",
    "live",
    "tw_live_1",
    "abcd",
    project_id="prj_1",
    models=("m1",),
    endpoints=(),
    ip_allow=("10.0.0.0/8",),
    tags=(("team", "search"),),
    not_before_s=NOW_S,
    expires_s=NOW_S + 60,
    created_by="acc_1",
)


@pytest.fixture
def uow(configuration):
    with configuration.begin() as uow:
        uow.tenants.add(ACME, b"salt")
        uow.tenants.add(OTHER, b"salt")
        uow.projects.add(PROJECT)
        uow.peppers.add(1, b"wrapped")
        uow.keys.add(KEY, b"digest", 1)
        yield uow


def stored(view, uow):
    return replace(view, created_s=NOW_S, version=uow.version)


def test_a_tenant_comes_back_as_it_was_made(uow):
    """Every setting, and nothing more."""
    assert uow.tenants.get("ten_a") == stored(ACME, uow)
    assert uow.tenants.find("acme") == stored(ACME, uow)
    assert uow.tenants.get("ten_x") is None
    assert uow.tenants.find("ACME") is None


def test_a_tenant_changes_as_a_whole(uow):
    """Name, state and settings in one save."""
    changed = replace(
        ACME, name="New", active=False, deleted_s=5, settings=TenantSettings(), managed_by="file"
    )
    uow.tenants.save(changed)
    assert uow.tenants.get("ten_a") == stored(changed, uow)


def test_a_slug_is_taken_once(uow):
    """The database has the last word when two are made at once."""
    with pytest.raises(ConflictError):
        uow.tenants.add(TenantView("ten_c", "acme", "Again"), b"salt")


def test_tenants_are_listed_in_parts(uow):
    """In the order of ids, only those asked for, deleted ones on request."""
    ids = [tenant.id for tenant in uow.tenants.page(Page(1))]
    assert ids == ["ten_a"]
    assert [tenant.id for tenant in uow.tenants.page(Page(9, "ten_a"))] == ["ten_b"]
    assert [tenant.id for tenant in uow.tenants.page(Page(), within=["ten_b"])] == ["ten_b"]
    assert uow.tenants.page(Page(), within=[]) == []
    uow.tenants.save(replace(OTHER, deleted_s=1))
    assert [tenant.id for tenant in uow.tenants.page(Page())] == ["ten_a"]
    assert len(uow.tenants.page(Page(), deleted=True)) == 2


@pytest.mark.parametrize(
    ("search", "found"),
    [("ACM", ["ten_a"]), ("cm", ["ten_a"]), ("%", []), ("_", []), ("o", ["ten_b"]), ("\\", [])],
)
def test_signs_of_patterns_are_plain_characters(uow, search, found):
    """A search is a part of the text, whatever is in it."""
    assert [tenant.id for tenant in uow.tenants.page(Page(), search=search)] == found


def test_a_project_is_its_tenants(uow):
    """Nobody else finds it, changes it or removes it."""
    assert uow.projects.get("ten_a", "prj_1") == stored(PROJECT, uow)
    assert uow.projects.find("ten_a", "bot") == stored(PROJECT, uow)
    assert uow.projects.get("ten_b", "prj_1") is None
    assert uow.projects.find("ten_b", "bot") is None
    assert uow.projects.page("ten_b", Page()) == []
    uow.projects.save(replace(PROJECT, tenant_id="ten_b", name="stolen"))
    uow.projects.remove("ten_b", "prj_1")
    assert uow.projects.page("ten_a", Page()) == [stored(PROJECT, uow)]


def test_a_project_knows_of_its_keys(uow):
    """One with keys is kept."""
    assert uow.projects.has_keys("ten_a", "prj_1")
    assert not uow.projects.has_keys("ten_b", "prj_1")


def test_a_key_is_its_tenants(uow):
    """Nobody else finds it or changes it."""
    assert uow.keys.get("ten_a", "key_1") == stored(KEY, uow)
    assert uow.keys.find("ten_a", "first") == [stored(KEY, uow)]
    assert uow.keys.get("ten_b", "key_1") is None
    assert uow.keys.find("ten_b", "first") == []
    assert uow.keys.page("ten_b", Page()) == []
    uow.keys.save(replace(KEY, tenant_id="ten_b", name="stolen"))
    assert uow.keys.get("ten_a", "key_1") == stored(KEY, uow)


def test_a_key_cannot_name_another_tenants_project(uow):
    """The pair of tenant and project is the foreign key."""
    foreign = replace(KEY, id="key_2", tenant_id="ten_b")
    with pytest.raises(ConflictError):
        uow.keys.add(foreign, b"digest", 1)


def test_keys_are_filtered(uow):
    """By project and by whether they are revoked."""
    assert uow.keys.page("ten_a", Page(), project_id="prj_1", live=True) == [stored(KEY, uow)]
    assert uow.keys.page("ten_a", Page(), project_id="prj_2") == []
    assert uow.keys.page("ten_a", Page(), live=False) == []
    uow.keys.save(replace(KEY, revoked_s=NOW_S))
    assert uow.keys.page("ten_a", Page(), live=True) == []
    assert [key.revoked_s for key in uow.keys.page("ten_a", Page(), live=False)] == [NOW_S]


def test_peppers_are_told_by_their_version(uow):
    """The newest makes keys, all of them open some, each can be wrapped anew."""
    uow.peppers.add(2, b"second")
    uow.peppers.replace(1, b"again")
    assert uow.peppers.newest() == (2, b"second")
    assert uow.peppers.every() == [(1, b"again"), (2, b"second")]


def test_a_unit_without_a_commit_leaves_nothing(configuration):
    """Not even a version."""
    with configuration.begin() as uow:
        uow.tenants.add(ACME, b"salt")
    with configuration.read() as uow:
        assert uow.tenants.find("acme") is None
        assert uow.version is None


def test_each_unit_has_the_next_version(configuration):
    """One number for all it wrote."""
    for slug in ("one", "two"):
        with configuration.begin() as uow:
            uow.tenants.add(TenantView(f"ten_{slug}", slug, slug), b"salt")
            uow.commit()
    with configuration.read() as uow:
        versions = [tenant.version for tenant in uow.tenants.page(Page())]
    assert versions == [1, 2]
