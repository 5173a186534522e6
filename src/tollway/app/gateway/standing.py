"""How one limit stands by the counters that enforce it, for whoever administers it. Looking changes
nothing: no counter is made, or seeded, by being looked at.
"""

from tollway.app.gateway.limits import zone_of
from tollway.app.gateway.runtime import Gateway
from tollway.domain.hold import Rule, Stand
from tollway.domain.ids import QuotaId
from tollway.domain.window import UTC_ZONE

_NS = 1_000_000_000


async def look_at(
    gateway: Gateway, place: str, *, quota_id: QuotaId, member: str | None
) -> Stand | None:
    """`place` is where the limit is found, `member` one of its `per` (`scope_place`). None: nobody
    has counted on it here."""
    snapshot = gateway.source.current
    found = snapshot.quotas.get(place)
    for quota in () if found is None else found.quotas:
        if quota.id == quota_id:
            tenant = None if quota.tenant_id is None else snapshot.tenants.get(quota.tenant_id)
            rule = Rule(quota, member, UTC_ZONE if tenant is None else zone_of(tenant))
            return await gateway.quotas.look(rule, gateway.clock.wall_ns() // _NS)
    return None
