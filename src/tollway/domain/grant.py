"""A grant: platform models opened to one tenant, or to every tenant of a group."""

from dataclasses import dataclass

from tollway.domain.ids import ModelId, TenantId


def tenant_holder(tenant_id: TenantId) -> str:
    """The holder's name of one tenant: its id."""
    return str(tenant_id)


def group_holder(group: str) -> str:
    """The holder's name of a group of tenants."""
    return f"group:{group}"


@dataclass(frozen=True, slots=True)
class GrantRecord:
    """All platform models opened to one holder."""

    holder: str
    models: tuple[ModelId, ...] = ()
