"""The configuration one worker serves from: immutable, versioned, swapped as a whole."""

from dataclasses import dataclass, field

from tollway.domain.ids import KeyId, ProviderId, TenantId
from tollway.domain.key import KeyRecord
from tollway.domain.model import ModelRecord
from tollway.domain.provider import ProviderRecord
from tollway.domain.tenant import TenantRecord


@dataclass(frozen=True, slots=True)
class SnapshotRows:
    """A snapshot as it travels: rows only. `peppers` are wrapped by the master key."""

    version: int
    peppers: tuple[tuple[int, bytes], ...] = ()
    tenants: tuple[TenantRecord, ...] = ()
    keys: tuple[KeyRecord, ...] = ()
    providers: tuple[ProviderRecord, ...] = ()
    models: tuple[ModelRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A snapshot as it is asked: indexed once, then only read. `peppers` are opened."""

    version: int
    peppers: dict[int, bytes] = field(default_factory=dict)
    tenants: dict[TenantId, TenantRecord] = field(default_factory=dict)
    keys: dict[KeyId, KeyRecord] = field(default_factory=dict)
    providers: dict[ProviderId, ProviderRecord] = field(default_factory=dict)
    models: dict[tuple[TenantId | None, str], ModelRecord] = field(default_factory=dict)


EMPTY = Snapshot(version=-1)


def index(rows: SnapshotRows, peppers: dict[int, bytes]) -> Snapshot:
    """The asked form of travelled rows, with the peppers somebody opened."""
    return Snapshot(
        version=rows.version,
        peppers=peppers,
        tenants={row.id: row for row in rows.tenants},
        keys={row.id: row for row in rows.keys},
        providers={row.id: row for row in rows.providers},
        models={(row.tenant_id, row.name): row for row in rows.models},
    )


def find_model(snapshot: Snapshot, tenant_id: TenantId, name: str) -> ModelRecord | None:
    """The model a tenant means by a name: its own shadows the platform's. Disabled is absent."""
    model = snapshot.models.get((tenant_id, name)) or snapshot.models.get((None, name))
    return model if model is not None and model.enabled else None


def visible_models(snapshot: Snapshot, tenant_id: TenantId) -> list[ModelRecord]:
    """Every enabled model a tenant can name, by name; its own shadow the platform's."""
    found: dict[str, ModelRecord] = {}
    for (owner, name), model in snapshot.models.items():
        if owner == tenant_id or (owner is None and (tenant_id, name) not in snapshot.models):
            found[name] = model
    return [found[name] for name in sorted(found) if found[name].enabled]
