"""Keys as their owners and the tenant's administrators see them."""

from dataclasses import dataclass

from tollway.app.admin.commands.tenants import living_tenant
from tollway.app.admin.outcome import Rejected
from tollway.app.admin.work import Work, absent
from tollway.app.ports_directory import Page
from tollway.app.views import KeyView
from tollway.domain.ids import AccountId, KeyId, ProjectId, TenantId
from tollway.domain.policy import Action
from tollway.domain.result import Err, Ok, Result


@dataclass(frozen=True, slots=True)
class KeyFilter:
    """Which keys; None is no filter."""

    account_id: AccountId | None = None
    project_id: ProjectId | None = None
    live: bool | None = None


def list_keys(
    work: Work, tenant_id: TenantId, *, at: Page, only: KeyFilter
) -> Result[list[KeyView], Rejected]:
    """A tenant's keys; a user's list holds their own alone."""
    tenant = living_tenant(work, tenant_id)
    if isinstance(tenant, Err):
        return tenant
    wrong = work.denied(Action.KEY_LIST, kind="key", tenant_id=tenant_id, writes=False)
    if wrong is not None:
        return Err(wrong)
    account_id = only.account_id
    if work.denied(Action.KEY_READ, kind="key", tenant_id=tenant_id, writes=False) is not None:
        if account_id not in (None, work.actor.account_id) or work.actor.account_id is None:
            return Ok([])
        account_id = work.actor.account_id
    return Ok(
        work.uow.keys.page(
            tenant_id, at, account_id=account_id, project_id=only.project_id, live=only.live
        )
    )


def read_key(work: Work, tenant_id: TenantId, key_id: KeyId) -> Result[KeyView, Rejected]:
    """One key; a colleague's is absent for a user."""
    tenant = living_tenant(work, tenant_id)
    if isinstance(tenant, Err):
        return tenant
    key = work.uow.keys.get(tenant_id, key_id)
    if key is None or (
        work.denied(
            Action.KEY_READ, kind="key", tenant_id=tenant_id, owner=key.account_id, writes=False
        )
        is not None
    ):
        return Err(absent("key"))
    return Ok(key)


def find_key(work: Work, key_id: KeyId, tenant_id: TenantId | None) -> Result[KeyView, Rejected]:
    """One key by its id, whichever tenant's it is of those the actor may see."""
    if tenant_id is not None:
        return read_key(work, tenant_id, key_id)
    owner = work.uow.keys.owner(key_id)
    found = None if owner is None else read_key(work, owner, key_id)
    # Whose it is must not show in what is absent.
    return found if isinstance(found, Ok) else Err(absent("key"))
