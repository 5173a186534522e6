"""Models: the names clients send, and the targets behind them."""

from dataclasses import dataclass

from tollway.app.admin.checks import check_model_name, check_name
from tollway.app.admin.outcome import Ensured, Rejected
from tollway.app.ports_admin import Entropy, UnitOfWork
from tollway.domain.ids import ModelId, make_id
from tollway.domain.model import ModelRecord, Strategy, Target
from tollway.domain.result import Err, Ok, Result
from tollway.domain.tenant import TenantRecord

MAX_TARGETS = 32


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """What a model shall be. Without an owner it is the platform's."""

    name: str
    targets: tuple[Target, ...]
    owner: TenantRecord | None = None
    strategy: str = Strategy.PRIORITY.value
    max_output_tokens: int | None = None


def create_model(
    uow: UnitOfWork, entropy: Entropy, spec: ModelSpec
) -> Result[ModelRecord, Rejected]:
    """A new model. Its targets may lie at the owner's providers and at the platform's."""
    wrong = _check(spec) or _check_targets(uow, spec)
    if wrong is not None:
        return Err(wrong)
    owner = None if spec.owner is None else spec.owner.id
    if uow.find_model(owner, spec.name) is not None:
        return Err(Rejected("name", f"There is a model {spec.name!r} already."))
    model = ModelRecord(
        id=ModelId(make_id("mdl", entropy(10))),
        name=spec.name,
        targets=spec.targets,
        tenant_id=owner,
        strategy=Strategy(spec.strategy),
        max_output_tokens=spec.max_output_tokens,
        created_s=uow.now_s,
    )
    uow.add_model(model)
    return Ok(model)


def ensure_model(
    uow: UnitOfWork, entropy: Entropy, spec: ModelSpec
) -> Result[Ensured[ModelRecord], Rejected]:
    """The owner's model of this name, created if there is none."""
    found = uow.find_model(None if spec.owner is None else spec.owner.id, spec.name)
    if found is not None:
        return Ok(Ensured(found, created=False))
    made = create_model(uow, entropy, spec)
    return made if isinstance(made, Err) else Ok(Ensured(made.value, created=True))


def _check(spec: ModelSpec) -> Rejected | None:
    wrong = check_model_name(spec.name)
    if wrong is not None:
        return wrong
    if spec.strategy not in list(Strategy):
        return Rejected("strategy", f"{spec.strategy!r} is no strategy: {', '.join(Strategy)}.")
    if not 1 <= len(spec.targets) <= MAX_TARGETS:
        return Rejected("targets", f"A model has 1 to {MAX_TARGETS} targets.")
    limit = spec.max_output_tokens
    if limit is not None and not 1 <= limit < 2**31:
        return Rejected("max_output_tokens", f"max_output_tokens must be 1 or more, not {limit}.")
    return None


def _check_targets(uow: UnitOfWork, spec: ModelSpec) -> Rejected | None:
    owners = {None, None if spec.owner is None else spec.owner.id}
    for target in spec.targets:
        wrong = check_name(target.model, "model")
        if wrong is not None:
            return Rejected("targets", wrong.message)
        if not 0 <= target.weight < 2**31 or abs(target.priority) >= 2**31:
            return Rejected("targets", "A weight is 0 or more; weight and priority fit 32 bits.")
        provider = uow.find_provider_by_id(target.provider_id)
        if provider is None or provider.tenant_id not in owners:
            return Rejected("targets", f"There is no provider {target.provider_id!r} to use.")
    return None
