"""Who counts: limits hold only where every request is counted in one place. That is one process, or
counters that all of them share.
"""

from collections.abc import Sequence
from typing import NamedTuple

LIVE_S = 20  # a gateway that was not heard of for so long is gone
BEAT_S = 5.0


class GatewayRecord(NamedTuple):
    """One gateway that serves from this database. `shares`: its counters are others' too."""

    id: str
    workers: int
    shares: bool
    began_s: int
    seen_s: int


def counting_problem(live: Sequence[GatewayRecord]) -> str | None:
    """Why limits would not hold with these gateways, or None."""
    if all(gateway.shares for gateway in live):
        return None
    if len(live) > 1:
        return (
            f"{len(live)} gateways serve from this database, and each would count for itself, so "
            "limits would not hold. Run one, or let them share counters: set TOLLWAY_REDIS_URL."
        )
    workers = live[0].workers
    if workers > 1:
        return (
            f"The gateway runs {workers} workers, and each would count for itself, so limits would "
            "not hold. Set TOLLWAY_WORKERS=1, or let them share counters: set TOLLWAY_REDIS_URL."
        )
    return None
