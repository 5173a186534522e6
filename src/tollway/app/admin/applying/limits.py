"""Quotas of a file, each compared with what is there: names become ids and back, USD nano-USD."""

from collections.abc import Callable
from dataclasses import replace

from msgspec.structs import replace as replaced

from tollway.app.admin.applying.entries import moment, seconds
from tollway.app.admin.applying.run import Run, StoppedError
from tollway.app.admin.commands import quotas
from tollway.app.admin.manifest import QuotaEntry, identity
from tollway.app.views import BY_FILE, QuotaView
from tollway.domain.ids import AccountId, KeyId, ModelId, ProjectId, ProviderId, QuotaId, TenantId
from tollway.domain.money import read_usd, usd_text
from tollway.domain.quota import Metric, QuotaRecord, Scope, counter_name


def apply_quota(run: Run, entry: QuotaEntry) -> None:
    """One limit. It is known by what it counts."""
    wanted = _full(run, entry)
    name, quota = identity("quotas", entry), _record(run, wanted)
    found = run.uow.quotas.twin(quota)
    if found is None:
        run.take(quotas.create_quota(run.work, quota, managed_by=BY_FILE))
        run.created("quota", name)
        return
    old = quota_entry(run, found)
    if run.differs("quota", name, old=old, new=wanted, managed_by=found.managed_by):
        after = replace(quota, id=found.id)
        run.take(quotas.update_quota(run.work, replace(found, quota=after, managed_by=BY_FILE)))


def quota_entry(run: Run, view: QuotaView) -> QuotaEntry:
    """A limit as a file would say it."""
    quota = _today(run, view.quota)
    tenant = None if quota.tenant_id is None else run.uow.tenants.get(quota.tenant_id)
    raised = quota.raised_to
    entry = QuotaEntry(
        metric=quota.metric,
        limit=_written(quota.metric, quota.limit),
        period=quota.period,
        tenant=None if tenant is None else tenant.slug,
        per=quota.per,
        mode=quota.mode,
        precision=quota.precision,
        on_outage=quota.on_outage,
        raised_to=None if raised is None else _written(quota.metric, raised),
        raised_until=None if raised is None else moment(quota.raised_until_s),
        alert_at=quota.alert_at,
        name=quota.name,
    )
    if quota.model_id is not None:
        model = run.uow.models.get(quota.model_id)
        entry = replaced(entry, model=quota.model_id if model is None else model.name)
    named = _NAMED.get(quota.scope)
    if named is None or quota.scope_id is None:
        return entry
    return replaced(entry, **{quota.scope.value: named(run, quota.tenant_id, quota.scope_id)})


def is_named(run: Run, view: QuotaView, entry: QuotaEntry) -> bool:
    """Whether a file with this entry would mean this limit: a key that was rotated has given its
    name away, who has left has no address here."""
    try:
        return counter_name(_record(run, entry), None) == counter_name(view.quota, None)
    except StoppedError:
        return False


def _today(run: Run, quota: QuotaRecord) -> QuotaRecord:
    over = quota.raised_to is not None and quota.raised_until_s <= run.uow.now_s
    return replace(quota, raised_to=None, raised_until_s=0) if over else quota


def _full(run: Run, entry: QuotaEntry) -> QuotaEntry:
    """The entry in the one form it can be compared in. An increase that is over says nothing any
    more: a file that has one goes on meaning what it meant."""
    scope = _scope(run, entry)
    changes = {"limit": _written(entry.metric, _amount(run, entry, "limit", entry.limit))}
    until_s = seconds(entry.raised_until)
    if until_s is not None and until_s <= run.uow.now_s:
        entry = replaced(entry, raised_to=None, raised_until=None)
    else:
        entry = replaced(entry, raised_until=moment(until_s))
    if entry.raised_to is not None:
        changes["raised_to"] = _written(
            entry.metric, _amount(run, entry, "raised_to", entry.raised_to)
        )
    if scope is Scope.ACCOUNT and entry.account is not None:
        changes["account"] = entry.account.lower()
    return replaced(entry, **changes)


