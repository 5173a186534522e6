"""The one policy table: who may do what on the data plane, decided from the key and its tenant.

The control plane's table (role x action x ownership) joins this file when roles exist.
"""

from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from tollway.domain.ids import AccountId, KeyId, ProjectId, TenantId
from tollway.domain.key import KeyRecord
from tollway.domain.model import ModelRecord
from tollway.domain.refusal import Forbidden, ModelNotFound, Refusal
from tollway.domain.snapshot import Snapshot, find_model, visible_models
from tollway.domain.tenant import TenantRecord


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is asking: derived from the credential alone."""

    tenant: TenantRecord
    key: KeyRecord

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


def may_call(principal: Principal, endpoint: str, peer_ip: str) -> Refusal | None:
    """Whether this principal may use this endpoint from this address."""
    if not principal.tenant.active:
        return Forbidden("This tenant is deactivated. Ask your administrator.", "tenant_disabled")
    key = principal.key
    if key.endpoints is not None and endpoint not in key.endpoints:
        return Forbidden(f"This key may not call {endpoint}.", "endpoint_not_allowed")
    if key.ip_allow is not None and not _inside(peer_ip, key.ip_allow):
        return Forbidden("This key may not be used from your address.", "address_not_allowed")
    return None


def granted_model(
    snapshot: Snapshot, principal: Principal, name: str
) -> ModelRecord | ModelNotFound:
    """The model this principal means; absent and not granted look the same."""
    allowed = principal.key.models
    if allowed is None or name in allowed:
        model = find_model(snapshot, principal.tenant_id, name)
        if model is not None and (model.tenant_id is not None or _sees_platform(principal)):
            return model
    return ModelNotFound(name)


def granted_models(snapshot: Snapshot, principal: Principal) -> list[ModelRecord]:
    """What `/v1/models` lists for this principal, by name."""
    allowed = principal.key.models
    return [
        model
        for model in visible_models(snapshot, principal.tenant_id)
        if (allowed is None or model.name in allowed)
        and (model.tenant_id is not None or _sees_platform(principal))
    ]


def _sees_platform(principal: Principal) -> bool:
    """A `listed` tenant sees only platform models granted to it; no grants exist yet."""
    return principal.tenant.models == "all"


def _inside(peer_ip: str, ranges: tuple[str, ...]) -> bool:
    try:
        address = ip_address(peer_ip)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    address = mapped or address
    return any(address in ip_network(allowed, strict=False) for allowed in ranges)
