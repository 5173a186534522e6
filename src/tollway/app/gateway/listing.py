"""`/v1/models`: what this credential can name. The same admission as inference, and no counters."""

from collections.abc import Sequence

from tollway.app.gateway.admit import (
    WRONG_KEY,
    arrived,
    authenticate,
    issuer_answered,
    model_arrived,
)
from tollway.app.gateway.issued import KEYS_AWAITED
from tollway.app.gateway.runtime import Gateway
from tollway.app.ports import Header
from tollway.domain.access import Principal, granted_model, granted_models, may_call
from tollway.domain.model import ModelRecord
from tollway.domain.refusal import ModelNotFound, Refusal
from tollway.domain.snapshot import Snapshot

ENDPOINT = "models"


async def list_models(
    gateway: Gateway, headers: Sequence[Header], peer_ip: str
) -> list[ModelRecord] | Refusal:
    """Every model the caller can name, by name."""
    principal = await admit_caller(gateway, headers, peer_ip, endpoint=ENDPOINT)
    if not isinstance(principal, Principal):
        return principal
    return granted_models(gateway.source.current, principal)


async def find_listed(
    gateway: Gateway, headers: Sequence[Header], peer_ip: str, name: str
) -> ModelRecord | Refusal:
    """One model the caller can name; absent and not granted look the same."""
    principal = await admit_caller(gateway, headers, peer_ip, endpoint=ENDPOINT)
    if not isinstance(principal, Principal):
        return principal
    snapshot = gateway.source.current
    model = granted_model(snapshot, principal, name)
    if isinstance(model, ModelNotFound) and await model_arrived(
        gateway, principal, name, snapshot=snapshot
    ):
        # What is new may concern the caller as well.
        principal = await admit_caller(gateway, headers, peer_ip, endpoint=ENDPOINT)
        if not isinstance(principal, Principal):
            return principal
        model = granted_model(gateway.source.current, principal, name)
    return model


async def admit_caller(
    gateway: Gateway, headers: Sequence[Header], peer_ip: str, *, endpoint: str | None
) -> Principal | Refusal:
    """Whose credential this is, if it may ask from there. None: for what every credential may."""
    facts, snapshot = dict(headers), gateway.source.current
    principal = _open(gateway, headers, facts=facts, snapshot=snapshot)
    if principal is KEYS_AWAITED:
        await issuer_answered(gateway, headers, facts)
        principal = _open(gateway, headers, facts=facts, snapshot=gateway.source.current)
    elif principal is WRONG_KEY and await arrived(gateway, headers, facts=facts, snapshot=snapshot):
        principal = _open(gateway, headers, facts=facts, snapshot=gateway.source.current)
    if not isinstance(principal, Principal):
        return principal
    return may_call(principal, endpoint, peer_ip) or principal


def _open(
    gateway: Gateway, headers: Sequence[Header], *, facts: dict[bytes, bytes], snapshot: Snapshot
) -> Principal | Refusal:
    now_s = gateway.clock.wall_ns() / 1_000_000_000
    return authenticate(gateway, headers, facts, snapshot=snapshot, now_s=now_s)
