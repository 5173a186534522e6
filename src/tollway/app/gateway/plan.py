"""Phase 5, pure but for one counter: the model's targets in the order they will be tried. Before
any money is held.
"""

from tollway.app.gateway.exchange import Exchange
from tollway.app.gateway.health import healthy_first
from tollway.app.gateway.runtime import Gateway
from tollway.app.gateway.sizing import expected_nusd
from tollway.domain.model import Strategy
from tollway.domain.refusal import Unavailable
from tollway.domain.routing import by_cost, order_targets


def plan(gateway: Gateway, exchange: Exchange, *, looking: bool = False) -> Unavailable | None:
    """Fill `exchange.targets` with those whose provider may be used. `looking`: no request is
    made."""
    model = exchange.model
    turn = 0
    if len(model.targets) > 1:
        turn = gateway.turns.get(model.id, 0)
        gateway.turns[model.id] = turn + 1
    providers = exchange.snapshot.providers
    exchange.targets = [
        (target, provider)
        for target in order_targets(model.strategy, model.targets, turn)
        if (provider := providers.get(target.provider_id)) is not None and provider.enabled
    ]
    if len(exchange.targets) > 1:
        if model.strategy is Strategy.COST_OPTIMIZED:
            costs = [expected_nusd(gateway, exchange, served) for served in exchange.targets]
            exchange.targets = [exchange.targets[place] for place in by_cost(costs)]
        if gateway.health:
            exchange.targets = healthy_first(gateway, exchange.targets, looking=looking)
    # Nobody asks it again, and a long stream must not keep a whole configuration mapped.
    del exchange.snapshot
    if exchange.targets:
        return None
    return Unavailable(f"No provider behind the model '{model.name}' is enabled.", "no_target")
