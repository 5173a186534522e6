"""Grants: platform models opened to a tenant, or to every tenant of a group. Only the platform's
administrators give and take them.
"""

from tollway.app.admin.checks import check_name
from tollway.app.admin.outcome import Ensured, Kind, Rejected
from tollway.app.admin.reach import GROUP, tenant_in_reach
from tollway.app.admin.work import Work, absent
from tollway.app.views import GrantView
from tollway.domain.ids import ModelId, TenantId
from tollway.domain.policy import Action
from tollway.domain.result import Err, Ok, Result


def create_grant(
    work: Work,
    model_id: ModelId,
    *,
    tenant_id: TenantId | None = None,
    group: str | None = None,
) -> Result[GrantView, Rejected]:
    """Open a platform model to one tenant or to one group. A group is whoever is in it at the
    time."""
    made = ensure_grant(work, model_id, tenant_id=tenant_id, group=group)
    if isinstance(made, Err):
        return made
    if made.value.created:
        return Ok(made.value.value)
    return Err(Rejected("model_id", "The model is granted to them already.", Kind.CONFLICT))


def ensure_grant(
    work: Work,
    model_id: ModelId,
    *,
    tenant_id: TenantId | None = None,
    group: str | None = None,
) -> Result[Ensured[GrantView], Rejected]:
    """The grant, given if there is none."""
    wrong = work.denied(Action.GRANT_WRITE, kind="tenant", tenant_id=tenant_id)
    wrong = wrong or _check(work, model_id, tenant_id=tenant_id, group=group)
    if wrong is not None:
        return Err(wrong)
    grant = GrantView(model_id, tenant_id, group)
    found = work.uow.grants.get(model_id, grant.holder)
    if found is not None:
        return Ok(Ensured(found, created=False))
    work.uow.grants.add(grant)
    _record(work, "grant.created", grant)
    stored = work.uow.grants.get(model_id, grant.holder)
    assert stored is not None, "what was just written is there"
    return Ok(Ensured(stored, created=True))


def delete_grant(work: Work, model_id: ModelId, holder: str) -> Result[None, Rejected]:
    """Take a grant back. `holder` is a tenant's id or `group:NAME`."""
    tenant_id = None if holder.startswith(GROUP) else TenantId(holder)
    wrong = work.denied(Action.GRANT_WRITE, kind="grant", tenant_id=tenant_id)
    if wrong is not None:
        return Err(wrong)
    grant = work.uow.grants.get(model_id, holder)
    wrong = absent("grant") if grant is None else work.stale(grant.version)
    if wrong is not None or grant is None:
        return Err(wrong or absent("grant"))
    work.uow.grants.remove(model_id, holder)
    _record(work, "grant.deleted", grant)
    return Ok(None)


def _check(
    work: Work, model_id: ModelId, *, tenant_id: TenantId | None, group: str | None
) -> Rejected | None:
    if (tenant_id is None) == (group is None):
        return Rejected("tenant_id", "A grant is to a tenant or to a group: give one of the two.")
    if tenant_id is not None:
        tenant = tenant_in_reach(work, tenant_id)
        if isinstance(tenant, Err):
            return tenant.error
    wrong = None if group is None else check_name(group, "group")
    if wrong is not None:
        return wrong
    model = work.uow.models.get(model_id)
    if model is None:
        return Rejected("model_id", "There is no such model.")
    if model.tenant_id is not None:
        return Rejected("model_id", "Only the platform's models are granted; this is a tenant's.")
    return None


def _record(work: Work, fact: str, grant: GrantView) -> None:
    work.record(
        fact,
        kind="grant",
        object_id=f"{grant.holder}|{grant.model_id}",
        tenant_id=grant.tenant_id,
        changes={"model_id": grant.model_id, "holder": grant.holder},
    )
