"""Tokens for the admin API: whose they are, what they may, and when they open nothing any more."""

from dataclasses import replace

import pytest

from tests.fakes.acting import acting, done, facts, refused
from tests.fakes.database import NOW_S
from tests.fakes.people import (
    ANN,
    BOB,
    BOOTSTRAP,
    BUT_ADMINS,
    CAT,
    EVE,
    READER,
    ROBOT,
    VIC,
    stale,
    state,
    turned_away,
)
from tollway.app.admin.authenticate import TOUCH_S, by_token
from tollway.app.admin.commands.accounts import update_account
from tollway.app.admin.commands.members import remove_member, update_member
from tollway.app.admin.commands.projects import create_project
from tollway.app.admin.commands.tenants import delete_tenant, restore_tenant
from tollway.app.admin.commands.tokens import (
    TokenSpec,
    create_service_token,
    create_token,
    revoke_token,
)
from tollway.app.admin.queries.people import list_service_tokens, my_tokens
from tollway.app.ports_directory import ConflictError, Page
from tollway.domain.account import Role
from tollway.domain.token import split_token

SPEC = TokenSpec("laptop", NOW_S + 60, read_only=True)


def machine(work, role=Role.USER, spec=SPEC, tenant_id="ten_a"):
    return create_service_token(work, tenant_id, role=role, spec=spec)


def opened(work, text):
    """Who acts by this token."""
    found = by_token(work.uow, text, admin_token="")
    return None if found is None else found.actor


@pytest.mark.parametrize("who", [BOB, VIC, ANN], ids=lambda who: who.name)
def test_everybody_makes_tokens_of_their_own(work, who):
    """It acts as them, with their roles; what is shown of it opens nothing."""
    issued = done(create_token(acting(work, who), SPEC))
    token, text = issued.view, issued.text
    assert (token.account_id, token.tenant_id, token.role) == (who.account_id, None, None)
    assert (token.name, token.read_only, token.expires_s) == ("laptop", True, NOW_S + 60)
    assert (token.revoked_s, token.last_used_s, token.created_s) == (None, None, NOW_S)
    assert split_token(text)[0] == token.id
    assert (text.startswith(token.prefix), text[-4:]) == (True, token.last4)
    by = opened(work, text)
    assert (by.account_id, by.roles, by.read_only, by.via) == (
        who.account_id,
        dict(who.roles),
        True,
        "token",
    )
    changes = {"name": "laptop", "role": None, "account_id": who.account_id}
    assert facts(work.uow) == [("token.created", token.id, changes)]
    assert split_token(text)[1] not in repr(facts(work.uow))


def test_only_people_have_tokens_of_their_own(work):
    """A machine's token makes no further one, nor does one that only reads."""
    for who in (ROBOT, BOOTSTRAP, READER, replace(BOB, read_only=True)):
        assert refused(create_token(acting(work, who), SPEC))[0] == "forbidden"
    for who in (ROBOT, BOOTSTRAP):
        assert refused(my_tokens(acting(work, who), Page()))[0] == "forbidden"
    assert facts(work.uow) == []


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        (TokenSpec(""), "name"),
        (TokenSpec("a\n"), "name"),
        (TokenSpec("a", NOW_S), "expires_at"),
    ],
)
def test_a_token_that_makes_no_sense_is_refused(work, spec, field):
    """The part at fault is named."""
    assert refused(create_token(work, spec)) == ("invalid", field)
    assert refused(machine(work, spec=spec)) == ("invalid", field)
    assert facts(work.uow) == []


def test_administrators_make_tokens_for_their_tenants_machines(work):
    """With a role in that tenant alone and no person behind it; nobody else may."""
    turned_away(work, machine, **BUT_ADMINS)
    turned_away(work, lambda by: machine(by, tenant_id="ten_x"), root="not_found", ann="not_found")
    for who in (ANN, ROBOT, BOOTSTRAP):
        issued = done(machine(acting(work, who), Role.TENANT_ADMIN))
        token = issued.view
        assert (token.account_id, token.tenant_id) == (None, "ten_a")
        assert (token.role, token.read_only) == (Role.TENANT_ADMIN, True)
        by = opened(work, issued.text)
        assert (by.id, by.account_id, by.platform_admin) == (token.id, None, False)
        assert (by.roles, by.read_only) == ({"ten_a": Role.TENANT_ADMIN}, True)
        changes = {"name": "laptop", "role": "tenant_admin", "account_id": None}
        assert facts(work.uow)[-1] == ("token.created", token.id, changes)


def test_a_token_that_only_reads_changes_nothing(work):
    """Whatever its role, also what its owner could."""
    for text in (
        done(machine(work, Role.TENANT_ADMIN)).text,
        done(create_token(acting(work, ANN), SPEC)).text,
    ):
        by = acting(work, opened(work, text))
        assert refused(create_project(by, "ten_a", name="p"))[0] == "forbidden"


def test_a_persons_token_does_what_they_may_now(work):
    """A role that was taken or given counts at once."""
    ann = acting(work, ANN)
    text = done(create_token(ann, TokenSpec("t"))).text
    member = work.uow.members.get("ten_a", "acc_ann")
    done(update_member(work, replace(member, role=Role.VIEWER)))
    assert opened(work, text).roles == {"ten_a": Role.VIEWER}
    done(remove_member(work, "ten_a", "acc_ann"))
    assert opened(work, text).roles == {}
    account = work.uow.accounts.get("acc_ann")
    done(update_account(work, replace(account, platform_admin=True)))
    assert opened(work, text).platform_admin


