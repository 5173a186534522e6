"""The repositories of a unit of work: one per aggregate, only what the commands and queries use.

A method that takes a tenant finds nothing of another tenant; `owner` None is the platform. Lists
are in the order of ids, at most `at.limit` behind `at.after`. Adding or saving moves the row's
version. Every method may raise StoreUnavailableError; a clash with a row the command did not look
for raises ConflictError.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from tollway.app.views import (
    CredentialView,
    GrantView,
    KeyView,
    ModelView,
    PriceView,
    ProjectView,
    ProviderView,
    QuotaView,
    TenantView,
)
from tollway.domain.gateways import GatewayRecord
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
from tollway.domain.quota import Metric, QuotaRecord, Scope


class ConflictError(Exception):
    """A row like that stands there already: somebody was faster."""


class Page(NamedTuple):
    """Which part of a list: the `limit` rows behind the id `after`."""

    limit: int = 100
    after: str | None = None


class Tenants(Protocol):
    """Tenants and their settings. A deleted one is found too; its view says so."""

    def get(self, tenant_id: TenantId) -> TenantView | None:
        """By id."""

    def find(self, slug: str) -> TenantView | None:
        """By its natural key."""

    def page(
        self,
        at: Page,
        *,
        within: Sequence[TenantId] | None = None,
        search: str | None = None,
        deleted: bool = False,
    ) -> list[TenantView]:
        """All, or those `within`; `search` is a part of slug or name."""

    def add(self, tenant: TenantView, salt: bytes) -> None:
        """A new tenant with its settings."""

    def save(self, tenant: TenantView) -> None:
        """Everything but id and salt."""

    def due(self, deleted_before_s: int) -> list[TenantId]:
        """Deleted before then, and not purged yet."""

    def purge(self, tenant_id: TenantId) -> None:
        """All it had is removed for good; its id stays taken, its slug is free."""


class Projects(Protocol):
    """Projects of tenants."""

    def get(self, tenant_id: TenantId, project_id: ProjectId) -> ProjectView | None:
        """By id."""

    def find(self, tenant_id: TenantId, name: str) -> ProjectView | None:
        """By its natural key."""

    def page(self, tenant_id: TenantId, at: Page) -> list[ProjectView]:
        """A tenant's projects."""

    def add(self, project: ProjectView) -> None:
        """A new project."""

    def save(self, project: ProjectView) -> None:
        """Name, models, managed_by."""

    def remove(self, tenant_id: TenantId, project_id: ProjectId) -> None:
        """The project is gone. It has no keys."""

    def has_keys(self, tenant_id: TenantId, project_id: ProjectId) -> bool:
        """Whether any key, a revoked one too, names it."""


class Keys(Protocol):
    """API keys of tenants. Never removed while their tenant lives: the ledger names them."""

    def get(self, tenant_id: TenantId, key_id: KeyId) -> KeyView | None:
        """By id."""

    def owner(self, key_id: KeyId) -> TenantId | None:
        """Whose it is (of those the unit's scope shows)."""

    def find(self, tenant_id: TenantId, name: str) -> list[KeyView]:
        """All of that name, the newest first: rotation makes several."""

    def page(
        self,
        tenant_id: TenantId,
        at: Page,
        *,
        account_id: AccountId | None = None,
        project_id: ProjectId | None = None,
        live: bool | None = None,
    ) -> list[KeyView]:
        """A tenant's keys; `live`: not revoked."""

    def add(self, key: KeyView, digest: bytes, pepper_version: int) -> None:
        """A new key."""

    def save(self, key: KeyView) -> None:
        """Name, scopes, times, revocation."""

    def revoke_of(self, account_id: AccountId, *, tenant_id: TenantId | None = None) -> list[KeyId]:
        """Revoke an account's keys, in one tenant or in all. Which those were."""


class Providers(Protocol):
    """Providers with their configuration and credentials."""

    def get(self, provider_id: ProviderId) -> ProviderView | None:
        """By id, whoever owns it (of those the unit's scope shows)."""

    def find(self, owner: TenantId | None, name: str) -> ProviderView | None:
        """By its natural key."""

    def page(
        self, at: Page, *, owners: Sequence[TenantId | None] | None = None
    ) -> list[ProviderView]:
        """All, or those of the owners."""

    def add(self, provider: ProviderView) -> None:
        """A new provider with its configuration; credentials are added one by one."""

    def save(self, provider: ProviderView) -> None:
        """Everything but id, owner, kind and credentials."""

    def remove(self, provider_id: ProviderId) -> None:
        """The provider and its credentials are gone. No model leads to it."""

    def models_at(self, provider_id: ProviderId) -> list[str]:
        """Names of models with a target there; a few."""

    def add_credential(self, credential: CredentialView, envelope: bytes | None) -> None:
        """One more secret: by reference, or sealed."""

    def save_credential(self, credential: CredentialView, envelope: bytes | None) -> None:
        """Another weight, reference or envelope (None keeps it)."""

    def remove_credential(self, provider_id: ProviderId, credential_id: CredentialId) -> None:
        """The secret is gone."""

    def envelope(self, credential_id: CredentialId) -> bytes | None:
        """What a sealed credential is kept as."""

    def sealed(self, after: str, limit: int) -> list[tuple[CredentialId, ProviderView, bytes]]:
        """Sealed credentials behind an id, for re-wrapping."""

    def rewrap(self, credential_id: CredentialId, envelope: bytes, *, instead_of: bytes) -> bool:
        """The same secret in another envelope. False, and nothing done, when the envelope is not
        any more the one it was read from: the secret was replaced meanwhile."""


