"""Configuration: what is written comes back in the snapshot, all or nothing, at one version; what
is gone is told to whoever saw it.
"""

import time
from dataclasses import fields, replace

import pytest
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from tests.fakes.database import NOW_S
from tests.fakes.directory import (
    ACCOUNT,
    CREDENTIAL,
    EVERYTHING,
    KEY,
    MEMBER,
    MODEL,
    OTHER,
    OWN,
    PLATFORM,
    PROJECT,
    SESSION,
    SHARED,
    TENANT,
    TOKEN,
    write_everything,
)
from tollway.adapters.sql.engine import writing
from tollway.adapters.sql.snapshot import SqlSnapshotStore
from tollway.adapters.sql.tables import api_keys
from tollway.app.ports_directory import ConflictError, Page
from tollway.app.views import AccountView, GrantView, TenantSettings, TenantView
from tollway.domain.account import MemberScope, ProjectScope
from tollway.domain.model import Target
from tollway.domain.snapshot import Kind, SnapshotRows


@pytest.fixture
def units(configuration):
    """With everything written, at version 1."""
    with configuration.begin() as uow:
        write_everything(uow)
        uow.commit()
    return configuration


@pytest.fixture
def snapshots(engine):
    return SqlSnapshotStore(engine)


def commit(units, *acts):
    """Each act in a unit of its own."""
    for act in acts:
        with units.begin() as uow:
            act(uow)
            uow.commit()


def told(snapshots, since):
    """What became of a version: the kinds of rows that changed, and what is gone."""
    changes = snapshots.changes(since, 100)
    assert changes.since == since
    kinds = {field.name for field in fields(SnapshotRows)} - {"version", "peppers"}
    return {kind for kind in kinds if getattr(changes.rows, kind)}, changes.removed


def test_everything_written_comes_back(units, snapshots):
    """The snapshot holds each record as it was given, at the version of its unit of work; whole, in
    pieces, or as what became of nothing."""
    assert snapshots.load() == EVERYTHING
    assert snapshots.version() == 1
    assert snapshots.changes(0, 100).rows == EVERYTHING
    pieces = list(snapshots.stream())
    assert {(piece.version, piece.peppers) for piece in pieces} == {(1, EVERYTHING.peppers)}
    for field in fields(SnapshotRows)[2:]:
        rows = tuple(row for piece in pieces for row in getattr(piece, field.name))
        assert rows == getattr(EVERYTHING, field.name)


def test_everything_written_is_found(units):
    """People and what they sign in with come back as they were given, by each of their keys."""
    with units.read() as uow:
        account = replace(ACCOUNT, created_s=NOW_S, version=1)
        member = replace(MEMBER, created_s=NOW_S, version=1)
        token = replace(TOKEN, created_s=NOW_S, version=1)
        assert uow.accounts.get("acc_1") == uow.accounts.find("ann@example.org") == account
        assert uow.accounts.page(Page(), search="ANN") == [account]
        assert uow.members.get("ten_1", "acc_1") == member
        assert uow.members.page("ten_1", Page()) == uow.members.of_account("acc_1") == [member]
        assert uow.tokens.get("tok_1") == (token, b"digest")
        assert uow.tokens.page(Page(), tenant_id="ten_1") == [token]
        assert uow.sessions.get(b"digest") == SESSION
        assert uow.sessions.of_account("acc_1") == [SESSION]


def test_nothing_is_found_where_nothing_is(units):
    """Absent is None, and empty."""
    with units.read() as uow:
        for found in (
            uow.accounts.get("acc_9"),
            uow.accounts.find("ANN@example.org"),
            uow.accounts.password("acc_9"),
            uow.members.get("ten_2", "acc_1"),
            uow.tokens.get("tok_9"),
            uow.sessions.get(b"other"),
        ):
            assert found is None
        assert uow.members.page("ten_2", Page()) == uow.members.of_account("acc_9") == []
        assert uow.tokens.page(Page(), account_id="acc_1") == []


