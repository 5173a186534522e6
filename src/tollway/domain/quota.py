"""Quotas: what is limited for whom. A rule is a record of the configuration; what it counts stands
under a counter's name made of scope, metric and period, never of the rule's id: a rule that is
replaced goes on counting where the old one stood.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from tollway.domain.ids import ModelId, QuotaId, TenantId
from tollway.domain.receipt import Receipt, usage_of
from tollway.domain.result import Err, Ok, Result
from tollway.domain.window import Period

# Lua's numbers are doubles: whole numbers are exact up to 2**53 = 9.007e15.
MAX_LIMIT = 9 * 10**15
MAX_MEMBERS = 100_000  # counters of one rule with `per`; more share one


class Scope(StrEnum):
    """Whose use counts. A model beside a scope narrows it to that model."""

    PLATFORM = "platform"
    TENANT = "tenant"
    PROJECT = "project"
    ACCOUNT = "account"
    KEY = "key"
    END_USER = "end_user"
    PROVIDER = "provider"
    MODEL = "model"


class Metric(StrEnum):
    """What is counted. Money in nano-USD."""

    REQUESTS = "requests"
    TOKENS = "tokens"
    INPUT_TOKENS = "input_tokens"
    OUTPUT_TOKENS = "output_tokens"
    COST = "cost"
    CONCURRENCY = "concurrency"


class Mode(StrEnum):
    """`shadow` counts and says what it would have refused."""

    ENFORCE = "enforce"
    SHADOW = "shadow"


class Precision(StrEnum):
    """`strict` holds the most a request can use; `bounded` what such requests use as a rule, and
    may be overshot by what runs when the limit is reached."""

    STRICT = "strict"
    BOUNDED = "bounded"


class OnOutage(StrEnum):
    """Without the counters: refuse, or go on with a share of what was left."""

    REFUSE = "refuse"
    LOCAL_SHARE = "local_share"


METRICS = tuple(Metric)
# Lines of the attempt's hold; all other scopes are the request's.
UPSTREAM_SCOPES = frozenset({Scope.PLATFORM, Scope.PROVIDER, Scope.MODEL})
_PER = (Scope.PROJECT, Scope.ACCOUNT, Scope.KEY, Scope.END_USER)
_ANYONES = (Scope.TENANT, *_PER)
# A member of a scope that is as narrow, or narrower, would be the scope itself.
_ALLOWED_PER = {
    Scope.PLATFORM: _ANYONES,
    Scope.TENANT: _PER,
    Scope.PROJECT: (Scope.ACCOUNT, Scope.KEY, Scope.END_USER),
    Scope.ACCOUNT: (Scope.KEY, Scope.END_USER),
    Scope.KEY: (Scope.END_USER,),
    Scope.END_USER: (),
    Scope.PROVIDER: _ANYONES,
    Scope.MODEL: _ANYONES,
}


@dataclass(frozen=True, slots=True)
class QuotaRecord:
    """One rule. `tenant_id`: whose; None: the platform's. `scope_id` names the project, account,
    key, end user, provider or model; None where the scope is the owner itself. `raised_to` is in
    force until `raised_until_s`. `alert_at` are fractions in percent."""

    id: QuotaId
    tenant_id: TenantId | None
    scope: Scope
    scope_id: str | None
    metric: Metric
    period: Period
    limit: int
    model_id: ModelId | None = None
    per: Scope | None = None
    mode: Mode = Mode.ENFORCE
    precision: Precision = Precision.BOUNDED
    on_outage: OnOutage = OnOutage.REFUSE
    raised_to: int | None = None
    raised_until_s: int = 0
    alert_at: tuple[int, ...] = ()
    name: str = ""


@dataclass(frozen=True, slots=True)
class QuotaPlace:
    """All rules of one scope, as `place_of` names it."""

    place: str
    quotas: tuple[QuotaRecord, ...] = ()


class Sizes(NamedTuple):
    """What a request uses of each metric, in the order of `Metric`."""

    requests: int = 0
    tokens: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: int = 0
    concurrency: int = 0


NOTHING = Sizes()


def check_quota(quota: QuotaRecord) -> Result[QuotaRecord, tuple[str, str]]:
    """The rule, or (field, what is wrong)."""
    problem = (
        _scope_problem(quota) or _limit_problem("limit", quota.limit) or _period_problem(quota)
    )
    if problem is None and quota.raised_to is not None:
        problem = _limit_problem("raised_to", quota.raised_to)
        if problem is None and quota.raised_to <= quota.limit:
            problem = "raised_to", "A temporary increase is more than the limit."
    problem = problem or _alert_problem(quota)
    return Ok(quota) if problem is None else Err(problem)


def place_of(quota: QuotaRecord) -> str:
    """What the rule is found by: `scope_place` of its scope."""
    return scope_place(quota.scope, quota.tenant_id, quota.scope_id)


def scope_place(scope: Scope, tenant_id: str | None, scope_id: str | None) -> str:
    """One name for one scope. Accounts and end users are within a tenant."""
    if scope is Scope.PLATFORM:
        return "platform"
    if scope is Scope.TENANT:
        return str(tenant_id)
    if scope is Scope.ACCOUNT:
        return f"{tenant_id}/{scope_id}"
    if scope is Scope.END_USER:
        return f"{tenant_id}/user:{scope_id}"
    return str(scope_id)


def nobody_of(tenant_id: str) -> str:
    """The member of requests that have none: of a key without an account, for example."""
    return f"{tenant_id}/-"


def is_nobody(member: str) -> bool:
    """Whether it is what `nobody_of` gives."""
    return member.endswith("/-") and member.count("/") == 1


def counter_name(quota: QuotaRecord, member: str | None) -> str:
    """What the rule counts under, window left out. `member`: `scope_place` of the rule's `per`."""
    place = place_of(quota)
    if quota.model_id is not None:
        place += f"+{quota.model_id}"
    if quota.per is not None:
        place += f"*{quota.per}:{member}"
    return f"{place}|{quota.metric}|{quota.period}"


