"""Accounts: people, known by their e-mail address. Disabled, never removed: the ledger and the
audit name them.
"""

from dataclasses import dataclass, replace

from tollway.app.admin.checks import check_email, check_name
from tollway.app.admin.outcome import Ensured, Kind, Rejected
from tollway.app.admin.work import Work, absent, changes_between
from tollway.app.ports_directory import Page
from tollway.app.views import AccountView
from tollway.domain.ids import AccountId, make_id
from tollway.domain.password import password_problem
from tollway.domain.policy import Action
from tollway.domain.result import Err, Ok, Result


@dataclass(frozen=True, slots=True)
class AccountSpec:
    """Who an account shall be for. Without a name it is called by its address."""

    email: str
    name: str | None = None
    platform_admin: bool = False
    managed_by: str | None = None


def create_account(work: Work, spec: AccountSpec) -> Result[AccountView, Rejected]:
    """A new account, without a password."""
    wrong = work.denied(Action.ACCOUNT_CREATE, kind="account")
    if wrong is None and spec.platform_admin:
        wrong = work.denied(Action.ACCOUNT_GOVERN, kind="account")
    if wrong is not None:
        return Err(wrong)
    if work.uow.accounts.find(spec.email.lower()) is not None:
        return Err(
            Rejected("email", f"There is an account {spec.email.lower()!r} already.", Kind.CONFLICT)
        )
    return add_account(work, spec)


def add_account(work: Work, spec: AccountSpec) -> Result[AccountView, Rejected]:
    """Write a new account. The caller has asked the policy, and looked whether there is one."""
    email = spec.email.lower()
    name = spec.name or email
    wrong = check_email(email) or check_name(name)
    if wrong is not None:
        return Err(wrong)
    account = AccountView(
        AccountId(make_id("acc", work.entropy(10))),
        email,
        name,
        spec.platform_admin,
        managed_by=spec.managed_by,
    )
    work.uow.accounts.add(account)
    changes = {"email": email, "name": name, "platform_admin": spec.platform_admin}
    work.record("account.created", kind="account", object_id=account.id, changes=changes)
    return Ok(_stored(work, account.id))


def ensure_account(work: Work, spec: AccountSpec) -> Result[Ensured[AccountView], Rejected]:
    """The account of this address, created if there is none."""
    found = work.uow.accounts.find(spec.email.lower())
    if found is not None:
        wrong = work.denied(Action.ACCOUNT_READ, kind="account", owner=found.id, writes=False)
        return Ok(Ensured(found, created=False)) if wrong is None else Err(wrong)
    made = create_account(work, spec)
    return made if isinstance(made, Err) else Ok(Ensured(made.value, created=True))


def update_account(work: Work, wanted: AccountView) -> Result[AccountView, Rejected]:
    """Another name, address, or standing on the platform."""
    found = _found(work, wanted.id, Action.ACCOUNT_UPDATE)
    if isinstance(found, Err):
        return found
    before, email = found.value, wanted.email.lower()
    wrong = check_email(email) or check_name(wanted.name)
    if wrong is None and email != before.email and work.uow.accounts.find(email) is not None:
        wrong = Rejected("email", f"There is an account {email!r} already.", Kind.CONFLICT)
    if wrong is None and before.platform_admin and not wanted.platform_admin:
        wrong = _last_admin(work, before)
    if wrong is not None:
        return Err(wrong)
    after = replace(
        before,
        email=email,
        name=wanted.name,
        platform_admin=wanted.platform_admin,
        managed_by=wanted.managed_by,
    )
    if after != before:
        work.uow.accounts.save(after)
        changes = changes_between(before, after, ("email", "name", "platform_admin"))
        work.record("account.updated", kind="account", object_id=after.id, changes=changes)
    return Ok(_stored(work, after.id))


def disable_account(work: Work, account_id: AccountId) -> Result[AccountView, Rejected]:
    """From now on nobody signs in as this account: its sessions, tokens and keys are gone for
    good. Disabling again changes nothing."""
    found = _found(work, account_id, Action.ACCOUNT_GOVERN)
    if isinstance(found, Err):
        return found
    account = found.value
    if account.active:
        wrong = _last_admin(work, account)
        if wrong is not None:
            return Err(wrong)
        work.uow.accounts.save(replace(account, active=False))
        work.uow.sessions.remove_of(account_id)
        work.uow.tokens.revoke_of(account_id)
        revoked = work.uow.keys.revoke_of(account_id)
        work.record(
            "account.disabled",
            kind="account",
            object_id=account_id,
            changes={"keys_revoked": revoked},
        )
    return Ok(_stored(work, account_id))


def enable_account(work: Work, account_id: AccountId) -> Result[AccountView, Rejected]:
    """The account may be signed in to again. What it lost stays lost."""
    found = _found(work, account_id, Action.ACCOUNT_GOVERN)
    if isinstance(found, Err):
        return found
    if not found.value.active:
        work.uow.accounts.save(replace(found.value, active=True))
        work.record("account.enabled", kind="account", object_id=account_id)
    return Ok(_stored(work, account_id))


def check_password(password: str, account: AccountView) -> Rejected | None:
    """Whether this may be the account's new password. Asked before the slow hash is made."""
    problem = password_problem(password, email=account.email)
    return None if problem is None else Rejected("password", problem)


def set_password(work: Work, account_id: AccountId, hashed: str) -> Result[AccountView, Rejected]:
    """Another password, given by an administrator; every session of the account ends."""
    found = _found(work, account_id, Action.ACCOUNT_GOVERN)
    if isinstance(found, Err):
        return found
    store_password(work, account_id, hashed)
    return Ok(_stored(work, account_id))


def store_password(
    work: Work, account_id: AccountId, hashed: str, *, but: bytes | None = None
) -> None:
    """Write it, and end the account's sessions (`but` one: whose owner changed it)."""
    work.uow.accounts.set_password(account_id, hashed)
    ended = work.uow.sessions.remove_of(account_id, but=but)
    work.record(
        "account.password_changed",
        kind="account",
        object_id=account_id,
        changes={"sessions_ended": ended},
    )


def _found(work: Work, account_id: AccountId, action: Action) -> Result[AccountView, Rejected]:
    wrong = work.denied(action, kind="account")
    account = None if wrong is not None else work.uow.accounts.get(account_id)
    if account is None:
        return Err(wrong or absent("account"))
    wrong = work.stale(account.version)
    return Ok(account) if wrong is None else Err(wrong)


def _last_admin(work: Work, account: AccountView) -> Rejected | None:
    """Somebody must be left who can let others in."""
    if not account.platform_admin:
        return None
    after: str | None = None
    while page := work.uow.accounts.page(Page(500, after)):
        if any(one.platform_admin and one.active and one.id != account.id for one in page):
            return None
        after = page[-1].id
    return Rejected("", "This is the last administrator of the platform.", Kind.CONFLICT)


def _stored(work: Work, account_id: AccountId) -> AccountView:
    account = work.uow.accounts.get(account_id)
    assert account is not None, "what was just written is there"
    return account
