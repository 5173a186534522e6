"""What the control plane clears away by itself: sessions and kept answers whose time is over, and
tenants that can no longer be restored. Each is one short unit of work; run again, it goes on.
"""

from typing import NamedTuple

from tollway.app.admin.commands.tenants import RESTORABLE_S
from tollway.app.ports_admin import Configuration, UnitOfWork
from tollway.app.ports_records import AuditFact
from tollway.domain.ids import TenantId

_KEPT_REPLIES_S = 86_400


class Tidied(NamedTuple):
    """How many of each were cleared away."""

    sessions: int
    replies: int
    tenants: int


def tidy(configuration: Configuration) -> Tidied:
    """One run. Raises StoreUnavailableError; what was cleared by then stays cleared."""
    with configuration.begin() as uow:
        sessions = uow.sessions.remove_expired(uow.now_s)
        replies = uow.replies.remove_old(uow.now_s - _KEPT_REPLIES_S)
        uow.commit()
    purged = 0
    while True:
        with configuration.begin() as uow:
            due = uow.tenants.due(uow.now_s - RESTORABLE_S)
            if not due:
                return Tidied(sessions, replies, purged)
            _purge(uow, due[0])
            uow.commit()
        purged += 1


def _purge(uow: UnitOfWork, tenant_id: TenantId) -> None:
    uow.tenants.purge(tenant_id)
    uow.audit.append(
        AuditFact(
            "tenant.purged",
            "tenant",
            tenant_id,
            tenant_id,
            "tidy",
            "the time to restore was over",
            "system",
            {},
            None,
            None,
        )
    )
