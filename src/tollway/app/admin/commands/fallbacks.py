"""Which models a model may fall back on: such that its owner may call, and never in a circle.

A name is looked up as the data plane does: the owner's own model before the platform's. A circle
that closes later, when a tenant's model comes to stand before a platform model, is not found here:
the data plane must bear one.
"""

from tollway.app.admin.outcome import Rejected
from tollway.app.admin.reach import sees
from tollway.app.admin.work import Work
from tollway.app.views import ModelView, TenantView
from tollway.domain.ids import TenantId

MAX_FALLBACKS = 8
_MAX_REACHED = 64  # models in all that may be reached by falling back


def check_fallbacks(work: Work, model: ModelView, before: ModelView) -> Rejected | None:
    """None, or what is wrong with the fallbacks. One that was there before is not asked for again:
    the model it names may be gone."""
    if (model.name, model.fallbacks) == (before.name, before.fallbacks):
        return None
    if len(model.fallbacks) > MAX_FALLBACKS:
        return Rejected("fallbacks", f"A model has at most {MAX_FALLBACKS} fallbacks.")
    if len(set(model.fallbacks)) < len(model.fallbacks):
        return Rejected("fallbacks", "A fallback is named twice.")
    tenant = None if model.tenant_id is None else work.uow.tenants.get(model.tenant_id)
    for name in model.fallbacks:
        if name == model.name:
            return Rejected("fallbacks", "A model does not fall back on itself.")
        if name not in before.fallbacks and not _callable(work, tenant, name):
            return Rejected("fallbacks", f"There is no model {name!r} to fall back on.")
    return _check_circle(work, model)


def _check_circle(work: Work, model: ModelView) -> Rejected | None:
    waiting, reached = list(model.fallbacks), set(model.fallbacks)
    while waiting:
        via = waiting.pop()
        for name in _fallbacks_of(work, model.tenant_id, via):
            if name == model.name:
                return Rejected("fallbacks", f"{via!r} falls back on this model.")
            if name not in reached:
                reached.add(name)
                waiting.append(name)
        if len(reached) > _MAX_REACHED:
            return Rejected("fallbacks", "The fallbacks lead to too many models in turn.")
    return None


def _fallbacks_of(work: Work, owner: TenantId | None, name: str) -> tuple[str, ...]:
    own = work.uow.models.find(owner, name)
    found = own if own is not None else work.uow.models.find(None, name)
    return () if found is None else found.fallbacks


def _callable(work: Work, tenant: TenantView | None, name: str) -> bool:
    """A platform model falls back on platform models; a tenant's, on those the tenant sees."""
    if tenant is None:
        return work.uow.models.find(None, name) is not None
    if work.uow.models.find(tenant.id, name) is not None:
        return True
    shared = work.uow.models.find(None, name)
    return shared is not None and sees(work, tenant, shared)
