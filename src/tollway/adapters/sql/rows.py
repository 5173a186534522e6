"""Configuration rows as the data plane's records: plain tuples from one Core statement per table.
Nothing is decided here; which rows are asked for is the caller's (`snapshot.py`).
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Text, cast, select

from tollway.adapters.sql.tables import (
    api_keys,
    grants,
    memberships,
    model_targets,
    models,
    projects,
    provider_config,
    provider_credentials,
    providers,
    quotas,
    snapshot_version,
    tenant_settings,
    tenants,
)
from tollway.domain.account import MemberScope, ProjectScope
from tollway.domain.fair_share import Capacity
from tollway.domain.grant import GrantRecord
from tollway.domain.ids import (
    AccountId,
    CredentialId,
    KeyId,
    ModelId,
    ProjectId,
    ProviderId,
    QuotaId,
    TenantId,
)
from tollway.domain.key import KeyRecord
from tollway.domain.model import ModelRecord, Strategy, Target
from tollway.domain.provider import CredentialRecord, ProviderKind, ProviderRecord, StreamUsage
from tollway.domain.quota import (
    Metric,
    Mode,
    OnOutage,
    Precision,
    QuotaPlace,
    QuotaRecord,
    Scope,
)
from tollway.domain.tenant import TenantRecord
from tollway.domain.window import Period

Condition = ColumnElement[bool]

_VERSION = select(snapshot_version.c.version)
_TENANTS = (
    select(
        tenants.c.id,
        tenants.c.slug,
        tenants.c.name,
        tenants.c.salt,
        tenants.c.active,
        tenant_settings.c.models,
        tenant_settings.c.grant_group,
        tenant_settings.c.timezone,
        tenant_settings.c.timezone_before,
        tenant_settings.c.timezone_since_s,
        tenant_settings.c.weight,
        cast(tenant_settings.c.allowed_residency, Text),
        tenant_settings.c.default_model,
    )
    .join(tenant_settings, tenant_settings.c.tenant_id == tenants.c.id)
    .where(tenants.c.deleted_s.is_(None))
    .order_by(tenants.c.id)
)
# JSON stays text until it is seen not to be NULL, which it nearly always is.
_KEYS = select(
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
).order_by(api_keys.c.id)
_PROJECTS = select(
    projects.c.id, projects.c.tenant_id, cast(projects.c.models, Text), projects.c.name
).order_by(projects.c.id)
_MEMBERS = select(
    memberships.c.tenant_id, memberships.c.account_id, cast(memberships.c.models, Text)
).order_by(memberships.c.tenant_id, memberships.c.account_id)
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
        provider_config.c.translate_responses,
        providers.c.residency,
        provider_config.c.requests_at_once,
        provider_config.c.requests_per_minute,
        provider_config.c.tokens_per_minute,
    )
    .join(provider_config, provider_config.c.provider_id == providers.c.id)
    .order_by(providers.c.id)
)
_CREDENTIALS = select(
    provider_credentials.c.provider_id,
    provider_credentials.c.id,
    provider_credentials.c.reference,
    provider_credentials.c.weight,
    provider_credentials.c.envelope,
).order_by(provider_credentials.c.id)
_MODELS = select(
    models.c.id,
    models.c.name,
    models.c.tenant_id,
    models.c.strategy,
    models.c.enabled,
    models.c.max_output_tokens,
    models.c.created_s,
    models.c.version,
    models.c.cache_affinity,
    cast(models.c.fallbacks, Text),
).order_by(models.c.id)
_TARGETS = select(
    model_targets.c.model_id,
    model_targets.c.provider_id,
    model_targets.c.model,
    model_targets.c.weight,
    model_targets.c.priority,
).order_by(model_targets.c.model_id, model_targets.c.position)
QUOTA_COLUMNS = (
    quotas.c.id,
    quotas.c.tenant_id,
    quotas.c.scope,
    quotas.c.scope_id,
    quotas.c.metric,
    quotas.c.period,
    quotas.c.amount,
    quotas.c.model_id,
    quotas.c.per,
    quotas.c.mode,
    quotas.c.precision,
    quotas.c.on_outage,
    quotas.c.raised_to,
    quotas.c.raised_until_s,
    quotas.c.alert_at,
    quotas.c.name,
)
_QUOTAS = select(quotas.c.place, *QUOTA_COLUMNS).order_by(quotas.c.place, quotas.c.id)
_GRANTS = select(grants.c.holder, grants.c.model_id).order_by(grants.c.holder, grants.c.model_id)


def read_version(connection: Connection) -> int:
    """The snapshot version this transaction sees; 0 before the first configuration write."""
    return connection.execute(_VERSION).scalar() or 0


def read_tenants(
    connection: Connection, *only: Condition, limit: int | None = None
) -> tuple[TenantRecord, ...]:
    """Tenants by id, without the deleted."""
    return tuple(
        TenantRecord(TenantId(id_), *(*rest, _names(residency), default_model))
        for id_, *rest, residency, default_model in connection.execute(
            _narrowed(_TENANTS, only, limit)
        )
    )


def read_keys(
    connection: Connection, *only: Condition, limit: int | None = None
) -> tuple[KeyRecord, ...]:
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
            for row in connection.execute(_narrowed(_KEYS, only, limit))
        ]
    )


def read_projects(
    connection: Connection, *only: Condition, limit: int | None = None
) -> tuple[ProjectScope, ...]:
    """Projects and what they narrow, by id."""
    return tuple(
        ProjectScope(ProjectId(id_), TenantId(tenant_id), _names(allowed), name)
        for id_, tenant_id, allowed, name in connection.execute(_narrowed(_PROJECTS, only, limit))
    )


def read_members(
    connection: Connection, *only: Condition, limit: int | None = None
) -> tuple[MemberScope, ...]:
    """What memberships narrow, by tenant and account."""
    return tuple(
        MemberScope(TenantId(tenant_id), AccountId(account_id), _names(allowed))
        for tenant_id, account_id, allowed in connection.execute(_narrowed(_MEMBERS, only, limit))
    )


def read_providers(
    connection: Connection, *only: Condition, limit: int | None = None
) -> tuple[ProviderRecord, ...]:
    """Providers by id, each with its credentials."""
    found = connection.execute(_narrowed(_PROVIDERS, only, limit)).all()
    credentials = defaultdict(list)
    mine = _CREDENTIALS.where(provider_credentials.c.provider_id.in_([row[0] for row in found]))
    for provider_id, id_, reference, weight, envelope in connection.execute(mine):
        credential = CredentialRecord(CredentialId(id_), reference or "", weight, envelope or b"")
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
            *(*row[7:14], _capacity(*row[14:])),
        )
        for row in found
    )


def read_models(
    connection: Connection, *only: Condition, limit: int | None = None
) -> tuple[ModelRecord, ...]:
    """Models by id, each with its targets in order."""
    found = connection.execute(_narrowed(_MODELS, only, limit)).all()
    targets = defaultdict(list)
    mine = _TARGETS.where(model_targets.c.model_id.in_([row[0] for row in found]))
    for model_id, provider_id, model, weight, priority in connection.execute(mine):
        targets[model_id].append(Target(ProviderId(provider_id), model, weight, priority))
    return tuple(
        ModelRecord(
            ModelId(id_),
            name,
            tuple(targets[id_]),
            TenantId(owner) if owner is not None else None,
            Strategy(strategy),
            *(*rest, _names(fallbacks) or ()),
        )
        for id_, name, owner, strategy, *rest, fallbacks in found
    )


def read_grants(
    connection: Connection, *only: Condition, limit: int | None = None
) -> tuple[GrantRecord, ...]:
    """All that each of these holders was granted, by holder. `limit` counts holders."""
    holders = _narrowed(select(grants.c.holder).distinct().order_by(grants.c.holder), only, limit)
    named = [row.holder for row in connection.execute(holders)]
    granted = defaultdict(list)
    for holder, model_id in connection.execute(_GRANTS.where(grants.c.holder.in_(named))):
        granted[holder].append(ModelId(model_id))
    return tuple(GrantRecord(holder, tuple(granted[holder])) for holder in named)


def read_quotas(
    connection: Connection, *only: Condition, limit: int | None = None
) -> tuple[QuotaPlace, ...]:
    """All rules of each of these places, by place. `limit` counts places."""
    places = _narrowed(select(quotas.c.place).distinct().order_by(quotas.c.place), only, limit)
    named = [row.place for row in connection.execute(places)]
    found = defaultdict(list)
    for place, *row in connection.execute(_QUOTAS.where(quotas.c.place.in_(named))):
        found[place].append(quota_record(row))
    return tuple(QuotaPlace(place, tuple(found[place])) for place in named)


def quota_record(row: Sequence[Any]) -> QuotaRecord:
    """A rule from its columns, in the order of the record's fields."""
    id_, owner, scope, scope_id, metric, period, limit, model_id, per, *rest = row
    mode, precision, on_outage, raised_to, raised_until_s, alert_at, name = rest
    return QuotaRecord(
        QuotaId(id_),
        None if owner is None else TenantId(owner),
        Scope(scope),
        scope_id,
        Metric(metric),
        Period(period),
        limit,
        None if model_id is None else ModelId(model_id),
        None if per is None else Scope(per),
        Mode(mode),
        Precision(precision),
        OnOutage(on_outage),
        raised_to,
        raised_until_s,
        tuple(alert_at),
        name,
    )


def _narrowed(query: Select[Any], only: Iterable[Condition], limit: int | None) -> Select[Any]:
    return query.where(*only).limit(limit)


def _capacity(
    at_once: int | None, requests_per_minute: int | None, tokens_per_minute: int | None
) -> Capacity | None:
    found = Capacity(at_once, requests_per_minute, tokens_per_minute)
    return None if found.unknown else found


def _names(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(json.loads(text))


def _pairs(text: str | None) -> tuple[tuple[str, str], ...]:
    return () if text is None else tuple(json.loads(text).items())
