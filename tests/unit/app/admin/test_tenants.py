"""Tenants: who makes, changes, switches and deletes them, and what is left of a deleted one."""

from dataclasses import replace

import pytest

from tests.fakes.acting import acting, done, facts, refused, said
from tests.fakes.database import NOW_S
from tests.fakes.people import (
    ANN,
    BOB,
    BOOTSTRAP,
    BUT_ADMINS,
    BUT_PLATFORM,
    EVE,
    READER,
    ROBOT,
    VIC,
    stale,
    state,
    turned_away,
)
from tollway.adapters.sql.snapshot import SqlSnapshotStore
from tollway.app.admin.commands.keys import KeySpec, create_key, ensure_key
from tollway.app.admin.commands.members import MemberSpec, add_member
from tollway.app.admin.commands.projects import create_project, ensure_project
from tollway.app.admin.commands.tenants import (
    RESTORABLE_S,
    TenantSpec,
    create_tenant,
    delete_tenant,
    ensure_tenant,
    restore_tenant,
    set_active,
    update_tenant,
)
from tollway.app.admin.commands.tokens import TokenSpec, create_service_token, revoke_token
from tollway.app.admin.queries.keys import KeyFilter, list_keys, read_key
from tollway.app.admin.queries.people import list_members, list_service_tokens
from tollway.app.admin.queries.projects import list_projects
from tollway.app.admin.queries.tenants import list_tenants, read_tenant
from tollway.app.ports_directory import ConflictError, Page
from tollway.app.views import TenantSettings
from tollway.domain.account import Role


def listed(work, who, **given):
    return [one.slug for one in done(list_tenants(acting(work, who), Page(), **given))]


def test_a_tenant_is_made_with_an_id_of_its_own(work):
    """It is called by its slug until it is given a name; what was made is on record."""
    settings = TenantSettings("Europe/Berlin", 30, True, None, "listed", "gold", 2.5, ("eu", "ch"))
    one = done(create_tenant(work, TenantSpec("one", settings=settings, managed_by="file")))
    two = done(create_tenant(work, TenantSpec("two", "Second")))
    assert one.id.startswith("ten_")
    assert one.id != two.id
    assert (one.slug, one.name, one.settings) == ("one", "one", settings)
    assert (one.active, one.deleted_s, one.managed_by) == (True, None, "file")
    assert (one.created_s, one.version, two.name) == (NOW_S, work.uow.version, "Second")
    assert facts(work.uow) == [
        ("tenant.created", one.id, {"slug": "one", "name": "one"}),
        ("tenant.created", two.id, {"slug": "two", "name": "Second"}),
    ]


def test_two_tenants_share_no_salt(work, engine):
    """Names forwarded for the users of one say nothing about another's."""
    for slug in ("one", "two"):
        done(create_tenant(work, TenantSpec(slug)))
    work.uow.commit()
    made = [one for one in SqlSnapshotStore(engine).load().tenants if one.slug in ("one", "two")]
    assert len({one.salt for one in made}) == 2
    assert {len(one.salt) for one in made} == {32}


def test_only_the_platform_makes_tenants(work):
    """Whoever else asks is refused, whether the slug is free or taken."""
    nobody = BUT_PLATFORM | {"eve": "forbidden"}  # there is no tenant yet to hide
    turned_away(work, lambda by: create_tenant(by, TenantSpec("new")), **nobody)
    turned_away(work, lambda by: create_tenant(by, TenantSpec("acme")), **nobody)
    turned_away(work, lambda by: ensure_tenant(by, TenantSpec("new")), **nobody)
    turned_away(work, lambda by: ensure_tenant(by, TenantSpec("acme")), eve="forbidden")
    done(create_tenant(acting(work, BOOTSTRAP), TenantSpec("new")))


