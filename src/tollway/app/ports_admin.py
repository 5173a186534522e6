"""The control plane's doors: where configuration is written and usage is read. The data plane's
ports are in `ports.py`.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

from tollway.domain.account import AccountRecord, ProjectRecord, Role
from tollway.domain.ids import AccountId, KeyId, ProviderId, TenantId
from tollway.domain.key import KeyRecord
from tollway.domain.model import ModelRecord
from tollway.domain.provider import CredentialRecord, ProviderRecord
from tollway.domain.tenant import TenantRecord


class KeyFace(NamedTuple):
    """What may be shown of a key after it was made."""

    env: str
    prefix: str
    last4: str


Entropy = Callable[[int], bytes]  # that many unpredictable bytes; never fails


class UnitOfWork(Protocol):
    """One write transaction over the configuration. Others wait for it, so keep it short.

    Every method may raise StoreUnavailableError. The first write moves the snapshot's version, in
    this same transaction, and every row written carries it. `find_*` also sees what was written.
    """

    now_s: int  # when the unit began, UTC seconds: what `created_s` becomes

    def commit(self) -> None:
        """Make all of it visible at once. Without it nothing was written."""

    def find_tenant(self, slug: str) -> TenantRecord | None:
        """A tenant by its natural key."""

    def add_tenant(self, tenant: TenantRecord) -> None:
        """A new tenant with default settings."""

    def find_account(self, email: str) -> AccountRecord | None:
        """An account by its e-mail address in lower case."""

    def add_account(self, account: AccountRecord) -> None:
        """A new account."""

    def find_role(self, tenant_id: TenantId, account_id: AccountId) -> Role | None:
        """What the account is in the tenant, if it is a member."""

    def add_membership(self, tenant_id: TenantId, account_id: AccountId, role: Role) -> None:
        """The account becomes a member."""

    def find_project(self, tenant_id: TenantId, name: str) -> ProjectRecord | None:
        """A tenant's project."""

    def add_project(self, project: ProjectRecord) -> None:
        """A new project."""

    def find_keys(self, tenant_id: TenantId, name: str) -> Sequence[KeyRecord]:
        """A tenant's keys of that name (rotation makes several), revoked ones too."""

    def add_key(self, key: KeyRecord, face: KeyFace) -> None:
        """A new key."""

    def revoke_key(self, key_id: KeyId) -> bool:
        """From now on the key opens nothing. False when there is none or it was revoked."""

    def find_provider(self, owner: TenantId | None, name: str) -> ProviderRecord | None:
        """A tenant's or (None) the platform's provider, with its credentials."""

    def find_provider_by_id(self, provider_id: ProviderId) -> ProviderRecord | None:
        """Whoever owns it."""

    def add_provider(self, provider: ProviderRecord) -> None:
        """A new provider with its configuration; its credentials are added one by one."""

    def move_provider(self, provider_id: ProviderId, base_url: str) -> None:
        """From now on the provider is reached at another base URL."""

    def add_credential(self, provider_id: ProviderId, credential: CredentialRecord) -> None:
        """One more secret, by reference."""

    def find_model(self, owner: TenantId | None, name: str) -> ModelRecord | None:
        """A tenant's or (None) the platform's model."""

    def add_model(self, model: ModelRecord) -> None:
        """A new model with its targets. Its `created_s` and `version` are the unit's."""

    def newest_pepper(self) -> tuple[int, bytes] | None:
        """The version new keys are made with, and its envelope."""

    def add_pepper(self, version: int, wrapped: bytes) -> None:
        """One more pepper. They are never removed while a key uses them."""


class Configuration(Protocol):
    """Where configuration is written."""

    def begin(self) -> AbstractContextManager[UnitOfWork]:
        """A unit of work; leaving it without `commit` undoes everything."""


class UsageRow(NamedTuple):
    """One line of a usage report. Token classes and cost are None where nothing is known; where
    `unpriced` is above 0 the cost leaves out that many billed attempts.

    `group` holds ids, in the order asked for; `labels` the names people know them by.
    """

    group: tuple[str, ...]
    labels: tuple[str, ...]
    requests: int
    attempts: int
    errors: int
    estimated: int
    unpriced: int
    input: int | None
    cached_input: int | None
    cache_write: int | None
    output: int | None
    reasoning: int | None
    audio: int | None
    image: int | None
    cost_nusd: int | None


class UsageQuery(NamedTuple):
    """What is asked of the roll-ups. Bounds in UTC seconds, `until_s` excluded, widened to whole
    quarters of an hour, or to whole UTC days when grouped by `end_user` or `day`."""

    since_s: int
    until_s: int
    group_by: tuple[str, ...] = ()
    tenant_id: str | None = None


class UsageReader(Protocol):
    """Usage, from the roll-ups. Raises StoreUnavailableError."""

    def usage(self, query: UsageQuery) -> list[UsageRow]:
        """The sums, by group, largest number of requests first."""
