"""Phase 6: one atomic hold over every tenant-side line, at the dearest planned target; and, per
attempt, one over the lines of what answers. A request that no limit concerns holds nothing.
"""

from tollway.app.gateway.exchange import Exchange, Verdict
from tollway.app.gateway.runtime import Gateway
from tollway.app.gateway.sizing import size_hold
from tollway.domain.allowance import Allowance, is_budget, limit_text, time_text
from tollway.domain.hold import UNDECIDED, Bound, Decision, Hold, Outage, Undecided
from tollway.domain.model import Target
from tollway.domain.provider import ProviderRecord
from tollway.domain.quota import Metric
from tollway.domain.refusal import BadRequest, QuotaExceeded, Refusal, Unavailable
from tollway.domain.window import FOREVER_S

_SOON_S = 1.0
_SHOWN = (Metric.REQUESTS, Metric.TOKENS)


def reserve(gateway: Gateway, exchange: Exchange) -> Refusal | Undecided | None:
    """Hold what the request may use, or say which limit binds. All lines or none."""
    assert exchange.principal is not None
    rules = gateway.limits.of_request(
        gateway.source.current,
        exchange.principal,
        exchange.model,
        end_user=exchange.labels.end_user,
    )
    if not rules:
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


async def reserve_attempt(
    gateway: Gateway, exchange: Exchange, served: tuple[Target, ProviderRecord]
) -> Hold | Refusal | None:
    """The hold of one attempt at one target; None where no limit concerns it."""
    assert exchange.principal is not None
    rules = gateway.limits.of_attempt(
        gateway.source.current,
        exchange.principal,
        exchange.model,
        provider_id=served[1].id,
        end_user=exchange.labels.end_user,
    )
    if not rules:
        return None
    hold = size_hold(gateway, exchange, rules, targets=[served])
    if isinstance(hold, BadRequest):
        return hold
    decision = gateway.quotas.reserve(hold)
    if decision is UNDECIDED:
        decision = await gateway.quotas.decided(hold)
    return _judged(gateway, hold, decision) or hold


def allowances(gateway: Gateway, hold: Hold | None) -> tuple[Allowance, ...]:
    """The tightest limit on requests and on tokens, as it stands now."""
    if hold is None:
        return ()
    return tuple(
        tightest for metric in _SHOWN if (tightest := _tightest(gateway, hold, metric)) is not None
    )


def _tightest(gateway: Gateway, hold: Hold, metric: Metric) -> Allowance | None:
    found: Allowance | None = None
    for rule in hold.rules:
        if rule.quota.metric is not metric or rule.shadow:
            continue
        stand = gateway.quotas.standing(rule)
        if stand is None:
            continue
        limit = rule.limit_at(hold.at_s)
        remaining = max(limit - stand.used - stand.held, 0)
        if found is None or remaining < found.remaining:
            wait_s = _wait_s(gateway, stand.frees_s)
            found = Allowance(metric, limit, remaining, wait_s)
    return found


def _wait_s(gateway: Gateway, frees_s: int) -> float | None:
    """From now; None: it never comes."""
    if frees_s >= FOREVER_S:
        return None
    return max(frees_s - gateway.clock.wall_ns() / 1_000_000_000, 0.0)


def _judged(gateway: Gateway, hold: Hold, decision: Decision) -> QuotaExceeded | Unavailable | None:
    if isinstance(decision, Bound):
        return _exceeded(gateway, hold, decision)
    if isinstance(decision, Outage):
        text = limit_text(decision.rule, decision.rule.limit)
        return Unavailable(
            f"Whether the limit of {text} is reached cannot be checked right now. Try again.",
            "limits_unavailable",
            _SOON_S,
        )
    return None


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
