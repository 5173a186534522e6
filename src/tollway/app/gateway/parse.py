"""Phase 1, pure: the body becomes an `Ask`. What was judged here is exactly what is sent on."""

from tollway.app.gateway.exchange import Exchange
from tollway.dialects.multipart import boundary_problem
from tollway.domain.refusal import BadRequest


def parse(exchange: Exchange) -> BadRequest | None:
    """Fill `exchange.ask`, or say what is wrong with the body."""
    inbound = exchange.inbound
    ask = inbound.endpoint.parse(inbound.body)
    if isinstance(ask, BadRequest):
        return ask
    exchange.ask = ask
    if ask.upload is not None:
        return boundary_problem(inbound.headers, ask.upload.boundary)
    return None
