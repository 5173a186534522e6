"""Who may do what on the data plane, decided from the key, its tenant and what narrows it. The
control plane's table (role x action x ownership) is `policy.py`.
"""

from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from tollway.domain.account import MemberScope, ProjectScope
from tollway.domain.grant import group_holder, tenant_holder
from tollway.domain.ids import AccountId, KeyId, ProjectId, TenantId
from tollway.domain.key import KeyRecord
from tollway.domain.model import ModelRecord
from tollway.domain.refusal import Forbidden, ModelNotFound, Refusal
from tollway.domain.snapshot import Snapshot, find_model, visible_models
from tollway.domain.tenant import TenantRecord


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is asking: derived from the credential alone. Without a project or a membership that
    narrows its models, these are None."""

    tenant: TenantRecord
    key: KeyRecord
    project: ProjectScope | None = None
    member: MemberScope | None = None
    subject: str | None = None  # of an issuer's token: then `key` stands for them, and is no key

    @property
    def tenant_id(self) -> TenantId:
        return self.tenant.id

    @property
    def key_id(self) -> KeyId:
        return self.key.id

    @property
    def project_id(self) -> ProjectId | None:
        return self.key.project_id

    @property
    def account_id(self) -> AccountId | None:
        return self.key.account_id


def may_call(principal: Principal, endpoint: str | None, peer_ip: str) -> Refusal | None:
    """Whether this principal may use this endpoint from this address. None: what every key may."""
    if not principal.tenant.active:
        return Forbidden("This tenant is deactivated. Ask your administrator.", "tenant_disabled")
    key = principal.key
    if None not in (key.endpoints, endpoint) and endpoint not in (key.endpoints or ()):
        return Forbidden(f"This key may not call {endpoint}.", "endpoint_not_allowed")
    if key.ip_allow is not None and not _inside(peer_ip, key.ip_allow):
        return Forbidden("This key may not be used from your address.", "address_not_allowed")
    return None


def find_principal(snapshot: Snapshot, key: KeyRecord) -> Principal | None:
    """What a key's record makes of whoever holds the key; None when its tenant is gone."""
    tenant = snapshot.tenants.get(key.tenant_id)
    if tenant is None:
        return None
    project = member = None
    if key.project_id is not None:
        project = snapshot.projects.get(key.project_id)
    if key.account_id is not None:
        member = snapshot.members.get((key.tenant_id, key.account_id))
    return Principal(tenant, key, project, member)


def may_go_on(snapshot: Snapshot, principal: Principal, now_s: float) -> bool:
    """Whether what this principal began may still run: its key was not revoked or replaced, its
    tenant not deactivated. A key that only came to its end lets finish what began in time."""
    if principal.subject is not None:  # a token's own end is near: it lets finish
        tenant = snapshot.tenants.get(principal.tenant_id)
        return tenant is not None and tenant.active
    key, began = snapshot.keys.get(principal.key.id), principal.key
    if key is None or key.revoked_s is not None or key.digest != began.digest:
        return False
    if key.expires_s is not None and key.expires_s != began.expires_s and key.expires_s <= now_s:
        return False
    tenant = snapshot.tenants.get(key.tenant_id)
    return tenant is not None and tenant.active


def granted_model(
    snapshot: Snapshot, principal: Principal, name: str
) -> ModelRecord | ModelNotFound:
    """The model this principal means; absent and not granted look the same."""
    if _may_name(principal, name):
        model = find_model(snapshot, principal.tenant_id, name)
        if model is not None and _is_open(snapshot, principal.tenant, model):
            return model
    return ModelNotFound(name)


def granted_models(snapshot: Snapshot, principal: Principal) -> list[ModelRecord]:
    """What `/v1/models` lists for this principal, by name."""
    return [
        model
        for model in visible_models(snapshot, principal.tenant_id)
        if _may_name(principal, model.name) and _is_open(snapshot, principal.tenant, model)
    ]


def _may_name(principal: Principal, name: str) -> bool:
    """Whether key, project and membership all let this name pass: the narrowest wins."""
    allowed = principal.key.models
    if allowed is not None and name not in allowed:
        return False
    project, member = principal.project, principal.member
    if project is not None and project.models is not None and name not in project.models:
        return False
    return member is None or member.models is None or name in member.models


def _is_open(snapshot: Snapshot, tenant: TenantRecord, model: ModelRecord) -> bool:
    """A tenant's own models are its own; of the platform's, a `listed` tenant has those granted to
    it or to its group."""
    if model.tenant_id is not None or tenant.models == "all":
        return True
    own = snapshot.grants.get(tenant_holder(tenant.id))
    if own is not None and model.id in own.models:
        return True
    if tenant.group is None:
        return False
    shared = snapshot.grants.get(group_holder(tenant.group))
    return shared is not None and model.id in shared.models


def _inside(peer_ip: str, ranges: tuple[str, ...]) -> bool:
    try:
        address = ip_address(peer_ip)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    address = mapped or address
    return any(address in ip_network(allowed, strict=False) for allowed in ranges)
