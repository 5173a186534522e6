"""Providers, models, grants and prices of a file, each compared with what is there."""

from dataclasses import replace

from tollway.app.admin.applying import entries
from tollway.app.admin.applying.run import Change, Run, Verb, differences
from tollway.app.admin.commands import credentials, grants, models, prices, providers
from tollway.app.admin.manifest import (
    GrantEntry,
    ModelEntry,
    PriceEntry,
    ProviderEntry,
    identity,
)
from tollway.app.ports_directory import Page
from tollway.app.views import BY_FILE, PriceView, ProviderView
from tollway.domain.ids import ProviderId
from tollway.domain.origin import origin_of
from tollway.domain.price_book import SEED

_PAGE = 1000


def apply_provider(run: Run, entry: ProviderEntry) -> None:
    """One provider with its credentials. Sealed ones are left alone: no file can name them."""
    wanted = entries.full_provider(entry)
    owner, name = run.owner(wanted.tenant), identity("providers", wanted)
    found = run.uow.providers.find(owner, wanted.name)
    if found is None:
        spec = providers.ProviderSpec(
            name=wanted.name,
            kind=wanted.kind.value,
            base_url=wanted.base_url or None,
            tenant_id=owner,
            enabled=wanted.enabled,
            residency=wanted.residency,
            stream_usage=wanted.stream_usage.value,
            connect_timeout_s=wanted.connect_timeout_s,
            headers_timeout_s=wanted.headers_timeout_s,
            first_token_timeout_s=wanted.first_token_timeout_s,
            idle_timeout_s=wanted.idle_timeout_s,
            total_timeout_s=wanted.total_timeout_s,
            requests_at_once=wanted.requests_at_once,
            requests_per_minute=wanted.requests_per_minute,
            tokens_per_minute=wanted.tokens_per_minute,
            translate_responses=wanted.translate_responses,
            managed_by=BY_FILE,
        )
        found = run.take(providers.create_provider(run.work, spec))
        run.created("provider", name)
    else:
        if found.kind is not wanted.kind:
            run.stop("a provider's never changes. Take another name.", field="kind")
        old = entries.provider_entry(found, wanted.tenant)
        if run.differs("provider", name, old=old, new=wanted, managed_by=found.managed_by):
            found = _update_provider(run, found, wanted)
    _settle_credentials(run, found, wanted)


def _update_provider(run: Run, found: ProviderView, wanted: ProviderEntry) -> ProviderView:
    after = replace(
        found,
        base_url=wanted.base_url or "",
        enabled=wanted.enabled,
        residency=wanted.residency,
        stream_usage=wanted.stream_usage,
        connect_timeout_s=wanted.connect_timeout_s,
        headers_timeout_s=wanted.headers_timeout_s,
        first_token_timeout_s=wanted.first_token_timeout_s,
        idle_timeout_s=wanted.idle_timeout_s,
        total_timeout_s=wanted.total_timeout_s,
        requests_at_once=wanted.requests_at_once,
        requests_per_minute=wanted.requests_per_minute,
        tokens_per_minute=wanted.tokens_per_minute,
        translate_responses=wanted.translate_responses,
        managed_by=BY_FILE,
    )
    secret = credentials.NO_SECRET
    if wanted.credentials and origin_of(after.base_url) != origin_of(found.base_url):
        # The file gives the secrets for the new origin, in this same act.
        secret = credentials.Secret(reference=wanted.credentials[0].reference)
    return run.take(providers.update_provider(run.work, after, secret))


def _settle_credentials(run: Run, provider: ProviderView, wanted: ProviderEntry) -> None:
    there = entries.referenced(provider.credentials)
    named = {credential.reference for credential in wanted.credentials}
    for reference, old in there.items():
        if reference not in named:
            run.take(credentials.remove_credential(run.work, provider.id, old.id))
    for credential in wanted.credentials:
        known = there.get(credential.reference)
        if known is None:
            secret = credentials.Secret(reference=credential.reference)
            run.take(
                credentials.add_credential(run.work, provider.id, secret, weight=credential.weight)
            )
        elif known.weight != credential.weight:
            run.take(
                credentials.update_credential(
                    run.work, provider.id, known.id, weight=credential.weight
                )
            )


