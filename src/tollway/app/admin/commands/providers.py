"""Providers: where models are asked. A provider never changes its owner or kind, and its secrets
never travel to an origin they were not given for.
"""

from dataclasses import dataclass, replace

from tollway.app.admin.checks import (
    check_base_url,
    check_capacity,
    check_name,
    check_timeouts,
)
from tollway.app.admin.commands.credentials import (
    NO_SECRET,
    Secret,
    changeable_provider,
    check_secret,
    drop_credential,
    put_credential,
)
from tollway.app.admin.commands.quotas import drop_quotas_on
from tollway.app.admin.outcome import Ensured, Kind, Rejected
from tollway.app.admin.reach import owner_for
from tollway.app.admin.work import Work, changes_between
from tollway.app.views import ProviderView
from tollway.domain.bedrock import NO_REGION, region_of
from tollway.domain.ids import ProviderId, TenantId, make_id
from tollway.domain.origin import origin_of, parse_base_url
from tollway.domain.policy import Action
from tollway.domain.provider import DEFAULT_BASE_URLS, ProviderKind, StreamUsage
from tollway.domain.quota import Scope
from tollway.domain.result import Err, Ok, Result
from tollway.domain.vertex import NO_PLACE, is_place

_TIMEOUTS = (
    "connect_timeout_s",
    "headers_timeout_s",
    "first_token_timeout_s",
    "idle_timeout_s",
    "total_timeout_s",
)
_CAPACITY = ("requests_at_once", "requests_per_minute", "tokens_per_minute")
_FACTS = (
    *("name", "base_url", "enabled", "residency", "stream_usage"),
    *(*_TIMEOUTS, *_CAPACITY, "translate_responses"),
)


@dataclass(frozen=True, slots=True)
class ProviderSpec:
    """What a provider shall be. Without a tenant it is the platform's, or of the one tenant whose
    administrator makes it; without a base URL it is where its kind usually is. Timeouts in seconds;
    None takes the server's. What an account takes is learned where it is None."""

    name: str
    kind: str
    base_url: str | None = None
    tenant_id: TenantId | None = None
    enabled: bool = True
    residency: str | None = None
    stream_usage: str = StreamUsage.FORCE.value
    connect_timeout_s: float | None = None
    headers_timeout_s: float | None = None
    first_token_timeout_s: float | None = None
    idle_timeout_s: float | None = None
    total_timeout_s: float | None = None
    requests_at_once: int | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    translate_responses: bool = False
    managed_by: str | None = None


def create_provider(
    work: Work, spec: ProviderSpec, secret: Secret = NO_SECRET
) -> Result[ProviderView, Rejected]:
    """A new provider, with its first credential if one is given."""
    owned = owner_for(work, Action.PROVIDER_WRITE, spec.tenant_id)
    if isinstance(owned, Err):
        return owned
    wrong = work.denied(Action.PROVIDER_WRITE, kind="provider", tenant_id=owned.value)
    wrong = wrong or _check_words(spec)
    if wrong is not None:
        return Err(wrong)
    kind = ProviderKind(spec.kind)
    provider = ProviderView(
        ProviderId(make_id("prv", work.entropy(10))),
        spec.name,
        kind,
        (spec.base_url or DEFAULT_BASE_URLS.get(kind, "")).rstrip("/"),
        owned.value,
        spec.enabled,
        spec.residency,
        StreamUsage(spec.stream_usage),
        spec.connect_timeout_s,
        spec.headers_timeout_s,
        spec.first_token_timeout_s,
        spec.idle_timeout_s,
        spec.total_timeout_s,
        spec.requests_at_once,
        spec.requests_per_minute,
        spec.tokens_per_minute,
        spec.translate_responses,
        managed_by=spec.managed_by,
    )
    wrong = _check(work, provider, None) or check_secret(provider, secret)
    if wrong is not None:
        return Err(wrong)
    work.uow.providers.add(provider)
    facts = {
        name: getattr(provider, name) for name in _FACTS if getattr(provider, name) is not None
    }
    _record(work, "provider.created", provider, {"kind": kind, **facts})
    if secret.given:
        put_credential(work, provider, secret)
    return Ok(_stored(work, provider.id))


def ensure_provider(work: Work, spec: ProviderSpec) -> Result[Ensured[ProviderView], Rejected]:
    """The owner's provider of this name, created (without credentials) if there is none."""
    owned = owner_for(work, Action.PROVIDER_WRITE, spec.tenant_id)
    if isinstance(owned, Err):
        return owned
    found = work.uow.providers.find(owned.value, spec.name)
    if found is None:
        made = create_provider(work, spec)
        return made if isinstance(made, Err) else Ok(Ensured(made.value, created=True))
    changeable = changeable_provider(work, found.id)
    return changeable if isinstance(changeable, Err) else Ok(Ensured(found, created=False))


