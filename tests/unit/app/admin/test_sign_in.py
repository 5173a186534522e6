"""Signing in by password and by an identity provider, as far as the database sees it: sessions,
counted failures, whose account it is, and what groups make of it. The wire is tested elsewhere.
"""

from dataclasses import replace

import pytest

from tests.fakes.acting import acting, done, facts, refused
from tests.fakes.database import NOW_S
from tests.fakes.people import BOB, state
from tollway.app.admin.authenticate import by_cookie
from tollway.app.admin.commands.accounts import disable_account
from tollway.app.admin.commands.keys import KeySpec, create_key
from tollway.app.admin.commands.members import MemberSpec, add_member
from tollway.app.admin.commands.sign_in import (
    ANONYMOUS,
    begin_guess,
    finish_guess,
    open_session,
    sign_in_identified,
)
from tollway.app.admin.commands.tenants import delete_tenant
from tollway.domain.account import Role
from tollway.domain.oidc import GroupMapping, GroupRule, Identity, OidcIssuer
from tollway.domain.result import Err
from tollway.domain.session import DEFAULT_RULES, digest_cookie, make_cookie
from tollway.domain.throttle import ACCOUNT_RULES, ADDRESS_RULES

URL = "https://login.example.org"
MAPPING = GroupMapping(
    (
        GroupRule("staff", "acme", Role.USER),
        GroupRule("leads", "acme", Role.TENANT_ADMIN),
        GroupRule("staff", "beta", Role.VIEWER),
        GroupRule("staff", "nowhere", Role.VIEWER),
    )
)
ISSUER = OidcIssuer("corp", URL, "tollway", mapping=MAPPING)
ADMINS = replace(ISSUER, mapping=replace(MAPPING, admin_groups=frozenset({"ops"})))
TRUSTED = replace(ISSUER, trust_email=True)
DAN = Identity(URL, "sub-dan", "dan@example.org", True, "Dan", ("staff",), "the-id-token")


@pytest.fixture
def work(work):
    """Nobody's yet."""
    return acting(work, ANONYMOUS)


def identified(work, identity, issuer=ISSUER, *, old=None):
    return sign_in_identified(work, identity, issuer, old=old)


def roles(work, account_id):
    return {one.tenant_id: one.role for one in work.uow.members.of_account(account_id)}


def guess(work, email="bob@example.org", address="192.0.2.1", *, right=False):
    return finish_guess(work, done(begin_guess(work, email, address)), right=right)


def test_a_right_guess_opens_a_session(work):
    """It is found by its cookie until its time is over; a hash of old parameters is renewed."""
    work.uow.accounts.set_password("acc_bob", "old-hash")
    begun = done(begin_guess(work, " BOB@example.org ", "192.0.2.1"))
    assert (begun.account.id, begun.stored) == ("acc_bob", "old-hash")
    opened = done(finish_guess(work, begun, right=True, rehashed="new-hash"))
    assert work.uow.accounts.password("acc_bob") == "new-hash"
    found = by_cookie(work.uow, opened.cookie)
    assert (found.actor.account_id, found.actor.roles) == ("acc_bob", dict(BOB.roles))
    assert opened.session.expires_s == NOW_S + DEFAULT_RULES.lifetime_s
    assert facts(work.uow) == [("account.signed_in", "acc_bob", {"via": "password"})]
    assert opened.cookie not in repr(work.uow.sessions.of_account("acc_bob"))


@pytest.mark.parametrize(
    ("later_s", "opens"),
    [(DEFAULT_RULES.idle_s - 1, True), (DEFAULT_RULES.idle_s, False)],
)
def test_a_session_left_alone_is_over(work, later_s, opens):
    """To the second; an unknown cookie, and what is no cookie, open nothing."""
    cookie = done(guess(work, right=True)).cookie
    work.uow.now_s += later_s
    assert (by_cookie(work.uow, cookie) is not None) is opens
    assert by_cookie(work.uow, make_cookie(bytes(32))) is None
    assert by_cookie(work.uow, "cookie") is None


