"""Members: who lets people into a tenant, as what, and what they take along when they leave."""

from dataclasses import replace

import pytest

from tests.fakes.acting import acting, done, facts, refused
from tests.fakes.database import NOW_S
from tests.fakes.people import (
    ANN,
    BOB,
    BUT_ADMINS,
    EVE,
    READER,
    ROBOT,
    VIC,
    stale,
    state,
    turned_away,
)
from tollway.app.admin.authenticate import by_token
from tollway.app.admin.commands.accounts import disable_account
from tollway.app.admin.commands.keys import KeySpec, create_key
from tollway.app.admin.commands.members import (
    MemberSpec,
    add_member,
    ensure_member,
    remove_member,
    update_member,
)
from tollway.app.admin.commands.tokens import TokenSpec, create_token
from tollway.app.admin.queries.people import list_members, my_memberships, read_member
from tollway.app.ports_directory import Page
from tollway.domain.account import Role

NEW = MemberSpec("Dan@Example.org", Role.USER, "Dan", ("m1", "m2"))


def member(work, account_id="acc_bob", tenant_id="ten_a"):
    return work.uow.members.get(tenant_id, account_id)


@pytest.mark.parametrize("who", [ANN, ROBOT], ids=["ann", "robot"])
def test_somebody_new_becomes_a_member_and_gets_an_account(work, who):
    """Without a password and without any standing on the platform."""
    made = done(add_member(acting(work, who), "ten_a", NEW))
    assert (made.email, made.name, made.role) == ("dan@example.org", "Dan", Role.USER)
    assert (made.models, made.source, made.active) == (("m1", "m2"), "manual", True)
    assert (made.tenant_id, made.created_s) == ("ten_a", NOW_S)
    account = work.uow.accounts.get(made.account_id)
    assert (account.platform_admin, account.has_password) == (False, False)
    changes = {"role": "user", "models": ["m1", "m2"], "source": "manual"}
    assert [fact[:2] for fact in facts(work.uow)] == [
        ("account.created", account.id),
        ("member.added", account.id),
    ]
    assert facts(work.uow)[1][2] == changes


def test_a_person_may_be_in_several_tenants(work):
    """With another role in each; their account stays one."""
    done(add_member(acting(work, EVE), "ten_b", MemberSpec("BOB@example.org", Role.VIEWER)))
    assert [(one.tenant_id, one.role) for one in done(my_memberships(acting(work, BOB)))] == [
        ("ten_a", Role.USER),
        ("ten_b", Role.VIEWER),
    ]
    assert [fact[0] for fact in facts(work.uow)] == ["member.added"]


def test_a_membership_keeps_its_role(work):
    """Adding a member again is refused; ensuring one never changes the role that is held."""
    again = MemberSpec("bob@example.org", Role.TENANT_ADMIN)
    assert refused(add_member(work, "ten_a", again)) == ("conflict", "email")
    held = done(ensure_member(work, "ten_a", again))
    assert (held.value, held.created) == (member(work), False)
    assert held.value.role is Role.USER
    assert facts(work.uow) == []
    assert done(ensure_member(work, "ten_a", NEW)).created


@pytest.mark.parametrize(
    "command",
    [
        lambda by: add_member(by, "ten_a", NEW),
        lambda by: add_member(by, "ten_a", MemberSpec("bob@example.org")),
        lambda by: add_member(by, "ten_a", MemberSpec("bob@example.org", Role.VIEWER)),
        lambda by: ensure_member(by, "ten_a", NEW),
        lambda by: ensure_member(by, "ten_a", MemberSpec("bob@example.org")),
        lambda by: update_member(by, replace(member(by), role=Role.VIEWER)),
        lambda by: update_member(by, replace(member(by), account_id="acc_eve")),
        lambda by: remove_member(by, "ten_a", "acc_bob"),
        lambda by: remove_member(by, "ten_a", "acc_none"),
    ],
    ids=lambda command: "-".join(command.__code__.co_names),
)
def test_only_administrators_let_people_in(work, command):
    """Users and viewers may not, not even themselves; another's tenant is not there for anybody,
    whoever is a member of it."""
    turned_away(work, command, **BUT_ADMINS)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"email": "dan"}, "email"),
        ({"email": ""}, "email"),
        ({"models": ("a b",)}, "models"),
        ({"name": " Dan"}, "name"),
    ],
    ids=str,
)
def test_a_member_that_makes_no_sense_is_refused(work, changes, field):
    """The part at fault is named; no account was made on the way."""
    before = state(work.uow)
    assert refused(add_member(work, "ten_a", replace(NEW, **changes))) == ("invalid", field)
    assert refused(ensure_member(work, "ten_a", replace(NEW, **changes))) == ("invalid", field)
    assert state(work.uow) == before


