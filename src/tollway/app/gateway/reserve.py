"""Phase 6: one atomic hold over every tenant-side line, at the dearest planned target. A request
that no limit concerns holds nothing.
"""

from tollway.app.gateway.exchange import Exchange
from tollway.app.gateway.runtime import Gateway
from tollway.domain.refusal import QuotaExceeded


def reserve(gateway: Gateway, exchange: Exchange) -> QuotaExceeded | None:
    """Hold what the request may use, or say which limit binds. All lines or none."""
    assert exchange.principal is not None
    lines = gateway.quotas.lines(exchange.principal, exchange.model)
    if not lines:
        return None
    return gateway.quotas.reserve(exchange.request_id, lines)