def test_no_session_lives_through_a_sign_in(work):
    """The browser's old one ends, also when it was another's; an unknown one is no matter."""
    old = open_session(work, work.uow.accounts.get("acc_ann"), via="password", old=None).cookie
    for cookie in (old, "nonsense", make_cookie(bytes(32))):
        done(
            finish_guess(
                work, done(begin_guess(work, "bob@example.org", "a")), right=True, old=cookie
            )
        )
    assert work.uow.sessions.get(digest_cookie(old)) is None


def test_a_wrong_guess_reads_the_same_for_everybody(work):
    """A wrong password, nobody's address, a disabled account."""
    told = [guess(work), guess(work, "nobody@example.org"), guess(work, "", right=True)]
    done(disable_account(acting(work, replace(BOB, platform_admin=True)), "acc_bob"))
    told.append(guess(work, right=True))
    assert {(one.error.kind, one.error.message) for one in told} == {
        (told[0].error.kind, told[0].error.message)
    }
    assert refused(told[0])[0] == "unauthenticated"


@pytest.mark.parametrize(
    ("rules", "email", "address"),
    [(ACCOUNT_RULES, "bob@example.org", "192.0.2.{}"), (ADDRESS_RULES, "{}@example.org", "a")],
    ids=["account", "address"],
)
def test_who_guesses_too_often_waits(work, rules, email, address):
    """Counted for the account and for the address, before it is looked whether it was right; the
    wait of a known account is on record."""
    for number in range(rules.free):
        guess(work, email.format(number), address.format(number))
    throttled = begin_guess(work, email.format("x"), address.format("x"))
    assert isinstance(throttled, Err)
    assert throttled.error.retry_after_s == rules.first_wait_s
    recorded = [fact[:2] for fact in facts(work.uow)]
    assert recorded == ([("account.sign_in_throttled", "acc_bob")] if rules.free == 10 else [])


def test_a_right_guess_forgives_the_account_and_not_the_address(work):
    """One right sign-in does not pay for a thousand guesses beside it: it only does not count."""
    for _ in range(ACCOUNT_RULES.free - 1):
        guess(work)
    done(guess(work, right=True))
    for _ in range(ACCOUNT_RULES.free):
        assert refused(guess(work))[0] == "unauthenticated"
    left = ADDRESS_RULES.free - 2 * ACCOUNT_RULES.free + 1
    for number in range(left):
        guess(work, f"{number}@example.org")
    assert isinstance(begin_guess(work, "x@example.org", "192.0.2.1"), Err)


def test_an_account_is_made_at_the_first_sign_in(work):
    """With what its groups give it, in tenants that are there; all of it is on record as the
    provider's doing."""
    opened = done(identified(work, DAN))
    account = opened.account
    assert (account.email, account.name, account.platform_admin) == (DAN.email, "Dan", False)
    assert roles(work, account.id) == {"ten_a": Role.USER, "ten_b": Role.VIEWER}
    assert {one.source for one in work.uow.members.of_account(account.id)} == {URL}
    assert (opened.session.via, opened.session.id_token) == ("corp", "the-id-token")
    assert [fact[0] for fact in facts(work.uow)] == [
        "account.created",
        "account.linked",
        "member.added",
        "member.added",
        "account.signed_in",
    ]
    assert done(identified(work, replace(DAN, email=None))).account.id == account.id


