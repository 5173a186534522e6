"""Tenants: created once, known by their slug."""

from tollway.app.admin.checks import check_name, check_slug
from tollway.app.admin.outcome import Ensured, Rejected
from tollway.app.ports_admin import Entropy, UnitOfWork
from tollway.domain.ids import TenantId, make_id
from tollway.domain.result import Err, Ok, Result
from tollway.domain.tenant import TenantRecord

MODEL_VIEWS = ("all", "listed")
_SALT_BYTES = 32


def create_tenant(
    uow: UnitOfWork, entropy: Entropy, *, slug: str, name: str | None = None, models: str = "all"
) -> Result[TenantRecord, Rejected]:
    """A new tenant; without a name it is called by its slug."""
    name = name or slug
    wrong = check_slug(slug) or check_name(name)
    if wrong is not None:
        return Err(wrong)
    if models not in MODEL_VIEWS:
        return Err(Rejected("models", f"models must be 'all' or 'listed', not {models!r}."))
    if uow.find_tenant(slug) is not None:
        return Err(Rejected("slug", f"There is a tenant {slug!r} already."))
    tenant_id = TenantId(make_id("ten", entropy(10)))
    tenant = TenantRecord(tenant_id, slug, name, entropy(_SALT_BYTES), models=models)
    uow.add_tenant(tenant)
    return Ok(tenant)


def ensure_tenant(
    uow: UnitOfWork, entropy: Entropy, *, slug: str, name: str | None = None, models: str = "all"
) -> Result[Ensured[TenantRecord], Rejected]:
    """The tenant of this slug, created if there is none."""
    found = uow.find_tenant(slug)
    if found is not None:
        return Ok(Ensured(found, created=False))
    made = create_tenant(uow, entropy, slug=slug, name=name, models=models)
    return made if isinstance(made, Err) else Ok(Ensured(made.value, created=True))
