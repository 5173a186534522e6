"""`/accounts`."""

from dataclasses import replace
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi import Path as PathParameter
from pydantic import BaseModel, Field, StrictBool

from tollway.app.admin.commands import accounts as commands
from tollway.app.admin.outcome import Rejected
from tollway.app.admin.queries import people as queries
from tollway.app.admin.work import Work
from tollway.app.views import AccountView
from tollway.domain.ids import AccountId
from tollway.domain.policy import Action
from tollway.domain.result import Err, Ok, Result
from tollway.web.admin.callers import Caller, route, tagged
from tollway.web.admin.forms import Form
from tollway.web.admin.paging import Listed, Paging, listed
from tollway.web.admin.times import moment_of

router = APIRouter(tags=["accounts"])
AccountPath = Annotated[
    str,
    PathParameter(max_length=64, description="An account's id.", examples=["acc_0123456789abcdef"]),
]
Email = Annotated[str, Field(max_length=254, examples=["ann@example.org"])]
Name = Annotated[str | None, Field(max_length=200, examples=["Ann Example"])]


class AccountIn(Form):
    """A new account, without a password."""

    email: Email
    name: Name = None
    platform_admin: StrictBool = False


class AccountChange(Form):
    """What shall be different; a field that is not sent stays."""

    email: Email | None = None
    name: Name = None
    platform_admin: StrictBool | None = None


class PasswordIn(Form):
    """A password for somebody."""

    password: str = Field(max_length=1024, examples=["correct horse battery staple"])


class AccountOut(BaseModel):
    """A person."""

    id: str = Field(examples=["acc_0123456789abcdef"])
    email: Email
    name: str
    platform_admin: bool
    active: bool
    has_password: bool
    managed_by: str | None
    created_at: datetime


@router.get("/accounts", **route(Action.ACCOUNT_LIST, "listAccounts"))
def list_accounts(
    caller: Caller,
    paging: Paging,
    q: Annotated[str | None, Query(max_length=200, description="Part of address or name.")] = None,
) -> Listed[AccountOut]:
    """Everybody."""
    found = caller.read(lambda work: queries.list_accounts(work, paging, search=q))
    return listed(found, paging, out=account_out, key=lambda view: view.id)


@router.post(
    "/accounts",
    status_code=201,
    response_model=AccountOut,
    **route(Action.ACCOUNT_CREATE, "createAccount"),
)
def create_account(caller: Caller, body: AccountIn) -> Response:
    """A new account. It signs in by an identity provider, or once it has a password."""
    spec = commands.AccountSpec(body.email, body.name, body.platform_admin)
    return caller.create(
        lambda work: commands.create_account(work, spec),
        out=account_out,
        location=lambda made: f"/api/v1/accounts/{made.id}",
    )


@router.get("/accounts/{account_id}", **route(Action.ACCOUNT_READ, "readAccount"))
def read_account(caller: Caller, account_id: AccountPath, response: Response) -> AccountOut:
    """One account."""
    return _answer(
        caller.read(lambda work: queries.read_account(work, AccountId(account_id))), response
    )


@router.patch("/accounts/{account_id}", **route(Action.ACCOUNT_UPDATE, "updateAccount"))
def update_account(
    *, caller: Caller, account_id: AccountPath, body: AccountChange, response: Response
) -> AccountOut:
    """Another address, name or standing."""

    def act(work: Work) -> Result[AccountView, Rejected]:
        found = queries.read_account(work, AccountId(account_id))
        if isinstance(found, Err):
            return found
        account = found.value
        admin = account.platform_admin if body.platform_admin is None else body.platform_admin
        return commands.update_account(
            work,
            replace(
                account,
                email=body.email or account.email,
                name=body.name or account.name,
                platform_admin=admin,
            ),
        )

    return _answer(caller.write(act), response)


@router.post("/accounts/{account_id}/disable", **route(Action.ACCOUNT_GOVERN, "disableAccount"))
def disable_account(caller: Caller, account_id: AccountPath, response: Response) -> AccountOut:
    """Sessions, tokens and keys of the account are gone, for good, within a second."""
    return _answer(
        caller.write(lambda work: commands.disable_account(work, AccountId(account_id))), response
    )


@router.post("/accounts/{account_id}/enable", **route(Action.ACCOUNT_GOVERN, "enableAccount"))
def enable_account(caller: Caller, account_id: AccountPath, response: Response) -> AccountOut:
    """The account may sign in again. What it lost stays lost."""
    return _answer(
        caller.write(lambda work: commands.enable_account(work, AccountId(account_id))), response
    )


@router.post(
    "/accounts/{account_id}/password",
    status_code=204,
    **route(Action.ACCOUNT_GOVERN, "setPassword"),
)
def set_password(caller: Caller, account_id: AccountPath, body: PasswordIn) -> None:
    """Give an account a password; all its sessions end."""

    def look(work: Work) -> Result[AccountView, Rejected]:
        wrong = work.denied(Action.ACCOUNT_GOVERN, kind="account")
        if wrong is not None:
            return Err(wrong)
        found = queries.read_account(work, AccountId(account_id))
        if isinstance(found, Err):
            return found
        weak = commands.check_password(body.password, found.value)
        return Ok(found.value) if weak is None else Err(weak)

    caller.read(look)
    hashed = caller.services.hasher.hash(body.password)
    caller.write(lambda work: commands.set_password(work, AccountId(account_id), hashed))


def account_out(view: AccountView) -> AccountOut:
    """An account on the wire."""
    return AccountOut(
        id=view.id,
        email=view.email,
        name=view.name,
        platform_admin=view.platform_admin,
        active=view.active,
        has_password=view.has_password,
        managed_by=view.managed_by,
        created_at=moment_of(view.created_s),
    )


def _answer(account: AccountView, response: Response) -> AccountOut:
    tagged(response, account.version)
    return account_out(account)