def test_one_unit_moves_the_version_once(units, snapshots):
    """However much it writes; one that only reads moves nothing."""
    commit(units, write_more, lambda uow: uow.tenants.get("ten_1"))
    assert snapshots.version() == 2
    with units.read() as uow:
        assert {tenant.version for tenant in uow.tenants.page(Page())} == {1, 2}
        assert uow.version is None


def write_more(uow):
    assert uow.version is None
    uow.tenants.add(TenantView("ten_3", "third", "Third"), b"salt")
    uow.tenants.save(replace(OTHER, name="New"))
    assert uow.version == 2


def test_without_a_commit_nothing_was_written(units, snapshots):
    """Neither when the unit is left nor when it fails on the way."""
    with units.begin() as uow:
        write_more(uow)
    with pytest.raises(ZeroDivisionError), units.begin() as uow:
        write_more(uow)
        _ = 1 / 0
    assert snapshots.load() == EVERYTHING
    assert snapshots.changes(1, 100).rows.version == 1
    assert told(snapshots, 1) == (set(), ())


@pytest.mark.parametrize(
    ("act", "kind"),
    [
        (lambda uow: uow.tenants.save(replace(TENANT, active=False)), "tenants"),
        (lambda uow: uow.projects.save(replace(PROJECT, models=None)), "projects"),
        (lambda uow: uow.members.save(replace(MEMBER, models=None)), "members"),
        (lambda uow: uow.keys.save(replace(KEY, revoked_s=NOW_S)), "keys"),
        (lambda uow: uow.keys.revoke_of("acc_1"), "keys"),
        (lambda uow: uow.providers.save(replace(OWN, enabled=False)), "providers"),
        (lambda uow: uow.providers.remove_credential("prv_2", "crd_1"), "providers"),
        (lambda uow: uow.models.save(replace(MODEL, enabled=False)), "models"),
        (lambda uow: uow.grants.add(GrantView("mdl_1", "ten_2")), "grants"),
    ],
)
def test_a_change_is_told_to_who_was_there(units, snapshots, act, kind):
    """That row and no other; who comes later sees it in the whole."""
    commit(units, act)
    assert told(snapshots, 1) == ({kind}, ())
    assert told(snapshots, 2) == (set(), ())
    assert snapshots.load() != EVERYTHING


def test_a_scope_that_narrows_nothing_stays_away(units, snapshots):
    """From the whole; who had a narrower one is told of it. A project stays: tokens name it."""
    commit(
        units,
        lambda uow: uow.projects.save(replace(PROJECT, models=None)),
        lambda uow: uow.members.save(replace(MEMBER, models=None)),
    )
    rows = snapshots.changes(1, 100).rows
    assert rows.projects == (ProjectScope("prj_1", "ten_1", None, "search"),)
    assert rows.members == (MemberScope("ten_1", "acc_1"),)
    assert [piece for piece in snapshots.stream() if piece.members] == []


def test_revoking_is_final(units, snapshots):
    """All of an account's keys at once; the time of the first revocation stands."""
    commit(units, lambda uow: uow.keys.save(replace(KEY, revoked_s=5)))
    with units.begin() as uow:
        assert uow.keys.revoke_of("acc_1") == []
        assert uow.version is None  # nothing to tell
        uow.keys.add(replace(KEY, id="key_2"), b"digest", 1)
        uow.keys.add(replace(KEY, id="key_3", account_id=None), b"digest", 1)
        assert uow.keys.revoke_of("acc_1", tenant_id="ten_2") == []
        assert uow.keys.revoke_of("acc_1", tenant_id="ten_1") == ["key_2"]
        uow.tokens.revoke("tok_1")
        uow.commit()
    assert [key.revoked_s for key in snapshots.load().keys] == [5, NOW_S, None]
    with units.begin() as uow:
        assert uow.tokens.get("tok_1")[0].revoked_s == NOW_S


