"""Phase 6: one atomic hold over every tenant-side line, at the dearest planned target; and, per
attempt, one over the lines of what answers. A request that no limit concerns holds nothing.
"""

from tollway.app.gateway.exchange import Exchange, Verdict
from tollway.app.gateway.runtime import Gateway
from tollway.app.gateway.sizing import size_hold
from tollway.domain.allowance import Allowance, is_budget, limit_text, time_text
from tollway.domain.hold import UNDECIDED, Bound, Decision, Hold, Outage, Rule, RuleSet, Undecided
from tollway.domain.model import Target
from tollway.domain.provider import ProviderRecord
from tollway.domain.quota import Metric
from tollway.domain.refusal import BadRequest, QuotaExceeded, Refusal, Unavailable
from tollway.domain.window import FOREVER_S

_SOON_S = 1.0


def reserve(gateway: Gateway, exchange: Exchange) -> Refusal | Undecided | None:
    """Hold what the request may use, or say which limit binds. All lines or none."""
    assert exchange.principal is not None
    rules = gateway.limits.of_request(
        gateway.source.current,
        exchange.principal,
        exchange.model,
        end_user=exchange.labels.end_user,
    )
    if not rules.rules:
        return None
    hold = size_hold(gateway, exchange, rules, targets=exchange.targets)
    if isinstance(hold, BadRequest):
        return hold
    exchange.hold = hold
    decision = gateway.quotas.reserve(hold)
    return decision if decision is UNDECIDED else _judged(gateway, hold, decision)


async def reserve_later(gateway: Gateway, exchange: Exchange) -> Verdict:
    """After `UNDECIDED`: once the counters are known."""
    hold = exchange.hold
    assert hold is not None, "only a hold can be undecided"
    return _judged(gateway, hold, await gateway.quotas.decided(hold))


def attempt_rules(gateway: Gateway, exchange: Exchange, provider: ProviderRecord) -> RuleSet:
    """The limits on whatever would answer."""
    assert exchange.principal is not None
    return gateway.limits.of_attempt(
        gateway.source.current,
        exchange.principal,
        exchange.model,
        provider_id=provider.id,
        end_user=exchange.labels.end_user,
    )


async def reserve_attempt(
    gateway: Gateway, exchange: Exchange, rules: RuleSet, *, served: tuple[Target, ProviderRecord]
) -> Hold | Refusal:
    """The hold of one attempt at one target, or why there is none."""
    hold = size_hold(gateway, exchange, rules, targets=[served])
    if isinstance(hold, BadRequest):
        return hold
    decision = gateway.quotas.reserve(hold)
    if decision is UNDECIDED:
        decision = await gateway.quotas.decided(hold)
    return _judged(gateway, hold, decision) or hold


def allowances(gateway: Gateway, hold: Hold) -> tuple[Allowance, ...]:
    """The tightest limit on requests and on tokens, as it stands now."""
    now_s = gateway.clock.wall_ns() / 1_000_000_000
    shown = []
    for metric, rules in hold.rules.shown:
        found = gateway.quotas.tightest(rules, hold.at_s)
        if found is not None:
            wait_s = max(found.frees_s - now_s, 0.0) if found.frees_s < FOREVER_S else None
            shown.append(Allowance(metric, found.limit, found.remaining, wait_s))
    return tuple(shown)


def _wait_s(gateway: Gateway, frees_s: int) -> float | None:
    """From now; None: it never comes."""
    if frees_s >= FOREVER_S:
        return None
    return max(frees_s - gateway.clock.wall_ns() / 1_000_000_000, 0.0)


def _judged(gateway: Gateway, hold: Hold, decision: Decision) -> QuotaExceeded | Unavailable | None:
    if isinstance(decision, Bound):
        _count(gateway, decision.rule, "reached")
        return _exceeded(gateway, hold, decision)
    if isinstance(decision, Outage):
        _count(gateway, decision.rule, "unavailable")
        text = limit_text(decision.rule, decision.rule.limit)
        return Unavailable(
            f"Whether the limit of {text} is reached cannot be checked right now. Try again.",
            "limits_unavailable",
            _SOON_S,
        )
    return None


def _count(gateway: Gateway, rule: Rule, why: str) -> None:
    place = rule.quota.id, why
    gateway.limited[place] = gateway.limited.get(place, 0) + 1


def _exceeded(gateway: Gateway, hold: Hold, bound: Bound) -> QuotaExceeded:
    rule, text = bound.rule, limit_text(bound.rule, bound.limit)
    wait_s = _wait_s(gateway, bound.frees_s)
    exhausted = is_budget(rule)
    if bound.amount > bound.limit:
        message = f"The request may use more than the whole limit of {text}. Make it smaller."
        exhausted, wait_s = True, None
    elif rule.quota.metric is Metric.CONCURRENCY:
        message, wait_s = f"The limit of {text} is reached. Try again when one has ended.", _SOON_S
    elif wait_s is None:
        message = f"The limit of {text} is reached. Ask your administrator to raise it."
    else:
        message = f"The limit of {text} is reached. It resets at {time_text(bound.frees_s)}."
    shown = allowances(gateway, hold)
    return QuotaExceeded(message, exhausted, wait_s, shown)
