"""What people change about themselves."""

from dataclasses import replace

from tollway.app.admin.checks import check_name
from tollway.app.admin.commands.accounts import check_password
from tollway.app.admin.outcome import Kind, Rejected
from tollway.app.admin.work import Work
from tollway.app.views import AccountView
from tollway.domain.policy import Action
from tollway.domain.result import Err, Ok, Result


def rename(work: Work, name: str) -> Result[AccountView, Rejected]:
    """Another name."""
    found = _myself(work)
    if isinstance(found, Err):
        return found
    before = found.value
    wrong = check_name(name) or work.stale(before.version)
    if wrong is not None:
        return Err(wrong)
    if name != before.name:
        work.uow.accounts.save(replace(before, name=name))
        changes = {"name": [before.name, name]}
        work.record("account.updated", kind="account", object_id=before.id, changes=changes)
    return _myself(work)


def password_to_change(work: Work, password: str) -> Result[str | None, Rejected]:
    """The hash of the current password (None when there is none), if the new one may be."""
    found = _myself(work)
    if isinstance(found, Err):
        return found
    weak = check_password(password, found.value)
    return Err(weak) if weak is not None else Ok(work.uow.accounts.password(found.value.id))


def _myself(work: Work) -> Result[AccountView, Rejected]:
    account_id = work.actor.account_id
    wrong = work.denied(Action.ME_UPDATE, kind="account", owner=account_id)
    account = None if account_id is None else work.uow.accounts.get(account_id)
    if wrong is not None or account is None:
        return Err(wrong or Rejected("", "Only a person has this.", Kind.FORBIDDEN))
    return Ok(account)
