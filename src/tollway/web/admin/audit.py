"""`/audit`."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from tollway.app.admin.queries.audit import list_audit
from tollway.app.ports_records import AuditFilter
from tollway.app.views import AuditView
from tollway.domain.ids import TenantId
from tollway.domain.policy import Action
from tollway.web.admin.callers import Caller, route
from tollway.web.admin.paging import Listed, Paging, sealed
from tollway.web.admin.problems import ProblemError
from tollway.web.admin.times import Moment, moment_of, seconds

router = APIRouter(tags=["audit"])
Filter = Annotated[str | None, Query(max_length=200)]


class AuditOut(BaseModel):
    """What changed, by whom. `digest` chains the row to the one before."""

    seq: int
    at: datetime
    action: str = Field(examples=["key.created"])
    object_kind: str = Field(examples=["key"])
    object_id: str
    tenant_id: str | None
    actor_id: str
    actor_name: str
    via: str = Field(examples=["session"])
    changes: dict[str, Any]
    request_id: str | None
    address: str | None
    digest: str


def _asked(
    *,
    action: Filter = None,
    object_id: Filter = None,
    actor_id: Filter = None,
    since: Annotated[Moment | None, Query()] = None,
    until: Annotated[Moment | None, Query()] = None,
) -> AuditFilter:
    return AuditFilter(None, action, object_id, actor_id, seconds(since), seconds(until))


@router.get("/audit", **route(Action.AUDIT_READ, "listAudit"))
def list_rows(
    *,
    caller: Caller,
    paging: Paging,
    tenant_id: Filter = None,
    only: Annotated[AuditFilter, Depends(_asked)],
) -> Listed[AuditOut]:
    """Changes, the newest first."""
    before = _number(paging.after)
    rows = caller.read(
        lambda work: list_audit(
            work,
            only,
            tenant_id=None if tenant_id is None else TenantId(tenant_id),
            limit=paging.limit,
            before=before,
        )
    )
    shown = rows[: paging.limit - 1]
    more = len(rows) >= paging.limit and bool(shown)
    return Listed(
        data=[_out(row) for row in shown],
        next_cursor=sealed(str(shown[-1].seq)) if more else None,
    )


def _number(after: str | None) -> int | None:
    if after is None:
        return None
    if not after.isdigit() or len(after) > 18:
        raise ProblemError(400, "invalid", "The cursor is none of ours. Begin without one.")
    return int(after)


def _out(row: AuditView) -> AuditOut:
    return AuditOut(
        seq=row.seq,
        at=moment_of(row.at_s),
        action=row.action,
        object_kind=row.object_kind,
        object_id=row.object_id,
        tenant_id=row.tenant_id,
        actor_id=row.actor_id,
        actor_name=row.actor_name,
        via=row.via,
        changes=dict(row.changes),
        request_id=row.request_id,
        address=row.address,
        digest=row.digest.hex(),
    )
