"""The one policy table of the control plane: which standing an action takes. Commands and queries
ask `decide`; nobody else compares roles.

A tenant that is not the actor's does not exist for the actor: HIDDEN reads like absent.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from tollway.domain.account import Role
from tollway.domain.ids import AccountId, TenantId


class Standing(StrEnum):
    """What an actor is to the thing acted on."""

    PLATFORM_ADMIN = "platform_admin"
    TENANT_ADMIN = "tenant_admin"  # of the thing's tenant
    VIEWER = "viewer"  # of the thing's tenant
    USER_OWN = "user_own"  # a user of the thing's tenant, and the thing is their own
    MEMBER = "member"  # any role in the thing's tenant
    SELF = "self"  # the thing is their own, or themselves; no tenant asked
    ANYONE = "anyone"  # whoever is signed in; what they see is narrowed to what is theirs


class Action(StrEnum):
    """Everything that can be done on the control plane."""

    TENANT_LIST = "tenant.list"
    TENANT_READ = "tenant.read"
    TENANT_CREATE = "tenant.create"
    TENANT_UPDATE = "tenant.update"  # name and settings a tenant may choose
    TENANT_GOVERN = "tenant.govern"  # what the platform decides about a tenant; activation, removal
    ACCOUNT_LIST = "account.list"
    ACCOUNT_READ = "account.read"
    ACCOUNT_CREATE = "account.create"
    ACCOUNT_UPDATE = "account.update"
    ACCOUNT_GOVERN = "account.govern"  # disable, enable, make platform admin, set a password
    MEMBER_LIST = "member.list"
    MEMBER_WRITE = "member.write"
    PROJECT_READ = "project.read"
    PROJECT_WRITE = "project.write"
    KEY_LIST = "key.list"
    KEY_READ = "key.read"
    KEY_CREATE = "key.create"
    KEY_UPDATE = "key.update"  # rotate and revoke too
    PROVIDER_READ = "provider.read"
    PROVIDER_WRITE = "provider.write"
    MODEL_READ = "model.read"
    MODEL_WRITE = "model.write"
    GRANT_READ = "grant.read"
    GRANT_WRITE = "grant.write"
    PRICE_READ = "price.read"
    PRICE_WRITE = "price.write"
    QUOTA_LIST = "quota.list"
    QUOTA_READ = "quota.read"
    QUOTA_USE_READ = "quota.use_read"  # how it stands; whom it limits have /v1/me/usage
    QUOTA_REOPEN = "quota.reopen"  # give up what gateways that are away may hold
    QUOTA_WRITE = "quota.write"  # what the platform has set stays the platform's
    WEBHOOK_LIST = "webhook.list"
    WEBHOOK_READ = "webhook.read"  # what was told to it too
    WEBHOOK_WRITE = "webhook.write"
    WEBHOOK_TEST = "webhook.test"
    EVENT_LIST = "event.list"
    USAGE_READ = "usage.read"
    USAGE_READ_OWN = "usage.read_own"
    AUDIT_READ = "audit.read"
    ME_READ = "me.read"
    ME_UPDATE = "me.update"  # own name, password, sessions
    TOKEN_WRITE = "token.write"  # noqa: S105 - the name of an action: own personal tokens
    SERVICE_TOKEN_WRITE = "service_token.write"  # noqa: S105 - the same: a tenant's machines
    SYSTEM_READ = "system.read"
    SYSTEM_WRITE = "system.write"  # apply a file, rotate the master key


_PLATFORM = frozenset({Standing.PLATFORM_ADMIN})
_ADMINS = _PLATFORM | {Standing.TENANT_ADMIN}
_READERS = _ADMINS | {Standing.VIEWER}
_MEMBERS = _PLATFORM | {Standing.MEMBER}
_SELF = frozenset({Standing.SELF})
_ANYONE = frozenset({Standing.ANYONE})

POLICY: Mapping[Action, frozenset[Standing]] = {
    Action.TENANT_LIST: _ANYONE,
    Action.TENANT_READ: _MEMBERS,
    Action.TENANT_CREATE: _PLATFORM,
    Action.TENANT_UPDATE: _ADMINS,
    Action.TENANT_GOVERN: _PLATFORM,
    Action.ACCOUNT_LIST: _PLATFORM,
    Action.ACCOUNT_READ: _PLATFORM | _SELF,
    Action.ACCOUNT_CREATE: _PLATFORM,
    Action.ACCOUNT_UPDATE: _PLATFORM,
    Action.ACCOUNT_GOVERN: _PLATFORM,
    Action.MEMBER_LIST: _READERS,
    Action.MEMBER_WRITE: _ADMINS,
    Action.PROJECT_READ: _MEMBERS,
    Action.PROJECT_WRITE: _ADMINS,
    Action.KEY_LIST: _MEMBERS,  # a user's list holds their own keys alone
    Action.KEY_READ: _READERS | {Standing.USER_OWN},
    Action.KEY_CREATE: _ADMINS | {Standing.USER_OWN},
    Action.KEY_UPDATE: _ADMINS | {Standing.USER_OWN},
    Action.PROVIDER_READ: _READERS,
    Action.PROVIDER_WRITE: _ADMINS,
    Action.MODEL_READ: _MEMBERS,
    Action.MODEL_WRITE: _ADMINS,
    Action.GRANT_READ: _READERS,
    Action.GRANT_WRITE: _PLATFORM,
    Action.PRICE_READ: _ANYONE,
    Action.PRICE_WRITE: _PLATFORM,
    Action.QUOTA_LIST: _MEMBERS,  # a user's list holds what concerns them alone
    Action.QUOTA_READ: _READERS | {Standing.USER_OWN},
    Action.QUOTA_USE_READ: _READERS,
    Action.QUOTA_REOPEN: _PLATFORM,
    Action.QUOTA_WRITE: _ADMINS,
    Action.WEBHOOK_LIST: _READERS,
    Action.WEBHOOK_READ: _READERS,
    Action.WEBHOOK_WRITE: _ADMINS,
    Action.WEBHOOK_TEST: _ADMINS,
    Action.EVENT_LIST: _READERS,
    Action.USAGE_READ: _READERS,
    Action.USAGE_READ_OWN: _READERS | {Standing.USER_OWN},
    Action.AUDIT_READ: _ADMINS,
    Action.ME_READ: _ANYONE,
    Action.ME_UPDATE: _SELF,
    Action.TOKEN_WRITE: _SELF | _PLATFORM,
    Action.SERVICE_TOKEN_WRITE: _ADMINS,
    Action.SYSTEM_READ: _PLATFORM,
    Action.SYSTEM_WRITE: _PLATFORM,
}


class Verdict(StrEnum):
    """What the table says."""

    ALLOWED = "allowed"
    FORBIDDEN = "forbidden"  # the actor may know that the thing exists
    HIDDEN = "hidden"  # the actor may not: the same as absent


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts on the control plane. `id` is the account's, or names the machine (`bootstrap`,
    `cli`, a token's id). A read-only actor changes nothing, whatever its roles."""

    id: str
    name: str
    via: str  # session | token | bootstrap | cli
    account_id: AccountId | None = None
    platform_admin: bool = False
    roles: Mapping[TenantId, Role] = field(default_factory=dict)
    read_only: bool = False

    def role_in(self, tenant_id: TenantId | None) -> Role | None:
        """The actor's role there; None for the platform and where they are no member."""
        return None if tenant_id is None else self.roles.get(tenant_id)

    def knows(self, tenant_id: TenantId) -> bool:
        """Whether the tenant exists for this actor."""
        return self.platform_admin or tenant_id in self.roles


