"""`/v1/models`: what this credential can name. The same admission as inference, and no counters."""

from collections.abc import Sequence

from tollway.app.gateway.admit import authenticate
from tollway.app.gateway.runtime import Gateway
from tollway.app.ports import Header
from tollway.domain.access import Principal, granted_model, granted_models, may_call
from tollway.domain.model import ModelRecord
from tollway.domain.refusal import Refusal

ENDPOINT = "models"


def list_models(
    gateway: Gateway, headers: Sequence[Header], peer_ip: str
) -> list[ModelRecord] | Refusal:
    """Every model the caller can name, by name."""
    principal = _admit(gateway, headers, peer_ip)
    if not isinstance(principal, Principal):
        return principal
    return granted_models(gateway.source.current, principal)


def find_listed(
    gateway: Gateway, headers: Sequence[Header], peer_ip: str, name: str
) -> ModelRecord | Refusal:
    """One model the caller can name; absent and not granted look the same."""
    principal = _admit(gateway, headers, peer_ip)
    if not isinstance(principal, Principal):
        return principal
    return granted_model(gateway.source.current, principal, name)


def _admit(gateway: Gateway, headers: Sequence[Header], peer_ip: str) -> Principal | Refusal:
    principal = authenticate(
        gateway.keyring,
        headers,
        dict(headers),
        snapshot=gateway.source.current,
        now_s=gateway.clock.wall_ns() / 1_000_000_000,
    )
    if not isinstance(principal, Principal):
        return principal
    return may_call(principal, ENDPOINT, peer_ip) or principal
