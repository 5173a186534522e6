"""Limits: made, changed and taken away. A tenant's administrators limit their own house; what the
platform's have set for it is its contract, and only theirs to change.
"""

from dataclasses import replace

from tollway.app.admin.checks import check_name
from tollway.app.admin.outcome import Kind, Rejected
from tollway.app.admin.reach import (
    model_in_reach,
    owner_for,
    quota_in_reach,
    sees,
    tenant_in_reach,
)
from tollway.app.admin.work import Work, changes_between
from tollway.app.views import ModelView, QuotaView
from tollway.domain.gateways import counting_problem
from tollway.domain.ids import (
    AccountId,
    KeyId,
    ModelId,
    ProjectId,
    ProviderId,
    QuotaId,
    TenantId,
    make_id,
)
from tollway.domain.policy import Action
from tollway.domain.quota import UPSTREAM_SCOPES, QuotaRecord, Scope, check_quota
from tollway.domain.result import Err, Ok, Result

PLATFORM, TENANT = "platform", "tenant"
_CHANGED = (
    "limit",
    "mode",
    "precision",
    "on_outage",
    "raised_to",
    "raised_until_s",
    "alert_at",
    "name",
)
_MAX_END_USER_CHARS = 256


def create_quota(
    work: Work, quota: QuotaRecord, *, managed_by: str | None = None
) -> Result[QuotaView, Rejected]:
    """A new limit; its id is made here. It begins where the ledger stands. Without a tenant it is
    that of the actor's one."""
    if quota.tenant_id is None and quota.scope not in UPSTREAM_SCOPES:
        owned = owner_for(work, Action.QUOTA_WRITE, None)
        if isinstance(owned, Err):
            return owned
        quota = replace(quota, tenant_id=owned.value)
    wrong = (
        work.denied(Action.QUOTA_WRITE, kind="tenant", tenant_id=quota.tenant_id)
        or _contract(work, quota)
        or _check(work, quota)
        or _check_named(work, quota)
    )
    if wrong is None:
        wrong = _twin_problem(work, quota)
    if wrong is None:
        problem = counting_problem(work.uow.quotas.gateways())
        wrong = None if problem is None else Rejected("", problem, Kind.CONFLICT)
    if wrong is not None:
        return Err(wrong)
    made = replace(quota, id=QuotaId(make_id("quo", work.entropy(10))))
    set_by = PLATFORM if work.actor.platform_admin else TENANT
    work.uow.quotas.add(QuotaView(made, set_by, managed_by))
    _record(work, "quota.created", made, {"limit": made.limit, **_facts(made)})
    return _stored(work, made.id)


def update_quota(work: Work, wanted: QuotaView) -> Result[QuotaView, Rejected]:
    """Another limit, mode, name or temporary increase. What it counts never changes."""
    before = _found(work, wanted.id)
    if isinstance(before, Err):
        return before
    old, new = before.value.quota, _without_past(work, before.value.quota, wanted.quota)
    fixed = {name: getattr(old, name) for name in _CHANGED}
    assert replace(new, **fixed) == old, "only what may be changed differs"
    wrong = _check(work, new, before=old)
    if wrong is not None:
        return Err(wrong)
    changes = changes_between(old, new, _CHANGED)
    if changes or wanted.managed_by != before.value.managed_by:
        # A limit that the platform's administrators have changed is theirs from then on.
        set_by = PLATFORM if work.actor.platform_admin else before.value.set_by
        work.uow.quotas.save(QuotaView(new, set_by, wanted.managed_by))
    if changes:
        _record(work, "quota.changed", new, changes)
    return _stored(work, wanted.id)


def delete_quota(work: Work, quota_id: QuotaId) -> Result[None, Rejected]:
    """The limit is gone. What was used stays in the ledger: a new one begins there."""
    found = _found(work, quota_id)
    if isinstance(found, Err):
        return found
    work.uow.quotas.remove(quota_id)
    quota = found.value.quota
    _record(work, "quota.deleted", quota, {"limit": quota.limit, **_facts(quota)})
    return Ok(None)


def reopen_quotas(work: Work) -> Result[None, Rejected]:
    """On record: strict limits wait no more for gateways that are away."""
    refused = work.denied(Action.QUOTA_REOPEN, kind="quota")
    if refused is not None:
        return Err(refused)
    work.record("quota.reopened", kind="quota", object_id="all")
    return Ok(None)


def drop_quotas_on(work: Work, scope: Scope, scope_id: str) -> None:
    """The thing is about to go, and its limits with it, each on record. The caller has asked the
    policy."""
    for view in work.uow.quotas.naming(scope, scope_id):
        work.uow.quotas.remove(view.id)
        _record(
            work, "quota.deleted", view.quota, {"limit": view.quota.limit, **_facts(view.quota)}
        )


def carry_quotas(work: Work, old: KeyId, new: KeyId) -> None:
    """A key that takes another's place is limited as that is: whoever may rotate a key must not get
    around its limits so. The caller has asked the policy."""
    for view in work.uow.quotas.naming(Scope.KEY, old):
        made = replace(view.quota, id=QuotaId(make_id("quo", work.entropy(10))), scope_id=new)
        work.uow.quotas.add(replace(view, quota=made))
        _record(work, "quota.created", made, {"limit": made.limit, **_facts(made)})


