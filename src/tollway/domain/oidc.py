"""Signing in at an identity provider: its configuration, who somebody is there, a sign-in under
way, and what their groups make of them here. Sources: OpenID Connect Core 1.0, RFC 7636, RFC 9207.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field

from tollway.domain.account import Role
from tollway.domain.issuer import algorithm_problems, url_problem

_STRENGTH = (Role.VIEWER, Role.USER, Role.TENANT_ADMIN)
PENDING_S = 600  # how long a sign-in may take


@dataclass(frozen=True, slots=True)
class GroupRule:
    """Who is in this group of the provider has this role in this tenant."""

    group: str
    tenant: str  # the tenant's slug
    role: Role


@dataclass(frozen=True, slots=True)
class GroupMapping:
    """What an identity provider's groups mean here."""

    rules: tuple[GroupRule, ...] = ()
    admin_groups: frozenset[str] = frozenset()  # members administer the platform


@dataclass(frozen=True, slots=True)
class OidcIssuer:
    """One identity provider people sign in at. `public` says that it gave us no client secret."""

    name: str
    issuer: str
    client_id: str
    client_secret: str = field(default="", repr=False)
    public: bool = False
    scopes: tuple[str, ...] = ("openid", "email", "profile")
    email_claim: str = "email"
    groups_claim: str = "groups"  # exact name, or a path of names joined by dots
    algorithms: tuple[str, ...] = ("RS256", "ES256")
    leeway_s: int = 60
    trust_email: bool = False  # a verified address may take over the account that has it
    mapping: GroupMapping = GroupMapping()


@dataclass(frozen=True, slots=True)
class Identity:
    """Who signed in, as the provider says. The pair of issuer and subject is the person: an e-mail
    address can pass to somebody else."""

    issuer: str
    subject: str
    email: str | None  # lower case
    email_verified: bool
    name: str | None
    groups: tuple[str, ...]
    id_token: str = field(default="", repr=False)  # the hint when signing out


@dataclass(frozen=True, slots=True)
class PendingLogin:
    """A sign-in under way. Belongs into a sealed cookie of the browser that began it: that binds
    the answer to it. Never into a URL."""

    issuer: str
    redirect_uri: str
    began_s: int
    state: str = field(repr=False)
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Standings:
    """What somebody's groups make of them."""

    roles: Mapping[str, Role]  # by tenant slug
    platform_admin: bool


def memberships_for(groups: Iterable[str], mapping: GroupMapping) -> Standings:
    """The strongest role of each tenant. Groups are compared exactly; an empty one is nobody's."""
    held = {group for group in groups if group}
    roles: dict[str, Role] = {}
    for rule in mapping.rules:
        if rule.group in held:
            roles[rule.tenant] = max(
                roles.get(rule.tenant, rule.role), rule.role, key=_STRENGTH.index
            )
    return Standings(roles, not held.isdisjoint(mapping.admin_groups))


def issuer_problems(config: OidcIssuer) -> Iterator[str]:
    """Why this provider cannot be used, a sentence each. A provider with a problem stays off."""
    if not config.name:
        yield "An identity provider needs a name."
    problem = url_problem(config.issuer, what="issuer")
    if problem is not None:
        yield problem
    if not config.client_id.strip():
        yield "client_id is empty."
    if not config.public and not config.client_secret.strip():
        yield "client_secret is empty; set public = true for a provider that gave none."
    if config.public and config.client_secret:
        yield "client_secret is set, and so is public; one of them is wrong."
    if "openid" not in config.scopes:
        yield "scopes must contain openid."
    if not config.email_claim or not config.groups_claim:
        yield "email_claim and groups_claim must not be empty."
    yield from algorithm_problems(config.algorithms, config.leeway_s)
    if "" in config.mapping.admin_groups or any(
        not rule.group or not rule.tenant for rule in config.mapping.rules
    ):
        yield "A group rule needs a group and a tenant, neither empty."


def pack_pending(pending: PendingLogin) -> bytes:
    """A sign-in under way as bytes; the caller seals them."""
    return json.dumps(asdict(pending)).encode()


def unpack_pending(packed: bytes) -> PendingLogin | None:
    """What `pack_pending` packed, or None."""
    try:
        return PendingLogin(**json.loads(packed))
    except (TypeError, ValueError):
        return None


def claimed(claims: Mapping[str, object], name: str) -> object:
    """A claim by its exact name, or by a path of names (`realm_access.roles`); None if absent."""
    if name in claims:
        return claims[name]
    value: object = claims
    for part in name.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return None
        value = value[part]
    return value
