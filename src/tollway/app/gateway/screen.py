"""Phase 3: the guards in order. The first that refuses ends the request. No guard, no work."""

from tollway.app.gateway.exchange import Exchange
from tollway.app.gateway.runtime import Gateway
from tollway.domain.refusal import Refusal


def screen(gateway: Gateway, exchange: Exchange) -> Refusal | None:
    """Ask every guard about the judged request."""
    if not gateway.guards:
        return None
    assert exchange.principal is not None
    for guard in gateway.guards:
        refusal = guard.screen(exchange.principal, exchange.ask.model, exchange.inbound.body)
        if refusal is not None:
            return refusal
    return None
