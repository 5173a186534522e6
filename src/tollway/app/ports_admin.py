"""The control plane's doors: where configuration is written and usage is read. The data plane's
ports are in `ports.py`.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol

from tollway.app.ports_alerts import Webhooks
from tollway.app.ports_directory import (
    Grants,
    Keys,
    Models,
    Peppers,
    Prices,
    Projects,
    Providers,
    Quotas,
    Tenants,
)
from tollway.app.ports_people import Accounts, Members, Sessions, Tokens
from tollway.app.ports_records import Audit, Replies
from tollway.domain.hold import CounterRef, Stand
from tollway.domain.ids import TenantId
from tollway.domain.quota import QuotaRecord

Entropy = Callable[[int], bytes]  # that many unpredictable bytes; never fails
Scope = Sequence[TenantId] | None  # the tenants a unit may touch; None: the whole system


class UnitOfWork(Protocol):
    """One transaction over the configuration. Writers wait for each other, so keep it short.

    Every method may raise StoreUnavailableError. The first write moves the snapshot's version, in
    this same transaction, and every row written carries it. Reads see what was written.
    """

    @property
    def now_s(self) -> int:
        """When the unit began, UTC seconds: what `created_s` becomes."""

    @property
    def accounts(self) -> Accounts:
        """People."""

    @property
    def audit(self) -> Audit:
        """The record of every change."""

    @property
    def grants(self) -> Grants:
        """Platform models opened to tenants."""

    @property
    def keys(self) -> Keys:
        """API keys."""

    @property
    def members(self) -> Members:
        """People in tenants."""

    @property
    def models(self) -> Models:
        """Models and their targets."""

    @property
    def peppers(self) -> Peppers:
        """What digests are made with."""

    @property
    def prices(self) -> Prices:
        """The price book."""

    @property
    def projects(self) -> Projects:
        """Projects of tenants."""

    @property
    def providers(self) -> Providers:
        """Providers and their credentials."""

    @property
    def quotas(self) -> Quotas:
        """Limits."""

    @property
    def replies(self) -> Replies:
        """Answers kept for repeats."""

    @property
    def sessions(self) -> Sessions:
        """Signed-in browsers."""

    @property
    def tenants(self) -> Tenants:
        """Tenants and their settings."""

    @property
    def tokens(self) -> Tokens:
        """Tokens for the admin API."""

    @property
    def webhooks(self) -> Webhooks:
        """Who is told of events."""

    @property
    def version(self) -> int | None:
        """The snapshot version this unit writes; None before its first write."""

    def commit(self) -> None:
        """Make all of it visible at once. Without it nothing was written."""


class Configuration(Protocol):
    """Where configuration is written and read."""

    def begin(self, scope: Scope = None) -> AbstractContextManager[UnitOfWork]:
        """A unit of work that can write; leaving it without `commit` undoes everything."""

    def read(self, scope: Scope = None) -> AbstractContextManager[UnitOfWork]:
        """A unit that only reads, from one consistent state; it waits for no writer."""


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
    account_id: str | None = None


class StandReader(Protocol):
    """Limits as the counters that enforce them have it."""

    def read(self, quota: QuotaRecord, member: str | None) -> Stand | None:
        """None: no gateway of this machine counts on it, or none answers."""

    def reopen(self) -> bool:
        """Have strict limits wait no more for gateways that are away. False: nobody could."""


class RequestToExplain(NamedTuple):
    """A request that is not made. `endpoint` is a path of the gateway, `body` its JSON text,
    headers by name in lower case; without `peer_ip` it comes from wherever the key may be used."""

    key_id: str
    endpoint: str
    body: str
    headers: tuple[tuple[str, str], ...] = ()
    peer_ip: str | None = None


class Explainer(Protocol):
    """What a gateway would do with a request, phase by phase, without asking a provider."""

    def explain(self, request: RequestToExplain) -> dict[str, Any] | None:
        """JSON values (`web/gateway/explained.py`); without keys: there is no such endpoint. None:
        no gateway of this machine answers."""


class QuotaSums(Protocol):
    """Limits as the ledger has it. Raises StoreUnavailableError."""

    def used(self, ref: CounterRef) -> int:
        """What was used in the window."""


class UsageReader(Protocol):
    """Usage, from the roll-ups. Raises StoreUnavailableError."""

    def usage(self, query: UsageQuery) -> list[UsageRow]:
        """The sums, by group, largest number of requests first."""
