"""Models: the names clients send, the targets behind them, and the models asked when those fail.

A tenant's people may lead a model to their own providers only: a target at the platform's would get
around its grants. What a platform administrator put there they may keep.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from tollway.app.admin.checks import check_model_name, check_name
from tollway.app.admin.commands.fallbacks import check_fallbacks
from tollway.app.admin.commands.quotas import drop_quotas_on
from tollway.app.admin.outcome import Ensured, Kind, Rejected
from tollway.app.admin.reach import model_in_reach, owner_for
from tollway.app.admin.work import Work
from tollway.app.views import ModelView
from tollway.domain.ids import ModelId, TenantId, make_id
from tollway.domain.model import Strategy, Target
from tollway.domain.policy import Action
from tollway.domain.provider import ProviderKind
from tollway.domain.quota import Scope
from tollway.domain.result import Err, Ok, Result
from tollway.domain.vertex import NO_PUBLISHER, vertex_model

MAX_TARGETS = 32
_NEW = ModelId("")


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """What a model shall be. Without a tenant it is the platform's, or of the one tenant whose
    administrator makes it."""

    name: str
    targets: tuple[Target, ...]
    tenant_id: TenantId | None = None
    strategy: str = Strategy.PRIORITY.value
    fallbacks: tuple[str, ...] = ()
    max_output_tokens: int | None = None
    cache_affinity: bool = False
    enabled: bool = True
    managed_by: str | None = None


def create_model(work: Work, spec: ModelSpec) -> Result[ModelView, Rejected]:
    """A new model."""
    owned = owner_for(work, Action.MODEL_WRITE, spec.tenant_id)
    if isinstance(owned, Err):
        return owned
    owner = owned.value
    wrong = work.denied(Action.MODEL_WRITE, kind="model", tenant_id=owner)
    if wrong is None and spec.strategy not in list(Strategy):
        wrong = Rejected("strategy", f"{spec.strategy!r} is no strategy: {', '.join(Strategy)}.")
    if wrong is not None:
        return Err(wrong)
    model = ModelView(
        _NEW,
        spec.name,
        spec.targets,
        owner,
        Strategy(spec.strategy),
        spec.fallbacks,
        spec.max_output_tokens,
        spec.cache_affinity,
        spec.enabled,
        spec.managed_by,
    )
    wrong = _check(work, model, replace(model, name="", targets=(), fallbacks=()))
    if wrong is not None:
        return Err(wrong)
    model = replace(model, id=ModelId(make_id("mdl", work.entropy(10))))
    work.uow.models.add(model)
    _record(work, "model.created", model, _facts(model))
    return Ok(_stored(work, model.id))


def ensure_model(work: Work, spec: ModelSpec) -> Result[Ensured[ModelView], Rejected]:
    """The owner's model of this name, created if there is none."""
    owned = owner_for(work, Action.MODEL_WRITE, spec.tenant_id)
    if isinstance(owned, Err):
        return owned
    found = work.uow.models.find(owned.value, spec.name)
    if found is not None:
        wrong = work.denied(Action.MODEL_WRITE, kind="model", tenant_id=owned.value)
        return Ok(Ensured(found, created=False)) if wrong is None else Err(wrong)
    made = create_model(work, spec)
    return made if isinstance(made, Err) else Ok(Ensured(made.value, created=True))


def update_model(work: Work, wanted: ModelView) -> Result[ModelView, Rejected]:
    """Everything but id and owner may be different."""
    found = _found(work, wanted.id)
    if isinstance(found, Err):
        return found
    before = found.value
    after = replace(
        wanted, tenant_id=before.tenant_id, created_s=before.created_s, version=before.version
    )
    wrong = _check(work, after, before)
    if wrong is not None:
        return Err(wrong)
    if after != before:
        work.uow.models.save(after)
        old, new = _facts(before), _facts(after)
        changes = {name: [old[name], new[name]] for name in new if old[name] != new[name]}
        _record(work, "model.updated", after, changes)
    return Ok(_stored(work, after.id))


def delete_model(work: Work, model_id: ModelId) -> Result[None, Rejected]:
    """The model is gone, its grants and limits. Models that fall back on it go without."""
    found = _found(work, model_id)
    if isinstance(found, Err):
        return found
    drop_quotas_on(work, Scope.MODEL, model_id)
    work.uow.models.remove(model_id)
    _record(work, "model.deleted", found.value, {"name": found.value.name})
    return Ok(None)


def _found(work: Work, model_id: ModelId) -> Result[ModelView, Rejected]:
    """The model, if the actor may change it, as it was when they saw it."""
    found = model_in_reach(work, model_id)
    if isinstance(found, Err):
        return found
    model = found.value
    wrong = work.denied(Action.MODEL_WRITE, kind="model", tenant_id=model.tenant_id)
    wrong = wrong or work.stale(model.version)
    return found if wrong is None else Err(wrong)


def _check(work: Work, model: ModelView, before: ModelView) -> Rejected | None:
    """`before` is what the model was, or one of the same owner without anything."""
    wrong = check_model_name(model.name)
    if wrong is not None:
        return wrong
    if not 1 <= len(model.targets) <= MAX_TARGETS:
        return Rejected("targets", f"A model has 1 to {MAX_TARGETS} targets.")
    limit = model.max_output_tokens
    if limit is not None and not 1 <= limit < 2**31:
        return Rejected("max_output_tokens", f"max_output_tokens must be 1 or more, not {limit}.")
    if model.name != before.name and work.uow.models.find(model.tenant_id, model.name) is not None:
        return Rejected("name", f"There is a model {model.name!r} already.", Kind.CONFLICT)
    return _check_targets(work, model, before.targets) or check_fallbacks(work, model, before)


def _check_targets(work: Work, model: ModelView, kept: Sequence[Target]) -> Rejected | None:
    """A target that was there already stays what it is, wherever it leads."""
    owners = {model.tenant_id}
    if work.actor.platform_admin:
        owners.add(None)
    left = list(kept)
    for target in model.targets:
        if target in left:
            left.remove(target)
            continue
        wrong = check_name(target.model, "model")
        if wrong is not None:
            return Rejected("targets", wrong.message)
        if not 0 <= target.weight < 2**31 or abs(target.priority) >= 2**31:
            return Rejected("targets", "A weight is 0 or more; weight and priority fit 32 bits.")
        provider = work.uow.providers.get(target.provider_id)
        if provider is None or provider.tenant_id not in owners:
            return Rejected("targets", f"There is no provider {target.provider_id!r} to use.")
        if provider.kind is ProviderKind.VERTEX and vertex_model(target.model) is None:
            return Rejected("targets", f"{target.model!r} does not say whose it is. {NO_PUBLISHER}")
    return None


def _facts(model: ModelView) -> dict[str, Any]:
    """For the audit."""
    return {
        "name": model.name,
        "targets": [asdict(target) for target in model.targets],
        "strategy": model.strategy.value,
        "fallbacks": list(model.fallbacks),
        "max_output_tokens": model.max_output_tokens,
        "cache_affinity": model.cache_affinity,
        "enabled": model.enabled,
    }


def _record(work: Work, fact: str, model: ModelView, changes: Mapping[str, Any]) -> None:
    work.record(fact, kind="model", object_id=model.id, tenant_id=model.tenant_id, changes=changes)


def _stored(work: Work, model_id: ModelId) -> ModelView:
    stored = work.uow.models.get(model_id)
    assert stored is not None, "what was just written is there"
    return stored