def decide(
    actor: Actor,
    action: Action,
    *,
    tenant_id: TenantId | None = None,
    owner: AccountId | None = None,
) -> Verdict:
    """Whether the actor may do this to a thing of this tenant (None: the platform's) and owner."""
    if not POLICY[action].isdisjoint(standings(actor, tenant_id, owner)):
        return Verdict.ALLOWED
    if tenant_id is not None and not actor.knows(tenant_id):
        return Verdict.HIDDEN
    if owner is not None and owner != actor.account_id and Standing.USER_OWN in POLICY[action]:
        return Verdict.HIDDEN  # a colleague's: they may not even know of it
    return Verdict.FORBIDDEN


def standings(
    actor: Actor, tenant_id: TenantId | None, owner: AccountId | None
) -> frozenset[Standing]:
    """All that the actor is to a thing."""
    found = {Standing.ANYONE}
    if actor.platform_admin:
        found.add(Standing.PLATFORM_ADMIN)
    own = owner is not None and owner == actor.account_id
    if own:
        found.add(Standing.SELF)
    role = actor.role_in(tenant_id)
    if role is not None:
        found.add(Standing.MEMBER)
    if role is Role.TENANT_ADMIN:
        found.add(Standing.TENANT_ADMIN)
    elif role is Role.VIEWER:
        found.add(Standing.VIEWER)
    elif role is Role.USER and own:
        found.add(Standing.USER_OWN)
    return frozenset(found)


_RANK = {None: 0, Role.VIEWER: 1, Role.USER: 2, Role.TENANT_ADMIN: 3}


def may_give(actor: Actor, tenant_id: TenantId, role: Role) -> bool:
    """Whether the actor may give somebody this role there: never one above their own."""
    return actor.platform_admin or _RANK[actor.role_in(tenant_id)] >= _RANK[role]
