"""Providers with their configuration and credentials. Those of deleted tenants do not exist, except
for re-wrapping: such a tenant may be restored.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, select

from tollway.adapters.sql.repositories.owners import living, of_owners, owned_by
from tollway.adapters.sql.repositories.unit import Unit, mapped, paged
from tollway.adapters.sql.tables import (
    model_targets,
    models,
    provider_config,
    provider_credentials,
    providers,
)
from tollway.app.ports_directory import Page
from tollway.app.views import CredentialView, ProviderView
from tollway.domain.ids import CredentialId, ProviderId, TenantId
from tollway.domain.provider import ProviderKind, StreamUsage

_EVERY = select(
    providers.c.id,
    providers.c.name,
    providers.c.kind,
    providers.c.base_url,
    providers.c.tenant_id,
    providers.c.enabled,
    providers.c.residency,
    providers.c.managed_by,
    providers.c.created_s,
    providers.c.version,
    provider_config.c.stream_usage,
    provider_config.c.connect_timeout_s,
    provider_config.c.headers_timeout_s,
    provider_config.c.first_token_timeout_s,
    provider_config.c.idle_timeout_s,
    provider_config.c.total_timeout_s,
    provider_config.c.requests_at_once,
    provider_config.c.requests_per_minute,
    provider_config.c.tokens_per_minute,
    provider_config.c.translate_responses,
    provider_config.c.extra,
).join(provider_config, provider_config.c.provider_id == providers.c.id)
_PROVIDERS = _EVERY.where(living(providers))
_CREDENTIALS = select(
    provider_credentials.c.id,
    provider_credentials.c.provider_id,
    provider_credentials.c.reference,
    provider_credentials.c.weight,
    provider_credentials.c.created_s,
    provider_credentials.c.version,
).order_by(provider_credentials.c.created_s, provider_credentials.c.id)
_FEW = 5


class SqlProviders:
    """Implements `app.ports_directory.Providers`."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    def get(self, provider_id: ProviderId) -> ProviderView | None:
        rows = self._unit.rows(_PROVIDERS.where(providers.c.id == provider_id))
        return next(iter(self._views(rows)), None)

    def find(self, owner: TenantId | None, name: str) -> ProviderView | None:
        rows = self._unit.rows(
            _PROVIDERS.where(owned_by(providers, owner), providers.c.name == name)
        )
        return next(iter(self._views(rows)), None)

    def page(
        self, at: Page, *, owners: Sequence[TenantId | None] | None = None
    ) -> list[ProviderView]:
        query = _PROVIDERS if owners is None else _PROVIDERS.where(of_owners(providers, owners))
        return self._views(self._unit.rows(paged(query, providers.c.id, at)))

    def add(self, provider: ProviderView) -> None:
        self._unit.add(
            providers,
            id=provider.id,
            tenant_id=provider.tenant_id,
            kind=provider.kind.value,
            created_s=self._unit.now_s,
            **_columns(provider),
        )
        self._unit.add(provider_config, provider_id=provider.id, **_config(provider))

    def save(self, provider: ProviderView) -> None:
        self._unit.change(providers, providers.c.id == provider.id, **_columns(provider))
        self._unit.change(
            provider_config, provider_config.c.provider_id == provider.id, **_config(provider)
        )

    def remove(self, provider_id: ProviderId) -> None:
        self._unit.remove(provider_credentials, provider_credentials.c.provider_id == provider_id)
        self._unit.remove(provider_config, provider_config.c.provider_id == provider_id)
        if self._unit.remove(providers, providers.c.id == provider_id):
            self._unit.bury("provider", provider_id)

    def models_at(self, provider_id: ProviderId) -> list[str]:
        leading = select(model_targets.c.model_id).where(model_targets.c.provider_id == provider_id)
        query = select(models.c.name).where(models.c.id.in_(leading)).order_by(models.c.name)
        return [row.name for row in self._unit.rows(query.limit(_FEW))]

    def add_credential(self, credential: CredentialView, envelope: bytes | None) -> None:
        self._unit.add(
            provider_credentials,
            id=credential.id,
            provider_id=credential.provider_id,
            reference=credential.reference,
            envelope=envelope,
            weight=credential.weight,
            created_s=self._unit.now_s,
        )
        self._touch(credential.provider_id)

    def save_credential(self, credential: CredentialView, envelope: bytes | None) -> None:
        secret: dict[str, Any] = {}
        if envelope is not None:
            secret = {"envelope": envelope, "reference": None}
        elif credential.reference is not None:
            secret = {"envelope": None, "reference": credential.reference}
        self._unit.change(
            provider_credentials,
            provider_credentials.c.provider_id == credential.provider_id,
            provider_credentials.c.id == credential.id,
            weight=credential.weight,
            **secret,
        )
        self._touch(credential.provider_id)

    def remove_credential(self, provider_id: ProviderId, credential_id: CredentialId) -> None:
        if self._unit.remove(
            provider_credentials,
            provider_credentials.c.provider_id == provider_id,
            provider_credentials.c.id == credential_id,
        ):
            self._touch(provider_id)

    def envelope(self, credential_id: CredentialId) -> bytes | None:
        query = select(provider_credentials.c.envelope)
        row = self._unit.first(query.where(provider_credentials.c.id == credential_id))
        return None if row is None else row.envelope

    def sealed(self, after: str, limit: int) -> list[tuple[CredentialId, ProviderView, bytes]]:
        query = (
            select(
                provider_credentials.c.id,
                provider_credentials.c.provider_id,
                provider_credentials.c.envelope,
            )
            .where(provider_credentials.c.envelope.is_not(None), provider_credentials.c.id > after)
            .order_by(provider_credentials.c.id)
            .limit(limit)
        )
        rows = self._unit.rows(query)
        wanted = {row.provider_id for row in rows}
        found = self._unit.rows(_EVERY.where(providers.c.id.in_(wanted)))
        views = {view.id: view for view in self._views(found)}
        return [(CredentialId(row.id), views[row.provider_id], row.envelope) for row in rows]

    def rewrap(self, credential_id: CredentialId, envelope: bytes, *, instead_of: bytes) -> bool:
        credential = provider_credentials.c
        changed = self._unit.change(
            provider_credentials,
            credential.id == credential_id,
            credential.envelope == instead_of,
            envelope=envelope,
        )
        if not changed:
            return False
        query = select(credential.provider_id).where(credential.id == credential_id)
        row = self._unit.first(query)
        if row is not None:
            self._touch(ProviderId(row.provider_id))
        return True

    def _touch(self, provider_id: ProviderId) -> None:
        """Publishers look at the provider's own version."""
        self._unit.change(providers, providers.c.id == provider_id)

    def _views(self, rows: Sequence[Row[Any]]) -> list[ProviderView]:
        ids = [row.id for row in rows]
        credentials: defaultdict[str, list[CredentialView]] = defaultdict(list)
        if ids:
            query = _CREDENTIALS.where(provider_credentials.c.provider_id.in_(ids))
            for row in self._unit.rows(query):
                credentials[row.provider_id].append(_credential(row))
        return [_view(row, tuple(credentials[row.id])) for row in rows]


