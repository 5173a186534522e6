"""Who is let through to find out, while nothing behind a model answers. One request of each tenant
at a time, so that no tenant's slow request keeps another out, and a few of a model. Pure.
"""

from tollway.domain.ids import ModelId, TenantId

_MOST_AT_ONCE = 8  # of a model


class Scouts:
    """Those under way in this worker: whose, by model."""

    __slots__ = ("_tenants",)

    def __init__(self) -> None:
        self._tenants: dict[ModelId, set[TenantId]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._tenants.values()))

    def may_go(self, model_id: ModelId, tenant_id: TenantId) -> bool:
        """Whether a request of this tenant is let through."""
        tenants = self._tenants.get(model_id, ())
        return len(tenants) < _MOST_AT_ONCE and tenant_id not in tenants

    def go(self, model_id: ModelId, tenant_id: TenantId) -> None:
        """It is. `come_back` once, whatever happens."""
        self._tenants.setdefault(model_id, set()).add(tenant_id)

    def come_back(self, model_id: ModelId, tenant_id: TenantId) -> None:
        """It is over."""
        tenants = self._tenants[model_id]
        tenants.discard(tenant_id)
        if not tenants:
            del self._tenants[model_id]
