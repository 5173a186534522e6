"""Limits that count all and refuse nobody, and what their counters have beside the ledger."""

import json

from tests.fakes.quotas import quota
from tests.torture.stage import Stage
from tollway.domain.quota import OnOutage, QuotaRecord

RIGHT_S = 60.0  # with a gateway dead a lease of 30 s, then the ledger's last word


def limits_of(stage: Stage) -> list[QuotaRecord]:
    """On requests, tokens and requests at a time; none of them near, and none that refuses."""
    [key] = stage.tree.sql("SELECT tenant_id FROM api_keys")
    asked = [("requests", "day"), ("tokens", "day"), ("concurrency", "none")]
    return [
        quota(
            10**9,
            metric,
            period,
            tenant_id=key["tenant_id"],
            on_outage=OnOutage.LOCAL_SHARE,
        )
        for metric, period in asked
    ]


def unequal_counters(stage: Stage, limits: list[QuotaRecord]) -> list[str]:
    """What the counters have that the ledger has not, or the other way round."""
    (sums,) = stage.tree.sql(
        "SELECT count(*) AS requests, sum(coalesce(input, 0) + coalesce(cached_input, 0) + "
        "coalesce(output, 0) + coalesce(reasoning, 0)) AS tokens FROM ledger_entries "
        "WHERE kind = 'usage' AND payer != 'failed_over'"
    )
    wanted = {**sums, "concurrency": 0}
    api = ("--url", stage.tree.state["admin_url"], "--token")
    api = (*api, f"file:{stage.tree.data_dir / 'admin.token'}", "-o", "json")
    found = []
    for one in limits:
        shown = json.loads(stage.tree.run("quotas", "usage", one.id, *api))
        stand = (shown["source"], shown["used"], shown["held"])
        if stand != ("counter", wanted[one.metric], 0):
            found.append(f"{one.metric}: counter {stand}, ledger {wanted[one.metric]}")
    return found
