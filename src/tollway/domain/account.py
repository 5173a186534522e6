"""People and projects: who a key belongs to besides its tenant."""

from dataclasses import dataclass
from enum import StrEnum

from tollway.domain.ids import AccountId, ProjectId, TenantId


class Role(StrEnum):
    """What an account may do in a tenant; `access.py` says what each role means."""

    TENANT_ADMIN = "tenant_admin"
    USER = "user"
    VIEWER = "viewer"


@dataclass(frozen=True, slots=True)
class AccountRecord:
    """A person. The e-mail address is kept in lower case and identifies them."""

    id: AccountId
    email: str
    name: str
    platform_admin: bool = False
    active: bool = True


@dataclass(frozen=True, slots=True)
class ProjectRecord:
    """A named part of a tenant's usage."""

    id: ProjectId
    tenant_id: TenantId
    name: str


@dataclass(frozen=True, slots=True)
class ProjectScope:
    """A project as the data plane sees it: its name, and what it narrows, the models of all its
    keys. None: nothing."""

    id: ProjectId
    tenant_id: TenantId
    models: tuple[str, ...] | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class MemberScope:
    """What a membership narrows: the models of all keys of this person in this tenant."""

    tenant_id: TenantId
    account_id: AccountId
    models: tuple[str, ...] | None = None
