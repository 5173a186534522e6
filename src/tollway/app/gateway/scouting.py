"""Whom to let through when every target of a model is ejected: somebody must find out that one is
back, and everybody else hears at once that none is, instead of after a timeout.
"""

from math import ceil

from tollway.app.gateway.exchange import Exchange
from tollway.app.gateway.health import back_s
from tollway.app.gateway.runtime import Gateway
from tollway.domain.refusal import Unavailable


def send_scout(gateway: Gateway, exchange: Exchange, *, looking: bool) -> Unavailable | None:
    """Every target that was planned is ejected: None if this request finds out whether that is
    still so, or if a probe says that it is not. `looking`: none is made."""
    wait_s = back_s(gateway, exchange.targets)
    if wait_s is None:
        return None
    assert exchange.principal is not None
    model, tenant_id, scouts = exchange.model, exchange.principal.tenant_id, gateway.scouts
    if scouts.may_go(model.id, tenant_id):
        if not looking:
            scouts.go(model.id, tenant_id)
            exchange.scouts = model.id
        return None
    wait_s = max(1.0, wait_s)
    return Unavailable(
        f"No provider behind the model '{model.name}' answers at the moment. Try again in "
        f"{ceil(wait_s)} s.",
        "targets_unavailable",
        wait_s,
    )


def end_scouting(gateway: Gateway, exchange: Exchange) -> None:
    """The model that the request found out about was asked."""
    if exchange.scouts is not None:
        assert exchange.principal is not None
        gateway.scouts.come_back(exchange.scouts, exchange.principal.tenant_id)
        exchange.scouts = None
