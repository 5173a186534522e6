"""The noun of what may be used: quotas."""

from dataclasses import replace

from tollway.cli.resources.house import TENANT
from tollway.cli.resources.shape import (
    Into,
    Kind,
    Noun,
    Option,
    Verb,
    changing,
    deleting,
    listing,
    reading,
)

_SCOPES = ("platform", "tenant", "project", "account", "key", "end_user", "provider", "model")
_METRICS = ("requests", "tokens", "input_tokens", "output_tokens", "cost", "concurrency")
_PERIODS = ("minute", "hour", "day", "month", "total")
_OF = replace(TENANT, into=Into.QUERY, required=False)
_AMOUNT = (
    Option(flag="--limit", field="limit", kind=Kind.NUMBER, help="Of all metrics but cost."),
    Option(flag="--limit-usd", field="limit", help="Of cost, such as 250 or 0.5."),
)
_HOW = (
    Option(
        flag="--mode",
        field="mode",
        kind=Kind.CHOICE,
        choices=("enforce", "shadow"),
        help="shadow: count, and report what would have been refused.",
    ),
    Option(
        flag="--precision",
        field="precision",
        kind=Kind.CHOICE,
        choices=("bounded", "strict"),
        help="strict: hold the most a request can use.",
    ),
    Option(
        flag="--on-outage",
        field="on_outage",
        kind=Kind.CHOICE,
        choices=("refuse", "local_share"),
        help="While the counter cannot be had.",
    ),
    Option(flag="--alert-at", field="alert_at", kind=Kind.JSON, help="Percents: [80, 100]."),
    Option(flag="--name", field="name"),
)

QUOTAS = Noun(
    name="quotas",
    one="quota",
    help="Limits on requests, tokens, cost and requests at a time.",
    path="/quotas",
    id_prefix="quo_",
    called=(),
    columns=(
        "scope",
        "scope_id",
        "per",
        "metric",
        "period",
        "limit",
        "mode",
        "name",
        "tenant_id",
        "id",
    ),
    verbs=(
        listing(
            "listQuotas",
            replace(_OF, help="This tenant's."),
            Option(
                flag="--scope",
                field="scope",
                into=Into.QUERY,
                kind=Kind.CHOICE,
                choices=_SCOPES,
                help="On things of this sort.",
            ),
            Option(flag="--id", field="scope_id", into=Into.QUERY, help="On this one: its id."),
            Option(
                flag="--metric",
                field="metric",
                into=Into.QUERY,
                kind=Kind.CHOICE,
                choices=_METRICS,
                help="On this metric.",
            ),
            Option(
                flag="--model",
                field="model_id",
                into=Into.QUERY,
                names="models",
                help="On the use of this model.",
            ),
        ),
        reading("readQuota"),
        Verb(
            name="reopen",
            operation="reopenQuotas",
            method="POST",
            help="Strict limits wait no more for gateways that are away.",
            tail="/strict/reopen",
        ),
        Verb(
            name="usage",
            operation="readQuotaUsage",
            method="GET",
            help="How it stands now, by the counter that enforces it.",
            object=True,
            tail="/usage",
            options=(
                Option(
                    flag="--member",
                    field="member",
                    into=Into.QUERY,
                    help="Of a limit for each: which key, account, project or end user.",
                ),
            ),
        ),
        Verb(
            name="create",
            operation="createQuota",
            method="POST",
            help="A new limit; it begins where the ledger stands.",
            options=(
                replace(_OF, into=Into.BODY, help="Whose; none for the platform's own."),
                Option(
                    flag="--scope",
                    field="scope",
                    kind=Kind.CHOICE,
                    choices=_SCOPES,
                    required=True,
                    help="Whose use counts.",
                ),
                Option(
                    flag="--id",
                    field="scope_id",
                    help="Which of them: its id; of an end user the name that requests give.",
                ),
                Option(
                    flag="--model", field="model_id", names="models", help="Only this model's use."
                ),
                Option(
                    flag="--per",
                    field="per",
                    kind=Kind.CHOICE,
                    choices=_SCOPES[1:6],
                    help="A counter for each of them.",
                ),
                Option(
                    flag="--metric",
                    field="metric",
                    kind=Kind.CHOICE,
                    choices=_METRICS,
                    required=True,
                ),
                Option(flag="--period", field="period", kind=Kind.CHOICE, choices=_PERIODS),
                *_AMOUNT,
                *_HOW,
            ),
        ),
        changing(
            "updateQuota",
            *_AMOUNT,
            Option(
                flag="--raised-to",
                field="raised_to",
                kind=Kind.NUMBER,
                help="For a while; none: no more.",
            ),
            Option(flag="--raised-to-usd", field="raised_to"),
            Option(
                flag="--raised-until", field="raised_until", help="Such as 2027-01-31T12:00:00Z."
            ),
            *_HOW,
        ),
        deleting("deleteQuota", "The limit is gone; what was used stays in the ledger."),
    ),
)
