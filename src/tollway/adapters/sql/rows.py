"""Configuration rows as domain records: plain tuples from one Core statement per table. Shared by
the snapshot (all rows) and by the unit of work (single rows); nothing is decided here.

Rows of deleted tenants do not exist for either.
"""

import json
from collections import defaultdict

from sqlalchemy import ColumnElement, Connection, Text, cast, select

from tollway.adapters.sql.tables import (
    api_keys,
    model_targets,
    models,
    provider_config,
    provider_credentials,
    providers,
    snapshot_version,
    tenant_settings,
    tenants,
)
from tollway.domain.ids import (
    AccountId,
    CredentialId,
    KeyId,
    ModelId,
    ProjectId,
    ProviderId,
    TenantId,
)
from tollway.domain.key import KeyRecord
from tollway.domain.model import ModelRecord, Strategy, Target
from tollway.domain.provider import CredentialRecord, ProviderKind, ProviderRecord, StreamUsage
from tollway.domain.tenant import TenantRecord

Condition = ColumnElement[bool]

_VERSION = select(snapshot_version.c.version)
_LIVING = select(tenants.c.id).where(tenants.c.deleted_s.is_(None)).scalar_subquery()
_TENANTS = (
    select(
        tenants.c.id,
        tenants.c.slug,
        tenants.c.name,
        tenants.c.salt,
        tenants.c.active,
        tenant_settings.c.models,
    )
    .join(tenant_settings, tenant_settings.c.tenant_id == tenants.c.id)
    .where(tenants.c.deleted_s.is_(None))
    .order_by(tenants.c.id)
)
# JSON stays text until it is seen not to be NULL, which it nearly always is.
_KEYS = (
    select(
        api_keys.c.id,
        api_keys.c.tenant_id,
        api_keys.c.digest,
        api_keys.c.pepper_version,
        api_keys.c.name,
        api_keys.c.project_id,
        api_keys.c.account_id,
        api_keys.c.not_before_s,
        api_keys.c.expires_s,
        api_keys.c.revoked_s,
        *(
            cast(column, Text)
            for column in (
                api_keys.c.models,
                api_keys.c.endpoints,
                api_keys.c.ip_allow,
                api_keys.c.tags,
            )
        ),
    )
    .where(api_keys.c.tenant_id.in_(_LIVING))
    .order_by(api_keys.c.id)
)
_PROVIDERS = (
    select(
        providers.c.id,
        providers.c.name,
        providers.c.kind,
        providers.c.base_url,
        providers.c.tenant_id,
        providers.c.enabled,
        provider_config.c.stream_usage,
        provider_config.c.connect_timeout_s,
        provider_config.c.headers_timeout_s,
        provider_config.c.first_token_timeout_s,
        provider_config.c.idle_timeout_s,
        provider_config.c.total_timeout_s,
    )
    .join(provider_config, provider_config.c.provider_id == providers.c.id)
    .where(providers.c.tenant_id.is_(None) | providers.c.tenant_id.in_(_LIVING))
    .order_by(providers.c.id)
)
_CREDENTIALS = select(
    provider_credentials.c.provider_id,
    provider_credentials.c.id,
    provider_credentials.c.reference,
    provider_credentials.c.weight,
).order_by(provider_credentials.c.id)
_MODELS = (
    select(
        models.c.id,
        models.c.name,
        models.c.tenant_id,
        models.c.strategy,
        models.c.enabled,
        models.c.max_output_tokens,
        models.c.created_s,
        models.c.version,
    )
    .where(models.c.tenant_id.is_(None) | models.c.tenant_id.in_(_LIVING))
    .order_by(models.c.id)
)
_TARGETS = select(
    model_targets.c.model_id,
    model_targets.c.provider_id,
    model_targets.c.model,
    model_targets.c.weight,
    model_targets.c.priority,
).order_by(model_targets.c.model_id, model_targets.c.position)


def read_version(connection: Connection) -> int:
    """The snapshot version this transaction sees; 0 before the first configuration write."""
    return connection.execute(_VERSION).scalar() or 0


def read_tenants(connection: Connection, *only: Condition) -> tuple[TenantRecord, ...]:
    """Tenants by id."""
    return tuple(
        TenantRecord(TenantId(id_), slug, name, salt, active, seen)
        for id_, slug, name, salt, active, seen in connection.execute(_TENANTS.where(*only))
    )


def read_keys(connection: Connection, *only: Condition) -> tuple[KeyRecord, ...]:
    """Keys by id, revoked and expired ones too. About 7 us each."""
    return tuple(
        [
            KeyRecord(
                KeyId(row[0]),
                TenantId(row[1]),
                row[2],
                row[3],
                row[4],
                ProjectId(row[5]) if row[5] is not None else None,
                AccountId(row[6]) if row[6] is not None else None,
                row[7],
                row[8],
                row[9],
                _names(row[10]),
                _names(row[11]),
                _names(row[12]),
                _pairs(row[13]),
            )
            for row in connection.execute(_KEYS.where(*only))
        ]
    )


def read_providers(connection: Connection, *only: Condition) -> tuple[ProviderRecord, ...]:
    """Providers by id, each with its credentials."""
    credentials = defaultdict(list)
    for provider_id, id_, reference, weight in connection.execute(_CREDENTIALS):
        # An envelope has no reference. Its name must not read as "no secret needed".
        credential = CredentialRecord(CredentialId(id_), reference or f"sealed:{id_}", weight)
        credentials[provider_id].append(credential)
    return tuple(
        ProviderRecord(
            ProviderId(row[0]),
            row[1],
            ProviderKind(row[2]),
            row[3],
            TenantId(row[4]) if row[4] is not None else None,
            row[5],
            StreamUsage(row[6]),
            tuple(credentials[row[0]]),
            *row[7:],
        )
        for row in connection.execute(_PROVIDERS.where(*only))
    )


def read_models(connection: Connection, *only: Condition) -> tuple[ModelRecord, ...]:
    """Models by id, each with its targets in order."""
    targets = defaultdict(list)
    for model_id, provider_id, model, weight, priority in connection.execute(_TARGETS):
        targets[model_id].append(Target(ProviderId(provider_id), model, weight, priority))
    return tuple(
        ModelRecord(
            ModelId(id_),
            name,
            tuple(targets[id_]),
            TenantId(owner) if owner is not None else None,
            Strategy(strategy),
            *rest,
        )
        for id_, name, owner, strategy, *rest in connection.execute(_MODELS.where(*only))
    )


def _names(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(json.loads(text))


def _pairs(text: str | None) -> tuple[tuple[str, str], ...]:
    return () if text is None else tuple(json.loads(text).items())