@pytest.mark.parametrize(
    "slug", ["", "A", "a_b", "-a", "a-", "a" * 64, "a b", "ä", "a\n", "a.b", "~a"]
)
def test_a_slug_is_a_dns_label(work, slug):
    """Anything else is refused with the grammar."""
    for made in (create_tenant(work, TenantSpec(slug)), ensure_tenant(work, TenantSpec(slug))):
        assert refused(made) == ("invalid", "slug")
        assert "hyphens" in said(made)


@pytest.mark.parametrize(
    ("name", "message"),
    [(" a", "space"), ("a\x00b", "control"), ("a" * 201, "at most 200"), ("\ud800", "control")],
)
def test_a_name_is_short_and_printable(work, name, message):
    """Whatever else it says is the owner's business."""
    made = create_tenant(work, TenantSpec("new", name))
    assert refused(made) == ("invalid", "name")
    assert message in said(made)
    tenant = work.uow.tenants.get("ten_a")
    assert refused(update_tenant(work, replace(tenant, name=name))) == ("invalid", "name")


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"models": "some"}, "models"),
        ({"retention_days": 0}, "retention_days"),
        ({"weight": 0.0}, "weight"),
        ({"weight": 1000.1}, "weight"),
        ({"weight": float("nan")}, "weight"),
        ({"default_model": ""}, "default_model"),
        ({"default_model": "a\n"}, "default_model"),
        ({"default_model": "m" * 257}, "default_model"),
        ({"allowed_residency": ()}, "allowed_residency"),
        ({"allowed_residency": ("eu", "\n")}, "allowed_residency"),
        ({"retention_days": 36_501}, "retention_days"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"timezone": ""}, "timezone"),
        ({"timezone": "../etc/passwd"}, "timezone"),
        ({"timezone": "Europe"}, "timezone"),
        ({"group": ""}, "group"),
        ({"group": "a\n"}, "group"),
    ],
    ids=str,
)
def test_settings_that_make_no_sense_are_refused(work, settings, field):
    """At making and at changing, with the setting's name."""
    given = TenantSettings(**settings)
    assert refused(create_tenant(work, TenantSpec("new", settings=given))) == ("invalid", field)
    wanted = replace(work.uow.tenants.get("ten_a"), settings=given)
    assert refused(update_tenant(work, wanted)) == ("invalid", field)
    assert facts(work.uow) == []


def test_a_slug_is_taken_once(work):
    """Creating it again is refused; ensuring it finds the first, and leaves it as it is."""
    assert refused(create_tenant(work, TenantSpec("acme"))) == ("conflict", "slug")
    for who in (BOOTSTRAP, ANN, BOB):
        again = done(ensure_tenant(acting(work, who), TenantSpec("acme", "Another")))
        assert (again.value, again.created) == (work.uow.tenants.get("ten_a"), False)
    assert facts(work.uow) == []
    assert done(ensure_tenant(work, TenantSpec("new"))).created


def test_administrators_change_their_tenant(work):
    """Name and settings; slug, state and id are not changed this way. No change, no record."""
    tenant = work.uow.tenants.get("ten_a")
    settings = TenantSettings("Asia/Tokyo", retention_days=7, default_model="small")
    for who, name in ((ANN, "By Ann"), (ROBOT, "By a robot"), (BOOTSTRAP, "By root")):
        wanted = replace(tenant, name=name, settings=settings, slug="x", active=False, deleted_s=1)
        after = done(update_tenant(acting(work, who), wanted))
        assert after == replace(tenant, name=name, settings=settings, version=work.uow.version)
    action, object_id, changes = facts(work.uow)[0]
    assert (action, object_id) == ("tenant.updated", "ten_a")
    assert changes["name"] == ["Acme", "By Ann"]
    assert [one["timezone"] for one in changes["settings"]] == ["UTC", "Asia/Tokyo"]
    assert len(facts(work.uow)) == 3
    done(update_tenant(work, replace(after)))
    assert len(facts(work.uow)) == 3