def update_provider(
    work: Work, wanted: ProviderView, secret: Secret = NO_SECRET
) -> Result[ProviderView, Rejected]:
    """Everything but id, owner and kind may be different. A secret that is given takes the place
    of all credentials; to lead to another origin, one must be given if there are any."""
    found = changeable_provider(work, wanted.id)
    if isinstance(found, Err):
        return found
    before = found.value
    after = replace(
        wanted,
        tenant_id=before.tenant_id,
        kind=before.kind,
        base_url=wanted.base_url.rstrip("/"),
        credentials=before.credentials,
        created_s=before.created_s,
        version=before.version,
    )
    wrong = (
        work.stale(before.version)
        or _check(work, after, before)
        or check_secret(after, secret)
        or _secret_required(before, after, secret)
    )
    if wrong is not None:
        return Err(wrong)
    if after != before:
        work.uow.providers.save(after)
        _record(work, "provider.updated", after, changes_between(before, after, _FACTS))
    if secret.given:
        for credential in before.credentials:
            drop_credential(work, after, credential)
        put_credential(work, after, secret)
    return Ok(_stored(work, after.id))


def delete_provider(work: Work, provider_id: ProviderId) -> Result[None, Rejected]:
    """The provider and its secrets are gone, if no model leads to it."""
    found = changeable_provider(work, provider_id)
    if isinstance(found, Err):
        return found
    provider = found.value
    wrong = work.stale(provider.version)
    names = work.uow.providers.models_at(provider_id)
    if wrong is None and names:
        wrong = Rejected(
            "",
            f"Models lead to this provider: {', '.join(names)}. Lead them elsewhere first, or "
            "disable the provider.",
            Kind.CONFLICT,
        )
    if wrong is not None:
        return Err(wrong)
    drop_quotas_on(work, Scope.PROVIDER, provider_id)
    work.uow.providers.remove(provider_id)
    _record(work, "provider.deleted", provider, {"name": provider.name})
    return Ok(None)


def _check_words(spec: ProviderSpec) -> Rejected | None:
    if spec.kind not in list(ProviderKind):
        known = ", ".join(ProviderKind)
        return Rejected("kind", f"{spec.kind!r} is no kind of provider: {known}.")
    if spec.stream_usage not in list(StreamUsage):
        return Rejected("stream_usage", f"stream_usage must be one of {', '.join(StreamUsage)}.")
    return None


def _check(work: Work, provider: ProviderView, before: ProviderView | None) -> Rejected | None:
    wrong = (
        check_name(provider.name)
        or (None if provider.residency is None else check_name(provider.residency, "residency"))
        or check_timeouts({name: getattr(provider, name) for name in _TIMEOUTS})
        or check_capacity({name: getattr(provider, name) for name in _CAPACITY})
    )
    if wrong is not None:
        return wrong
    if (before is None or before.name != provider.name) and (
        work.uow.providers.find(provider.tenant_id, provider.name) is not None
    ):
        return Rejected("name", f"There is a provider {provider.name!r} already.", Kind.CONFLICT)
    if before is not None and before.base_url == provider.base_url:
        return None
    if not provider.base_url:
        if provider.kind is ProviderKind.ECHO:
            return None
        return Rejected("base_url", f"A provider of kind {provider.kind} needs a base_url.")
    # Made inside a tenant, it is held to a tenant's rules, whoever makes it: the tenant's own
    # people may change it later.
    owned = provider.tenant_id is not None
    wrong = check_base_url(provider.base_url, tenant_owned=owned)
    if wrong is None and provider.kind is ProviderKind.BEDROCK:
        wrong = _check_region(provider.base_url)
    if wrong is None and provider.kind is ProviderKind.VERTEX and not is_place(provider.base_url):
        wrong = Rejected("base_url", NO_PLACE)
    return wrong


def _check_region(base_url: str) -> Rejected | None:
    parsed = parse_base_url(base_url, tenant_owned=False)
    known = isinstance(parsed, Ok) and region_of(parsed.value.host) is not None
    return None if known else Rejected("base_url", NO_REGION)


def _secret_required(before: ProviderView, after: ProviderView, secret: Secret) -> Rejected | None:
    """A secret is never sent to an origin it was not given for: whoever may change the address
    would read the secret (CVE-2026-41487)."""
    if secret.given or not before.credentials:
        return None
    if origin_of(before.base_url) == origin_of(after.base_url):
        return None
    sealed = any(credential.sealed for credential in before.credentials)
    return Rejected(
        "api_key" if sealed else "reference",
        "secret_required: the provider's credentials were given for another origin. Send the "
        "secret again, in this same request.",
    )


def _record(work: Work, fact: str, provider: ProviderView, changes: dict[str, object]) -> None:
    work.record(
        fact,
        kind="provider",
        object_id=provider.id,
        tenant_id=provider.tenant_id,
        changes=changes,
    )


def _stored(work: Work, provider_id: ProviderId) -> ProviderView:
    stored = work.uow.providers.get(provider_id)
    assert stored is not None, "what was just written is there"
    return stored
