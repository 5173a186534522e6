"""The counters that several workers and machines share, if a server for them is named. Needs the
extra `redis`: nothing of it is loaded otherwise.
"""

from collections.abc import Callable

from tollway.adapters.redis.store import RedisOptions, RedisQuotaStore
from tollway.app.ports import Clock, Counting


def open_store(
    url: str,
    owner: str,
    *,
    lease_s: float,
    clock: Clock,
    counting: Counting,
    written: Callable[[], tuple[int, int]],
    running_since_s: Callable[[], float | None],
) -> RedisQuotaStore:
    """The store of one worker. `owner` names its journal."""
    return RedisQuotaStore(
        RedisOptions(url, owner, lease_s=lease_s),
        clock,
        counting,
        written=written,
        running_since_s=running_since_s,
    )
