"""The snapshot's rows as bytes: which sections a file has, what each row is found by, how it is
encoded. Field names travel with the values: a file may be read by a version that has more fields.
"""

from collections.abc import Callable, Iterator
from enum import IntEnum
from typing import Any, NamedTuple

import msgspec

from tollway.domain.account import MemberScope, ProjectScope
from tollway.domain.grant import GrantRecord
from tollway.domain.ids import AccountId, TenantId
from tollway.domain.key import KeyRecord
from tollway.domain.model import ModelRecord
from tollway.domain.provider import ProviderRecord
from tollway.domain.quota import QuotaPlace
from tollway.domain.snapshot import Kind, SnapshotRows, project_place
from tollway.domain.tenant import TenantRecord


class Section(IntEnum):
    """A part of a file. The numbers stand in files."""

    TENANTS = 0
    KEYS = 1
    PROJECTS = 2
    MEMBERS = 3
    PROVIDERS = 4
    MODELS = 5  # by id
    GRANTS = 6
    PLACES = 7  # owner and name -> the model's id
    NAMES = 8  # owner -> the names of its models
    SLUGS = 9  # slug -> the tenant's id
    PROJECT_NAMES = 10  # tenant and name -> the project's id
    QUOTAS = 11  # by place


class Row(NamedTuple):
    """One row as it is stored."""

    section: Section
    key: str
    data: bytes


Decode = Callable[[bytes], Any]
encode = msgspec.msgpack.Encoder().encode

DECODERS: dict[Section, Decode] = {
    Section.TENANTS: msgspec.msgpack.Decoder(TenantRecord).decode,
    Section.KEYS: msgspec.msgpack.Decoder(KeyRecord).decode,
    Section.PROJECTS: msgspec.msgpack.Decoder(ProjectScope).decode,
    Section.MEMBERS: msgspec.msgpack.Decoder(MemberScope).decode,
    Section.PROVIDERS: msgspec.msgpack.Decoder(ProviderRecord).decode,
    Section.MODELS: msgspec.msgpack.Decoder(ModelRecord).decode,
    Section.GRANTS: msgspec.msgpack.Decoder(GrantRecord).decode,
    Section.QUOTAS: msgspec.msgpack.Decoder(QuotaPlace).decode,
    Section.PLACES: msgspec.msgpack.Decoder(str).decode,
    Section.SLUGS: msgspec.msgpack.Decoder(str).decode,
    Section.PROJECT_NAMES: msgspec.msgpack.Decoder(str).decode,
    Section.NAMES: msgspec.msgpack.Decoder(tuple[str, ...]).decode,
}

SECTIONS: dict[Kind, Section] = {
    Kind.TENANT: Section.TENANTS,
    Kind.KEY: Section.KEYS,
    Kind.PROJECT: Section.PROJECTS,
    Kind.MEMBER: Section.MEMBERS,
    Kind.PROVIDER: Section.PROVIDERS,
    Kind.MODEL: Section.MODELS,
    Kind.GRANT: Section.GRANTS,
    Kind.QUOTA: Section.QUOTAS,
}


def rows_of(rows: SnapshotRows) -> Iterator[Row]:
    """Every record as a row of its section; what is derived from models (`PLACES`, `NAMES`) is
    left to whoever keeps them."""
    for tenant in rows.tenants:
        yield Row(Section.TENANTS, tenant.id, encode(tenant))
        # What was called so before is not taken back: who asks looks whether it is still so.
        yield Row(Section.SLUGS, tenant.slug, encode(tenant.id))
    for key in rows.keys:
        yield Row(Section.KEYS, key.id, encode(key))
    for project in rows.projects:
        yield Row(Section.PROJECTS, project.id, encode(project))
        place = project_place(project.tenant_id, project.name)
        yield Row(Section.PROJECT_NAMES, place, encode(project.id))
    for member in rows.members:
        place = member_key(member.tenant_id, member.account_id)
        yield Row(Section.MEMBERS, place, encode(member))
    for provider in rows.providers:
        yield Row(Section.PROVIDERS, provider.id, encode(provider))
    for model in rows.models:
        yield Row(Section.MODELS, model.id, encode(model))
    for grant in rows.grants:
        yield Row(Section.GRANTS, grant.holder, encode(grant))
    for quotas in rows.quotas:
        yield Row(Section.QUOTAS, quotas.place, encode(quotas))


def member_key(tenant_id: TenantId, account_id: AccountId) -> str:
    """What a membership is found by; the same as in its tombstone."""
    return f"{tenant_id}|{account_id}"


def place_key(owner: TenantId | None, name: str) -> str:
    """What a model's name is found by. An id has no `|`, so a name may."""
    return f"{owner or ''}|{name}"


def owner_key(owner: TenantId | None) -> str:
    """What an owner's list of names is found by."""
    return owner or ""
