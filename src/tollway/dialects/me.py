"""How `/v1/me` and `/v1/me/usage` look. Money is USD as decimal text, times are ISO 8601 in UTC."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from tollway.domain.access import Principal
from tollway.domain.hold import Rule, Stand
from tollway.domain.money import usd_text
from tollway.domain.quota import Metric
from tollway.domain.window import FOREVER_S, Period

_write = msgspec.json.Encoder().encode


def render_me(principal: Principal, limits: Sequence[tuple[Rule, int, Stand | None]]) -> bytes:
    """Who is asking, and what limits them."""
    key = principal.key
    return _write(
        {
            "object": "me",
            "tenant": {"id": principal.tenant.id, "slug": principal.tenant.slug},
            "project_id": principal.project_id,
            "account_id": principal.account_id,
            "key": None
            if principal.subject is not None
            else {
                "id": key.id,
                "expires_at": None if key.expires_s is None else _time(int(key.expires_s)),
                "models": key.models,
                "endpoints": key.endpoints,
            },
            "subject": principal.subject,
            "limits": [_limit(rule, limit) for rule, limit, _ in limits],
        }
    )


def render_usage(limits: Sequence[tuple[Rule, int, Stand | None]]) -> bytes:
    """How each limit stands."""
    return _write({"object": "list", "data": [_use(*one) for one in limits]})


def _limit(rule: Rule, limit: int) -> dict[str, Any]:
    quota = rule.quota
    return {
        "id": quota.id,
        "name": quota.name or None,
        "scope": quota.scope,
        "per": quota.per,
        "model_id": quota.model_id,
        "metric": quota.metric,
        "period": None if quota.period is Period.NONE else quota.period,
        "mode": quota.mode,
        "limit": _amount(quota.metric, limit),
    }


def _use(rule: Rule, limit: int, stand: Stand | None) -> dict[str, Any]:
    used = held = remaining = resets_at = None
    metric = rule.quota.metric
    if stand is not None:
        used, held = _amount(metric, stand.used), _amount(metric, stand.held)
        remaining = _amount(metric, max(limit - stand.used - stand.held, 0))
        if rule.quota.period is not Period.NONE and stand.frees_s < FOREVER_S:
            resets_at = _time(stand.frees_s)
    return {
        **_limit(rule, limit),
        "used": used,
        "held": held,
        "remaining": remaining,
        "resets_at": resets_at,
    }


def _amount(metric: Metric, amount: int) -> int | str:
    return usd_text(amount) if metric is Metric.COST else amount


def _time(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
