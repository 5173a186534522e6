"""`/usage`: flat rows from the roll-ups."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from tollway.app.admin.queries.usage import GROUPS, usage_reach, usage_report
from tollway.app.ports_admin import UsageRow
from tollway.domain.ids import TenantId
from tollway.domain.money import usd_text
from tollway.domain.policy import Action
from tollway.domain.result import Err
from tollway.web.admin.callers import Caller, route
from tollway.web.admin.problems import refused
from tollway.web.admin.times import Moment

router = APIRouter(tags=["usage"])
_DEFAULT_SPAN = timedelta(days=30)


class UsageOut(BaseModel):
    """One group's sums. A group's name stands under its word, its id under `<word>_id`. Null is
    "not known"; `unpriced` is the number of billed attempts that `cost_usd` leaves out."""

    model_config = ConfigDict(extra="allow")

    requests: int
    attempts: int
    errors: int
    estimated: int
    unpriced: int
    input_tokens: int | None
    cached_input_tokens: int | None
    cache_write_tokens: int | None
    output_tokens: int | None
    reasoning_tokens: int | None
    audio_tokens: int | None
    image_tokens: int | None
    cost_usd: str | None = Field(examples=["0.001234"])


class UsageReport(BaseModel):
    """The rows, the largest number of requests first."""

    data: list[UsageOut]


@router.get("/usage", **route(Action.USAGE_READ_OWN, "readUsage"))
def read_usage(
    *,
    caller: Caller,
    tenant_id: Annotated[str | None, Query(max_length=64)] = None,
    group_by: Annotated[
        str, Query(max_length=200, description=f"Words with commas: {', '.join(GROUPS)}.")
    ] = "model",
    since: Annotated[Moment | None, Query()] = None,
    until: Annotated[Moment | None, Query()] = None,
) -> UsageReport:
    """Who used how much; a user reads their own."""
    end = until or datetime.now(UTC) + timedelta(minutes=15)
    begin = since or end - _DEFAULT_SPAN
    groups = [word for word in (part.strip() for part in group_by.split(",")) if word]
    reach = caller.read(
        lambda work: usage_reach(work, None if tenant_id is None else TenantId(tenant_id))
    )
    report = usage_report(
        caller.services.usage,
        since_s=int(begin.timestamp()),
        until_s=int(end.timestamp()),
        group_by=groups,
        tenant_id=reach.tenant_id,
        account_id=reach.account_id,
    )
    if isinstance(report, Err):
        raise refused(report.error)
    return UsageReport(data=[_out(groups, row) for row in report.value])


def _out(groups: list[str], row: UsageRow) -> UsageOut:
    named: dict[str, Any] = dict(zip(groups, row.labels, strict=True))
    named.update(zip([f"{word}_id" for word in groups], row.group, strict=True))
    return UsageOut(
        requests=row.requests,
        attempts=row.attempts,
        errors=row.errors,
        estimated=row.estimated,
        unpriced=row.unpriced,
        input_tokens=row.input,
        cached_input_tokens=row.cached_input,
        cache_write_tokens=row.cache_write,
        output_tokens=row.output,
        reasoning_tokens=row.reasoning,
        audio_tokens=row.audio,
        image_tokens=row.image,
        cost_usd=None if row.cost_nusd is None else usd_text(row.cost_nusd),
        **named,
    )