def test_nobody_else_changes_a_tenant(work):
    """Another's tenant is absent, their own is forbidden to users and viewers."""
    wanted = replace(work.uow.tenants.get("ten_a"), name="New")
    turned_away(work, lambda by: update_tenant(by, wanted), **BUT_ADMINS)
    turned_away(work, lambda by: update_tenant(by, replace(wanted, id="ten_x")), root="not_found")


@pytest.mark.parametrize(
    "governed",
    [{"models": "listed"}, {"group": "gold"}, {"weight": 9.0}, {"allowed_residency": ("us",)}],
    ids=str,
)
def test_what_the_platform_decides_a_tenant_may_send_along_but_not_change(work, governed):
    """Else a tenant would open the platform's models to itself, or lift its limits."""
    tenant = work.uow.tenants.get("ten_a")
    wanted = replace(tenant, settings=replace(tenant.settings, **governed))
    turned_away(work, lambda by: update_tenant(by, wanted), ann="forbidden", robot="forbidden")
    after = done(update_tenant(work, wanted))
    renamed = done(update_tenant(acting(work, ANN), replace(after, name="New")))
    assert renamed.settings == wanted.settings


def test_a_tenant_is_switched_off_and_on(work):
    """By the platform alone; what it has stays. Switching twice changes nothing more."""
    for active in (False, True):
        turned_away(work, lambda by, on=active: set_active(by, "ten_a", active=on), **BUT_PLATFORM)
        for _ in range(2):
            assert done(set_active(work, "ten_a", active=active)).active is active
        assert done(read_tenant(acting(work, ANN), "ten_a")).active is active
    assert facts(work.uow) == [
        ("tenant.deactivated", "ten_a", {"active": [True, False]}),
        ("tenant.activated", "ten_a", {"active": [False, True]}),
    ]


@pytest.mark.parametrize(
    "command",
    [
        lambda by, tenant: update_tenant(by, replace(tenant, name="New")),
        lambda by, tenant: set_active(by, tenant.id, active=False),
        lambda by, tenant: delete_tenant(by, tenant.id),
    ],
    ids=["update", "set_active", "delete"],
)
def test_a_tenant_changed_meanwhile_is_not_changed_unseen(work, command):
    """`If-Match` must be the version that stands."""
    tenant = work.uow.tenants.get("ten_a")
    before = state(work.uow)
    assert refused(command(stale(work, tenant.version), tenant))[0] == "precondition"
    assert state(work.uow) == before
    done(command(stale(work, tenant.version + 1), tenant))


USES = {
    "read_tenant": lambda by: read_tenant(by, "ten_a"),
    "update_tenant": lambda by: update_tenant(by, by.uow.tenants.get("ten_a")),
    "set_active": lambda by: set_active(by, "ten_a", active=False),
    "delete_tenant": lambda by: delete_tenant(by, "ten_a"),
    "add_member": lambda by: add_member(by, "ten_a", MemberSpec("new@example.org")),
    "list_members": lambda by: list_members(by, "ten_a", Page()),
    "create_project": lambda by: create_project(by, "ten_a", name="p"),
    "ensure_project": lambda by: ensure_project(by, "ten_a", name="p"),
    "list_projects": lambda by: list_projects(by, "ten_a", Page()),
    "create_key": lambda by: create_key(by, "ten_a", KeySpec("k")),
    "ensure_key": lambda by: ensure_key(by, "ten_a", KeySpec("k")),
    "list_keys": lambda by: list_keys(by, "ten_a", at=Page(), only=KeyFilter()),
    "read_key": lambda by: read_key(by, "ten_a", "key_1"),
    "create_service_token": lambda by: create_service_token(
        by, "ten_a", role=Role.USER, spec=TokenSpec("t")
    ),
    "list_service_tokens": lambda by: list_service_tokens(by, "ten_a", Page()),
    "revoke_token": lambda by: revoke_token(by, "tok_1", tenant_id="ten_a"),
}