def _columns(provider: ProviderView) -> dict[str, Any]:
    return {
        "name": provider.name,
        "base_url": provider.base_url,
        "residency": provider.residency,
        "enabled": provider.enabled,
        "managed_by": provider.managed_by,
    }


def _config(provider: ProviderView) -> dict[str, Any]:
    return {
        "stream_usage": provider.stream_usage.value,
        "connect_timeout_s": provider.connect_timeout_s,
        "headers_timeout_s": provider.headers_timeout_s,
        "first_token_timeout_s": provider.first_token_timeout_s,
        "idle_timeout_s": provider.idle_timeout_s,
        "total_timeout_s": provider.total_timeout_s,
        "requests_at_once": provider.requests_at_once,
        "requests_per_minute": provider.requests_per_minute,
        "tokens_per_minute": provider.tokens_per_minute,
        "translate_responses": provider.translate_responses,
        "extra": mapped(provider.config) or None,
    }


def _credential(row: Row[Any]) -> CredentialView:
    return CredentialView(
        CredentialId(row.id),
        ProviderId(row.provider_id),
        row.reference,
        sealed=row.reference is None,
        weight=row.weight,
        created_s=row.created_s,
        version=row.version,
    )


def _view(row: Row[Any], credentials: tuple[CredentialView, ...]) -> ProviderView:
    return ProviderView(
        id=ProviderId(row.id),
        name=row.name,
        kind=ProviderKind(row.kind),
        base_url=row.base_url,
        tenant_id=None if row.tenant_id is None else TenantId(row.tenant_id),
        enabled=row.enabled,
        residency=row.residency,
        stream_usage=StreamUsage(row.stream_usage),
        connect_timeout_s=row.connect_timeout_s,
        headers_timeout_s=row.headers_timeout_s,
        first_token_timeout_s=row.first_token_timeout_s,
        idle_timeout_s=row.idle_timeout_s,
        total_timeout_s=row.total_timeout_s,
        requests_at_once=row.requests_at_once,
        requests_per_minute=row.requests_per_minute,
        tokens_per_minute=row.tokens_per_minute,
        translate_responses=row.translate_responses,
        config=row.extra or {},
        credentials=credentials,
        managed_by=row.managed_by,
        created_s=row.created_s,
        version=row.version,
    )
