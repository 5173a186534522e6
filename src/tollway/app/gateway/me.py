"""`/v1/me` and `/v1/me/usage`: who a credential stands for, and how its limits stand by the very
counters that enforce them.
"""

from collections.abc import Sequence
from typing import NamedTuple

from tollway.app.gateway.limits import Limits
from tollway.app.gateway.listing import admit_caller
from tollway.app.gateway.runtime import Gateway
from tollway.app.ports import Header
from tollway.domain.access import Principal
from tollway.domain.hold import UNDECIDED, Hold, Rule, RuleSet, Stand
from tollway.domain.quota import NOTHING
from tollway.domain.refusal import Refusal

_NS = 1_000_000_000


class LimitStand(NamedTuple):
    """One limit of the caller. `stand` is None while its counter cannot be had."""

    rule: Rule
    limit: int
    stand: Stand | None


class Caller(NamedTuple):
    """What a credential may know of itself."""

    principal: Principal
    limits: list[LimitStand]


async def describe_caller(
    gateway: Gateway, headers: Sequence[Header], peer_ip: str
) -> Caller | Refusal:
    """Whose credential it is, with every limit of tenant, project, account and key."""
    principal = await admit_caller(gateway, headers, peer_ip, endpoint=None)
    if not isinstance(principal, Principal):
        return principal
    rules = Limits.of_caller(gateway.source.current, principal)
    return Caller(principal, [await _stand(gateway, rule) for rule in rules])


async def _stand(gateway: Gateway, rule: Rule) -> LimitStand:
    """Holding nothing for a moment makes sure that the counter is known."""
    at_s = gateway.clock.wall_ns() // _NS
    hold = Hold(RuleSet((rule,)), at_s, strict=NOTHING, bounded=NOTHING)
    if gateway.quotas.reserve(hold) is UNDECIDED:
        await gateway.quotas.decided(hold)
    gateway.quotas.void(hold)
    return LimitStand(rule, rule.limit_at(at_s), gateway.quotas.standing(rule))