def test_a_deleted_tenant_is_gone_for_everybody(work):
    """Whatever is asked of it is answered as if it never was; only its slug stays taken."""
    turned_away(work, lambda by: delete_tenant(by, "ten_a"), **BUT_PLATFORM)
    assert done(delete_tenant(work, "ten_a")).deleted_s == NOW_S
    assert facts(work.uow) == [("tenant.deleted", "ten_a", {"deleted_s": [None, NOW_S]})]
    for use in USES.values():
        turned_away(work, use, **dict.fromkeys(("root", "ann", "bob", "robot"), "not_found"))
    assert listed(work, BOOTSTRAP) == ["beta"]
    assert listed(work, BOOTSTRAP, deleted=True) == ["acme", "beta"]
    assert listed(work, ANN) == listed(work, ANN, deleted=True) == []
    assert refused(create_tenant(work, TenantSpec("acme"))) == ("conflict", "slug")
    ensured = ensure_tenant(work, TenantSpec("acme"))
    assert refused(ensured) == ("conflict", "slug")
    assert "was deleted" in said(ensured)


def test_a_deleted_tenant_is_restored_as_it_was(work):
    """By the platform alone, with all its people, projects and keys."""
    done(create_project(work, "ten_a", name="p"))
    done(create_key(work, "ten_a", KeySpec("k")))
    tenant, owned = work.uow.tenants.get("ten_a"), state(work.uow)[1:4]
    done(delete_tenant(work, "ten_a"))
    nobody = BUT_PLATFORM | {"eve": "forbidden"}  # the same for every id: nothing is told
    turned_away(work, lambda by: restore_tenant(by, "ten_a"), **nobody)
    turned_away(work, lambda by: restore_tenant(by, "ten_x"), **nobody)
    deleted = work.uow.tenants.get("ten_a").version
    assert refused(restore_tenant(stale(work, deleted), "ten_a"))[0] == "precondition"
    work = stale(work, deleted + 1)
    assert done(restore_tenant(work, "ten_a")) == replace(tenant, version=work.uow.version)
    assert state(work.uow)[1:4] == owned
    assert facts(work.uow)[-1][:2] == ("tenant.restored", "ten_a")
    for tenant_id in ("ten_a", "ten_x"):  # not deleted, and never there
        assert refused(restore_tenant(work, tenant_id))[0] == "not_found"


@pytest.mark.parametrize(("ago_s", "back"), [(RESTORABLE_S - 1, True), (RESTORABLE_S, False)])
def test_a_tenant_can_be_restored_for_thirty_days(work, ago_s, back):
    """To the second; then it is as absent as one that never was."""
    assert RESTORABLE_S == 30 * 24 * 3600
    work.uow.tenants.save(replace(work.uow.tenants.get("ten_a"), deleted_s=NOW_S - ago_s))
    restored = restore_tenant(work, "ten_a")
    if back:
        assert done(restored).deleted_s is None
    else:
        assert refused(restored)[0] == "not_found"


def test_an_id_is_never_given_twice(work):
    """Not even that of a tenant that was removed for good; its slug is free again."""
    work = replace(work, entropy=bytes)
    made = done(create_tenant(work, TenantSpec("new")))
    done(delete_tenant(work, made.id))
    work.uow.tenants.purge(made.id)
    with pytest.raises(ConflictError):
        create_tenant(work, TenantSpec("new"))


def test_tenants_are_seen_by_whom_they_concern(work):
    """All by the platform, their own by everybody else; a search narrows."""
    assert listed(work, BOOTSTRAP) == listed(work, READER) == ["acme", "beta"]
    assert listed(work, BOOTSTRAP, search="CM") == ["acme"]
    for who in (ANN, BOB, VIC, ROBOT):
        assert listed(work, who) == ["acme"]
        assert listed(work, who, search="beta") == []
        assert done(read_tenant(acting(work, who), "ten_a")).slug == "acme"
        assert refused(read_tenant(acting(work, who), "ten_b"))[0] == "not_found"
    assert listed(work, EVE) == ["beta"]
    assert listed(work, replace(BOB, roles={})) == []
    assert refused(read_tenant(work, "ten_x"))[0] == "not_found"
