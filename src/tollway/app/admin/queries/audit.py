"""The audit: what changed, by whom; and whether its chain is whole."""

import hmac
from collections.abc import Iterator
from dataclasses import dataclass

from tollway.app.admin.commands.tenants import living_tenant
from tollway.app.admin.outcome import Rejected
from tollway.app.admin.work import Work
from tollway.app.ports_admin import UnitOfWork
from tollway.app.ports_records import AuditFilter
from tollway.app.views import AuditView
from tollway.domain.account import Role
from tollway.domain.audit import Link, first_bad, head_mac
from tollway.domain.ids import TenantId
from tollway.domain.policy import Action
from tollway.domain.result import Err, Ok, Result

_BATCH = 1000


@dataclass(frozen=True, slots=True)
class Verified:
    """What walking the chain found. `bad` is the first row that is not what it was."""

    rows: int
    head: bytes
    bad: int | None


def list_audit(
    work: Work,
    only: AuditFilter,
    *,
    tenant_id: TenantId | None,
    limit: int,
    before: int | None,
) -> Result[list[AuditView], Rejected]:
    """The newest first. Without a tenant, the platform's administrators see everything, others
    the tenants they administer."""
    if tenant_id is not None:
        tenant = living_tenant(work, tenant_id)
        if isinstance(tenant, Err):
            return tenant
        tenants = [tenant_id]
    else:
        tenants = [owner for owner, role in work.actor.roles.items() if role is Role.TENANT_ADMIN]
    asked = tenant_id if tenant_id is not None or not tenants else tenants[0]
    wrong = work.denied(Action.AUDIT_READ, kind="audit", tenant_id=asked, writes=False)
    if wrong is not None:
        return Err(wrong)
    everything = tenant_id is None and work.actor.platform_admin
    narrowed = only._replace(tenants=None if everything else tenants)
    return Ok(work.uow.audit.page(narrowed, limit=limit, before=before))


@dataclass(frozen=True, slots=True)
class KeptHead:
    """A head that was written to the log, and what it was proved with."""

    seq: int
    mac: str
    secret: bytes


def verify_audit(uow: UnitOfWork, kept: KeptHead | None = None) -> Verified:
    """Walk the whole chain. With a kept head, also whether the audit is still that long and the
    row at its end the same: a cut tail shows by nothing else."""
    proof: bytes | None = None

    def watched() -> Iterator[Link]:
        nonlocal proof
        for link in _links(uow):
            if kept is not None and link.seq == kept.seq:
                proof = link.digest
            yield link

    found = first_bad(watched())
    if isinstance(found, int):
        return Verified(found - 1, b"", found)
    rows, head = found
    if kept is not None and (
        proof is None or not hmac.compare_digest(head_mac(kept.secret, kept.seq, proof), kept.mac)
    ):
        return Verified(rows, head, min(kept.seq, rows + 1))
    return Verified(rows, head, None)


def _links(uow: UnitOfWork) -> Iterator[Link]:
    after = 0
    while batch := uow.audit.walk(after, _BATCH):
        yield from batch
        after = batch[-1].seq
