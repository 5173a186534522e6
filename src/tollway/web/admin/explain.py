"""`/explain`: what the gateway would do with a request, and why. Nothing is sent, held or billed.

A gateway of this machine answers; what a tenant must not know of the platform's house (its limits
on everybody together, which upstream model stands behind a name) is left out here.
"""

import json
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from tollway.app.admin.queries.keys import find_key
from tollway.app.ports_admin import RequestToExplain
from tollway.domain.ids import KeyId, TenantId
from tollway.domain.money import usd_text
from tollway.domain.policy import Action
from tollway.web.admin.callers import Caller, route
from tollway.web.admin.forms import Form
from tollway.web.admin.problems import ProblemError

router = APIRouter(tags=["explain"])
_EVERYBODYS = frozenset({"platform", "provider", "model"})  # scopes that count all tenants together


class ExplainIn(Form):
    """A request that is not made, by a key that you may see."""

    key_id: Annotated[str, Field(max_length=64, examples=["key_0123456789ab"])]
    tenant_id: Annotated[
        str | None,
        Field(max_length=64, description="Whose key it is; omitted: one of your tenants'."),
    ] = None
    endpoint: Annotated[
        str, Field(max_length=128, description="The gateway's path.", examples=["/v1/embeddings"])
    ] = "/v1/chat/completions"
    request: Annotated[
        dict[str, Any],
        Field(description="The body as a client would send it.", examples=[{"model": "chat"}]),
    ]
    end_user: Annotated[
        str | None, Field(max_length=256, description="As in x-tollway-end-user.")
    ] = None
    address: Annotated[
        str | None, Field(max_length=64, description="The client's; omitted: an allowed one.")
    ] = None


class RefusalOut(BaseModel):
    """What the client would be told, and in which phase."""

    phase: str
    status: int
    code: str | None
    message: str


class LimitOut(BaseModel):
    """One limit as it stands. `asks`: what the request would hold. `binds`: it refuses."""

    quota_id: str
    text: str
    scope: str
    metric: str
    period: str
    mode: str
    limit: int | str
    used: int | str | None
    held: int | str | None
    remaining: int | str | None
    asks: int | str
    resets_at: datetime | None
    binds: bool


class TargetOut(BaseModel):
    """One target in the order it would be tried. What is the platform's own affair is null."""

    provider_id: str | None
    provider: str
    kind: str | None
    model: str | None
    reason: str
    expected_cost_usd: str | None
    running: int | None
    waiting: int | None
    problem: str | None
    limits: list[LimitOut]


class PrincipalOut(BaseModel):
    """Whose request it is."""

    tenant_id: str
    key_id: str
    project_id: str | None
    account_id: str | None
    end_user: str | None = None


class ModelOut(BaseModel):
    """The model that the name means for this key."""

    id: str
    name: str
    strategy: str
    fallbacks: Annotated[
        list[str], Field(description="Models that may answer in its place, if this key may.")
    ] = Field(default_factory=list)


class ExplanationOut(BaseModel):
    """Phase by phase; what comes after the first refusal is not known and empty."""

    admitted: bool
    refusal: RefusalOut | None
    principal: PrincipalOut | None
    model: ModelOut | None
    cache: Annotated[str | None, Field(description="off, bypass, miss or hit.")]
    limits: list[LimitOut]
    targets: list[TargetOut]


@router.post("/explain", **route(Action.KEY_READ, "explainRequest"))
def explain_request(caller: Caller, body: ExplainIn) -> ExplanationOut:
    """Would this request pass, what would it count on, where would it go, what would it cost?"""
    tenant = None if body.tenant_id is None else TenantId(body.tenant_id)
    key = caller.read(lambda work: find_key(work, KeyId(body.key_id), tenant))
    headers = () if body.end_user is None else (("x-tollway-end-user", body.end_user),)
    request = RequestToExplain(
        key.id, body.endpoint, json.dumps(body.request), headers, body.address
    )
    found = caller.services.explainer.explain(request)
    if found is None:
        raise ProblemError(503, "gateway_unavailable", "No gateway of this machine answers.")
    if not found:
        raise ProblemError(400, "invalid", f"The gateway has no endpoint {body.endpoint}.")
    return _out(found, sees_all=caller.actor.platform_admin)


def _out(found: dict[str, Any], *, sees_all: bool) -> ExplanationOut:
    return ExplanationOut(
        admitted=found["refusal"] is None,
        refusal=found["refusal"],
        principal=found["principal"],
        model=found["model"],
        cache=found["cache"],
        limits=_limits(found["limits"], sees_all=sees_all),
        targets=[_target(target, sees_all=sees_all) for target in found["targets"]],
    )


def _limits(limits: list[dict[str, Any]], *, sees_all: bool) -> list[LimitOut]:
    return [
        _limit(limit)
        for limit in limits
        if sees_all or limit["owner"] is not None or limit["scope"] not in _EVERYBODYS
    ]


def _limit(limit: dict[str, Any]) -> LimitOut:
    def amount(value: int | None) -> int | str | None:
        return usd_text(value) if limit["metric"] == "cost" and value is not None else value

    used, held, most = limit["used"], limit["held"], limit["limit"]
    left = None if used is None or held is None else max(0, most - used - held)
    resets_s = limit["resets_s"]
    shown = {name: amount(limit[name]) for name in ("limit", "used", "held", "asks")}
    return LimitOut(
        quota_id=limit["id"],
        text=limit["text"],
        scope=limit["scope"],
        metric=limit["metric"],
        period=limit["period"],
        mode="shadow" if limit["shadow"] else "enforce",
        remaining=amount(left),
        resets_at=None if resets_s is None else datetime.fromtimestamp(resets_s, UTC),
        binds=limit["binds"],
        **shown,  # type: ignore[arg-type]  # amounts: money is text
    )


def _target(target: dict[str, Any], *, sees_all: bool) -> TargetOut:
    own = sees_all or target["owner"] is not None
    cost = target["cost_nusd"]
    return TargetOut(
        provider_id=target["provider_id"] if own else None,
        provider=target["provider"],
        kind=target["kind"] if own else None,
        model=target["model"] if own else None,
        reason=target["reason"],
        expected_cost_usd=None if cost is None else usd_text(cost),
        running=target["running"] if own else None,
        waiting=target["waiting"] if own else None,
        problem=target["problem"],
        limits=_limits(target["limits"], sees_all=sees_all),
    )
