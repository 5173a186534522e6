"""Objects as a file would say them, and a file's entries with everything spelled out: the two forms
that are compared. What `get` writes and what `apply` reads are the same by this.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from msgspec.structs import replace

from tollway.app.admin.applying.run import Run
from tollway.app.admin.manifest import (
    AccountEntry,
    CredentialEntry,
    KeyEntry,
    MemberEntry,
    ModelEntry,
    PriceEntry,
    ProjectEntry,
    ProviderEntry,
    TargetEntry,
    TenantEntry,
)
from tollway.app.views import (
    AccountView,
    CredentialView,
    KeyView,
    MemberView,
    ModelView,
    PriceView,
    ProjectView,
    ProviderView,
    TenantSettings,
    TenantView,
)
from tollway.domain.ids import TenantId
from tollway.domain.model import Target
from tollway.domain.pricing import read_rates, write_rates
from tollway.domain.provider import DEFAULT_BASE_URLS
from tollway.domain.result import Ok


def tenant_entry(view: TenantView) -> TenantEntry:
    """A tenant as it is."""
    settings = view.settings
    return TenantEntry(
        slug=view.slug,
        name=view.name,
        active=view.active,
        models=settings.models,
        group=settings.group,
        timezone=settings.timezone,
        retention_days=settings.retention_days,
        content_logging=settings.content_logging,
        cache=None if settings.cache is None else dict(settings.cache),
        weight=settings.weight,
        allowed_residency=settings.allowed_residency,
        default_model=settings.default_model,
    )


def full_tenant(entry: TenantEntry) -> TenantEntry:
    """Without a name it is called by its slug."""
    return replace(entry, name=entry.name or entry.slug)


def settings_of(entry: TenantEntry) -> TenantSettings:
    """What a tenant's entry sets."""
    return TenantSettings(
        entry.timezone,
        entry.retention_days,
        entry.content_logging,
        entry.cache,
        entry.models,
        entry.group,
        entry.weight,
        entry.allowed_residency,
        entry.default_model,
    )


def account_entry(view: AccountView, members: Iterable[MemberEntry] = ()) -> AccountEntry:
    """A person as they are."""
    return AccountEntry(
        email=view.email,
        name=view.name,
        active=view.active,
        platform_admin=view.platform_admin,
        members=tuple(members),
    )


def full_account(entry: AccountEntry) -> AccountEntry:
    """Without a name it is called by its address. Memberships are compared one by one."""
    email = entry.email.lower()
    return replace(entry, email=email, name=entry.name or email, members=())


def member_entry(view: MemberView, tenant: str) -> MemberEntry:
    """A membership as it is."""
    return MemberEntry(tenant=tenant, role=view.role, models=view.models)


def project_entry(view: ProjectView, tenant: str) -> ProjectEntry:
    """A project as it is."""
    return ProjectEntry(tenant=tenant, name=view.name, models=view.models)


def provider_entry(view: ProviderView, tenant: str | None) -> ProviderEntry:
    """A provider as it is, but for sealed secrets: no file holds those."""
    return ProviderEntry(
        name=view.name,
        kind=view.kind,
        base_url=view.base_url,
        tenant=tenant,
        enabled=view.enabled,
        residency=view.residency,
        credentials=_by_place(
            CredentialEntry(reference=credential.reference, weight=credential.weight)
            for credential in view.credentials
            if credential.reference is not None
        ),
        stream_usage=view.stream_usage,
        connect_timeout_s=view.connect_timeout_s,
        headers_timeout_s=view.headers_timeout_s,
        first_token_timeout_s=view.first_token_timeout_s,
        idle_timeout_s=view.idle_timeout_s,
        total_timeout_s=view.total_timeout_s,
        requests_at_once=view.requests_at_once,
        requests_per_minute=view.requests_per_minute,
        tokens_per_minute=view.tokens_per_minute,
        translate_responses=view.translate_responses,
    )


