"""Phase 5, pure but for one counter: the model's targets in the order they will be tried. Before
any money is held.
"""

from collections.abc import Sequence

from tollway.app.gateway.affinity import stick
from tollway.app.gateway.exchange import Exchange
from tollway.app.gateway.fallback import find_fallbacks
from tollway.app.gateway.health import healthy_first
from tollway.app.gateway.kept import plan_kept
from tollway.app.gateway.runtime import Gateway
from tollway.app.gateway.sharing import roomy_first
from tollway.app.gateway.sizing import expected_nusd
from tollway.app.gateway.timing import by_latency
from tollway.domain.model import ModelRecord, Strategy
from tollway.domain.refusal import Forbidden, Refusal, Unavailable
from tollway.domain.routing import by_cost, order_targets


def plan(gateway: Gateway, exchange: Exchange, *, looking: bool = False) -> Refusal | None:
    """Fill `exchange.targets` with those whose provider may be used. `looking`: no request is
    made."""
    if exchange.kept is not None:
        return plan_kept(exchange)
    assert exchange.principal is not None
    tenant = exchange.principal.tenant
    model = exchange.model
    turn = 0
    if len(model.targets) > 1 or model.fallbacks:
        turn = gateway.turns.get(model.id, 0)
        gateway.turns[model.id] = turn + 1
    if model.fallbacks and exchange.earlier is None:
        exchange.fallbacks = find_fallbacks(exchange)
    providers = exchange.snapshot.providers
    exchange.targets = [
        (target, provider)
        for target in order_targets(model.strategy, model.targets, turn)
        if (provider := providers.get(target.provider_id)) is not None and provider.enabled
    ]
    if tenant.allowed_residency is not None and exchange.targets:
        exchange.targets = [one for one in exchange.targets if tenant.may_use(one[1].residency)]
        if not exchange.targets:
            return _not_there(model, tenant.allowed_residency)
    if len(exchange.targets) > 1:
        _order(gateway, exchange, turn)
        if gateway.health:
            exchange.targets = healthy_first(gateway, exchange.targets, looking=looking)
    # Nobody asks it again, and a long stream must not keep a whole configuration mapped.
    del exchange.snapshot
    if exchange.targets:
        return None
    return Unavailable(f"No provider behind the model '{model.name}' is enabled.", "no_target")


def _order(gateway: Gateway, exchange: Exchange, turn: int) -> None:
    """What goes by more than the configuration."""
    model, targets = exchange.model, exchange.targets
    if model.strategy is Strategy.COST_OPTIMIZED:
        exchange.guessed = True
        costs = [expected_nusd(gateway, exchange, served) for served in targets]
        exchange.targets = [targets[place] for place in by_cost(costs)]
    elif model.strategy is Strategy.LEAST_LATENCY and not model.cache_affinity:
        exchange.targets = [targets[place] for place in by_latency(gateway, exchange, turn)]
    elif model.cache_affinity and model.strategy is not Strategy.FAILOVER:
        stick(exchange)
    if model.strategy is Strategy.PRIORITY:
        exchange.targets = roomy_first(gateway.accounts, exchange.targets)


def _not_there(model: ModelRecord, allowed: Sequence[str]) -> Forbidden:
    return Forbidden(
        f"No provider behind the model '{model.name}' may see your tenant's data, which is to stay "
        f"in: {', '.join(allowed)}. Take another model.",
        "residency_not_allowed",
    )
