"""The audit's rows, and answers kept for repeated requests. Numbers and digests are given inside
the unit's turn, so the chain never forks.
"""

from typing import Any

import msgspec
from sqlalchemy import Row, insert, select

from tollway.adapters.sql.repositories.unit import Unit
from tollway.adapters.sql.tables import audit_log, idempotent_replies
from tollway.app.ports_records import AuditFact, AuditFilter, StoredReply
from tollway.app.views import AuditView
from tollway.domain.audit import GENESIS, Link, link_digest
from tollway.domain.ids import TenantId

KEPT_S = 86_400  # how long an answer is given again
_encode = msgspec.json.Encoder(order="sorted").encode
_ROWS = select(audit_log)
# What a row's digest covers, in this order, behind its number.
_CONTENT = (
    "at_s",
    "action",
    "object_kind",
    "object_id",
    "tenant_id",
    "actor_id",
    "actor_name",
    "via",
    "changes",
    "request_id",
    "address",
)


class SqlAudit:
    """Implements `app.ports_records.Audit`."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    def append(self, fact: AuditFact) -> None:
        self._unit.moved()  # takes the turn: the head cannot move until this unit ends
        last, previous = self.head()
        row: dict[str, Any] = {
            **fact._asdict(),
            "changes": _encode(fact.changes).decode(),
            "at_s": self._unit.now_s,
        }
        digest = link_digest(last + 1, [_text(row[name]) for name in _CONTENT], previous)
        self._unit.connection.execute(
            insert(audit_log).values(seq=last + 1, previous=previous, digest=digest, **row)
        )

    def page(self, filter_: AuditFilter, *, limit: int, before: int | None) -> list[AuditView]:
        query = _ROWS
        if filter_.tenants is not None:
            query = query.where(audit_log.c.tenant_id.in_(filter_.tenants))
        for name, wanted in (
            ("action", filter_.action),
            ("object_id", filter_.object_id),
            ("actor_id", filter_.actor_id),
        ):
            if wanted is not None:
                query = query.where(audit_log.c[name] == wanted)
        if filter_.since_s is not None:
            query = query.where(audit_log.c.at_s >= filter_.since_s)
        if filter_.until_s is not None:
            query = query.where(audit_log.c.at_s < filter_.until_s)
        if before is not None:
            query = query.where(audit_log.c.seq < before)
        rows = self._unit.rows(query.order_by(audit_log.c.seq.desc()).limit(limit))
        return [_view(row) for row in rows]

    def walk(self, after: int, limit: int) -> list[Link]:
        query = _ROWS.where(audit_log.c.seq > after).order_by(audit_log.c.seq).limit(limit)
        return [
            Link(
                row.seq,
                tuple(_text(getattr(row, name)) for name in _CONTENT),
                row.previous,
                row.digest,
            )
            for row in self._unit.rows(query)
        ]

    def head(self) -> tuple[int, bytes]:
        row = self._unit.first(
            select(audit_log.c.seq, audit_log.c.digest).order_by(audit_log.c.seq.desc()).limit(1)
        )
        return (row.seq, row.digest) if row is not None else (0, GENESIS)


class SqlReplies:
    """Implements `app.ports_records.Replies`."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    def get(self, actor_id: str, key: str) -> StoredReply | None:
        row = self._unit.first(
            select(idempotent_replies).where(
                idempotent_replies.c.actor_id == actor_id,
                idempotent_replies.c.key == key,
                idempotent_replies.c.created_s > self._unit.now_s - KEPT_S,
            )
        )
        if row is None:
            return None
        return StoredReply(row.request_digest, row.status, row.location, row.body)

    def add(self, actor_id: str, key: str, reply: StoredReply) -> None:
        self._unit.remove(
            idempotent_replies,
            idempotent_replies.c.actor_id == actor_id,
            idempotent_replies.c.key == key,
        )
        self._unit.insert(
            idempotent_replies,
            actor_id=actor_id,
            key=key,
            created_s=self._unit.now_s,
            **reply._asdict(),
        )

    def remove_old(self, before_s: int) -> int:
        return self._unit.remove(idempotent_replies, idempotent_replies.c.created_s < before_s)


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _view(row: Row[Any]) -> AuditView:
    return AuditView(
        seq=row.seq,
        at_s=row.at_s,
        action=row.action,
        object_kind=row.object_kind,
        object_id=row.object_id,
        tenant_id=None if row.tenant_id is None else TenantId(row.tenant_id),
        actor_id=row.actor_id,
        actor_name=row.actor_name,
        via=row.via,
        changes=msgspec.json.decode(row.changes, type=dict[str, Any]),
        request_id=row.request_id,
        address=row.address,
        previous=row.previous,
        digest=row.digest,
    )
