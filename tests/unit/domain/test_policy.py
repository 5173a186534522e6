"""The policy table: complete, monotone in the roles, and blind to what is not the actor's."""

import pytest

from tollway.domain.account import Role
from tollway.domain.policy import POLICY, Action, Actor, Verdict, decide, may_give

HERE, THERE = "ten_here", "ten_there"


def actor(role=None, *, account="acc_1", platform_admin=False, tenant=HERE):
    roles = {} if role is None else {tenant: role}
    return Actor(account, account, "session", account, platform_admin, roles)


ROLES = [None, Role.VIEWER, Role.USER, Role.TENANT_ADMIN]
WRITES = [
    action
    for action in Action
    if action.value.endswith((".write", ".create", ".update", ".govern"))
    and action not in (Action.ME_UPDATE, Action.TOKEN_WRITE)
]


def test_every_action_has_its_row():
    """An action without a row could not be asked about."""
    assert set(POLICY) == set(Action)
    assert all(POLICY.values())


@pytest.mark.parametrize("action", [a for a in Action if a is not Action.ME_UPDATE])
def test_a_platform_admin_may_do_everything(action):
    """But change somebody else's own things as if they were theirs."""
    assert decide(actor(platform_admin=True), action, tenant_id=HERE) is Verdict.ALLOWED


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("role", ROLES)
def test_another_tenant_does_not_exist(action, role):
    """Whatever the role, a thing of another tenant is never allowed, and never said to exist; an
    action that is narrowed to what is one's own is no exception."""
    verdict = decide(actor(role), action, tenant_id=THERE, owner="acc_other")
    open_to_all = action in (Action.TENANT_LIST, Action.PRICE_READ, Action.ME_READ)
    assert verdict is (Verdict.ALLOWED if open_to_all else Verdict.HIDDEN)


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("owner", [None, "acc_1", "acc_other"])
def test_an_administrator_may_what_a_user_may(action, owner):
    """Nothing is lost by a higher role."""
    user = decide(actor(Role.USER), action, tenant_id=HERE, owner=owner)
    admin = decide(actor(Role.TENANT_ADMIN), action, tenant_id=HERE, owner=owner)
    assert user is not Verdict.ALLOWED or admin is Verdict.ALLOWED


@pytest.mark.parametrize("action", WRITES)
def test_a_viewer_changes_nothing(action):
    """A viewer reads."""
    for owner in (None, "acc_1"):
        verdict = decide(actor(Role.VIEWER), action, tenant_id=HERE, owner=owner)
        if action in (Action.ACCOUNT_READ, Action.ME_UPDATE):
            continue
        assert verdict is not Verdict.ALLOWED, action


@pytest.mark.parametrize(
    ("owner", "verdict"), [("acc_1", Verdict.ALLOWED), ("acc_other", Verdict.HIDDEN)]
)
def test_a_user_has_their_own_keys(owner, verdict):
    """A colleague's key is absent, not forbidden."""
    for action in (Action.KEY_READ, Action.KEY_UPDATE, Action.KEY_CREATE):
        assert decide(actor(Role.USER), action, tenant_id=HERE, owner=owner) is verdict


def test_a_service_key_is_the_administrators():
    """A key without an owner is nobody's own."""
    assert decide(actor(Role.USER), Action.KEY_CREATE, tenant_id=HERE) is Verdict.FORBIDDEN
    assert decide(actor(Role.TENANT_ADMIN), Action.KEY_CREATE, tenant_id=HERE) is Verdict.ALLOWED


def test_a_machine_without_an_account_owns_nothing():
    """No account is not the same account as no owner."""
    machine = Actor("tok", "ci", "token", None, roles={HERE: Role.USER})
    assert decide(machine, Action.KEY_UPDATE, tenant_id=HERE, owner=None) is Verdict.FORBIDDEN
    assert decide(machine, Action.ME_UPDATE, owner=None) is Verdict.FORBIDDEN


@pytest.mark.parametrize("given", list(Role))
@pytest.mark.parametrize("held", ROLES)
def test_nobody_gives_a_role_above_their_own(held, given):
    """A role may be given by who holds it or one above it."""
    assert may_give(actor(held), HERE, given) is (ROLES.index(given) <= ROLES.index(held))
    assert not may_give(actor(held), THERE, given)
    assert may_give(actor(platform_admin=True), THERE, given)
