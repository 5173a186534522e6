"""The repositories of what happened on the control plane: the audit, and answers to repeats."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from tollway.app.views import (
    AuditView,
)
from tollway.domain.audit import Link
from tollway.domain.ids import TenantId


class AuditFact(NamedTuple):
    """What the audit is told; the chain is the repository's."""

    action: str
    object_kind: str
    object_id: str
    tenant_id: TenantId | None
    actor_id: str
    actor_name: str
    via: str
    changes: Mapping[str, Any]
    request_id: str | None
    address: str | None


class AuditFilter(NamedTuple):
    """Which rows of the audit."""

    tenants: Sequence[TenantId] | None = None  # None: all, and the platform's
    action: str | None = None
    object_id: str | None = None
    actor_id: str | None = None
    since_s: int | None = None
    until_s: int | None = None


class Audit(Protocol):
    """The append-only, hash-chained record of every change."""

    def append(self, fact: AuditFact) -> None:
        """One more row, in the unit's transaction."""

    def page(self, filter_: AuditFilter, *, limit: int, before: int | None) -> list[AuditView]:
        """The newest first, those before a sequence number."""

    def walk(self, after: int, limit: int) -> list[Link]:
        """Rows as they were hashed, in their order behind a sequence number, for verifying."""

    def head(self) -> tuple[int, bytes]:
        """The last row's number and digest; (0, zeros) when there is none."""


class StoredReply(NamedTuple):
    """What an idempotent request was answered."""

    request_digest: bytes
    status: int
    location: str | None
    body: bytes  # JSON, without the secret that was shown once


class Replies(Protocol):
    """Answers to requests with an `Idempotency-Key`."""

    def get(self, actor_id: str, key: str) -> StoredReply | None:
        """What this actor was answered under this key in the last 24 hours."""

    def add(self, actor_id: str, key: str, reply: StoredReply) -> None:
        """Keep an answer."""

    def remove_old(self, before_s: int) -> int:
        """Answers kept before then are forgotten; how many."""
