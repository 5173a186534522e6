"""`/models`."""

from dataclasses import replace
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi import Path as PathParameter
from pydantic import BaseModel, Field, StrictBool, StrictInt

from tollway.app.admin.commands import models as commands
from tollway.app.admin.outcome import Rejected
from tollway.app.admin.queries import routing as queries
from tollway.app.admin.work import Work
from tollway.app.views import ModelView
from tollway.domain.ids import ModelId, ProviderId, TenantId
from tollway.domain.model import Strategy, Target
from tollway.domain.policy import Action
from tollway.domain.result import Err, Result
from tollway.web.admin.callers import Caller, route, tagged
from tollway.web.admin.forms import Form, ModelName
from tollway.web.admin.paging import Listed, Paging, listed
from tollway.web.admin.times import moment_of

router = APIRouter(tags=["models"])
ModelPath = Annotated[
    str,
    PathParameter(max_length=64, description="A model's id.", examples=["mdl_0123456789abcdef"]),
]
_FIT = 2**31 - 1


class TargetForm(Form):
    """A provider's model. Of several, the lowest priority number is asked first."""

    provider_id: str = Field(max_length=64, examples=["prv_0123456789abcdef"])
    model: str = Field(max_length=200, examples=["gpt-5-mini-2025-08-07"])
    weight: StrictInt = Field(default=1, ge=0, le=_FIT)
    priority: StrictInt = Field(default=0, ge=-_FIT, le=_FIT)


Targets = Annotated[list[TargetForm], Field(min_length=1, max_length=commands.MAX_TARGETS)]
Fallbacks = Annotated[list[ModelName], Field(max_length=8, examples=[[]])]
MaxOutputTokens = Annotated[StrictInt | None, Field(ge=1, le=_FIT, examples=[4096])]
Affinity = Annotated[
    StrictBool, Field(description="One conversation goes to one target, for its prompt cache.")
]


class ModelIn(Form):
    """A new model. Without `tenant_id` it is the platform's, or your one tenant's."""

    name: ModelName
    targets: Targets
    strategy: Strategy = Strategy.PRIORITY
    fallbacks: Fallbacks = Field(default_factory=list)
    max_output_tokens: MaxOutputTokens = None
    cache_affinity: Affinity = False
    enabled: StrictBool = True
    tenant_id: str | None = Field(default=None, max_length=64, examples=[None])


class ModelChange(Form):
    """What shall be different; a field that is not sent stays."""

    name: ModelName | None = None
    targets: Targets | None = None
    strategy: Strategy | None = None
    fallbacks: Fallbacks | None = None
    max_output_tokens: MaxOutputTokens = None
    cache_affinity: StrictBool | None = None
    enabled: StrictBool | None = None


class ModelOut(BaseModel):
    """A model. Where one of the platform's leads is shown to its administrators alone."""

    id: str = Field(examples=["mdl_0123456789abcdef"])
    tenant_id: str | None
    name: str
    targets: list[TargetForm]
    strategy: Strategy
    fallbacks: list[str]
    max_output_tokens: int | None
    cache_affinity: bool
    enabled: bool
    managed_by: str | None
    created_at: datetime


@router.get("/models", **route(Action.MODEL_READ, "listModels"))
def list_models(
    caller: Caller,
    paging: Paging,
    tenant_id: Annotated[
        str | None, Query(max_length=64, description="What this tenant may call.")
    ] = None,
) -> Listed[ModelOut]:
    """The models you may see: your tenants' own, and the platform's that are open to them."""
    owner = None if tenant_id is None else TenantId(tenant_id)
    found = caller.read(lambda work: queries.list_models(work, paging, tenant_id=owner))
    return listed(found, paging, out=_out, key=lambda view: view.id)


@router.post(
    "/models",
    status_code=201,
    response_model=ModelOut,
    **route(Action.MODEL_WRITE, "createModel"),
)
def create_model(caller: Caller, body: ModelIn) -> Response:
    """A new model."""
    spec = commands.ModelSpec(
        body.name,
        _targets(body.targets),
        None if body.tenant_id is None else TenantId(body.tenant_id),
        body.strategy.value,
        tuple(body.fallbacks),
        body.max_output_tokens,
        body.cache_affinity,
        body.enabled,
    )
    return caller.create(
        lambda work: commands.create_model(work, spec),
        out=_out,
        location=lambda made: f"/api/v1/models/{made.id}",
    )


@router.get("/models/{model_id}", **route(Action.MODEL_READ, "readModel"))
def read_model(caller: Caller, model_id: ModelPath, response: Response) -> ModelOut:
    """One model."""
    found = caller.read(lambda work: queries.read_model(work, ModelId(model_id)))
    tagged(response, found.version)
    return _out(found)


@router.patch("/models/{model_id}", **route(Action.MODEL_WRITE, "updateModel"))
def update_model(
    caller: Caller, model_id: ModelPath, body: ModelChange, *, response: Response
) -> ModelOut:
    """Another name, other targets, fallbacks or limits; `targets` are replaced as a whole."""

    def act(work: Work) -> Result[ModelView, Rejected]:
        found = queries.read_model(work, ModelId(model_id))
        if isinstance(found, Err):
            return found
        return commands.update_model(work, _changed(found.value, body))

    changed = caller.write(act)
    tagged(response, changed.version)
    return _out(changed)


@router.delete("/models/{model_id}", status_code=204, **route(Action.MODEL_WRITE, "deleteModel"))
def delete_model(caller: Caller, model_id: ModelPath) -> None:
    """The model is gone, and its grants."""
    caller.write(lambda work: commands.delete_model(work, ModelId(model_id)))


def _changed(model: ModelView, body: ModelChange) -> ModelView:
    if body.targets is not None:
        model = replace(model, targets=_targets(body.targets))
    if body.fallbacks is not None:
        model = replace(model, fallbacks=tuple(body.fallbacks))
    if "max_output_tokens" in body.model_fields_set:
        model = replace(model, max_output_tokens=body.max_output_tokens)
    if body.cache_affinity is not None:
        model = replace(model, cache_affinity=body.cache_affinity)
    return replace(
        model,
        name=body.name or model.name,
        strategy=body.strategy or model.strategy,
        enabled=model.enabled if body.enabled is None else body.enabled,
    )


def _targets(forms: list[TargetForm]) -> tuple[Target, ...]:
    return tuple(
        Target(ProviderId(form.provider_id), form.model, form.weight, form.priority)
        for form in forms
    )


def _out(view: ModelView) -> ModelOut:
    return ModelOut(
        id=view.id,
        tenant_id=view.tenant_id,
        name=view.name,
        targets=[
            TargetForm(
                provider_id=target.provider_id,
                model=target.model,
                weight=target.weight,
                priority=target.priority,
            )
            for target in view.targets
        ],
        strategy=view.strategy,
        fallbacks=list(view.fallbacks),
        max_output_tokens=view.max_output_tokens,
        cache_affinity=view.cache_affinity,
        enabled=view.enabled,
        managed_by=view.managed_by,
        created_at=moment_of(view.created_s),
    )
