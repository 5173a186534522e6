"""`/quotas`: limits on requests, tokens, cost, requests at a time. Cost is decimal text in USD."""

import time
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from fastapi import Path as PathParameter
from pydantic import BaseModel, BeforeValidator, Field, StrictInt

from tollway.app.admin.commands import quotas as commands
from tollway.app.admin.outcome import Rejected
from tollway.app.admin.queries import quotas as queries
from tollway.app.admin.work import Work
from tollway.app.ports_directory import QuotaFilter
from tollway.app.views import QuotaView
from tollway.domain.hold import CounterRef, Stand
from tollway.domain.ids import ModelId, QuotaId, TenantId
from tollway.domain.money import read_usd, usd_text
from tollway.domain.policy import Action
from tollway.domain.quota import (
    MAX_LIMIT,
    Metric,
    Mode,
    OnOutage,
    Precision,
    QuotaRecord,
    Scope,
    limit_at,
)
from tollway.domain.result import Err, Result
from tollway.domain.window import FOREVER_S, Period, frees_s
from tollway.web.admin.callers import Caller, route, tagged
from tollway.web.admin.forms import Form
from tollway.web.admin.paging import Listed, Paging, listed
from tollway.web.admin.problems import ProblemError
from tollway.web.admin.times import Moment, moment, moment_of, seconds

router = APIRouter(tags=["quotas"])
QuotaPath = Annotated[
    str,
    PathParameter(max_length=64, description="A quota's id.", examples=["quo_0123456789abcdef"]),
]


def _amount_like(given: object) -> object:
    """One answer for both forms: a union would complain of each."""
    if isinstance(given, str) and read_usd(given) is not None:
        return given
    if isinstance(given, int) and not isinstance(given, bool) and 0 <= given <= MAX_LIMIT:
        return given
    raise ValueError(
        f"Write a whole number from 0 to {MAX_LIMIT}, or, of cost, USD as text with at most nine "
        'decimals, like "250" or "0.5".'
    )


Usd = Annotated[str, Field(pattern=r"^[0-9]{1,7}(\.[0-9]{1,9})?$", max_length=17)]
Amount = Annotated[
    Annotated[StrictInt, Field(ge=0, le=MAX_LIMIT)] | Usd,
    BeforeValidator(_amount_like),
    Field(
        description="How much in a period: requests, tokens, or requests at a time as a whole "
        'number; of cost, USD as decimal text, like "250" or "0.5".',
        examples=[100],
    ),
]
Alerts = Annotated[
    list[Annotated[StrictInt, Field(ge=1, le=1000)]],
    Field(max_length=10, description="Percents of the limit.", examples=[[80, 100]]),
]


class QuotaIn(Form):
    """A new limit. `scope` says whose use counts, `scope_id` which project, account, key, end user,
    provider or model; `model_id` narrows it to one model. With `per` each member of the scope has
    the limit for itself."""

    tenant_id: Annotated[str | None, Field(max_length=64, examples=["ten_0123456789abcdef"])] = None
    scope: Scope = Field(description="Whose use counts.", examples=["tenant"])
    scope_id: str | None = Field(
        default=None,
        max_length=256,
        description="Which of them; an end user by the name the requests give.",
        examples=[None],
    )
    model_id: str | None = Field(
        default=None, max_length=256, description="Only this model's use.", examples=[None]
    )
    per: Scope | None = Field(
        default=None, description="A counter for each of them.", examples=[None]
    )
    metric: Metric = Field(description="What is counted.", examples=["concurrency"])
    period: Period = Field(
        default=Period.NONE,
        description="Of all metrics but concurrency, which has none. Hours, days and months are "
        "those of the tenant's time zone.",
        examples=["none"],
    )
    limit: Amount
    mode: Mode = Field(
        default=Mode.ENFORCE, description="shadow: counts and says what it would have refused."
    )
    precision: Precision = Field(
        default=Precision.BOUNDED,
        description="strict: holds the most a request can use; bounded: what such requests use as "
        "a rule.",
    )
    on_outage: OnOutage = Field(
        default=OnOutage.REFUSE,
        description="Without the counters: refuse, or go on with a share of what was left.",
    )
    alert_at: Alerts = Field(default_factory=list)
    name: str = Field(default="", max_length=200, examples=["trial"])


class QuotaChange(Form):
    """What shall be different; a field that is not sent stays. A temporary increase is an amount
    and its end; null for the amount takes it back."""

    limit: Amount | None = None
    raised_to: Amount | None = Field(
        default=None, description="The limit until `raised_until`: more than `limit`, in its form."
    )
    raised_until: Moment | None = Field(
        default=None, description="When the temporary increase ends, by itself."
    )
    mode: Mode | None = None
    precision: Precision | None = None
    on_outage: OnOutage | None = None
    alert_at: Alerts | None = None
    name: str | None = Field(default=None, max_length=200)