@pytest.mark.parametrize("issuer", [ISSUER, TRUSTED], ids=["plain", "trusted"])
@pytest.mark.parametrize("verified", [True, False])
def test_an_account_that_is_there_is_not_taken_over(work, issuer, verified):
    """But by a provider that is trusted with addresses it has verified; then the subject is the
    person, whatever address it has later."""
    before = state(work.uow)
    theirs = Identity(URL, "sub-bob", "bob@example.org", verified, None, ("staff",))
    result = identified(work, theirs, issuer)
    if not (issuer.trust_email and verified):
        assert refused(result)[0] == "forbidden"
        assert state(work.uow) == before
        return
    assert done(result).account.id == "acc_bob"
    later = replace(theirs, email="new@example.org", email_verified=False)
    assert done(identified(work, later)).account.id == "acc_bob"
    other = replace(theirs, issuer="https://other.example.org", email_verified=False)
    assert refused(identified(work, other, replace(TRUSTED, issuer=other.issuer)))[0] == "forbidden"


def test_an_address_nobody_verified_is_not_taken(work):
    """Its owner may come later, and what is given to the address is theirs; an issuer that is
    trusted with addresses need not say that it verified them."""
    claimed = replace(DAN, email_verified=False)
    before = state(work.uow)
    assert refused(identified(work, claimed))[0] == "forbidden"
    assert state(work.uow) == before
    assert done(identified(work, claimed, TRUSTED)).account.email == DAN.email


def test_who_cannot_be_told_stays_out(work):
    """No address at the first sign-in, one that is none, or a disabled account."""
    assert refused(identified(work, replace(DAN, email=None)))[0] == "forbidden"
    assert refused(identified(work, replace(DAN, email="dan"))) == ("invalid", "email")
    account_id = done(identified(work, DAN)).account.id
    done(disable_account(acting(work, replace(BOB, platform_admin=True)), account_id))
    before = state(work.uow)
    assert refused(identified(work, DAN))[0] == "forbidden"
    assert state(work.uow) == before


def test_groups_are_followed_at_each_sign_in(work):
    """A role changes, a membership ends with its keys; a deleted tenant gives none."""
    account_id = done(identified(work, DAN)).account.id
    platform = acting(work, replace(BOB, platform_admin=True))
    key = done(create_key(platform, "ten_a", KeySpec("k", account_id=account_id))).view
    done(identified(work, DAN))
    done(identified(work, replace(DAN, groups=("staff", "leads"))))
    assert roles(work, account_id) == {"ten_a": Role.TENANT_ADMIN, "ten_b": Role.VIEWER}
    updated = [fact for fact in facts(work.uow) if fact[0] == "member.updated"]
    assert [fact[2] for fact in updated] == [{"role": ["user", "tenant_admin"]}]
    done(delete_tenant(platform, "ten_b"))
    done(identified(work, replace(DAN, groups=("leads",))))
    assert roles(work, account_id) == {"ten_a": Role.TENANT_ADMIN}
    done(identified(work, replace(DAN, groups=())))
    assert roles(work, account_id) == {}
    assert work.uow.keys.get("ten_a", key.id).revoked_s == NOW_S


def test_what_was_given_by_hand_stays(work):
    """Groups neither take it, nor change it."""
    account_id = done(identified(work, replace(DAN, groups=()))).account.id
    platform = acting(work, replace(BOB, platform_admin=True))
    done(add_member(platform, "ten_a", MemberSpec("dan@example.org", Role.VIEWER)))
    for groups in (("staff", "leads"), ()):
        done(identified(work, replace(DAN, groups=groups)))
        assert roles(work, account_id)["ten_a"] is Role.VIEWER


def test_a_group_administers_the_platform(work):
    """As long as somebody is in it; without such a group providers have no say in it."""
    ops = replace(DAN, groups=("ops",))
    account_id = done(identified(work, ops, ISSUER)).account.id
    for identity, issuer, admin in ((ops, ADMINS, True), (DAN, ISSUER, True), (DAN, ADMINS, False)):
        assert done(identified(work, identity, issuer)).account.platform_admin is admin
    updated = [fact for fact in facts(work.uow) if fact[:2] == ("account.updated", account_id)]
    assert [fact[2]["platform_admin"] for fact in updated] == [[False, True], [True, False]]
