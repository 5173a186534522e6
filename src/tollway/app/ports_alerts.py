"""Events and who is told of them: the doors of the keeper's jobs, and of the admin API. All may
raise StoreUnavailableError.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from tollway.app.ports_directory import Page
from tollway.app.views import DeliveryView, WebhookView
from tollway.domain.event import Event, EventRecord
from tollway.domain.ids import EventId, KeyId, ProviderId, TenantId, WebhookId
from tollway.domain.notice import Notice
from tollway.domain.notice_delivery import Outcome
from tollway.domain.quota import QuotaRecord
from tollway.domain.window import Window, Zone


class Sealed(NamedTuple):
    """What a webhook keeps closed, each an envelope: the URL, and the signing secrets, the newest
    first. `address` None: a mail. See `app.admin.hook_sealing` for what they are sealed for."""

    address: bytes | None
    secrets: tuple[bytes, ...] = ()


class Webhooks(Protocol):
    """Webhooks of tenants and of the platform. `owners` may hold None, the platform; a method that
    takes them finds nothing of others. Of deleted tenants there are none, but for `every`."""

    def get(
        self, webhook_id: WebhookId, *, owners: Sequence[TenantId | None] | None = None
    ) -> WebhookView | None:
        """By id."""

    def find(self, tenant_id: TenantId | None, name: str) -> WebhookView | None:
        """By its natural key."""

    def page(
        self, at: Page, *, owners: Sequence[TenantId | None] | None = None
    ) -> list[WebhookView]:
        """In the order of ids."""

    def add(self, webhook: WebhookView, sealed: Sealed) -> None:
        """A new one. Raises ConflictError."""

    def save(self, webhook: WebhookView, sealed: Sealed | None = None) -> None:
        """Everything but id and owner; None keeps what is sealed."""

    def remove(self, webhook_id: WebhookId) -> None:
        """It is gone, with what was on its way to it."""

    def sealed(self, webhook_id: WebhookId) -> Sealed | None:
        """What it keeps closed."""

    def every(self, after: str, limit: int) -> list[tuple[WebhookView, Sealed]]:
        """Behind an id, with what they keep closed, for re-wrapping: also those of deleted tenants,
        which can be restored."""

    def deliveries(self, webhook_id: WebhookId, at: Page) -> list[DeliveryView]:
        """What was told to it, the newest first; `at.after` is an event's id."""

    def events(
        self, at: Page, *, owners: Sequence[TenantId | None] | None = None
    ) -> list[EventRecord]:
        """Events, the newest first; `at.after` is an event's id."""


class KeyEnd(NamedTuple):
    """A key whose time ends."""

    key_id: KeyId
    tenant_id: TenantId
    name: str
    created_s: int
    expires_s: int


class Ejected(NamedTuple):
    """A target that does not answer: a provider's model, and what it failed with last."""

    provider_id: ProviderId
    provider: str
    tenant_id: TenantId | None
    model: str
    cause: str


class WatchedQuota(NamedTuple):
    """A limit that is looked at. `zone` is its tenant's."""

    quota: QuotaRecord
    created_s: int
    tenant_name: str | None
    zone: Zone


class MemberSums(Protocol):
    """The ledger, counter by counter."""

    def members(self, quota: QuotaRecord, window: Window) -> dict[str | None, int]:
        """What each of the limit's counters has in the window, by its member; None is the one
        counter of a limit that has none."""


class AlertStore(Protocol):
    """What the keeper's two jobs read and write."""

    def mark_s(self) -> int | None:
        """Until when everything was looked at; None: never yet."""

    def watched(self) -> list[WatchedQuota]:
        """Limits that tell of shares, of tenants that are not deleted."""

    def ended_increases(self, after_s: int, until_s: int) -> list[WatchedQuota]:
        """Limits whose temporary increase ended then: after the one, not after the other."""

    def key_ends(self, after_s: int, until_s: int) -> list[KeyEnd]:
        """Keys, not revoked, that expire then."""

    def keep(self, found: Sequence[tuple[EventId, Event]], *, at_s: int) -> int:
        """Keep those whose name is new, each with what must be delivered of it; how many those
        were. Everything until `at_s` was looked at, and that is the mark. One transaction."""

    def due(self, now_s: int, *, limit: int, lease_s: int) -> list["Due"]:
        """Deliveries whose time has come, the longest waiting first, one for a webhook, few for an
        owner; taken for so long: nobody else gets them meanwhile. One attempt is begun."""

    def done(self, due: "Due", *, now_s: int, reason: str = "", failed: bool = False) -> None:
        """It was delivered, or never will be."""

    def again(self, due: "Due", *, next_s: int, reason: str) -> None:
        """It failed; another attempt then."""

    def disable(self, webhook_id: WebhookId) -> None:
        """Its receiver wants nothing more, ever."""

    def forget(self, before_s: int, now_s: int) -> int:
        """Remove deliveries of events from before then, and these, once their names need not be
        known any more; how many."""


@dataclass(frozen=True, slots=True)
class Due:
    """One delivery, with all that it takes. `attempts` were begun, this one too."""

    webhook: WebhookView
    record: EventRecord
    tenant_name: str | None
    attempts: int
    sealed: Sealed = field(repr=False)


class NoticeSender(Protocol):
    """Sends one notice to one webhook, once. Blocks for ten seconds at most. Raises SecretError
    when what is sealed cannot be opened, and nothing else."""

    def send_now(self, webhook: WebhookView, sealed: Sealed, notice: Notice) -> Outcome:
        """What became of it."""