class Models(Protocol):
    """Models with their targets."""

    def get(self, model_id: ModelId) -> ModelView | None:
        """By id, whoever owns it (of those the unit's scope shows)."""

    def find(self, owner: TenantId | None, name: str) -> ModelView | None:
        """By its natural key."""

    def page(
        self,
        at: Page,
        *,
        owners: Sequence[TenantId | None] | None = None,
        granted_to: Sequence[str] = (),
    ) -> list[ModelView]:
        """All, or those of the owners; also the platform's that one of the holders was granted."""

    def add(self, model: ModelView) -> None:
        """A new model with its targets."""

    def save(self, model: ModelView) -> None:
        """Everything but id and owner."""

    def remove(self, model_id: ModelId) -> None:
        """The model, its targets and its grants are gone."""


class Grants(Protocol):
    """Platform models opened to tenants and groups."""

    def get(self, model_id: ModelId, holder: str) -> GrantView | None:
        """One grant."""

    def page(
        self, at: Page, *, holders: Sequence[str] | None = None, model_id: ModelId | None = None
    ) -> list[GrantView]:
        """All, those of the holders, or of one model. `at.after` is `holder|model id`."""

    def add(self, grant: GrantView) -> None:
        """A new grant."""

    def remove(self, model_id: ModelId, holder: str) -> None:
        """The grant is taken back."""


class Prices(Protocol):
    """The price book. Entries are never changed: a newer one takes their place from its time on."""

    def get(self, price_id: str) -> PriceView | None:
        """By id."""

    def page(
        self,
        at: Page,
        *,
        owners: Sequence[TenantId | None] | None = None,
        model: str | None = None,
    ) -> list[PriceView]:
        """All, those of the owners, or of one upstream model."""

    def add(self, price: PriceView) -> None:
        """A new entry."""

    def add_seed(self, prices: Sequence[PriceView]) -> int:
        """The seeded entries that are not there yet; how many those were."""

    def remove(self, price_id: str) -> None:
        """An entry that was a mistake is gone."""


class QuotaReach(NamedTuple):
    """Whose limits are meant: all of the owners (None: the platform's); and `within` tenants those
    that concern the account: the tenant's, its own, those of its keys and of their projects."""

    owners: Sequence[TenantId | None] = ()
    within: Sequence[TenantId] = ()
    account_id: AccountId | None = None


class QuotaFilter(NamedTuple):
    """Which limits; None is no filter. `model_id` is the model beside the scope."""

    scope: Scope | None = None
    scope_id: str | None = None
    metric: Metric | None = None
    model_id: ModelId | None = None


EVERY = QuotaFilter()


class Quotas(Protocol):
    """Limits, and the gateways that have to count for them."""

    def get(self, quota_id: QuotaId, *, reach: QuotaReach | None = None) -> QuotaView | None:
        """By id; of those in reach, where one is given."""

    def twin(self, quota: QuotaRecord) -> QuotaView | None:
        """The rule that counts the same, whatever its limit: there is at most one."""

    def page(
        self, at: Page, *, reach: QuotaReach | None = None, only: QuotaFilter = EVERY
    ) -> list[QuotaView]:
        """All, or those in reach, that the filter lets through."""

    def naming(self, scope: Scope, scope_id: str) -> list[QuotaView]:
        """All on this thing; of a model those beside which it stands too."""

    def add(self, view: QuotaView) -> None:
        """A new rule. Raises ConflictError."""

    def save(self, view: QuotaView) -> None:
        """Everything but id and what it counts."""

    def remove(self, quota_id: QuotaId) -> None:
        """The rule is gone."""

    def gateways(self) -> list[GatewayRecord]:
        """Those that serve right now."""


class Peppers(Protocol):
    """The secret halves of key digests, as envelopes."""

    def newest(self) -> tuple[int, bytes] | None:
        """The version new keys are made with."""

    def every(self) -> list[tuple[int, bytes]]:
        """All."""

    def add(self, version: int, wrapped: bytes) -> None:
        """One more. They are never removed while a key uses them."""

    def replace(self, version: int, wrapped: bytes) -> None:
        """The same pepper in another envelope."""