def apply_model(run: Run, entry: ModelEntry) -> None:
    """One model but for new fallbacks: those may not be there, or not be granted, yet."""
    owner, name = run.owner(entry.tenant), identity("models", entry)
    targets = entries.targets_of(run, entry, owner)
    found = run.uow.models.find(owner, entry.name)
    if found is None:
        spec = models.ModelSpec(
            name=entry.name,
            targets=targets,
            tenant_id=owner,
            strategy=entry.strategy.value,
            max_output_tokens=entry.max_output_tokens,
            cache_affinity=entry.cache_affinity,
            enabled=entry.enabled,
            managed_by=BY_FILE,
        )
        run.take(models.create_model(run.work, spec))
        run.created("model", name)
        return
    old, wanted = (
        entries.model_entry(run, found, entry.tenant),
        entries.full_model(run, entry, owner),
    )
    if run.differs("model", name, old=old, new=wanted, managed_by=found.managed_by):
        after = replace(
            found,
            targets=targets,
            strategy=entry.strategy,
            fallbacks=tuple(kept for kept in found.fallbacks if kept in entry.fallbacks),
            max_output_tokens=entry.max_output_tokens,
            cache_affinity=entry.cache_affinity,
            enabled=entry.enabled,
            managed_by=BY_FILE,
        )
        run.take(models.update_model(run.work, after))


def apply_fallbacks(run: Run, entry: ModelEntry) -> None:
    """A model's fallbacks, once every model and grant of the file is there."""
    model = run.uow.models.find(run.owner(entry.tenant), entry.name)
    if model is not None and model.fallbacks != entry.fallbacks:
        run.take(models.update_model(run.work, replace(model, fallbacks=entry.fallbacks)))


def apply_grant(run: Run, entry: GrantEntry) -> None:
    """One grant. It is its model's, so it is managed with it."""
    model = run.platform_model(entry.model)
    given = run.take(
        grants.ensure_grant(
            run.work, model.id, tenant_id=run.owner(entry.tenant), group=entry.group
        )
    )
    if given.created:
        run.created("grant", identity("grants", entry))
    else:
        run.unchanged += 1


def apply_price(run: Run, entry: PriceEntry) -> None:
    """One entry of the price book. It is never changed: one with other rates takes its place, and
    the old one stays if it has begun."""
    owner, name = run.owner(entry.tenant), identity("prices", entry)
    provider_id: ProviderId | None = None
    if entry.provider is not None:
        provider_id = run.provider(owner, entry.provider).id
    spec = prices.PriceSpec(
        entry.model,
        entry.rates,
        entries.seconds(entry.effective_from) or 0,
        owner,
        entry.provider_kind,
        provider_id,
        BY_FILE,
    )
    found = _price_like(run, spec)
    if found is not None:
        old = entries.price_entry(run, found, entry.tenant)
        wanted = entries.price_entry(run, replace(found, rates=entry.rates), entry.tenant)
        if old == wanted:
            run.unchanged += 1
            return
        run.changes.append(Change(Verb.UPDATE, "price", name, differences(old, wanted)))
        if found.effective_from_s > run.uow.now_s:
            run.take(prices.delete_price(run.work, found.id))
    else:
        run.created("price", name)
    run.take(prices.create_price(run.work, spec))


def _price_like(run: Run, spec: prices.PriceSpec) -> PriceView | None:
    """Of the entries for just that, the one that holds."""
    page = run.uow.prices.page(Page(_PAGE), owners=[spec.tenant_id], model=spec.model)
    like = [
        price
        for price in page
        if price.source != SEED
        and price.provider_kind == spec.provider_kind
        and price.provider_id == spec.provider_id
        and price.effective_from_s == spec.effective_from_s
    ]
    return max(like, key=lambda price: (price.created_s, price.id), default=None)
