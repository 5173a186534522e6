"""The counters that several workers and machines share, if a server for them is named. Needs the
extra `redis`: nothing of it is loaded otherwise.
"""

from collections.abc import Callable

from tollway.adapters.journal.slots import SlotLock
from tollway.adapters.journal.untold import UntoldFile
from tollway.adapters.redis.store import RedisOptions, RedisQuotaStore
from tollway.app.ports import Clock, Counting


def open_store(
    url: str,
    lock: SlotLock,
    *,
    lease_s: float,
    clock: Clock,
    counting: Counting,
    written: Callable[[], tuple[int, int]],
    running_since_s: Callable[[], float | None],
) -> RedisQuotaStore:
    """The store of the worker that holds the slot."""
    return RedisQuotaStore(
        RedisOptions(url, lock.source, lease_s=lease_s),
        clock,
        counting,
        written=written,
        running_since_s=running_since_s,
        untold=UntoldFile(lock),
    )
