"""What a caller may know of its limits: how much there is, how much is left, when it is whole
again; and the words for a limit that is reached.
"""

from datetime import UTC, datetime
from typing import NamedTuple

from tollway.domain.hold import Rule
from tollway.domain.money import usd_text
from tollway.domain.quota import Metric, Scope
from tollway.domain.window import Period


class Allowance(NamedTuple):
    """One limit. `remaining` is never below 0; `resets_in_s` is None where it never does."""

    metric: Metric
    limit: int
    remaining: int
    resets_in_s: float | None


_WHOSE = {
    Scope.PLATFORM: "the platform",
    Scope.TENANT: "your organisation",
    Scope.PROJECT: "this project",
    Scope.ACCOUNT: "your account",
    Scope.KEY: "this API key",
    Scope.END_USER: "this end user",
    Scope.PROVIDER: "the provider",
    Scope.MODEL: "this model",
}
_UNITS = {
    Metric.REQUESTS: "requests",
    Metric.TOKENS: "tokens",
    Metric.INPUT_TOKENS: "input tokens",
    Metric.OUTPUT_TOKENS: "output tokens",
}


def limit_text(rule: Rule, limit: int) -> str:
    """The limit as people call it: `1,000 requests per minute for this API key ('trial')`."""
    quota = rule.quota
    if quota.metric is Metric.CONCURRENCY:
        text = f"{limit:,} requests at a time"
    elif quota.metric is Metric.COST:
        text = f"{usd_text(limit)} USD"
    else:
        text = f"{limit:,} {_UNITS[quota.metric]}"
    if quota.period is Period.TOTAL:
        text += " in total"
    elif quota.period is not Period.NONE:
        text += f" per {quota.period}"
    text += f" for {_WHOSE[quota.per or quota.scope]}"
    return f"{text} ('{quota.name}')" if quota.name else text


def is_budget(rule: Rule) -> bool:
    """Whether waiting a moment does not help: then a client must not try again by itself."""
    return rule.quota.period in (Period.DAY, Period.MONTH, Period.TOTAL)


def time_text(at_s: int) -> str:
    """UTC, to the second."""
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
