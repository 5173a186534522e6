"""Phase 4: the response cache. Off, it costs one attribute read. The scope is the key's own: what
one credential was told is never served to another.
"""

from tollway.app.gateway.exchange import Exchange
from tollway.app.gateway.runtime import Gateway
from tollway.app.ports import CacheScope


def recall(gateway: Gateway, exchange: Exchange) -> bool:
    """Answer from the cache if it can; True when the client has its answer."""
    if not gateway.cache.enabled or exchange.ask.stream or exchange.ask.keeping is not None:
        return False  # what is kept at a provider changes there, and each is made once
    hit = gateway.cache.look_up(scope_of(exchange), exchange.inbound.body)
    if hit is None:
        return False
    headers = [
        (b"content-type", b"application/json"),
        (b"x-request-id", exchange.request_id.encode()),
        (b"x-tollway-cache", b"hit"),
    ]
    exchange.client.respond(200, headers, hit)
    return True


def scope_of(exchange: Exchange) -> CacheScope:
    """Whose answers may be served, and for which configuration of which model."""
    principal, model = exchange.principal, exchange.model
    assert principal is not None
    return CacheScope(
        principal.tenant_id,
        principal.key_id,
        exchange.inbound.endpoint.name,
        model.id,
        model.version,
    )