def _record(run: Run, entry: QuotaEntry) -> QuotaRecord:
    scope, owner = _scope(run, entry), run.owner(entry.tenant)
    model_id = None
    if entry.model is not None and scope is not Scope.MODEL:
        found = run.uow.models.find(owner, entry.model) or run.uow.models.find(None, entry.model)
        if found is None:
            run.stop(f"there is no model '{entry.model}'.", field="model")
        model_id = found.id
    raised = entry.raised_to
    return QuotaRecord(
        QuotaId(""),
        owner,
        scope,
        _scope_id(run, entry, scope, owner),
        entry.metric,
        entry.period,
        _amount(run, entry, "limit", entry.limit),
        model_id,
        entry.per,
        entry.mode,
        entry.precision,
        entry.on_outage,
        None if raised is None else _amount(run, entry, "raised_to", raised),
        seconds(entry.raised_until) or 0,
        entry.alert_at,
        entry.name,
    )


def _scope(run: Run, entry: QuotaEntry) -> Scope:
    given = [scope for scope in _NAMED if getattr(entry, scope.value) is not None]
    if entry.tenant is not None and Scope.MODEL in given:
        given.remove(Scope.MODEL)  # beside a tenant it narrows
    if len(given) > 1:
        run.stop(f"{given[0]} and {given[1]}: a limit is on one of them.", field=given[1])
    if given:
        return given[0]
    return Scope.PLATFORM if entry.tenant is None else Scope.TENANT


def _scope_id(run: Run, entry: QuotaEntry, scope: Scope, owner: TenantId | None) -> str | None:
    name = getattr(entry, scope.value, None)
    if name is None or scope in (Scope.PLATFORM, Scope.TENANT):
        return None
    if scope is Scope.END_USER:
        return str(name)
    if scope is Scope.PROVIDER:
        return run.provider(None, name).id
    if scope is Scope.MODEL:
        return run.platform_model(name).id
    if owner is None:
        run.stop(f"a {scope} is a tenant's: say whose.", field="tenant")
    if scope is Scope.PROJECT:
        return run.project(owner, name).id
    if scope is Scope.KEY:
        keys = [key for key in run.uow.keys.find(owner, name) if key.revoked_s is None]
        if not keys:
            run.stop(f"there is no key '{name}'.", field="key")
        return max(keys, key=lambda key: (key.created_s, key.version)).id
    account = run.uow.accounts.find(name.lower())
    if account is None or run.uow.members.get(owner, account.id) is None:
        run.stop(f"'{name}' is no member.", field="account")
    return account.id


def _project_name(run: Run, tenant_id: TenantId | None, id_: str) -> str:
    project = None if tenant_id is None else run.uow.projects.get(tenant_id, ProjectId(id_))
    return id_ if project is None else project.name


def _account_name(run: Run, _: TenantId | None, id_: str) -> str:
    account = run.uow.accounts.get(AccountId(id_))
    return id_ if account is None else account.email


def _key_name(run: Run, tenant_id: TenantId | None, id_: str) -> str:
    key = None if tenant_id is None else run.uow.keys.get(tenant_id, KeyId(id_))
    return id_ if key is None else key.name


def _provider_name(run: Run, _: TenantId | None, id_: str) -> str:
    provider = run.uow.providers.get(ProviderId(id_))
    return id_ if provider is None else provider.name


def _model_name(run: Run, _: TenantId | None, id_: str) -> str:
    model = run.uow.models.get(ModelId(id_))
    return id_ if model is None else model.name


_NAMED: dict[Scope, Callable[[Run, TenantId | None, str], str]] = {
    Scope.PROJECT: _project_name,
    Scope.ACCOUNT: _account_name,
    Scope.KEY: _key_name,
    Scope.END_USER: lambda _run, _tenant, name: name,
    Scope.PROVIDER: _provider_name,
    Scope.MODEL: _model_name,
}


def _amount(run: Run, entry: QuotaEntry, field: str, given: int | str) -> int:
    if entry.metric is not Metric.COST:
        if isinstance(given, str):
            run.stop("only cost is in USD: write a whole number.", field=field)
        return given
    nusd = read_usd(given) if isinstance(given, str) else None
    if nusd is None:
        run.stop('cost is USD in quotes, like "250" or "0.5".', field=field)
    return nusd


def _written(metric: Metric, amount: int) -> int | str:
    return usd_text(amount) if metric is Metric.COST else amount