def test_a_machines_token_ends_with_its_tenant(work):
    """And opens again when that is restored."""
    text = done(machine(work)).text
    done(delete_tenant(work, "ten_a"))
    assert opened(work, text) is None
    done(restore_tenant(work, "ten_a"))
    assert opened(work, text).roles == {"ten_a": Role.USER}


@pytest.mark.parametrize(("expires_s", "opens"), [(NOW_S + 1, True), (NOW_S, False)])
def test_a_token_expires(work, expires_s, opens):
    """To the second."""
    text = done(create_token(acting(work, BOB), TokenSpec("t", NOW_S + 60))).text
    work.uow.now_s += NOW_S + 60 - expires_s
    assert (opened(work, text) is not None) is opens


def test_a_revoked_token_opens_nothing(work):
    """One's own, or a tenant's by its administrators. Revoking again changes nothing."""
    mine = done(create_token(acting(work, BOB), SPEC))
    ours = done(machine(work))
    turned_away(work, lambda by: revoke_token(by, ours.view.id, tenant_id="ten_a"), **BUT_ADMINS)
    for issued, who, tenant_id in ((mine, BOB, None), (ours, ANN, "ten_a")):
        by = acting(work, who)
        assert opened(work, issued.text) is not None
        done(revoke_token(by, issued.view.id, tenant_id=tenant_id))
        assert opened(work, issued.text) is None
        assert facts(work.uow)[-1][:2] == ("token.revoked", issued.view.id)
        before = state(work.uow)
        done(revoke_token(by, issued.view.id, tenant_id=tenant_id))
        assert state(work.uow) == before


def test_others_tokens_are_absent(work):
    """Another person's, another tenant's, a tenant's as one's own, and one's own as a tenant's."""
    mine = done(create_token(acting(work, BOB), SPEC)).view.id
    ours = done(machine(work)).view.id
    before = state(work.uow)
    for who, token_id, tenant_id in (
        (CAT, mine, None),
        (ANN, mine, None),
        (ANN, mine, "ten_a"),
        (ANN, ours, None),
        (ANN, ours, "ten_b"),
        (EVE, ours, "ten_b"),
        (EVE, ours, "ten_a"),
        (BOOTSTRAP, mine, None),
        (BOOTSTRAP, ours, None),
        (BOOTSTRAP, "tok_none", "ten_a"),
        (BOB, "tok_none", None),
    ):
        told = refused(revoke_token(acting(work, who), token_id, tenant_id=tenant_id))
        assert told == ("not_found", "")
    assert refused(revoke_token(acting(work, ROBOT), ours))[0] == "forbidden"
    assert state(work.uow) == before


def test_a_token_changed_meanwhile_is_not_revoked_unseen(work):
    """`If-Match` must be the version that stands."""
    token = done(create_token(work, SPEC)).view
    assert refused(revoke_token(stale(work, token.version), token.id))[0] == "precondition"
    done(revoke_token(stale(work, token.version + 1), token.id))


def test_an_id_is_never_given_twice(work):
    """Chance that repeats itself makes no second token of that id."""
    bob = acting(work, BOB, entropy=bytes)
    done(revoke_token(bob, done(create_token(bob, SPEC)).view.id))
    with pytest.raises(ConflictError):
        create_token(bob, SPEC)


def test_what_is_no_token_opens_nothing(work):
    """An unknown one, a wrong secret under a known id, and no text at all."""
    issued = done(create_token(acting(work, BOB), SPEC))
    other = done(create_token(acting(work, BOB), SPEC))
    work.uow.tokens.add(replace(issued.view, id="tok_x"), b"digest")
    assert opened(work, issued.text[:-1]) is None
    assert opened(work, "") is None
    unknown = done(create_token(acting(work, BOB, entropy=bytes), SPEC))
    digest = work.uow.tokens.get(other.view.id)[1]
    assert digest != work.uow.tokens.get(issued.view.id)[1]
    assert opened(work, unknown.text) is not None
    assert by_token(work.uow, "bootstrap", admin_token="bootstrap").actor.platform_admin
    assert by_token(work.uow, "", admin_token="") is None


def test_the_use_of_a_token_is_written_down_now_and_then(work):
    """At first, and when what is written is a minute old."""
    issued = done(create_token(acting(work, BOB), SPEC))
    for last_used_s, stale_token in (
        (None, issued.view.id),
        (NOW_S - TOUCH_S + 1, None),
        (NOW_S - TOUCH_S, issued.view.id),
    ):
        if last_used_s is not None:
            work.uow.tokens.touch(issued.view.id, last_used_s)
        assert by_token(work.uow, issued.text, admin_token="").stale_token == stale_token


def test_tokens_are_seen_by_their_owners(work):
    """One's own, and a tenant's machines' by its administrators."""
    mine = done(create_token(acting(work, BOB), SPEC)).view
    ours = done(machine(work)).view
    assert done(my_tokens(acting(work, BOB), Page())) == [mine]
    assert done(my_tokens(acting(work, CAT), Page())) == []
    for who in (ANN, ROBOT, READER):
        assert done(list_service_tokens(acting(work, who), "ten_a", Page())) == [ours]
    for who in (BOB, VIC):
        found = list_service_tokens(acting(work, who), "ten_a", Page())
        assert refused(found)[0] == "forbidden"
    assert refused(list_service_tokens(acting(work, EVE), "ten_a", Page()))[0] == "not_found"
    assert done(list_service_tokens(acting(work, EVE), "ten_b", Page())) == []