@pytest.mark.parametrize(
    "change",
    [
        lambda uow: uow.tenants.add(TenantView("ten_3", "acme", "Again"), b"s"),
        lambda uow: uow.tenants.add(TenantView("ten_1", "new", "Again"), b"s"),
        lambda uow: uow.tenants.add(
            TenantView("ten_3", "new", "New", TenantSettings(models="some")), b"s"
        ),
        lambda uow: uow.tenants.save(replace(OTHER, slug="acme")),
        lambda uow: uow.accounts.add(AccountView("acc_2", "ann@example.org", "Other")),
        lambda uow: uow.members.add(MEMBER),
        lambda uow: uow.members.add(replace(MEMBER, tenant_id="ten_9")),
        lambda uow: uow.members.add(replace(MEMBER, account_id="acc_9")),
        lambda uow: uow.projects.add(replace(PROJECT, id="prj_2")),
        lambda uow: uow.projects.remove("ten_1", "prj_1"),  # it has a key
        lambda uow: uow.keys.add(replace(KEY, name="again"), b"d", 1),
        lambda uow: uow.keys.add(replace(KEY, id="key_2", tenant_id="ten_9"), b"d", 1),
        lambda uow: uow.keys.add(replace(KEY, id="key_2", tenant_id="ten_2"), b"d", 1),
        lambda uow: uow.keys.add(replace(KEY, id="key_2"), b"d", 9),
        lambda uow: uow.keys.save(replace(KEY, project_id="prj_9")),
        lambda uow: uow.keys.save(replace(KEY, account_id="acc_9")),
        lambda uow: uow.providers.add(replace(PLATFORM, id="prv_3")),
        lambda uow: uow.providers.add(replace(OWN, id="prv_3")),
        lambda uow: uow.providers.add_credential(replace(CREDENTIAL, provider_id="prv_9"), None),
        lambda uow: uow.providers.remove("prv_1"),  # models lead there
        lambda uow: uow.models.add(replace(SHARED, id="mdl_3")),
        lambda uow: uow.models.add(replace(MODEL, id="mdl_3")),
        lambda uow: uow.models.add(replace(SHARED, id="mdl_3", targets=(Target("prv_9", "a"),))),
        lambda uow: uow.grants.add(GrantView("mdl_1", "ten_1")),
        lambda uow: uow.grants.add(GrantView("mdl_9", "ten_1")),
        lambda uow: uow.tokens.add(TOKEN, b"d"),
        lambda uow: uow.tokens.add(replace(TOKEN, id="tok_2", account_id="acc_1"), b"d"),
        lambda uow: uow.tokens.add(replace(TOKEN, id="tok_2", role=None), b"d"),
    ],
)
def test_the_database_refuses_what_commands_missed(units, snapshots, change):
    """Names are unique for their owner, the platform's too; references lead somewhere, and never
    into another tenant; what is referred to stays."""
    with pytest.raises((ConflictError, IntegrityError)), units.begin() as uow:
        change(uow)
    assert snapshots.load() == EVERYTHING


def test_what_is_removed_is_told(units, snapshots):
    """Each leaves a tombstone for those who saw it; a grant's holder, once it has nothing left."""
    commit(
        units,
        lambda uow: uow.members.remove("ten_1", "acc_1"),
        lambda uow: uow.models.remove("mdl_2"),
        lambda uow: uow.providers.remove("prv_2"),
        lambda uow: uow.models.remove("mdl_1"),
    )
    gone = {
        (Kind.MEMBER, "ten_1|acc_1"),
        (Kind.MODEL, "mdl_1"),
        (Kind.MODEL, "mdl_2"),
        (Kind.PROVIDER, "prv_2"),
        (Kind.GRANT, "ten_1"),
        (Kind.GRANT, "group:gold"),
    }
    assert set(told(snapshots, 1)[1]) == gone
    assert set(told(snapshots, 4)[1]) == {one for one in gone if one[1] != "ten_1|acc_1"} - {
        (Kind.MODEL, "mdl_2"),
        (Kind.PROVIDER, "prv_2"),
    }
    rows = snapshots.load()
    assert (rows.members, rows.models, rows.grants) == ((), (), ())
    assert [provider.id for provider in rows.providers] == ["prv_1"]


def test_what_comes_back_has_no_tombstone(units, snapshots):
    """Memberships and grants are known by whom they concern: theirs may come again."""
    commit(
        units,
        lambda uow: uow.members.remove("ten_1", "acc_1"),
        lambda uow: uow.grants.remove("mdl_1", "ten_1"),
        lambda uow: uow.members.add(MEMBER),
        lambda uow: uow.grants.add(GrantView("mdl_1", "ten_1")),
    )
    assert told(snapshots, 1) == ({"members", "grants"}, ())