def test_a_member_is_changed(work):
    """Role and models; no change, no record."""
    wanted = replace(member(work), role=Role.VIEWER, models=("m1",))
    after = done(update_member(acting(work, ANN), wanted))
    assert after == replace(wanted, version=work.uow.version)
    done(update_member(acting(work, ROBOT), after))
    changes = {"role": ["user", "viewer"], "models": [None, ["m1"]]}
    assert facts(work.uow) == [("member.updated", "acc_bob", changes)]
    wrong = replace(after, models=("a b",))
    assert refused(update_member(work, wanted=wrong)) == ("invalid", "models")
    assert refused(update_member(work, replace(after, account_id="acc_eve")))[0] == "not_found"


def test_a_tenants_administrator_does_not_touch_the_platforms(work):
    """One who is a member keeps the role the platform gave."""
    done(add_member(work, "ten_a", MemberSpec("root@example.org", Role.VIEWER)))
    held = member(work, "acc_root")
    for command in (
        lambda by: update_member(by, replace(held, role=Role.TENANT_ADMIN)),
        lambda by: remove_member(by, "ten_a", "acc_root"),
    ):
        turned_away(work, command, ann="forbidden", robot="forbidden")
        done(command(work))


def test_a_member_changed_meanwhile_is_not_changed_unseen(work):
    """`If-Match` must be the version that stands."""
    held, before = member(work), state(work.uow)
    for command in (
        lambda by: update_member(by, replace(held, role=Role.VIEWER)),
        lambda by: remove_member(by, "ten_a", "acc_bob"),
    ):
        assert refused(command(stale(work, held.version)))[0] == "precondition"
    assert state(work.uow) == before
    done(remove_member(stale(work, held.version + 1), "ten_a", "acc_bob"))


def test_who_leaves_loses_the_keys_of_that_tenant_for_good(work):
    """Not those of another tenant, and not the account; coming back brings no key back."""
    done(add_member(work, "ten_b", MemberSpec("bob@example.org")))
    here, there = (
        done(create_key(work, tenant_id, KeySpec("k", account_id="acc_bob"))).view.id
        for tenant_id in ("ten_a", "ten_b")
    )
    token = done(create_token(acting(work, BOB), TokenSpec("mine"))).text
    done(remove_member(acting(work, ANN), "ten_a", "acc_bob"))
    assert facts(work.uow)[-1] == ("member.removed", "acc_bob", {"keys_revoked": [here]})
    assert member(work) is None
    assert refused(remove_member(work, "ten_a", "acc_bob"))[0] == "not_found"
    assert by_token(work.uow, token, admin_token="").actor.roles == {"ten_b": Role.USER}
    done(add_member(work, "ten_a", MemberSpec("bob@example.org")))
    assert work.uow.keys.get("ten_a", here).revoked_s == NOW_S
    assert work.uow.keys.get("ten_b", there).revoked_s is None


def test_a_disabled_account_is_a_member_that_is_not_active(work):
    """Its place is kept for when it is enabled."""
    done(disable_account(work, "acc_bob"))
    assert done(read_member(work, "ten_a", "acc_bob")).active is False


def test_members_are_seen_by_those_who_look_after_the_tenant(work):
    """Administrators and viewers; a user sees none, another tenant's people no tenant."""
    everybody = ["acc_ann", "acc_bob", "acc_cat", "acc_vic"]
    for who in (READER, ANN, VIC, ROBOT):
        found = done(list_members(acting(work, who), "ten_a", Page()))
        assert [one.account_id for one in found] == everybody
        assert done(read_member(acting(work, who), "ten_a", "acc_bob")).role is Role.USER
        assert refused(read_member(acting(work, who), "ten_a", "acc_eve"))[0] == "not_found"
    for who, kind in ((BOB, "forbidden"), (EVE, "not_found")):
        assert refused(list_members(acting(work, who), "ten_a", Page()))[0] == kind
        for account_id in ("acc_bob", "acc_none"):
            assert refused(read_member(acting(work, who), "ten_a", account_id))[0] == kind
    assert done(my_memberships(acting(work, ROBOT))) == []
