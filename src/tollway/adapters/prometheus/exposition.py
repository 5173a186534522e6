"""The metrics page: the counts of all workers, merged, in the text format Prometheus reads."""

from collections.abc import Iterable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from tollway.adapters.prometheus.tally import DURATION_BUCKETS_S

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# How many cells of a table's rows are labels.
_LABELS = {
    "requests": 5,
    "tokens": 3,
    "durations": 1,
    "first_bytes": 1,
    "above_ceiling": 2,
    "below_seen": 2,
    "limits": 2,
    "shares": 0,
}
Merged = dict[tuple[Any, ...], list[float]]
# Table -> name, what it says, labels.
_COUNTERS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "requests": (
        "tollway_requests",
        "Requests by how they ended.",
        ("endpoint", "model", "provider", "status", "outcome"),
    ),
    "tokens": ("tollway_tokens", "Tokens billed.", ("model", "provider", "class")),
    "above_ceiling": (
        "tollway_usage_above_ceiling",
        "Answers of which the provider counted more than the request could have.",
        ("model", "provider"),
    ),
    "below_seen": (
        "tollway_usage_below_seen",
        "Answers of which the provider counted fewer tokens than what it sent can be.",
        ("model", "provider"),
    ),
    "limits": (
        "tollway_limit_refusals",
        "Requests that a limit refused, or would have (shadow): reached, or its counter away.",
        ("quota", "why"),
    ),
    "shares": (
        "tollway_limit_share_admissions",
        "Requests let in on a local share while the shared counters were away.",
        (),
    ),
}


class _Page:
    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> list[Metric]:
        return self._metrics


def merge(collected: Iterable[Mapping[str, Any]], retired: dict[str, Merged]) -> None:
    """Add every process's rows to `retired`, by table and labels."""
    for tables in collected:
        for table, width in _LABELS.items():
            merged = retired.setdefault(table, {})
            for row in tables.get(table, ()):
                labels, cells = tuple(row[:width]), row[width:]
                held = merged.setdefault(labels, [0.0] * len(cells))
                for position, cell in enumerate(cells):
                    held[position] += cell


def render(merged: Mapping[str, Merged], gauges: Mapping[str, float]) -> bytes:
    """The whole page. `gauges` are the supervisor's own (workers up, draining, ...)."""
    metrics: list[Metric] = [
        _counter(*named, rows=merged.get(table, {})) for table, named in _COUNTERS.items()
    ]
    metrics += [
        _histogram(
            "tollway_request_duration_seconds",
            "From the request to its outcome.",
            merged.get("durations", {}),
        ),
        _histogram(
            "tollway_time_to_first_byte_seconds",
            "From the request to a stream's first event.",
            merged.get("first_bytes", {}),
        ),
    ]
    for name, value in gauges.items():
        gauge = GaugeMetricFamily(name, name.replace("tollway_", "").replace("_", " "))
        gauge.add_metric([], value)
        metrics.append(gauge)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Page(metrics))
    return generate_latest(registry)


def _counter(name: str, text: str, labels: tuple[str, ...], *, rows: Merged) -> Metric:
    family = CounterMetricFamily(name, text, labels=labels)
    for values, cells in rows.items():
        family.add_metric([str(value) for value in values], cells[0])
    return family


def _histogram(name: str, text: str, merged: Merged) -> HistogramMetricFamily:
    family = HistogramMetricFamily(name, text, labels=["endpoint"])
    for (endpoint,), cells in merged.items():
        running, buckets = 0.0, []
        for bound, count in zip((*DURATION_BUCKETS_S, float("inf")), cells, strict=False):
            running += count
            buckets.append(("+Inf" if bound == float("inf") else str(bound), running))
        family.add_metric([str(endpoint)], buckets, sum_value=cells[-1])
    return family
