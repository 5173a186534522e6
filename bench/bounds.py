"""The figures the data plane is held to, and the verdict on a run. A figure that was not measured
is said to be so; it neither passes nor fails.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from bench.figures import Spread


@dataclass(frozen=True, slots=True)
class Bound:
    """At most `limit` for the median of one figure."""

    figure: str
    text: str
    limit: float
    unit: str


# Stage "data plane": key check, ledger, journal, plain counters; no limits yet.
DATA_PLANE = (
    Bound("ratio/cpu/2000/nginx", "CPU per request at 2000/s, shipper included", 2.5, "x nginx"),
    Bound("ratio/cpu/2000/envoy", "CPU per request at 2000/s, shipper included", 0.95, "x Envoy"),
    Bound("ratio/chunk/0/nginx", "CPU per chunk of a stream, no gap", 1.5, "x nginx"),
    Bound("ratio/chunk/2/nginx", "CPU per chunk of a stream, gaps of 2 ms", 1.5, "x nginx"),
    Bound("added_p99/1000/tollway", "added p99 at 1000/s", 2.0, "ms"),
    Bound("stream_rss/tollway", "memory of one of 1,000 open streams", 40.0, "KiB"),
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """One bound and what was found. `held` is None when nothing was."""

    bound: Bound
    found: float | None

    @property
    def held(self) -> bool | None:
        return None if self.found is None else self.found <= self.bound.limit

    def line(self) -> str:
        bound = self.bound
        word = {True: "held", False: "MISSED", None: "not measured"}[self.held]
        found = "-" if self.found is None else f"{self.found:.2f}"
        return f"{word:<12} {bound.text}: {found} (at most {bound.limit:g} {bound.unit})"


def judge(figures: Mapping[str, Spread]) -> list[Verdict]:
    """Every bound against a run's figures."""
    return [
        Verdict(bound, found.median if (found := figures.get(bound.figure)) else None)
        for bound in DATA_PLANE
    ]
