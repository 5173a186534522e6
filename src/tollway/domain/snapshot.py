"""The configuration one worker serves from: immutable, versioned, swapped as a whole. It is asked
through look-ups, so that a million rows need not be a million objects; dicts will do as well.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, TypeVar

from tollway.domain.account import MemberScope, ProjectScope
from tollway.domain.grant import GrantRecord
from tollway.domain.ids import AccountId, KeyId, ProjectId, ProviderId, TenantId
from tollway.domain.key import KeyRecord
from tollway.domain.model import ModelRecord
from tollway.domain.provider import ProviderRecord
from tollway.domain.quota import QuotaPlace
from tollway.domain.tenant import TenantRecord

K_contra = TypeVar("K_contra", contravariant=True)
V_co = TypeVar("V_co", covariant=True)


class Lookup(Protocol[K_contra, V_co]):
    """Rows by their key. What is found once for a snapshot is found always."""

    def get(self, key: K_contra, /) -> V_co | None:
        """The row, or None."""


class Kind(StrEnum):
    """What a snapshot holds. The values stand in the database (tombstones)."""

    TENANT = "tenant"
    KEY = "key"
    PROJECT = "project"
    MEMBER = "member"
    PROVIDER = "provider"
    MODEL = "model"
    GRANT = "grant"
    QUOTA = "quota"


@dataclass(frozen=True, slots=True)
class SnapshotRows:
    """Rows as they travel. `peppers` are wrapped by the master key."""

    version: int
    peppers: tuple[tuple[int, bytes], ...] = ()
    tenants: tuple[TenantRecord, ...] = ()
    keys: tuple[KeyRecord, ...] = ()
    providers: tuple[ProviderRecord, ...] = ()
    models: tuple[ModelRecord, ...] = ()
    projects: tuple[ProjectScope, ...] = ()
    members: tuple[MemberScope, ...] = ()
    grants: tuple[GrantRecord, ...] = ()
    quotas: tuple[QuotaPlace, ...] = ()


@dataclass(frozen=True, slots=True)
class SnapshotChanges:
    """What became of version `since`: rows as they are at `rows.version`, and what is gone. A
    member's id is `tenant|account`, a grant's its holder, a quota's its place. Removals come before
    rows."""

    since: int
    rows: SnapshotRows
    removed: tuple[tuple[Kind, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A configuration as it is asked. `peppers` are opened; `names` are those of an owner's
    models, None for the platform's. `slugs` and `project_names` may still have a name that was
    given up: ask `find_tenant` and `find_project`."""

    version: int
    peppers: Lookup[int, bytes] = field(default_factory=dict[int, bytes])
    tenants: Lookup[TenantId, TenantRecord] = field(default_factory=dict[TenantId, TenantRecord])
    keys: Lookup[KeyId, KeyRecord] = field(default_factory=dict[KeyId, KeyRecord])
    providers: Lookup[ProviderId, ProviderRecord] = field(
        default_factory=dict[ProviderId, ProviderRecord]
    )
    models: Lookup[tuple[TenantId | None, str], ModelRecord] = field(
        default_factory=dict[tuple[TenantId | None, str], ModelRecord]
    )
    names: Lookup[TenantId | None, Collection[str]] = field(
        default_factory=dict[TenantId | None, Collection[str]]
    )
    projects: Lookup[ProjectId, ProjectScope] = field(default_factory=dict[ProjectId, ProjectScope])
    slugs: Lookup[str, TenantId] = field(default_factory=dict[str, TenantId])
    project_names: Lookup[str, ProjectId] = field(default_factory=dict[str, ProjectId])
    members: Lookup[tuple[TenantId, AccountId], MemberScope] = field(
        default_factory=dict[tuple[TenantId, AccountId], MemberScope]
    )
    grants: Lookup[str, GrantRecord] = field(default_factory=dict[str, GrantRecord])
    quotas: Lookup[str, QuotaPlace] = field(default_factory=dict[str, QuotaPlace])


EMPTY = Snapshot(version=-1)


def index(rows: SnapshotRows, peppers: dict[int, bytes]) -> Snapshot:
    """The asked form of travelled rows in plain dicts, with the peppers somebody opened."""
    return Snapshot(
        version=rows.version,
        peppers=peppers,
        tenants={row.id: row for row in rows.tenants},
        keys={row.id: row for row in rows.keys},
        providers={row.id: row for row in rows.providers},
        models={(row.tenant_id, row.name): row for row in rows.models},
        names=names_by_owner(rows.models),
        projects={row.id: row for row in rows.projects},
        slugs={row.slug: row.id for row in rows.tenants},
        project_names={project_place(row.tenant_id, row.name): row.id for row in rows.projects},
        members={(row.tenant_id, row.account_id): row for row in rows.members},
        grants={row.holder: row for row in rows.grants},
        quotas={row.place: row for row in rows.quotas},
    )


def names_by_owner(models: Iterable[ModelRecord]) -> dict[TenantId | None, Collection[str]]:
    """The names each owner gave its models."""
    names: dict[TenantId | None, list[str]] = defaultdict(list)
    for model in models:
        names[model.tenant_id].append(model.name)
    return {owner: tuple(given) for owner, given in names.items()}


def project_place(tenant_id: TenantId, name: str) -> str:
    """What a project's name is found by. An id has no `|`, so a name may."""
    return f"{tenant_id}|{name}"


def find_tenant(snapshot: Snapshot, slug: str) -> TenantRecord | None:
    """The tenant that has this slug now."""
    id_ = snapshot.slugs.get(slug)
    tenant = None if id_ is None else snapshot.tenants.get(id_)
    return tenant if tenant is not None and tenant.slug == slug else None


def find_project(snapshot: Snapshot, tenant_id: TenantId, name: str) -> ProjectScope | None:
    """The tenant's project that has this name now."""
    id_ = snapshot.project_names.get(project_place(tenant_id, name))
    project = None if id_ is None else snapshot.projects.get(id_)
    if project is None or (project.tenant_id, project.name) != (tenant_id, name):
        return None
    return project


def find_model(snapshot: Snapshot, tenant_id: TenantId, name: str) -> ModelRecord | None:
    """The model a tenant means by a name: its own shadows the platform's. Disabled is absent."""
    model = snapshot.models.get((tenant_id, name)) or snapshot.models.get((None, name))
    return model if model is not None and model.enabled else None


def visible_models(snapshot: Snapshot, tenant_id: TenantId) -> list[ModelRecord]:
    """Every enabled model a tenant can name, by name; its own shadow the platform's."""
    names = {*(snapshot.names.get(None) or ()), *(snapshot.names.get(tenant_id) or ())}
    found = (find_model(snapshot, tenant_id, name) for name in sorted(names))
    return [model for model in found if model is not None]
