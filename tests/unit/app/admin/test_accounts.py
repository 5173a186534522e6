"""Accounts: who makes, changes and disables them, and what a disabled one loses."""

from dataclasses import replace

import pytest

from tests.fakes.acting import acting, done, facts, refused, said
from tests.fakes.database import NOW_S
from tests.fakes.people import (
    ANN,
    BOB,
    BOOTSTRAP,
    BUT_PLATFORM,
    READER,
    ROBOT,
    stale,
    state,
    turned_away,
)
from tollway.app.admin.authenticate import by_cookie, by_token
from tollway.app.admin.commands.accounts import (
    AccountSpec,
    check_password,
    create_account,
    disable_account,
    enable_account,
    ensure_account,
    set_password,
    update_account,
)
from tollway.app.admin.commands.keys import KeySpec, create_key
from tollway.app.admin.commands.sign_in import open_session
from tollway.app.admin.commands.tokens import TokenSpec, create_service_token, create_token
from tollway.app.admin.queries.people import list_accounts, read_account
from tollway.app.ports_directory import Page
from tollway.app.views import AccountView
from tollway.domain.account import Role

NOBODY = BUT_PLATFORM | {"eve": "forbidden"}  # accounts have no tenant to hide behind


def stored(work, account_id="acc_bob"):
    return work.uow.accounts.get(account_id)


def test_an_account_is_known_by_its_address(work):
    """In lower case, whatever was typed; it has no password yet and is called by its address."""
    made = done(create_account(work, AccountSpec("Dan@Example.ORG", managed_by="file")))
    assert made.id.startswith("acc_")
    assert (made.email, made.name) == ("dan@example.org", "dan@example.org")
    assert (made.active, made.platform_admin, made.has_password) == (True, False, False)
    assert (made.managed_by, made.created_s) == ("file", NOW_S)
    again = done(ensure_account(work, AccountSpec("DAN@example.org", "Another")))
    assert (again.value, again.created) == (made, False)
    assert refused(create_account(work, AccountSpec("DAN@example.org"))) == ("conflict", "email")
    changes = {"email": made.email, "name": made.name, "platform_admin": False}
    assert facts(work.uow) == [("account.created", made.id, changes)]
    other = done(ensure_account(work, AccountSpec("fay@example.org", "Fay", platform_admin=True)))
    assert other.created
    assert (other.value.name, other.value.platform_admin) == ("Fay", True)


@pytest.mark.parametrize("email", ["", "ann", "@b", "a@", "a b@c", "a@b@c", "a@b..c", "a" * 300])
def test_an_address_must_be_one(work, email):
    """One @, something on both sides."""
    for made in (
        create_account(work, AccountSpec(email)),
        ensure_account(work, AccountSpec(email)),
        update_account(work, replace(stored(work), email=email)),
    ):
        assert refused(made) == ("invalid", "email")
        assert "no e-mail address" in said(made)


def test_a_name_must_be_printable(work):
    """At making and at changing."""
    assert refused(create_account(work, AccountSpec("x@y", "a\n"))) == ("invalid", "name")
    assert refused(update_account(work, replace(stored(work), name=""))) == ("invalid", "name")
    assert facts(work.uow) == []


@pytest.mark.parametrize(
    "command",
    [
        lambda by: create_account(by, AccountSpec("new@example.org")),
        lambda by: create_account(by, AccountSpec("bob@example.org")),
        lambda by: create_account(by, AccountSpec("new@example.org", platform_admin=True)),
        lambda by: ensure_account(by, AccountSpec("new@example.org")),
        lambda by: update_account(by, replace(stored(by), name="New")),
        lambda by: update_account(by, replace(stored(by), id="acc_none", name="New")),
        lambda by: disable_account(by, "acc_bob"),
        lambda by: disable_account(by, "acc_none"),
        lambda by: enable_account(by, "acc_bob"),
        lambda by: set_password(by, "acc_bob", "hash"),
    ],
    ids=lambda command: "-".join(command.__code__.co_names),
)
def test_accounts_are_the_platforms_business(work, command):
    """Nobody else makes or changes one, not even a tenant's administrator its members' or anybody
    their own; and from the answer they do not learn whether it exists."""
    turned_away(work, command, **NOBODY)