def limit_at(quota: QuotaRecord, at_s: float) -> int:
    """The limit in force: a temporary increase ends by itself."""
    if quota.raised_to is not None and at_s < quota.raised_until_s:
        return quota.raised_to
    return quota.limit


def spent(receipt: Receipt) -> Sizes:
    """What one outcome counts, as roll-ups count it: input with what was cached, images and audio;
    output with reasoning. What lost to another target counts for the provider alone."""
    read, cached, stored, written, reasoned, audio, image = usage_of(receipt)
    read = (read or 0) + (cached or 0) + (stored or 0) + (audio or 0) + (image or 0)
    written = (written or 0) + (reasoned or 0)
    return Sizes(1, read + written, read, written, receipt.cost_nusd or 0)


def _scope_problem(quota: QuotaRecord) -> tuple[str, str] | None:
    own = quota.scope in (Scope.PLATFORM, Scope.TENANT)
    if own and quota.scope_id is not None:
        return "scope_id", f"A quota on the {quota.scope} has none."
    if not own and not quota.scope_id:
        return "scope_id", f"Say which {quota.scope} is limited."
    if quota.scope in UPSTREAM_SCOPES:
        if quota.tenant_id is not None:
            return "scope", (
                f"A quota on the {quota.scope} is the platform's. "
                "For a tenant's use of a model take the tenant's scope and the model beside it."
            )
        if quota.scope is Scope.MODEL and quota.model_id is not None:
            return "model_id", "A quota on a model names it as scope_id."
    elif quota.tenant_id is None:
        return "tenant_id", f"A quota on the {quota.scope} belongs to a tenant: say which."
    if quota.per is not None and quota.per not in _ALLOWED_PER[quota.scope]:
        return "per", f"A quota on the {quota.scope} cannot be counted for each {quota.per}."
    return None


def _alert_problem(quota: QuotaRecord) -> tuple[str, str] | None:
    if any(not 0 < percent <= 1000 for percent in quota.alert_at):
        return "alert_at", "Alerts are whole percents from 1 to 1000."
    if quota.alert_at and quota.period in (Period.MINUTE, Period.NONE):
        return "alert_at", (
            "A minute's limit and requests at a time have no alerts: they are over before anybody "
            "reads one. Watch tollway_limit_refusals_total."
        )
    return None


def _limit_problem(field: str, limit: int) -> tuple[str, str] | None:
    if 0 <= limit <= MAX_LIMIT:
        return None
    return field, f"A limit is a whole number from 0 to {MAX_LIMIT}."


def _period_problem(quota: QuotaRecord) -> tuple[str, str] | None:
    running = quota.metric is Metric.CONCURRENCY
    if running and quota.period is not Period.NONE:
        return "period", "Concurrency has no period: leave it out."
    if not running and quota.period is Period.NONE:
        periods = ", ".join(period for period in Period if period is not Period.NONE)
        return "period", f"Say for which period: {periods}."
    return None