class QuotaOut(BaseModel):
    """A limit. `set_by`: whose administrators may change it."""

    id: str = Field(examples=["quo_0123456789abcdef"])
    tenant_id: str | None
    scope: Scope
    scope_id: str | None
    model_id: str | None
    per: Scope | None
    metric: Metric
    period: Period
    limit: int | str = Field(description="A whole number; of cost, USD as decimal text.")
    raised_to: int | str | None
    raised_until: datetime | None
    mode: Mode
    precision: Precision
    on_outage: OnOutage
    alert_at: list[int]
    name: str
    set_by: str = Field(examples=["platform"])
    managed_by: str | None
    created_at: datetime


class QuotaUseOut(BaseModel):
    """How a limit stands. `held`: by requests that run now; null where only the ledger was asked.
    `resets_at`: when some of it is there again; null where it never is, or as soon as one ends."""

    quota_id: str = Field(examples=["quo_0123456789abcdef"])
    member: str | None
    limit: int | str = Field(description="What is in force now, a temporary increase included.")
    used: int | str
    held: int | str | None
    remaining: int | str
    resets_at: datetime | None
    source: Literal["counter", "ledger"]


@router.get("/quotas", **route(Action.QUOTA_LIST, "listQuotas"))
def list_quotas(
    caller: Caller,
    paging: Paging,
    *,
    tenant_id: Annotated[
        str | None, Query(max_length=64, description="This tenant's limits.")
    ] = None,
    scope: Annotated[Scope | None, Query(description="Limits on things of this sort.")] = None,
    scope_id: Annotated[
        str | None, Query(max_length=256, description="Limits on just this thing.")
    ] = None,
    metric: Annotated[Metric | None, Query(description="Limits on this metric.")] = None,
    model_id: Annotated[
        str | None, Query(max_length=64, description="Limits on the use of this model.")
    ] = None,
) -> Listed[QuotaOut]:
    """The limits of your tenants; as a user, the tenants' and those on your account, your keys and
    their projects."""
    tenant = None if tenant_id is None else TenantId(tenant_id)
    model = None if model_id is None else ModelId(model_id)
    only = QuotaFilter(scope, scope_id, metric, model)
    found = caller.read(lambda work: queries.list_quotas(work, paging, tenant_id=tenant, only=only))
    return listed(found, paging, out=_out, key=lambda view: view.id)


@router.post(
    "/quotas",
    status_code=201,
    response_model=QuotaOut,
    **route(Action.QUOTA_WRITE, "createQuota"),
)
def create_quota(caller: Caller, body: QuotaIn) -> Response:
    """A new limit. It counts from where the ledger stands, not from nothing."""

    def act(work: Work) -> Result[QuotaView, Rejected]:
        amount = _amount("limit", body.metric, body.limit)
        if isinstance(amount, Rejected):
            return Err(amount)
        quota = QuotaRecord(
            QuotaId(""),
            None if body.tenant_id is None else TenantId(body.tenant_id),
            body.scope,
            body.scope_id,
            body.metric,
            body.period,
            amount,
            None if body.model_id is None else ModelId(body.model_id),
            body.per,
            body.mode,
            body.precision,
            body.on_outage,
            None,
            0,
            tuple(body.alert_at),
            body.name,
        )
        return commands.create_quota(work, quota)

    return caller.create(act, out=_out, location=lambda made: f"/api/v1/quotas/{made.id}")


@router.post("/quotas/strict/reopen", status_code=204, **route(Action.QUOTA_REOPEN, "reopenQuotas"))
def reopen_quotas(caller: Caller) -> None:
    """Strict limits wait no more for gateways that have been away since the shared counters were
    lost. What those still hold may then be given out once more."""
    caller.write(commands.reopen_quotas)
    if not caller.services.stands.reopen():
        raise ProblemError(503, "counters_unavailable", "No gateway here reaches the counters.")


@router.get("/quotas/{quota_id}", **route(Action.QUOTA_READ, "readQuota"))
def read_quota(caller: Caller, quota_id: QuotaPath, response: Response) -> QuotaOut:
    """One limit."""
    found = caller.read(lambda work: queries.read_quota(work, QuotaId(quota_id)))
    tagged(response, found.version)
    return _out(found)


@router.get("/quotas/{quota_id}/usage", **route(Action.QUOTA_USE_READ, "readQuotaUsage"))
def read_quota_usage(
    caller: Caller,
    quota_id: QuotaPath,
    member: Annotated[
        str | None,
        Query(
            min_length=1,
            max_length=256,
            description="Of a limit with `per`: whose counter, by the id of the key, account, "
            "project or tenant; of an end user the name that requests give.",
        ),
    ] = None,
) -> QuotaUseOut:
    """How a limit stands right now, by the counter that enforces it. Where no gateway of this
    machine counts on it, what the ledger has of the window."""
    at_s = int(time.time())
    quota_id_ = QuotaId(quota_id)
    ref = caller.read(
        lambda work: queries.read_quota_use(work, quota_id_, member=member, at_s=at_s)
    )
    stand = caller.services.stands.read(ref.quota, ref.member)
    used = caller.services.sums.used(ref) if stand is None else stand.used
    return _use(ref, at_s, stand, used=used, member=member)


