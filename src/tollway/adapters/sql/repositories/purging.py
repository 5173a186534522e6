"""What is removed for good when a tenant can no longer be restored. The ledger and the audit stay
as they are: they name ids, and ids are never given twice.
"""

from sqlalchemy import Table, select

from tollway.adapters.sql.repositories.quotas import forget_quotas
from tollway.adapters.sql.repositories.unit import Unit
from tollway.adapters.sql.repositories.webhooks import forget_webhooks
from tollway.adapters.sql.tables import (
    access_tokens,
    api_keys,
    grants,
    memberships,
    model_targets,
    models,
    prices,
    projects,
    provider_config,
    provider_credentials,
    providers,
    quotas,
    tenants,
    webhooks,
)
from tollway.domain.ids import TenantId

# Whose children go with them, then those that name the tenant: each before what it refers to.
_CHILDREN = (
    (grants, grants.c.model_id, models),
    (model_targets, model_targets.c.model_id, models),
    (model_targets, model_targets.c.provider_id, providers),
    (provider_credentials, provider_credentials.c.provider_id, providers),
    (provider_config, provider_config.c.provider_id, providers),
)
_OWNED: tuple[tuple[Table, str | None], ...] = (
    (grants, None),
    (prices, None),
    (access_tokens, None),
    (models, "model"),
    (providers, "provider"),
    (api_keys, "key"),
    (projects, "project"),
    (memberships, None),
)


def purge_tenant(unit: Unit, tenant_id: TenantId) -> None:
    """Remove all a deleted tenant had. Its row stays, without its name, so that its id stays
    taken; its slug is free again."""
    forget_quotas(unit, quotas.c.tenant_id == tenant_id)
    forget_webhooks(unit, webhooks.c.tenant_id == tenant_id)
    for child, column, parent in _CHILDREN:
        owned = select(parent.c.id).where(parent.c.tenant_id == tenant_id)
        unit.remove(child, column.in_(owned))
    for table, kind in _OWNED:
        if kind is not None:
            for row in unit.rows(select(table.c.id).where(table.c.tenant_id == tenant_id)):
                unit.bury(kind, row.id)
        unit.remove(table, table.c.tenant_id == tenant_id)
    # `~` begins no slug: nobody can have this one, and the row shows that the tenant was purged.
    unit.change(tenants, tenants.c.id == tenant_id, slug=f"~{tenant_id}", name="", managed_by=None)