def full_provider(entry: ProviderEntry) -> ProviderEntry:
    """Without a base URL it is where its kind usually is."""
    base_url = entry.base_url or DEFAULT_BASE_URLS.get(entry.kind, "")
    return replace(entry, base_url=base_url.rstrip("/"), credentials=_by_place(entry.credentials))


def referenced(credentials: Iterable[CredentialView]) -> dict[str, CredentialView]:
    """Those of the credentials that a file can name."""
    return {one.reference: one for one in credentials if one.reference is not None}


def model_entry(run: Run, view: ModelView, tenant: str | None) -> ModelEntry:
    """A model as it is."""
    return ModelEntry(
        name=view.name,
        targets=tuple(_target_entry(run, view.tenant_id, target) for target in view.targets),
        tenant=tenant,
        strategy=view.strategy,
        fallbacks=view.fallbacks,
        max_output_tokens=view.max_output_tokens,
        cache_affinity=view.cache_affinity,
        enabled=view.enabled,
    )


def full_model(run: Run, entry: ModelEntry, owner: TenantId | None) -> ModelEntry:
    """With its targets as `get` would write them."""
    targets = tuple(_target_entry(run, owner, target) for target in targets_of(run, entry, owner))
    return replace(entry, targets=targets)


def targets_of(run: Run, entry: ModelEntry, owner: TenantId | None) -> tuple[Target, ...]:
    """Where an entry's targets lead."""
    return tuple(
        Target(
            run.provider(owner, target.provider, platform=target.platform).id,
            target.model,
            target.weight,
            target.priority,
        )
        for target in entry.targets
    )


def price_entry(run: Run, view: PriceView, tenant: str | None) -> PriceEntry:
    """An entry of the price book as it is."""
    found = view.provider_id and run.uow.providers.get(view.provider_id)
    provider = found.name if found else None
    return PriceEntry(
        model=view.model,
        rates=plain_rates(view.rates),
        tenant=tenant,
        provider=provider,
        provider_kind=view.provider_kind,
        effective_from=moment(view.effective_from_s or None),
    )


def plain_rates(rates: Any) -> dict[str, Any]:
    """Rates with every substitute spelled out: two that cost the same are the same. What cannot be
    read stays as it is."""
    read = read_rates(rates)
    return write_rates(read.value) if isinstance(read, Ok) else dict(rates)


def key_entry(view: KeyView, tenant: str, *, project: str | None, account: str | None) -> KeyEntry:
    """A key as it is, without its text."""
    return KeyEntry(
        name=view.name,
        tenant=tenant,
        project=project,
        account=account,
        env=view.env,
        expires_at=moment(view.expires_s),
        not_before=moment(view.not_before_s),
        models=view.models,
        endpoints=view.endpoints,
        ip_allow=view.ip_allow,
        tags=dict(view.tags),
    )


def full_key(entry: KeyEntry) -> KeyEntry:
    """With the times as they are kept, in whole seconds."""
    return replace(
        entry,
        account=None if entry.account is None else entry.account.lower(),
        expires_at=moment(seconds(entry.expires_at)),
        not_before=moment(seconds(entry.not_before)),
    )


def moment(seconds_: int | None) -> datetime | None:
    """A kept time, UTC."""
    return None if seconds_ is None else datetime.fromtimestamp(seconds_, UTC)


def seconds(given: datetime | None) -> int | None:
    """A file's time, as it is kept."""
    return None if given is None else int(given.timestamp())


def _by_place(credentials: Iterable[CredentialEntry]) -> tuple[CredentialEntry, ...]:
    return tuple(sorted(credentials, key=lambda credential: credential.reference))


def _target_entry(run: Run, owner: TenantId | None, target: Target) -> TargetEntry:
    provider = run.provider_of(target.provider_id)
    shadowed = (
        owner is not None
        and provider.tenant_id is None
        and run.uow.providers.find(owner, provider.name) is not None
    )
    return TargetEntry(
        provider=provider.name,
        model=target.model,
        weight=target.weight,
        priority=target.priority,
        platform=shadowed,
    )