def test_nobody_makes_themselves_an_administrator(work):
    """Not by changing their own account, whatever they send."""
    for who in (ANN, BOB):
        mine = replace(stored(work, who.account_id), platform_admin=True)
        assert refused(update_account(acting(work, who), mine))[0] == "forbidden"
        assert not stored(work, who.account_id).platform_admin


def test_an_account_is_changed(work):
    """Name, address and standing; no change, no record."""
    wanted = replace(stored(work), email="Robert@example.org", name="Robert", platform_admin=True)
    after = done(update_account(work, wanted))
    assert after == replace(wanted, email="robert@example.org", version=work.uow.version)
    done(update_account(acting(work, BOOTSTRAP), after))
    changes = {
        "email": ["bob@example.org", "robert@example.org"],
        "name": ["Bob", "Robert"],
        "platform_admin": [False, True],
    }
    assert facts(work.uow) == [("account.updated", "acc_bob", changes)]
    taken = replace(after, email="ANN@example.org")
    assert refused(update_account(work, taken)) == ("conflict", "email")


@pytest.mark.parametrize(
    "command",
    [
        lambda by, account: update_account(by, replace(account, name="New")),
        lambda by, account: disable_account(by, account.id),
        lambda by, account: enable_account(by, account.id),
        lambda by, account: set_password(by, account.id, "hash"),
    ],
    ids=["update", "disable", "enable", "password"],
)
def test_an_account_changed_meanwhile_is_not_changed_unseen(work, command):
    """`If-Match` must be the version that stands; an account that is not there is absent."""
    work.uow.accounts.save(replace(stored(work), active=False))
    account, before = stored(work), state(work.uow)
    assert refused(command(stale(work, account.version), account))[0] == "precondition"
    assert refused(command(work, replace(account, id="acc_none")))[0] == "not_found"
    assert state(work.uow) == before
    done(command(stale(work, account.version + 1), account))


def test_a_disabled_account_loses_all_it_could_enter_by(work):
    """Sessions, tokens and the keys of every tenant, for good: what it lost stays lost when it is
    enabled again. Others and the tenants' machines lose nothing."""
    bob = acting(work, BOB)
    cookies = [open_session(bob, stored(work), via="password", old=None).cookie for _ in range(2)]
    token = done(create_token(bob, TokenSpec("mine"))).text
    key = done(create_key(bob, "ten_a", KeySpec("k", account_id="acc_bob"))).view
    service = done(create_key(work, "ten_a", KeySpec("service"))).view
    hers = done(create_key(work, "ten_a", KeySpec("k", account_id="acc_ann"))).view
    machine = done(
        create_service_token(work, "ten_a", role=Role.USER, spec=TokenSpec("machine"))
    ).text
    assert by_token(work.uow, token, admin_token="").actor.id == "acc_bob"

    assert done(disable_account(work, "acc_bob")).active is False
    assert facts(work.uow)[-1] == ("account.disabled", "acc_bob", {"keys_revoked": [key.id]})
    recorded = len(facts(work.uow))
    done(disable_account(work, "acc_bob"))
    assert len(facts(work.uow)) == recorded
    assert done(enable_account(work, "acc_bob")).active is True
    assert done(enable_account(work, "acc_bob")).active is True
    assert facts(work.uow)[recorded:] == [("account.enabled", "acc_bob", {})]

    assert [by_cookie(work.uow, cookie) for cookie in cookies] == [None, None]
    assert by_token(work.uow, token, admin_token="") is None
    assert work.uow.keys.get("ten_a", key.id).revoked_s == NOW_S
    assert work.uow.keys.get("ten_a", service.id).revoked_s is None
    assert work.uow.keys.get("ten_a", hers.id).revoked_s is None
    assert by_token(work.uow, machine, admin_token="").actor.roles == {"ten_a": Role.USER}


