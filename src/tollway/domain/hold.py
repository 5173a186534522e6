"""What one request holds: its rules, each with its window, and how much of each metric. The
arithmetic of a counter is here, shared by every store; where counters live is not.

A hold is reserved as a whole or not at all, and ends once: settled with what was used, or voided.
Both book into the windows it was admitted in, whatever time it is by then.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from tollway.domain.quota import (
    METRICS,
    Metric,
    Mode,
    OnOutage,
    Precision,
    QuotaRecord,
    Sizes,
    counter_name,
)
from tollway.domain.window import Period, Window, Zone, frees_s, window_at

_MONEY = METRICS.index(Metric.COST)
_MEASURED = frozenset(
    METRICS.index(metric)
    for metric in (Metric.TOKENS, Metric.INPUT_TOKENS, Metric.OUTPUT_TOKENS, Metric.COST)
)
_SHOWN = (Metric.REQUESTS, Metric.TOKENS)
_NEVER = Window(1, 0)


class Rule:
    """One quota for one member: what it counts under, and the window of an instant.

    `key` names the counter in one process: with the quota's id, since one that was away for a
    while has not counted. `cell` is the store's own.
    """

    __slots__ = (
        "cell",
        "counter",
        "end_s",
        "key",
        "limit",
        "member",
        "metric",
        "minute",
        "quota",
        "raised_to",
        "raised_until_s",
        "shadow",
        "shares",
        "start_s",
        "strict",
        "zone",
    )

    def __init__(self, quota: QuotaRecord, member: str | None, zone: Zone) -> None:
        self.quota = quota
        self.member = member
        self.zone = zone
        self.counter = counter_name(quota, member)
        self.key = rule_key(quota, member)
        self.metric = METRICS.index(quota.metric)
        self.minute = quota.period is Period.MINUTE
        self.limit = quota.limit
        self.raised_to = quota.limit if quota.raised_to is None else quota.raised_to
        self.raised_until_s = 0 if quota.raised_to is None else quota.raised_until_s
        self.strict = quota.precision is Precision.STRICT
        self.shadow = quota.mode is Mode.SHADOW
        self.shares = quota.on_outage is OnOutage.LOCAL_SHARE
        self.start_s, self.end_s = _NEVER
        self.cell: Any = None

    def turn(self, at_s: int) -> None:
        """Move to the window of this second."""
        self.start_s, self.end_s = window_at(self.quota.period, self.zone, at_s)

    def limit_at(self, at_s: float) -> int:
        """The limit in force: a temporary increase ends by itself."""
        return self.raised_to if at_s < self.raised_until_s else self.limit

    @property
    def frees_s(self) -> int:
        """When what is booked now counts no more."""
        return frees_s(self.quota.period, Window(self.start_s, self.end_s))


class CounterRef(NamedTuple):
    """One counter, for whoever sums it from the ledger. Of the minute: the window is the bucket
    that was running when the counter was made."""

    quota: QuotaRecord
    member: str | None
    window: Window


def counter_key(ref: CounterRef) -> tuple[str, int]:
    """What the counter is found by in one process: the rule and the member, and the second its
    window begins (0: it never turns, or by itself)."""
    start_s = 0 if ref.quota.period is Period.MINUTE else ref.window.start_s
    return rule_key(ref.quota, ref.member), start_s


def rule_key(quota: QuotaRecord, member: str | None) -> str:
    """A rule and a member of it."""
    return f"{quota.id}:{member or ''}"


class Bound(NamedTuple):
    """The rule that does not let a hold in: `used` and `held` are others'. `frees_s`: when some of
    it counts no more."""

    rule: Rule
    limit: int
    used: int
    held: int
    amount: int
    frees_s: int


class Stand(NamedTuple):
    """How a rule's counter stands."""

    used: int
    held: int
    frees_s: int


class Tightest(NamedTuple):
    """Of several rules the one with the least left, as it stands now."""

    limit: int
    remaining: int
    frees_s: int


class Outage(NamedTuple):
    """The counters of a rule cannot be had."""

    rule: Rule


class Undecided(NamedTuple):
    """The store has to wait for something first: ask `decided`."""


UNDECIDED = Undecided()
Decision = Bound | Outage | Undecided | None  # None: held


class RuleSet:
    """The rules of one hold, and what follows from them alone: whether a price is needed, whether a
    rule holds the most a request can use (of tokens or money, which a provider counts), and which
    rules a caller is told of, by metric."""

    __slots__ = ("ceiling", "money", "rules", "shown")

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = tuple(rules)
        self.money = any(rule.metric == _MONEY for rule in self.rules)
        self.ceiling = any(
            rule.strict and not rule.shadow and rule.metric in _MEASURED for rule in self.rules
        )
        shown = [(metric, self._enforced(metric)) for metric in _SHOWN]
        self.shown = tuple((metric, rules) for metric, rules in shown if rules)

    def _enforced(self, metric: Metric) -> tuple[Rule, ...]:
        return tuple(rule for rule in self.rules if rule.quota.metric is metric and not rule.shadow)


class Hold:
    """One request's lines. `strict` and `bounded` are the sizes that rules of each precision hold;
    `bookings` is the store's own."""

    __slots__ = ("at_s", "bookings", "bounded", "rules", "strict")

    def __init__(self, rules: RuleSet, at_s: int, *, strict: Sizes, bounded: Sizes) -> None:
        self.rules = rules
        self.at_s = at_s
        self.strict = strict
        self.bounded = bounded
        self.bookings: Any = None


NO_RULES = RuleSet(())