def _found(work: Work, quota_id: QuotaId) -> Result[QuotaView, Rejected]:
    """The limit, if the actor may change it."""
    found = quota_in_reach(work, quota_id)
    if isinstance(found, Err):
        return found
    view = found.value
    wrong = work.denied(Action.QUOTA_WRITE, kind="quota", tenant_id=view.quota.tenant_id)
    if wrong is None and view.set_by == PLATFORM and not work.actor.platform_admin:
        wrong = Rejected(
            "", "The platform's administrators have set this limit. Ask them.", Kind.FORBIDDEN
        )
    wrong = wrong or work.stale(view.version)
    return Ok(view) if wrong is None else Err(wrong)


def _check(work: Work, quota: QuotaRecord, before: QuotaRecord | None = None) -> Rejected | None:
    checked = check_quota(quota)
    if isinstance(checked, Err):
        return Rejected(*checked.error)
    if quota.name:
        wrong = check_name(quota.name, "name")
        if wrong is not None:
            return wrong
    raise_ = quota.raised_to, quota.raised_until_s
    if before is not None and raise_ == (before.raised_to, before.raised_until_s):
        return None
    if quota.raised_to is None:
        if not quota.raised_until_s:
            return None
        return Rejected("raised_to", "Say to how much the limit is raised until then.")
    if quota.raised_until_s <= work.uow.now_s:
        return Rejected("raised_until", "A temporary increase ends in the future: say when.")
    return None


def _check_named(work: Work, quota: QuotaRecord) -> Rejected | None:
    """What the rule names is there, and the owner's to name."""
    if quota.tenant_id is not None:
        tenant = tenant_in_reach(work, quota.tenant_id)
        if isinstance(tenant, Err):
            return tenant.error
    if quota.model_id is not None:
        model = model_in_reach(work, quota.model_id)
        if isinstance(model, Err) or not _may_use(work, quota.tenant_id, model.value):
            return Rejected("model_id", "There is no such model.")
    if quota.scope_id is None or _is_there(work, quota):
        return None
    return Rejected("scope_id", f"There is no such {quota.scope.replace('_', ' ')}.")


def _is_there(work: Work, quota: QuotaRecord) -> bool:
    uow, id_, tenant_id = work.uow, quota.scope_id or "", quota.tenant_id
    if tenant_id is None:
        # Only the platform's own: what a tenant has of those is limited inside the tenant.
        if quota.scope is Scope.PROVIDER:
            provider = uow.providers.get(ProviderId(id_))
            return provider is not None and provider.tenant_id is None
        model = uow.models.get(ModelId(id_))
        return model is not None and model.tenant_id is None
    if quota.scope is Scope.PROJECT:
        return uow.projects.get(tenant_id, ProjectId(id_)) is not None
    if quota.scope is Scope.ACCOUNT:
        return uow.members.get(tenant_id, AccountId(id_)) is not None
    if quota.scope is Scope.KEY:
        return uow.keys.get(tenant_id, KeyId(id_)) is not None
    return id_.isprintable() and len(id_) <= _MAX_END_USER_CHARS


def _may_use(work: Work, owner: TenantId | None, model: ModelView) -> bool:
    """A contract may come before the grant; a tenant names what it sees."""
    if owner is None or work.actor.platform_admin:
        return model.tenant_id in (None, owner)
    tenant = work.uow.tenants.get(owner)
    return tenant is not None and sees(work, tenant, model)


def _contract(work: Work, quota: QuotaRecord) -> Rejected | None:
    """What a tenant may use as a whole is what it has agreed with the platform."""
    whole = quota.scope is Scope.TENANT and quota.per is None and quota.model_id is None
    if not whole or work.actor.platform_admin:
        return None
    return Rejected(
        "",
        "What the tenant may use as a whole is set by the platform's administrators. Limit each "
        "project, account, key or end user of it (per), one of them, or a model.",
        Kind.FORBIDDEN,
    )


def _without_past(work: Work, old: QuotaRecord, new: QuotaRecord) -> QuotaRecord:
    """A temporary increase that is over must not stand in the way of a higher limit."""
    same = (old.raised_to, old.raised_until_s) == (new.raised_to, new.raised_until_s)
    over = new.raised_to is not None and new.raised_until_s <= work.uow.now_s
    return replace(new, raised_to=None, raised_until_s=0) if same and over else new


def _record(work: Work, fact: str, quota: QuotaRecord, changes: dict[str, object]) -> None:
    work.record(fact, kind="quota", object_id=quota.id, tenant_id=quota.tenant_id, changes=changes)


def _facts(quota: QuotaRecord) -> dict[str, object]:
    return {
        "scope": quota.scope,
        "scope_id": quota.scope_id,
        "model_id": quota.model_id,
        "per": quota.per,
        "metric": quota.metric,
        "period": quota.period,
    }


def _stored(work: Work, quota_id: QuotaId) -> Result[QuotaView, Rejected]:
    stored = work.uow.quotas.get(quota_id)
    assert stored is not None, "what was just written is there"
    return Ok(stored)


def _twin_problem(work: Work, quota: QuotaRecord) -> Rejected | None:
    twin = work.uow.quotas.twin(quota)
    if twin is None:
        return None
    return Rejected("", f"The same is limited already, by {twin.id}. Change that.", Kind.CONFLICT)