def test_too_many_changes_are_not_told_one_by_one(units, snapshots):
    """Then the whole is read instead."""
    assert snapshots.changes(0, 2) is not None
    assert snapshots.changes(0, 1) is None
    commit(units, lambda uow: uow.models.remove("mdl_2"), lambda uow: uow.models.remove("mdl_1"))
    assert snapshots.changes(1, 1) is None


def test_a_deleted_tenant_is_gone_with_all_it_owns(units, snapshots):
    """Its keys, providers, models and scopes leave the snapshot, the platform's stay; restored it
    has them again."""
    commit(units, lambda uow: uow.tenants.save(replace(TENANT, deleted_s=NOW_S)))
    rows = snapshots.load()
    assert [tenant.id for tenant in rows.tenants] == ["ten_2"]
    assert (rows.keys, rows.projects, rows.members) == ((), (), ())
    assert [one.id for one in (*rows.providers, *rows.models)] == ["prv_1", "mdl_1"]
    assert [grant.holder for grant in rows.grants] == ["group:gold"]
    assert told(snapshots, 1) == (set(), ((Kind.TENANT, "ten_1"),))
    with units.read() as uow:
        assert uow.members.of_account("acc_1") == []
    commit(units, lambda uow: uow.tenants.save(TENANT))
    assert snapshots.load() == replace(EVERYTHING, version=3)
    assert told(snapshots, 2) == ({"tenants"}, ())


def test_a_purged_tenant_is_gone_for_good(units, snapshots):
    """Nothing of it is left but its id, which stays taken; its slug is free."""
    commit(
        units,
        lambda uow: uow.tenants.save(replace(TENANT, deleted_s=5)),
        lambda uow: uow.tenants.purge("ten_1"),
    )
    _, gone = told(snapshots, 2)
    assert {(Kind.KEY, "key_1"), (Kind.PROJECT, "prj_1")} <= set(gone)
    assert {(Kind.PROVIDER, "prv_2"), (Kind.MODEL, "mdl_2"), (Kind.TENANT, "ten_1")} <= set(gone)
    pieces = list(snapshots.stream())
    owned = [row for piece in pieces for row in (*piece.keys, *piece.projects, *piece.members)]
    assert owned == []
    with units.begin() as uow:
        assert uow.tenants.find("acme") is None
        assert uow.tokens.get("tok_1") is None
        assert uow.tenants.due(NOW_S) == []
        assert uow.accounts.get("acc_1").email == "ann@example.org"
        uow.tenants.add(replace(TENANT, id="ten_3"), b"salt")
        uow.commit()
    with pytest.raises(ConflictError), units.begin() as uow:
        uow.tenants.add(replace(TENANT, slug="new"), b"salt")


def test_many_keys_load_quickly(units, engine, snapshots):
    """Ten thousand in well under a second of CPU (a hundred thousand take about one)."""
    row = {"tenant_id": "ten_1", "env": "live", "name": "n", "prefix": "p", "last4": "l"} | {
        "digest": b"d",
        "pepper_version": 1,
        "created_s": 0,
        "version": 1,
    }
    with writing(engine) as connection:
        many = [{"id": f"key_n{number}", **row} for number in range(10_000)]
        connection.execute(insert(api_keys), many)
    began = time.process_time()
    assert len(snapshots.load().keys) == 10_001
    assert time.process_time() - began < 1.0


def test_peppers_are_kept_by_version(units, snapshots):
    """All of them travel: old keys need old peppers."""
    commit(
        units,
        lambda uow: uow.peppers.add(3, b"third"),
        lambda uow: uow.peppers.add(2, b"second"),
        lambda uow: uow.peppers.replace(1, b"again"),
    )
    every = ((1, b"again"), (2, b"second"), (3, b"third"))
    assert snapshots.load().peppers == snapshots.changes(1, 9).rows.peppers == every
    with units.read() as uow:
        assert uow.peppers.newest() == (3, b"third")
