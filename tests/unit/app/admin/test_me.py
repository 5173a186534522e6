"""What people change and see of themselves; machines have no such self."""

from dataclasses import replace

import pytest

from tests.fakes.acting import acting, done, facts, refused
from tests.fakes.people import ANN, BOB, BOOTSTRAP, CAT, EVE, READER, ROBOT, VIC, stale, state
from tollway.app.admin.authenticate import by_cookie
from tollway.app.admin.commands.me import password_to_change, rename
from tollway.app.admin.commands.sign_in import change_password, open_session, sign_out
from tollway.app.admin.queries.people import my_memberships, my_sessions
from tollway.domain.account import Role

PASSWORD = "correct horse battery staple"


def signed_in(work, who):
    """A cookie of theirs."""
    account = work.uow.accounts.get(who.account_id)
    return open_session(acting(work, who), account, via="password", old=None).cookie


@pytest.mark.parametrize("who", [BOB, VIC, ANN, EVE], ids=lambda who: who.name)
def test_everybody_may_change_their_name(work, who):
    """And nothing else of themselves. No change, no record."""
    before = work.uow.accounts.get(who.account_id)
    after = done(rename(acting(work, who), "Somebody"))
    assert after == replace(before, name="Somebody", version=work.uow.version)
    assert after == work.uow.accounts.get(who.account_id)
    done(rename(acting(work, who), "Somebody"))
    changes = {"name": [before.name, "Somebody"]}
    assert facts(work.uow) == [("account.updated", who.account_id, changes)]


def test_a_name_changed_meanwhile_is_not_changed_unseen(work):
    """`If-Match` must be the version of the account that stands."""
    bob = acting(work, BOB)
    version = work.uow.accounts.get("acc_bob").version
    assert refused(rename(stale(bob, version), "New"))[0] == "precondition"
    assert done(rename(stale(bob, version + 1), "New")).name == "New"


@pytest.mark.parametrize("name", ["", " a", "a\n", "a" * 201])
def test_a_name_must_be_printable(work, name):
    """The rule is that of every name."""
    assert refused(rename(acting(work, BOB), name)) == ("invalid", "name")


@pytest.mark.parametrize(
    "command",
    [
        lambda by: rename(by, "New"),
        lambda by: password_to_change(by, PASSWORD),
        lambda by: change_password(by, "hash", right=True, cookie=None),
        lambda by: sign_out(by, None, everywhere=True),
    ],
    ids=["rename", "password_to_change", "change_password", "sign_out"],
)
def test_only_people_change_themselves(work, command):
    """Not a machine, not the bootstrap token, nobody who only reads, and nobody who is gone."""
    before = state(work.uow)
    nobody = replace(BOB, id="acc_none", account_id=None)
    for who in (ROBOT, BOOTSTRAP, READER, nobody):
        assert refused(command(acting(work, who)))[0] == "forbidden"
    assert state(work.uow) == before


def test_a_new_password_takes_the_old_one(work):
    """A weak one is refused before the slow hash is made; who has none has none to give."""
    bob = acting(work, BOB)
    assert refused(password_to_change(bob, "short")) == ("invalid", "password")
    assert refused(password_to_change(bob, "bob@example.org")) == ("invalid", "password")
    assert done(password_to_change(bob, PASSWORD)) is None
    work.uow.accounts.set_password("acc_bob", "old-hash")
    assert done(password_to_change(bob, PASSWORD)) == "old-hash"
    assert refused(change_password(bob, "", right=False, cookie=None)) == ("forbidden", "current")
    assert work.uow.accounts.password("acc_bob") == "old-hash"
    done(change_password(bob, "new-hash", right=True, cookie=None))
    assert work.uow.accounts.password("acc_bob") == "new-hash"
    assert [fact[0] for fact in facts(work.uow)] == ["account.password_changed"]


def test_a_new_password_ends_all_other_sessions(work):
    """The one it was changed in goes on, and so do other people's."""
    here, there, other = (signed_in(work, who) for who in (BOB, BOB, CAT))
    done(change_password(acting(work, BOB), "hash", right=True, cookie=here))
    found = [by_cookie(work.uow, cookie) is not None for cookie in (here, there, other)]
    assert found == [True, False, True]
    assert facts(work.uow)[-1][2] == {"sessions_ended": 1}


@pytest.mark.parametrize(
    ("everywhere", "ended", "left"), [(False, 1, [False, True]), (True, 2, [False, False])]
)
def test_signing_out_ends_this_session_or_all(work, everywhere, ended, left):
    """One's own, never another's."""
    here, there, other = (signed_in(work, who) for who in (BOB, BOB, CAT))
    assert done(sign_out(acting(work, BOB), here, everywhere=everywhere)) == ended
    assert [by_cookie(work.uow, cookie) is not None for cookie in (here, there)] == left
    assert by_cookie(work.uow, other) is not None
    assert facts(work.uow)[-1] == ("account.signed_out", "acc_bob", {"sessions": ended})


def test_people_see_their_own_sessions_and_tenants(work):
    """Nobody else's; a machine has neither."""
    signed_in(work, BOB)
    assert [one.account_id for one in done(my_sessions(acting(work, BOB)))] == ["acc_bob"]
    assert done(my_sessions(acting(work, CAT))) == []
    assert [one.role for one in done(my_memberships(acting(work, BOB)))] == [Role.USER]
    for who in (ROBOT, BOOTSTRAP):
        assert refused(my_sessions(acting(work, who)))[0] == "forbidden"
        assert done(my_memberships(acting(work, who))) == []
