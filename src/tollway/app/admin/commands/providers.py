"""Providers and their credentials. A secret enters by reference only: `env:NAME`, `file:/PATH`."""

from dataclasses import dataclass

from tollway.app.admin.checks import check_base_url, check_name, check_reference, check_timeouts
from tollway.app.admin.outcome import Ensured, Rejected
from tollway.app.ports_admin import Entropy, UnitOfWork
from tollway.domain.ids import CredentialId, ProviderId, make_id
from tollway.domain.provider import (
    DEFAULT_BASE_URLS,
    CredentialRecord,
    ProviderKind,
    ProviderRecord,
    StreamUsage,
)
from tollway.domain.result import Err, Ok, Result
from tollway.domain.tenant import TenantRecord

_TIMEOUTS = (
    "connect_timeout_s",
    "headers_timeout_s",
    "first_token_timeout_s",
    "idle_timeout_s",
    "total_timeout_s",
)


@dataclass(frozen=True, slots=True)
class ProviderSpec:
    """What a provider shall be. Without an owner it is the platform's; without a base URL it is
    where its kind usually is. Timeouts in seconds; None takes the server's."""

    name: str
    kind: str
    base_url: str | None = None
    owner: TenantRecord | None = None
    stream_usage: str = StreamUsage.FORCE.value
    connect_timeout_s: float | None = None
    headers_timeout_s: float | None = None
    first_token_timeout_s: float | None = None
    idle_timeout_s: float | None = None
    total_timeout_s: float | None = None


def create_provider(
    uow: UnitOfWork, entropy: Entropy, spec: ProviderSpec
) -> Result[ProviderRecord, Rejected]:
    """A new provider, without credentials."""
    wrong = _check(spec)
    if wrong is not None:
        return Err(wrong)
    kind = ProviderKind(spec.kind)
    base_url = (spec.base_url or DEFAULT_BASE_URLS.get(kind, "")).rstrip("/")
    wrong = None if kind is ProviderKind.ECHO and not base_url else check_base_url(base_url)
    if wrong is not None:
        return Err(wrong)
    owner = None if spec.owner is None else spec.owner.id
    if uow.find_provider(owner, spec.name) is not None:
        return Err(Rejected("name", f"There is a provider {spec.name!r} already."))
    provider = ProviderRecord(
        id=ProviderId(make_id("prv", entropy(10))),
        name=spec.name,
        kind=kind,
        base_url=base_url,
        tenant_id=owner,
        stream_usage=StreamUsage(spec.stream_usage),
        connect_timeout_s=spec.connect_timeout_s,
        headers_timeout_s=spec.headers_timeout_s,
        first_token_timeout_s=spec.first_token_timeout_s,
        idle_timeout_s=spec.idle_timeout_s,
        total_timeout_s=spec.total_timeout_s,
    )
    uow.add_provider(provider)
    return Ok(provider)


def ensure_provider(
    uow: UnitOfWork, entropy: Entropy, spec: ProviderSpec
) -> Result[Ensured[ProviderRecord], Rejected]:
    """The owner's provider of this name, created if there is none."""
    found = uow.find_provider(None if spec.owner is None else spec.owner.id, spec.name)
    if found is not None:
        return Ok(Ensured(found, created=False))
    made = create_provider(uow, entropy, spec)
    return made if isinstance(made, Err) else Ok(Ensured(made.value, created=True))


def move_provider(
    uow: UnitOfWork, *, provider: ProviderRecord, base_url: str
) -> Result[bool, Rejected]:
    """Ok(whether the provider is reached elsewhere now). Only a provider without a secret may be
    moved: a secret is never sent to an origin it was not given for."""
    base_url = base_url.rstrip("/")
    if provider.base_url == base_url:
        return Ok(False)
    wrong = check_base_url(base_url)
    if wrong is not None:
        return Err(wrong)
    if any(credential.reference for credential in provider.credentials):
        return Err(
            Rejected(
                "base_url",
                f"Provider {provider.name!r} has a credential for {provider.base_url}. "
                "Add a provider of another name instead.",
            )
        )
    uow.move_provider(provider.id, base_url)
    return Ok(True)


def ensure_credential(
    uow: UnitOfWork,
    entropy: Entropy,
    *,
    provider: ProviderRecord,
    reference: str,
    weight: int = 1,
) -> Result[Ensured[CredentialRecord], Rejected]:
    """One more secret of a provider, unless it has this reference already."""
    wrong = check_reference(reference)
    if wrong is not None:
        return Err(wrong)
    if weight < 1:
        return Err(Rejected("weight", f"The weight must be 1 or more, not {weight}."))
    current = uow.find_provider_by_id(provider.id)
    for credential in () if current is None else current.credentials:
        if credential.reference == reference:
            return Ok(Ensured(credential, created=False))
    credential = CredentialRecord(CredentialId(make_id("crd", entropy(10))), reference, weight)
    uow.add_credential(provider.id, credential)
    return Ok(Ensured(credential, created=True))


def _check(spec: ProviderSpec) -> Rejected | None:
    if spec.kind not in list(ProviderKind):
        known = ", ".join(ProviderKind)
        return Rejected("kind", f"{spec.kind!r} is no kind of provider: {known}.")
    if spec.stream_usage not in list(StreamUsage):
        return Rejected("stream_usage", f"stream_usage must be one of {', '.join(StreamUsage)}.")
    if spec.kind == ProviderKind.OPENAI_COMPATIBLE and not spec.base_url:
        return Rejected("base_url", f"A provider of kind {spec.kind} needs a base_url.")
    return check_name(spec.name) or check_timeouts(
        {name: getattr(spec, name) for name in _TIMEOUTS}
    )
