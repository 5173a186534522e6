"""Tenants: known by their slug, switched off and on, deleted with a time to change one's mind."""

from dataclasses import dataclass, field, replace
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tollway.app.admin.checks import check_model_name, check_name, check_slug
from tollway.app.admin.outcome import Ensured, Kind, Rejected
from tollway.app.admin.reach import tenant_in_reach
from tollway.app.admin.work import Work, absent, changes_between
from tollway.app.views import TenantSettings, TenantView
from tollway.domain.ids import TenantId, make_id
from tollway.domain.policy import Action
from tollway.domain.result import Err, Ok, Result

MODEL_VIEWS = ("all", "listed")
RESTORABLE_S = 30 * 86_400
_SALT_BYTES = 32
_MAX_RETENTION_DAYS = 36_500
# Settings that the platform decides.
_GOVERNED = ("models", "group", "weight", "allowed_residency")
_MOST_WEIGHT = 1000.0


@dataclass(frozen=True, slots=True)
class TenantSpec:
    """What a tenant shall be. Without a name it is called by its slug."""

    slug: str
    name: str | None = None
    settings: TenantSettings = field(default_factory=TenantSettings)
    managed_by: str | None = None


def create_tenant(work: Work, spec: TenantSpec) -> Result[TenantView, Rejected]:
    """A new tenant."""
    name = spec.name or spec.slug
    wrong = (
        work.denied(Action.TENANT_CREATE, kind="tenant")
        or check_slug(spec.slug)
        or check_name(name)
        or check_settings(spec.settings)
    )
    if wrong is None and work.uow.tenants.find(spec.slug) is not None:
        wrong = Rejected("slug", f"There is a tenant {spec.slug!r} already.", Kind.CONFLICT)
    if wrong is not None:
        return Err(wrong)
    tenant_id = TenantId(make_id("ten", work.entropy(10)))
    tenant = TenantView(
        tenant_id, spec.slug, name, settings=spec.settings, managed_by=spec.managed_by
    )
    work.uow.tenants.add(tenant, work.entropy(_SALT_BYTES))
    work.record(
        "tenant.created",
        kind="tenant",
        object_id=tenant_id,
        tenant_id=tenant_id,
        changes={"slug": spec.slug, "name": name},
    )
    return Ok(_stored(work, tenant_id))


def ensure_tenant(work: Work, spec: TenantSpec) -> Result[Ensured[TenantView], Rejected]:
    """The tenant of this slug, created if there is none; one that is there is left as it is."""
    found = work.uow.tenants.find(spec.slug)
    if found is None or not work.actor.knows(found.id):
        made = create_tenant(work, spec)
        return made if isinstance(made, Err) else Ok(Ensured(made.value, created=True))
    if found.deleted_s is not None:
        return Err(
            Rejected(
                "slug",
                f"The tenant {spec.slug!r} was deleted. Restore it, or take another slug.",
                Kind.CONFLICT,
            )
        )
    return Ok(Ensured(found, created=False))


def update_tenant(work: Work, wanted: TenantView) -> Result[TenantView, Rejected]:
    """Another name or other settings; slug and id stay. What the platform decides, a tenant's own
    administrator may send along but not change."""
    found = living_tenant(work, wanted.id)
    if isinstance(found, Err):
        return found
    tenant = found.value
    governed = any(
        getattr(tenant.settings, name) != getattr(wanted.settings, name) for name in _GOVERNED
    )
    wrong = (
        work.denied(Action.TENANT_UPDATE, kind="tenant", tenant_id=tenant.id)
        or (work.denied(Action.TENANT_GOVERN, kind="tenant") if governed else None)
        or work.stale(tenant.version)
        or check_name(wanted.name)
        or check_settings(wanted.settings)
    )
    if wrong is not None:
        return Err(wrong)
    after = replace(
        tenant, name=wanted.name, settings=wanted.settings, managed_by=wanted.managed_by
    )
    return _saved(work, "tenant.updated", tenant, after)


def set_active(work: Work, tenant_id: TenantId, *, active: bool) -> Result[TenantView, Rejected]:
    """Whether the tenant's keys open anything. Nothing is lost by switching it off."""
    found = _governed(work, tenant_id)
    if isinstance(found, Err):
        return found
    fact = "tenant.activated" if active else "tenant.deactivated"
    return _saved(work, fact, found.value, replace(found.value, active=active))


