"""The control plane's picture of each object: everything an administrator may see, and no secret.
What the data plane serves from are the records in `domain/`.

`version` is the snapshot in which the object last changed (it is the ETag); times are UTC seconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tollway.domain.account import Role
from tollway.domain.ids import (
    AccountId,
    CredentialId,
    EventId,
    KeyId,
    ModelId,
    ProjectId,
    ProviderId,
    QuotaId,
    TenantId,
    WebhookId,
)
from tollway.domain.model import Strategy, Target
from tollway.domain.notice import NoticeFormat
from tollway.domain.provider import ProviderKind, StreamUsage
from tollway.domain.quota import QuotaRecord

BY_FILE = "file"  # `managed_by` of what `apply` made


@dataclass(frozen=True, slots=True)
class TenantSettings:
    """What a tenant may choose. The platform decides `models`, `group`, `weight` (its share where a
    provider cannot take everybody) and `allowed_residency` (None: any)."""

    timezone: str = "UTC"
    retention_days: int | None = None
    content_logging: bool = False
    cache: Mapping[str, Any] | None = None
    models: str = "all"  # all | listed
    group: str | None = None
    weight: float = 1.0
    allowed_residency: tuple[str, ...] | None = None
    default_model: str | None = None  # of requests that name none


@dataclass(frozen=True, slots=True)
class TenantView:
    """A tenant. `deleted_s` is set while it can still be restored."""

    id: TenantId
    slug: str
    name: str
    settings: TenantSettings = field(default_factory=TenantSettings)
    active: bool = True
    deleted_s: int | None = None
    managed_by: str | None = None
    created_s: int = 0
    version: int = 0


@dataclass(frozen=True, slots=True)
class AccountView:
    """A person. The e-mail address is in lower case."""

    id: AccountId
    email: str
    name: str
    platform_admin: bool = False
    active: bool = True
    has_password: bool = False
    managed_by: str | None = None
    created_s: int = 0
    version: int = 0


@dataclass(frozen=True, slots=True)
class MemberView:
    """An account in a tenant. `source`: `manual`, or the issuer whose groups gave it."""

    tenant_id: TenantId
    account_id: AccountId
    email: str
    name: str
    role: Role
    models: tuple[str, ...] | None = None
    source: str = "manual"
    active: bool = True
    created_s: int = 0
    version: int = 0


@dataclass(frozen=True, slots=True)
class ProjectView:
    """A named part of a tenant's usage; `models` narrows what its keys may call."""

    id: ProjectId
    tenant_id: TenantId
    name: str
    models: tuple[str, ...] | None = None
    managed_by: str | None = None
    created_s: int = 0
    version: int = 0


@dataclass(frozen=True, slots=True)
class KeyView:
    """What may be shown of a key after it was made. None in a scope means all, () none."""

    id: KeyId
    tenant_id: TenantId
    name: str
    env: str
    prefix: str
    last4: str
    project_id: ProjectId | None = None
    account_id: AccountId | None = None
    models: tuple[str, ...] | None = None
    endpoints: tuple[str, ...] | None = None
    ip_allow: tuple[str, ...] | None = None
    tags: tuple[tuple[str, str], ...] = ()
    not_before_s: int | None = None
    expires_s: int | None = None
    revoked_s: int | None = None
    created_by: str | None = None
    replaces: KeyId | None = None  # the key this one was rotated from
    managed_by: str | None = None
    created_s: int = 0
    version: int = 0


@dataclass(frozen=True, slots=True)
class CredentialView:
    """One secret of a provider: a reference, or sealed here and never shown."""

    id: CredentialId
    provider_id: ProviderId
    reference: str | None = None
    sealed: bool = False
    weight: int = 1
    created_s: int = 0
    version: int = 0


@dataclass(frozen=True, slots=True)
class ProviderView:
    """A provider, a tenant's own or (tenant None) the platform's."""

    id: ProviderId
    name: str
    kind: ProviderKind
    base_url: str
    tenant_id: TenantId | None = None
    enabled: bool = True
    residency: str | None = None
    stream_usage: StreamUsage = StreamUsage.FORCE
    connect_timeout_s: float | None = None
    headers_timeout_s: float | None = None
    first_token_timeout_s: float | None = None
    idle_timeout_s: float | None = None
    total_timeout_s: float | None = None
    requests_at_once: int | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    translate_responses: bool = False
    config: Mapping[str, Any] = field(default_factory=dict)
    credentials: tuple[CredentialView, ...] = ()
    managed_by: str | None = None
    created_s: int = 0
    version: int = 0


