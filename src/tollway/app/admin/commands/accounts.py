"""Accounts (people) and what they are in a tenant."""

from tollway.app.admin.checks import check_email, check_name
from tollway.app.admin.outcome import Ensured, Rejected
from tollway.app.ports_admin import Entropy, UnitOfWork
from tollway.domain.account import AccountRecord, Role
from tollway.domain.ids import AccountId, make_id
from tollway.domain.result import Err, Ok, Result
from tollway.domain.tenant import TenantRecord


def create_account(
    uow: UnitOfWork,
    entropy: Entropy,
    *,
    email: str,
    name: str | None = None,
    platform_admin: bool = False,
) -> Result[AccountRecord, Rejected]:
    """A new account; without a name it is called by its address."""
    email = email.lower()
    wrong = check_email(email) or check_name(name or email)
    if wrong is not None:
        return Err(wrong)
    if uow.find_account(email) is not None:
        return Err(Rejected("email", f"There is an account {email!r} already."))
    account_id = AccountId(make_id("acc", entropy(10)))
    account = AccountRecord(account_id, email, name or email, platform_admin)
    uow.add_account(account)
    return Ok(account)


def ensure_account(
    uow: UnitOfWork,
    entropy: Entropy,
    *,
    email: str,
    name: str | None = None,
    platform_admin: bool = False,
) -> Result[Ensured[AccountRecord], Rejected]:
    """The account of this address, created if there is none."""
    found = uow.find_account(email.lower())
    if found is not None:
        return Ok(Ensured(found, created=False))
    made = create_account(uow, entropy, email=email, name=name, platform_admin=platform_admin)
    return made if isinstance(made, Err) else Ok(Ensured(made.value, created=True))


def ensure_membership(
    uow: UnitOfWork, *, tenant: TenantRecord, account: AccountRecord, role: str = "user"
) -> Result[Ensured[Role], Rejected]:
    """The account's role in the tenant; one it already has is kept."""
    if role not in list(Role):
        return Err(Rejected("role", f"{role!r} is no role: {', '.join(Role)}."))
    held = uow.find_role(tenant.id, account.id)
    if held is not None:
        return Ok(Ensured(held, created=False))
    uow.add_membership(tenant.id, account.id, Role(role))
    return Ok(Ensured(Role(role), created=True))