def delete_tenant(work: Work, tenant_id: TenantId) -> Result[TenantView, Rejected]:
    """From now on the tenant and all it has are gone for everybody; for 30 days it can be
    restored. Its slug stays taken so long."""
    found = _governed(work, tenant_id)
    if isinstance(found, Err):
        return found
    after = replace(found.value, deleted_s=work.uow.now_s)
    return _saved(work, "tenant.deleted", found.value, after)


def restore_tenant(work: Work, tenant_id: TenantId) -> Result[TenantView, Rejected]:
    """The tenant is as it was before it was deleted."""
    wrong = work.denied(Action.TENANT_GOVERN, kind="tenant")
    tenant = work.uow.tenants.get(tenant_id)
    if wrong is None and (
        tenant is None
        or tenant.deleted_s is None
        or tenant.deleted_s + RESTORABLE_S <= work.uow.now_s
    ):
        wrong = absent("tenant to restore")
    if wrong is not None or tenant is None:
        return Err(wrong or absent("tenant"))
    wrong = work.stale(tenant.version)
    if wrong is not None:
        return Err(wrong)
    return _saved(work, "tenant.restored", tenant, replace(tenant, deleted_s=None))


def check_settings(settings: TenantSettings) -> Rejected | None:
    """The grammar of settings."""
    if settings.models not in MODEL_VIEWS:
        return Rejected("models", f"models must be 'all' or 'listed', not {settings.models!r}.")
    if settings.retention_days is not None and not (
        1 <= settings.retention_days <= _MAX_RETENTION_DAYS
    ):
        return Rejected("retention_days", f"retention_days is 1 to {_MAX_RETENTION_DAYS}.")
    try:
        ZoneInfo(settings.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return Rejected(
            "timezone", f"{settings.timezone!r} is no time zone such as Europe/Berlin or UTC."
        )
    if not 1 / _MOST_WEIGHT <= settings.weight <= _MOST_WEIGHT:
        return Rejected("weight", f"weight is {1 / _MOST_WEIGHT} to {_MOST_WEIGHT:.0f}.")
    return (
        (None if settings.group is None else check_name(settings.group, "group"))
        or _check_residency(settings.allowed_residency)
        or _check_model(settings.default_model)
    )


def _check_model(name: str | None) -> Rejected | None:
    """Whether there is such a model is asked with each request: it may come later."""
    return None if name is None else check_model_name(name, "default_model")


def _check_residency(allowed: tuple[str, ...] | None) -> Rejected | None:
    if allowed is None:
        return None
    if not allowed:
        return Rejected(
            "allowed_residency", "allowed_residency names one residency at least, or is null: any."
        )
    wrong = (check_name(name, "allowed_residency") for name in allowed)
    return next((one for one in wrong if one is not None), None)


def living_tenant(work: Work, tenant_id: TenantId) -> Result[TenantView, Rejected]:
    """The tenant, unless it is absent, deleted, or not the actor's to know of."""
    return tenant_in_reach(work, tenant_id)


def _governed(work: Work, tenant_id: TenantId) -> Result[TenantView, Rejected]:
    found = living_tenant(work, tenant_id)
    if isinstance(found, Err):
        return found
    wrong = work.denied(Action.TENANT_GOVERN, kind="tenant") or work.stale(found.value.version)
    return found if wrong is None else Err(wrong)


def _saved(
    work: Work, fact: str, before: TenantView, after: TenantView
) -> Result[TenantView, Rejected]:
    """Written and recorded, if anything changed."""
    if after != before:
        work.uow.tenants.save(after)
        changes = changes_between(before, after, ("name", "settings", "active", "deleted_s"))
        work.record(fact, kind="tenant", object_id=after.id, tenant_id=after.id, changes=changes)
    return Ok(_stored(work, after.id))


def _stored(work: Work, tenant_id: TenantId) -> TenantView:
    tenant = work.uow.tenants.get(tenant_id)
    assert tenant is not None, "what was just written is there"
    return tenant