def test_nobody_acts_as_a_disabled_account(work):
    """A session or token that was made in the same moment opens nothing either."""
    bob = acting(work, BOB)
    done(disable_account(work, "acc_bob"))
    cookie = open_session(bob, stored(work), via="password", old=None).cookie
    token = done(create_token(bob, TokenSpec("late"))).text
    assert by_cookie(work.uow, cookie) is None
    assert by_token(work.uow, token, admin_token="") is None


def test_somebody_is_left_who_administers_the_platform(work):
    """The last one is neither disabled nor made an ordinary person; a disabled one does not
    count."""
    root = stored(work, "acc_root")
    fay = AccountView("acc_fay", "fay@example.org", "Fay", platform_admin=True, active=False)
    work.uow.accounts.add(fay)
    for result in (
        disable_account(work, "acc_root"),
        update_account(work, replace(root, platform_admin=False)),
        update_account(acting(work, BOOTSTRAP), replace(root, platform_admin=False)),
    ):
        assert refused(result) == ("conflict", "")
        assert "last administrator" in said(result)
    assert stored(work, "acc_root") == root
    done(update_account(work, replace(root, name="Other")))
    done(enable_account(work, "acc_fay"))
    assert done(disable_account(work, "acc_root")).active is False
    assert refused(disable_account(work, "acc_fay"))[0] == "conflict"


def test_the_last_administrator_is_looked_for_on_every_page(work):
    """Among more people than one page holds."""
    for number in range(501):
        account = AccountView(f"acc_{number:04}", f"{number}@example.org", "Somebody")
        work.uow.accounts.add(account)
    assert refused(disable_account(work, "acc_root"))[0] == "conflict"
    work.uow.accounts.add(AccountView("acc_z", "z@example.org", "Z", platform_admin=True))
    done(disable_account(work, "acc_root"))


def test_a_new_password_ends_the_accounts_sessions(work):
    """An administrator gives it; the hash is on no record."""
    cookie = open_session(acting(work, BOB), stored(work), via="password", old=None).cookie
    assert done(set_password(work, "acc_bob", "the-hash")).has_password
    assert work.uow.accounts.password("acc_bob") == "the-hash"
    assert by_cookie(work.uow, cookie) is None
    assert facts(work.uow)[-1] == ("account.password_changed", "acc_bob", {"sessions_ended": 1})


@pytest.mark.parametrize("password", ["", "short", "a" * 16, "bob@example.org", "x" * 2000])
def test_a_password_is_hard_to_guess(work, password):
    """Long, not one letter, and not the address."""
    rejected = check_password(password, stored(work))
    assert (rejected.kind.value, rejected.field) == ("invalid", "password")
    assert check_password("correct horse battery staple", stored(work)) is None


def test_accounts_are_seen_by_the_platform_and_by_themselves(work):
    """Others' are forbidden, whether they exist or not."""
    everybody = ["acc_ann", "acc_bob", "acc_cat", "acc_eve", "acc_root", "acc_vic"]
    for who in (BOOTSTRAP, READER):
        found = done(list_accounts(acting(work, who), Page()))
        assert [account.id for account in found] == everybody
        assert done(read_account(acting(work, who), "acc_bob")).email == "bob@example.org"
    assert [one.id for one in done(list_accounts(work, Page(), search="BOB@"))] == ["acc_bob"]
    assert refused(read_account(work, "acc_none"))[0] == "not_found"
    for who in (ANN, BOB):
        assert refused(list_accounts(acting(work, who), Page()))[0] == "forbidden"
        assert done(read_account(acting(work, who), who.account_id)).id == who.account_id
        for other in ("acc_cat", "acc_none"):
            assert refused(read_account(acting(work, who), other))[0] == "forbidden"
    assert refused(read_account(acting(work, ROBOT), "acc_bob"))[0] == "forbidden"
    assert done(ensure_account(acting(work, BOB), AccountSpec("bob@example.org"))).created is False
    assert refused(ensure_account(acting(work, BOB), AccountSpec("ann@example.org")))[0] == (
        "forbidden"
    )
