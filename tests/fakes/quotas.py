"""Quotas and holds for tests: one rule in one line."""

from itertools import count

from tollway.domain.hold import Hold, Rule, RuleSet
from tollway.domain.ids import QuotaId, TenantId
from tollway.domain.quota import Metric, QuotaPlace, QuotaRecord, Scope, Sizes, place_of
from tollway.domain.window import UTC_ZONE, Period

_numbers = count(1)
NOON_S = 1_795_003_200 // 86_400 * 86_400 + 43_200


def quota(limit, metric="requests", period="day", *, scope="tenant", **changes):
    """A rule of tenant `ten_a`; of the platform for platform, provider and model."""
    upstream = scope in ("platform", "provider", "model")
    given = {
        "id": QuotaId(f"quo_{next(_numbers)}"),
        "tenant_id": None if upstream else TenantId("ten_a"),
        "scope": Scope(scope),
        "scope_id": None,
        "metric": Metric(metric),
        "period": Period(period),
        "limit": limit,
        **changes,
    }
    return QuotaRecord(**given)


def places(*quotas):
    """What a snapshot's `quotas` is."""
    found = {}
    for one in quotas:
        found.setdefault(place_of(one), []).append(one)
    return {place: QuotaPlace(place, tuple(group)) for place, group in found.items()}


def rule(record, member=None, zone=UTC_ZONE):
    """The rule as it is compiled."""
    return Rule(record, member, zone)


def hold(*rules, at_s=NOON_S, tokens=0, cost=0, most=None):
    """One request with these rules that is expected to use so many output tokens."""
    bounded = Sizes(1, tokens, 0, tokens, cost, 1)
    strict = bounded if most is None else Sizes(1, most, 0, most, cost, 1)
    return Hold(RuleSet(rules), at_s, strict=strict, bounded=bounded)


def actual(tokens=0, cost=0):
    """What a request used."""
    return Sizes(1, tokens, 0, tokens, cost, 0)