@dataclass(frozen=True, slots=True)
class ModelView:
    """A model with its targets in order; `fallbacks` are names of other models; with
    `cache_affinity` one conversation goes to one target, for the provider's prompt cache."""

    id: ModelId
    name: str
    targets: tuple[Target, ...]
    tenant_id: TenantId | None = None
    strategy: Strategy = Strategy.PRIORITY
    fallbacks: tuple[str, ...] = ()
    max_output_tokens: int | None = None
    cache_affinity: bool = False
    enabled: bool = True
    managed_by: str | None = None
    created_s: int = 0
    version: int = 0


@dataclass(frozen=True, slots=True)
class GrantView:
    """A platform model opened to a tenant or to a group of tenants."""

    model_id: ModelId
    tenant_id: TenantId | None = None
    group: str | None = None
    created_s: int = 0
    version: int = 0

    @property
    def holder(self) -> str:
        """Who holds it, in one word: a tenant's id, or `group:NAME`."""
        return self.tenant_id if self.tenant_id is not None else f"group:{self.group}"


@dataclass(frozen=True, slots=True)
class PriceView:
    """One entry of the price book, in force from `effective_from_s`. The rates' form is
    `domain/pricing.py`'s."""

    id: str
    model: str
    effective_from_s: int
    rates: Mapping[str, Any]
    tenant_id: TenantId | None = None
    provider_kind: str | None = None
    provider_id: ProviderId | None = None
    source: str = "admin"  # seed | admin | file
    created_s: int = 0
    version: int = 0


@dataclass(frozen=True, slots=True)
class QuotaView:
    """One limit. `set_by`: whose administrators made it and may change it, the platform's or the
    tenant's own."""

    quota: QuotaRecord
    set_by: str = "platform"  # platform | tenant
    managed_by: str | None = None
    created_s: int = 0
    version: int = 0

    @property
    def id(self) -> QuotaId:
        """The rule's."""
        return self.quota.id


@dataclass(frozen=True, slots=True)
class TokenView:
    """A token for the admin API: a person's (with an account), or a tenant's machine's (with tenant
    and role)."""

    id: str
    name: str
    prefix: str
    last4: str
    account_id: AccountId | None = None
    tenant_id: TenantId | None = None
    role: Role | None = None
    read_only: bool = False
    expires_s: int | None = None
    revoked_s: int | None = None
    last_used_s: int | None = None
    created_s: int = 0
    version: int = 0


@dataclass(frozen=True, slots=True)
class SessionView:
    """A person's signed-in browser. Found by the digest of its cookie."""

    digest: bytes
    account_id: AccountId
    created_s: int
    last_seen_s: int
    expires_s: int
    via: str = "password"  # password | the issuer
    id_token: str | None = None  # for signing out at the issuer


@dataclass(frozen=True, slots=True)
class AuditView:
    """One row of the audit: what changed, by whom, chained to the row before."""

    seq: int
    at_s: int
    action: str  # past tense: key.created
    object_kind: str
    object_id: str
    tenant_id: TenantId | None
    actor_id: str
    actor_name: str
    via: str
    changes: Mapping[str, Any]
    request_id: str | None
    address: str | None
    previous: bytes
    digest: bytes


@dataclass(frozen=True, slots=True)
class WebhookView:
    """Somewhere that events are told. `tenant_id` None: the platform's, which is told everything.
    `place` is scheme and host of the URL, whose rest is a secret; a mail has `recipients` instead.
    `kinds` None: every kind."""

    id: WebhookId
    tenant_id: TenantId | None
    name: str
    format: NoticeFormat
    place: str = ""
    recipients: tuple[str, ...] = ()
    kinds: tuple[str, ...] | None = None
    enabled: bool = True
    created_s: int = 0
    version: int = 0


@dataclass(frozen=True, slots=True)
class DeliveryView:
    """One event on its way to one webhook. `state`: waiting | delivered | failed; `next_s` is the
    next attempt, `done_s` the end; `reason` is why the last attempt failed, without any secret."""

    event_id: EventId
    kind: str
    title: str
    at_s: int
    state: str
    attempts: int
    next_s: int
    done_s: int | None
    reason: str