@router.patch("/quotas/{quota_id}", **route(Action.QUOTA_WRITE, "updateQuota"))
def update_quota(
    *, caller: Caller, quota_id: QuotaPath, body: QuotaChange, response: Response
) -> QuotaOut:
    """Another limit, mode or name, or a temporary increase. What it counts never changes."""

    def act(work: Work) -> Result[QuotaView, Rejected]:
        found = queries.read_quota(work, QuotaId(quota_id))
        if isinstance(found, Err):
            return found
        quota = _changed(found.value.quota, body)
        if isinstance(quota, Rejected):
            return Err(quota)
        return commands.update_quota(work, replace(found.value, quota=quota))

    changed = caller.write(act)
    tagged(response, changed.version)
    return _out(changed)


@router.delete("/quotas/{quota_id}", status_code=204, **route(Action.QUOTA_WRITE, "deleteQuota"))
def delete_quota(caller: Caller, quota_id: QuotaPath) -> None:
    """The limit is gone; what was used stays in the ledger."""
    caller.write(lambda work: commands.delete_quota(work, QuotaId(quota_id)))


def _changed(quota: QuotaRecord, body: QuotaChange) -> QuotaRecord | Rejected:
    limit = quota.limit if body.limit is None else _amount("limit", quota.metric, body.limit)
    if isinstance(limit, Rejected):
        return limit
    raised = None if body.raised_to is None else _amount("raised_to", quota.metric, body.raised_to)
    if isinstance(raised, Rejected):
        return raised
    if "raised_until" in body.model_fields_set:
        quota = replace(quota, raised_until_s=seconds(body.raised_until) or 0)
    elif "raised_to" in body.model_fields_set and raised is None:
        quota = replace(quota, raised_until_s=0)
    if "raised_to" in body.model_fields_set:
        quota = replace(quota, raised_to=raised)
    return replace(
        quota,
        limit=limit,
        mode=body.mode or quota.mode,
        precision=body.precision or quota.precision,
        on_outage=body.on_outage or quota.on_outage,
        alert_at=quota.alert_at if body.alert_at is None else tuple(body.alert_at),
        name=quota.name if body.name is None else body.name,
    )


def _amount(field: str, metric: Metric, given: int | str) -> int | Rejected:
    """The amount in the form that the metric has."""
    if metric is Metric.COST:
        if isinstance(given, int):
            asked = 'Cost is limited in USD, as text like "250" (by command: --limit-usd 250).'
            return Rejected(field, asked)
        nusd = read_usd(given)
        assert nusd is not None, "the form has checked it"
        if nusd > MAX_LIMIT:
            return Rejected(field, f"At most {usd_text(MAX_LIMIT)} USD can be counted.")
        return nusd
    if isinstance(given, str):
        return Rejected(field, "Only cost is limited in USD: write a whole number.")
    return given


def _shown(metric: Metric, amount: int) -> int | str:
    return usd_text(amount) if metric is Metric.COST else amount


def _use(
    ref: CounterRef, at_s: int, stand: Stand | None, *, used: int, member: str | None
) -> QuotaUseOut:
    quota = ref.quota
    limit, held = limit_at(quota, at_s), 0 if stand is None else stand.held
    frees = frees_s(quota.period, ref.window) if stand is None else stand.frees_s
    never = quota.period is Period.NONE or frees >= FOREVER_S
    return QuotaUseOut(
        quota_id=quota.id,
        member=member,
        limit=_shown(quota.metric, limit),
        used=_shown(quota.metric, used),
        held=None if stand is None else _shown(quota.metric, held),
        remaining=_shown(quota.metric, max(limit - used - held, 0)),
        resets_at=None if never else moment_of(frees),
        source="ledger" if stand is None else "counter",
    )


def _out(view: QuotaView) -> QuotaOut:
    quota = view.quota
    raised = quota.raised_to
    return QuotaOut(
        id=quota.id,
        tenant_id=quota.tenant_id,
        scope=quota.scope,
        scope_id=quota.scope_id,
        model_id=quota.model_id,
        per=quota.per,
        metric=quota.metric,
        period=quota.period,
        limit=_shown(quota.metric, quota.limit),
        raised_to=None if raised is None else _shown(quota.metric, raised),
        raised_until=moment(None if raised is None else quota.raised_until_s),
        mode=quota.mode,
        precision=quota.precision,
        on_outage=quota.on_outage,
        alert_at=list(quota.alert_at),
        name=quota.name,
        set_by=view.set_by,
        managed_by=view.managed_by,
        created_at=moment_of(view.created_s),
    )
